package fuel

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/race"
)

// active is a data segment for an address.
func active(address int32, data string) []byte {
	return slices.Concat(raw(0, opI32Const), appendI64(nil, int64(address)), raw(opEnd), text(data))
}

// memoryOf gives what an instance of one page begins with, or the error.
func memoryOf(t *testing.T, wasm []byte) ([]byte, error) {
	t.Helper()
	mod, err := newRuntime(t).Instantiate(context.Background(), wasm)
	if err != nil {
		return nil, err
	}
	b, ok := mod.ExportedMemory("memory").Read(0, 1<<16)
	if !ok {
		t.Fatal("no page of memory")
	}
	return bytes.Clone(b), nil
}

// withData is a module with a memory of one page and data segments.
func withData(segments ...[]byte) build {
	m := one()
	m.exports = append(m.exports, exportOf("memory", Memory, 0))
	m.data = segments
	return m
}

func TestSegmentsAreJoined(t *testing.T) {
	passive := append(raw(1), text("zz")...)
	byGlobal := withData(append(raw(0, 0x23, 0, opEnd), text("ab")...), active(2, "cd"))
	byGlobal.globals = entries(global0)
	for name, tc := range map[string]struct {
		module build
		want   uint32 // segments
	}{
		"none":                           {withData(), 0},
		"one":                            {withData(active(7, "ab")), 1},
		"neighbours":                     {withData(active(0, "ab"), active(2, "cd"), active(4, "ef")), 1},
		"a small gap":                    {withData(active(0, "ab"), active(2+joinGap, "cd")), 1},
		"a large gap":                    {withData(active(0, "ab"), active(3+joinGap, "cd"), active(100+joinGap, "e")), 2},
		"in another order":               {withData(active(500, "c"), active(0, "ab"), active(501, "d"), active(4, "x")), 2},
		"with nothing in them":           {withData(active(0, ""), active(0, "ab"), active(2, ""), active(2, "c"), active(60_000, "")), 2},
		"up to the end":                  {withData(active(65_530, "ab"), active(65_534, "cd")), 1},
		"one over another":               {withData(active(0, "abcd"), active(2, "xy"), active(8, "z")), 3},
		"one of them passive":            {withData(active(0, "ab"), passive, active(2, "cd")), 3},
		"one at the address of a global": {byGlobal, 2},
		"beyond the end":                 {withData(active(65_530, "ab"), active(65_535, "cd")), 1},
		"far beyond the end":             {withData(active(0, "ab"), active(-2, "cd")), 2},
	} {
		t.Run(name, func(t *testing.T) {
			plain := tc.module.bytes()
			joined := mustInstrument(t, plain, Options{}).Wasm
			if got := dataCount(t, joined); got != tc.want {
				t.Errorf("%d segments, want %d", got, tc.want)
			}
			sameMemory(t, plain, joined)
		})
	}
}

// TestALargeSegmentNeedsNoCount: a module whose instructions name no data segments has none
// for that either.
func TestALargeSegmentNeedsNoCount(t *testing.T) {
	wasm := mustInstrument(t, withData(active(0, strings.Repeat("x", pieceBytes+1))).bytes(), Options{}).Wasm
	if _, err := newRuntime(t).CompileModule(context.Background(), wasm); err != nil {
		t.Error(err)
	}
}

// TestJoinedSegmentsMakeTheSameMemory tries segments at random, some of which lie
// over others or beyond the end.
func TestJoinedSegmentsMakeTheSameMemory(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	r := rand.New(rand.NewPCG(1, 2))
	joinedAny := 0
	for n := range 300 {
		var segments [][]byte
		at := r.IntN(100)
		for range r.IntN(30) {
			data := make([]byte, r.IntN(20))
			for i := range data {
				data[i] = byte(r.IntN(3))
			}
			segments = append(segments, active(int32(at), string(data)))
			at += len(data) + r.IntN(2*joinGap)
			switch r.IntN(60) {
			case 0:
				at = r.IntN(1 << 16)
			case 1:
				at -= 5
			}
			at = max(at, 0)
		}
		if r.IntN(2) == 0 {
			r.Shuffle(len(segments), func(i, j int) { segments[i], segments[j] = segments[j], segments[i] })
		}
		plain := withData(segments...).bytes()
		joined := mustInstrument(t, plain, Options{}).Wasm
		if dataCount(t, joined) < uint32(len(segments)) {
			joinedAny++
		}
		sameMemory(t, plain, joined)
		if t.Failed() {
			t.Fatalf("module %d: %x", n, segments)
		}
	}
	if joinedAny < 100 {
		t.Errorf("only %d of 300 modules had segments to join", joinedAny)
	}
}

func sameMemory(t *testing.T, plain, joined []byte) {
	t.Helper()
	want, wantErr := memoryOf(t, plain)
	got, gotErr := memoryOf(t, joined)
	if fmt.Sprint(gotErr != nil) != fmt.Sprint(wantErr != nil) || !bytes.Equal(got, want) {
		t.Errorf("the memory differs, or the error: %v, want %v", gotErr, wantErr)
	}
}

func dataCount(t *testing.T, module []byte) uint32 {
	t.Helper()
	for r := newReader(module); r.err == nil && r.left() > 0; {
		if s := r.section(); s.id == sectionData {
			content := reader{data: module, pos: s.body, end: s.end}
			return content.u32()
		}
	}
	return 0
}
