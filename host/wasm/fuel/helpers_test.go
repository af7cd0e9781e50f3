package fuel

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// bulk is a module of 48 pages whose functions are single instructions.
func bulk(segment []byte) build {
	m := one()
	m.types = entries(nullary, raw(0x60, 3, typeI32, typeI32, typeI32, 0))
	m.memories = entries(raw(1, 48, 48))
	m.funcs, m.codes, m.exports = nil, nil, entries(exportOf("memory", Memory, 0))
	add := func(name string, typ byte, code ...byte) {
		m.exports = append(m.exports, exportOf(name, Function, byte(len(m.funcs))))
		m.funcs = append(m.funcs, raw(typ))
		m.codes = append(m.codes, function(code...))
	}
	add("fill", 1, all(opMisc, miscMemoryFill, 0)...)
	add("copy", 1, all(opMisc, miscMemoryCopy, 0, 0)...)
	add("init", 1, all(opMisc, miscMemoryInit, 1, 0)...)
	add("small", 1, all(opMisc, miscMemoryInit, 0, 0)...)
	add("drop", 0, opMisc, 9, 1)
	m.dataCount = true
	m.data = entries(append(raw(1), text("small")...), append(raw(1), text(string(segment))...))
	return m
}

// TestPieces does with memory what takes several slices, plain and instrumented,
// and compares what became of it.
func TestPieces(t *testing.T) {
	const size, piece = 48 << 16, pieceBytes
	random := rand.New(rand.NewPCG(1, 2))
	segment := make([]byte, 5*piece+7)
	for i := range segment {
		segment[i] = byte(random.Uint32())
	}
	module := bulk(segment).bytes()
	h := &host{left: 1 << 40, slice: 50}
	ctx := context.Background()
	var mods [2]api.Module
	for i, wasm := range [][]byte{module, mustInstrument(t, module, Options{}).Wasm} {
		var err error
		if mods[i], err = newRuntimeWith(t, h).InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig()); err != nil {
			t.Fatal(err)
		}
		mods[i].Memory().Write(0, segment)
	}
	call := func(name string, args ...uint64) {
		t.Helper()
		h.turns = 0
		_, want := mods[0].ExportedFunction(name).Call(ctx, args...)
		_, got := mods[1].ExportedFunction(name).Call(ctx, args...)
		cause := func(err error) string {
			if err == nil {
				return ""
			}
			text, _, _ := strings.Cut(err.Error(), "\n")
			return text
		}
		if cause(got) != cause(want) {
			t.Fatalf("%s%d: instrumented %q, plain %q", name, args, cause(got), cause(want))
		}
		a, _ := mods[0].Memory().Read(0, size)
		b, _ := mods[1].Memory().Read(0, size)
		if !bytes.Equal(a, b) {
			t.Fatalf("%s%d: memory differs", name, args)
		}
		if n := int(args[2]); want == nil && name != "small" && h.turns < n/piece {
			t.Errorf("%s%d: %d turns of the host for %d pieces", name, args, h.turns, n/piece)
		}
	}
	places := []uint64{0, 1, 100, piece - 1, piece, piece + 1, 2 * piece, 3*piece + 5, size - piece, size - 1, size, size + 1, 1<<31 - 1, 1 << 31, 1<<32 - 1}
	sizes := []uint64{0, 1, piece - 1, piece, piece + 1, 2 * piece, 2*piece + 1, 5*piece + 7, 5*piece + 8, size - 1, size, size + 1, 1 << 31, 1<<32 - piece, 1<<32 - 1}
	for _, to := range places {
		for _, from := range places {
			for _, n := range sizes {
				if random.IntN(6) > 0 {
					continue
				}
				call("copy", to, from, n)
				call("init", to, from, n)
				call("fill", to, from, n)
			}
		}
		call("small", to, 0, 5)
	}
	for _, m := range mods {
		if _, err := m.ExportedFunction("drop").Call(ctx); err != nil {
			t.Fatal(err)
		}
	}
	call("init", 0, 0, 2*piece)
	call("init", 0, 0, 0)
	call("init", size, 0, 0)
}

// TestPiecesEnd lets the fuel end between two pieces, and in the last one.
func TestPiecesEnd(t *testing.T) {
	module := mustInstrument(t, bulk(nil).bytes(), Options{}).Wasm
	const price = 2 + 8*pieceBytes/64 // of the entry and of the instruction
	for left, want := range map[int64]error{price + MaxLoopPrice: nil, price - 1: errSpent} {
		mod, err := newRuntimeWith(t, &host{left: left, slice: 100}).Instantiate(context.Background(), module)
		if err != nil {
			t.Fatal(err)
		}
		mod.ExportedGlobal(Global).(api.MutableGlobal).Set(0)
		if _, err := mod.ExportedFunction("fill").Call(context.Background(), 0, 7, 8*pieceBytes); !errors.Is(err, want) {
			t.Errorf("with %d units: error = %v, want %v", left, err, want)
		}
		got, _ := mod.Memory().Read(0, 8*pieceBytes)
		if filled := !slices.ContainsFunc(got, func(b byte) bool { return b != 7 }); filled != (want == nil) {
			t.Errorf("with %d units: filled %v", left, filled)
		}
	}
}

