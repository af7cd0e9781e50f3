package fuel

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// machine is a loop with a table of jumps: local 0 has the number of the place to begin
// with. The places come one after the other.
func machine(table []byte, places ...[]byte) []byte {
	code := slices.Concat(raw(opLoop, blockEmpty), slices.Repeat(raw(opBlock, blockEmpty), len(places)),
		raw(opLocalGet, 0, opBrTable, byte(len(table)-1)), table)
	for _, p := range places {
		code = slices.Concat(code, raw(opEnd), p)
	}
	return append(code, opEnd)
}

// jump goes to a place by its number, from a depth of so many blocks within the loop.
func jump(number, depth byte) []byte {
	return raw(opI32Const, number, opLocalSet, 0, opBr, depth)
}

func TestJumpsForwardAreShort(t *testing.T) {
	table := raw(0, 1, 2, 2)
	nothing := []byte{}
	for name, tc := range map[string]struct {
		code []byte
		want []uint32 // the labels of jumps that were changed
	}{
		"to the next place":              {machine(table, jump(1, 2), nothing, nothing), []uint32{0}},
		"to the one after it":            {machine(table, jump(2, 2), nothing, nothing), []uint32{1}},
		"to itself":                      {machine(table, nothing, jump(1, 1), nothing), nil},
		"back":                           {machine(table, nothing, jump(0, 1), nothing), nil},
		"from the last place":            {machine(table, nothing, nothing, jump(2, 0)), nil},
		"by a number over the table":     {machine(table, jump(60, 2), nothing, nothing), []uint32{1}},
		"by a negative number":           {machine(table, jump(0x7f, 2), nothing, nothing), []uint32{1}},
		"from inside other blocks":       {machine(table, slices.Concat(raw(opBlock, blockEmpty, opI32Const, 0, opIf, blockEmpty), jump(2, 4), raw(opEnd, opEnd)), nothing, nothing), []uint32{3}},
		"from behind other blocks":       {machine(table, nothing, slices.Concat(raw(opBlock, blockEmpty, opEnd), jump(2, 1)), nothing), []uint32{0}},
		"back, from inside a new block":  {machine(table, nothing, slices.Concat(raw(opBlock, blockEmpty), jump(0, 2), raw(opEnd)), nothing), nil},
		"to a place that is the loop":    {machine(raw(3, 1, 2, 3), jump(0, 2), jump(9, 1), nothing), nil},
		"to a place outside":             {machine(raw(4, 1, 2, 4), jump(0, 2), jump(9, 1), nothing), nil},
		"by another local":               {machine(table, raw(opI32Const, 1, opLocalSet, 1, opBr, 2), nothing, nothing), nil},
		"by a number that is not stated": {machine(table, raw(opLocalGet, 1, opLocalSet, 0, opBr, 2), nothing, nothing), nil},
		"with something in between":      {machine(table, raw(opI32Const, 1, opLocalSet, 0, 1, opBr, 2), nothing, nothing), nil},
		"not always":                     {machine(table, raw(opI32Const, 1, opI32Const, 1, opLocalSet, 0, opBrIf, 2), nothing, nothing), nil},
		"out of the loop":                {machine(table, jump(1, 3), nothing, nothing), nil},
		"with a loop among the blocks":   {slices.Concat(raw(opLoop, blockEmpty, opBlock, blockEmpty, opLoop, blockEmpty, opLocalGet, 0, opBrTable, 0, 1, opEnd), jump(0, 1), raw(opEnd, opEnd)), nil},
		"with something before the table": {slices.Concat(raw(opLoop, blockEmpty, opBlock, blockEmpty, opBlock, blockEmpty, 1, opLocalGet, 0, opBrTable, 1, 0, 1, opEnd),
			jump(1, 1), raw(opEnd, opEnd)), nil},
		"with a block that has a result": {slices.Concat(raw(opLoop, blockEmpty, opBlock, typeI32, opBlock, blockEmpty, opLocalGet, 0, opBrTable, 1, 0, 0, opEnd),
			jump(1, 1), raw(opEnd, 0x1a, opEnd)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := one()
			m.codes = entries(functionWith(raw(1, 2, typeI32), tc.code...))
			p, err := parse(m.bytes(), Options{}.withDefaults())
			if err != nil {
				t.Fatal(err)
			}
			var got []uint32
			for _, e := range p.edits {
				if int(e.at) >= p.bodies[0].code.body {
					got = append(got, e.to)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("labels %v, want %v", got, tc.want)
			}
		})
	}
}

// TestJumpsPayForNoIteration compares the price of a way forward and of one back.
func TestJumpsPayForNoIteration(t *testing.T) {
	table := raw(0, 1, 2, 2)
	for name, tc := range map[string]struct {
		code []byte
		want int64
	}{
		"forward":  {machine(table, jump(1, 2), jump(2, 1), nil), 2},
		"and back": {machine(raw(1, 0, 2, 2), jump(2, 2), jump(1, 1), nil), 2 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			mod, left := mustInstantiate(t, mustInstrument(t, one(tc.code...).bytes(), Options{}).Wasm)
			left.Set(1 << 40)
			if _, err := mod.ExportedFunction("run").Call(context.Background()); err != nil {
				t.Fatal(err)
			}
			if got := 1<<40 - int64(left.Get()); got != tc.want {
				t.Errorf("used %d, want %d", got, tc.want)
			}
		})
	}
}

