package fuel

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// BenchmarkInstrument rewrites a Go guest of 3 MB.
func BenchmarkInstrument(b *testing.B) {
	wasm := buildGuest(b)
	b.SetBytes(int64(len(wasm)))
	b.ReportAllocs()
	for b.Loop() {
		mustInstrument(b, wasm, Options{})
	}
}

// BenchmarkOverhead runs guest functions plain and instrumented by turns and
// reports the ratio of their best times; 1.1 means that fuel costs 10 %. ns/unit is
// not a speed but what a limit means: 5e7 units of a function at 1.5 ns/unit
// last 75 ms.
func BenchmarkOverhead(b *testing.B) {
	wasm := buildGuest(b)
	plain, fueled := startGuest(b, wasm, &host{}), startGuest(b, mustInstrument(b, wasm, Options{}).Wasm, &host{left: 1 << 30})
	left := fueled.ExportedGlobal(Global).(api.MutableGlobal)
	left.Set(1 << 60)
	mustCall(b, plain, "make", 2000)
	mustCall(b, fueled, "make", 2000)
	for name, args := range map[string][]uint64{"parse": nil, "scan": nil, "fib": {25}} {
		b.Run(name, func(b *testing.B) {
			plainTime, fueledTime := time.Duration(1<<62), time.Duration(1<<62)
			var units int64
			for b.Loop() {
				began := time.Now()
				mustCall(b, plain, name, args...)
				plainTime = min(plainTime, time.Since(began))
				left.Set(1 << 60)
				began = time.Now()
				mustCall(b, fueled, name, args...)
				fueledTime = min(fueledTime, time.Since(began))
				units = 1<<60 - int64(left.Get())
			}
			b.ReportMetric(float64(fueledTime)/float64(plainTime), "ratio")
			b.ReportMetric(float64(fueledTime)/float64(units), "ns/unit")
		})
	}
}

// BenchmarkDearestUnit runs loops made to get the most time out of a unit.
func BenchmarkDearestUnit(b *testing.B) {
	endless := func(body ...byte) []byte {
		return slices.Concat(raw(opLoop, blockEmpty), body, raw(opBr, 0, opEnd))
	}
	many := func(n int, body ...byte) []byte { return bytes.Repeat(body, n) }
	for name, code := range map[string][]byte{
		"nothing": endless(),
		// Each load gives the address of the next one; see below.
		"loads":        endless(slices.Concat(raw(opLocalGet, 0), many(7, 0x28, 2, 0), raw(opLocalSet, 0))...),
		"square roots": endless(slices.Concat(raw(opLocalGet, 0, 0xb8), many(6, 0x9f), raw(opMisc, 3, opLocalSet, 0))...),
		"ref.func":     endless(raw(opRefFunc, 0, 0x1a)...),
		"memory.grow":  endless(raw(opI32Const, 0, opMemoryGrow, 0, 0x1a)...),
		"table.grow":   endless(raw(opRefNull, typeFunc, opI32Const, 0, opMisc, miscTableGrow, 0, 0x1a)...),
		"memory.fill":  endless(fill(63)...),
		"empty calls":  endless(many(20, opCall, 1)...),
		"conversions":  endless(slices.Concat(raw(opLocalGet, 0), many(29, 0xb8, opMisc, 3), raw(opLocalSet, 0))...),
	} {
		b.Run(name, func(b *testing.B) {
			m := one(code...)
			m = withElement(two(m))
			m.memories = entries(raw(1, 0x80, 0x10, 0x80, 0x10)) // 128 MiB
			m.exports = append(m.exports, exportOf("memory", Memory, 0))
			mod, left := mustInstantiate(b, mustInstrument(b, m.bytes(), Options{}).Wasm)
			// One cycle through all cache lines of the memory in an order that no
			// cache foresees (a full-period generator).
			lines := mod.Memory().Size() / 64
			for i := range lines {
				mod.Memory().WriteUint32Le(i*64, (i*1664525+1013904223)%lines*64)
			}
			const units = 20_000
			for b.Loop() {
				left.Set(units)
				if _, err := mod.ExportedFunction("run").Call(context.Background()); err == nil {
					b.Fatal("the loop ended")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/units, "ns/unit")
		})
	}
}