// TestLoopsCarryOn runs loops that have more to carry than is handed on, or types
// of their own, with a turn of the host at every iteration.
func TestLoopsCarryOn(t *testing.T) {
	many := build{
		types: entries(raw(0x60, 1, typeI32, 1, typeI64)), funcs: entries(raw(0)), memories: entries(onePage),
		exports: entries(exportOf("run", Function, 0)),
	}
	// 40 locals that each iteration turns round by one and adds the number left to.
	const n = 40
	var body []byte
	for i := range byte(n) {
		body = append(body, opLocalGet, 1+(i+1)%n, opLocalGet, 0, opI64ExtendU, opI64Add, opLocalSet, 1+i)
	}
	body = slices.Concat(raw(opLoop, blockEmpty), body,
		raw(opLocalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, 0, opBrIf, 0, opEnd, opLocalGet, 1))
	for i := range byte(n - 1) {
		body = append(body, opLocalGet, 2+i, opI64Const, 31, 0x7e, 0x85) // i64.mul, i64.xor
	}
	many.codes = entries(functionWith(raw(1, n, typeI64), body...))

	// A loop that takes its number from the stack and gives it back.
	params := many
	params.types = append(params.types, raw(0x60, 1, typeI64, 1, typeI64))
	params.codes = entries(functionWith(raw(0), slices.Concat(
		raw(opI64Const, 5, opLoop, 1, opI64Const, 3, 0x7e, opLocalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, 0, opBrIf, 0, opEnd))...))

	// One inside the other, of all types of numbers.
	mixed := many
	mixed.codes = entries(functionWith(raw(3, 1, typeI64, 1, typeF32, 1, typeF64), slices.Concat(
		raw(opLoop, blockEmpty),
		raw(opLoop, blockEmpty, opLocalGet, 2, opF32Const, 0, 0, 0x80, 0x3f, 0x92, opLocalTee, 2, opF32Const, 0, 0, 0x40, 0x40, 0x5d, opBrIf, 0, opEnd),
		raw(opLocalGet, 3, opLocalGet, 2, 0xbb, 0xa0, opLocalSet, 3), // f64.promote, f64.add
		raw(opF32Const, 0, 0, 0, 0, opLocalSet, 2),
		raw(opLocalGet, 1, opI64Const, 7, opI64Add, opLocalSet, 1),
		raw(opLocalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, 0, opBrIf, 0, opEnd),
		raw(opLocalGet, 1, opLocalGet, 3, 0xb0, opI64Add))...)) // i64.trunc_f64_s

	for name, m := range map[string]build{"many": many, "on the stack": params, "mixed": mixed} {
		t.Run(name, func(t *testing.T) {
			run := func(wasm []byte, h *host) uint64 {
				mod, err := newRuntimeWith(t, h).Instantiate(context.Background(), wasm)
				if err != nil {
					t.Fatal(err)
				}
				got, err := mod.ExportedFunction("run").Call(context.Background(), 500)
				if err != nil {
					t.Fatal(err)
				}
				return got[0]
			}
			h := &host{left: 1 << 40}
			want, got := run(m.bytes(), h), run(mustInstrument(t, m.bytes(), Options{StartFuel: 1}).Wasm, h)
			if got != want {
				t.Errorf("instrumented %d, plain %d", got, want)
			}
			if h.turns < 10 {
				t.Errorf("%d turns of the host", h.turns)
			}
		})
	}
}

// TestStraightCodeAsks runs code without loops or calls, which has to look at its
// slice on the way.
func TestStraightCodeAsks(t *testing.T) {
	const n = 100_000 // instructions
	h := &host{left: 1 << 40}
	mod, err := newRuntimeWith(t, h).Instantiate(context.Background(), mustInstrument(t, one(drops(n/2)...).bytes(), Options{StartFuel: 1}).Wasm)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mod.ExportedFunction("run").Call(context.Background()); err != nil {
		t.Fatal(err)
	}
	if h.turns < n/testStride-1 {
		t.Errorf("%d turns of the host in %d instructions", h.turns, n)
	}
}

// TestTheWayBackAsks recurses deep and does a little after each call. On the way back
// the host has its turns, too.
func TestTheWayBackAsks(t *testing.T) {
	const depth = 10_000
	for name, tail := range map[string][]byte{
		"a load":            {0x28, 2, 0},
		"a store":           {opI32Const, 8, opLocalGet, 0, 0x36, 2, 0},
		"a division":        {opI32Const, 3, 0x6d},
		"many cheap things": bytes.Repeat(raw(0x45), tailFree+1), // i32.eqz
	} {
		t.Run(name, func(t *testing.T) {
			m := build{
				types: entries(raw(0x60, 1, typeI32, 1, typeI32)), funcs: entries(raw(0)), memories: entries(onePage),
				exports: entries(exportOf("run", Function, 0), exportOf("memory", Memory, 0)),
				codes: entries(function(slices.Concat(
					raw(opLocalGet, 0, opIf, blockEmpty, opLocalGet, 0, opI32Const, 1, opI32Sub, opCall, 0), tail, raw(opReturn, opEnd),
					raw(opI32Const, 4, opI32Const, 1, 0x36, 2, 0, opI32Const, 0))...)), // the deepest call says that it is
			}
			back := 0
			h := &host{left: 1 << 40, slice: 100, turn: func(mod api.Module) {
				if deepest, _ := mod.Memory().ReadByte(4); deepest == 1 {
					back++
				}
			}}
			mod, err := newRuntimeWith(t, h).Instantiate(context.Background(), mustInstrument(t, m.bytes(), Options{}).Wasm)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := mod.ExportedFunction("run").Call(context.Background(), depth); err != nil {
				t.Fatal(err)
			}
			if want := depth/100 - 1; back < want {
				t.Errorf("%d turns of the host on the way back, want at least %d", back, want)
			}
		})
	}
}