// TestRandomMachinesAgree runs machines whose places jump to one another at random, plain
// and instrumented.
func TestRandomMachinesAgree(t *testing.T) {
	ctx := context.Background()
	short, turns := 0, 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 13))
		m := build{
			types: entries(raw(0x60, 1, typeI32, 1, typeI64)), memories: entries(onePage),
		}
		for i := range byte(8) {
			m.funcs = append(m.funcs, raw(0))
			m.exports = append(m.exports, exportOf(fmt.Sprint(i), Function, i))
			code := slices.Concat(raw(opI32Const, 60, opLocalSet, 2), randomMachine(rng), raw(opLocalGet, 1))
			m.codes = append(m.codes, functionWith(raw(2, 1, typeI64, 1, typeI32), code...))
		}
		module := m.bytes()
		p, err := parse(module, Options{}.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		short += len(p.edits)
		h := &host{left: 1 << 40}
		plain, err := newRuntime(t).Instantiate(ctx, module)
		if err != nil {
			t.Fatal(err)
		}
		fueled, err := newRuntimeWith(t, h).Instantiate(ctx, mustInstrument(t, module, Options{StartFuel: 1}).Wasm)
		if err != nil {
			t.Fatal(err)
		}
		for i := range m.funcs {
			for start := range uint64(10) {
				want, got := mustCall(t, plain, fmt.Sprint(i), start), mustCall(t, fueled, fmt.Sprint(i), start)
				if got != want {
					t.Fatalf("seed %d: function %d from place %d: instrumented %d, plain %d\n%x", seed, i, start, got, want, m.codes[i])
				}
			}
		}
		turns += h.turns
	}
	t.Logf("%d jumps are short, %d turns of the host", short, turns)
	if short < 500 || turns < 500 {
		t.Errorf("%d jumps are short, and the host had %d turns", short, turns)
	}
}

// randomMachine makes a machine that counts in local 1 where it has been, and returns when
// local 2, which counts down, is 0.
func randomMachine(rng *rand.Rand) []byte {
	n := 1 + rng.IntN(10)
	table := make([]byte, 1+rng.IntN(2*n))
	for i := range table {
		table[i] = byte(rng.IntN(n + 1)) // the last one is the loop
	}
	if i := slices.Index(table, byte(n)); i >= 0 {
		table[i] = 0 // which would go on for ever
	}
	table = slices.DeleteFunc(table, func(label byte) bool { return int(label) == n })
	var places [][]byte
	for i := range n {
		code := slices.Concat(
			raw(opLocalGet, 1, opI64Const, 31, 0x7e, opI64Const, byte(i), opI64Add, opLocalSet, 1),
			raw(opLocalGet, 2, opI32Const, 1, opI32Sub, opLocalTee, 2, 0x45, opIf, blockEmpty, opLocalGet, 1, opReturn, opEnd))
		depth := byte(n - 1 - i) // of the loop
		number := func() byte { return byte(rng.IntN(len(table)+2)) & 0x3f }
		for range rng.IntN(4) {
			code = append(code, opLocalGet, 1, opI32WrapI64, opI32Const, 1<<rng.IntN(5), 0x71, opIf, blockEmpty) // i32.and
			if rng.IntN(2) == 0 {
				code = slices.Concat(code, jump(number(), depth+1))
			} else {
				code = slices.Concat(code, raw(opBlock, blockEmpty, opLoop, blockEmpty), jump(number(), depth+3), raw(opEnd, opEnd))
			}
			code = append(code, opEnd)
		}
		if rng.IntN(2) == 0 {
			code = slices.Concat(code, jump(number(), depth))
		}
		places = append(places, code)
	}
	return machine(table, places...)
}
