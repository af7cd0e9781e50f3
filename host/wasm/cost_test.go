package wasm

import (
	"os"
	"strings"
	"testing"
)

func mustRead(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBatchTellsWhatTheCallCost(t *testing.T) {
	a := newAdapter(t, mustRead(t, "testdata/example/lines.wasm"), nil)
	var b Batch
	if err := event(a, "a line", &b); err != nil {
		t.Fatal(err)
	}
	short := b.Cost
	if short.Fuel < 3 || short.Fuel > 100 || short.Limit < 50_000_000 || short.Memory != 64<<10 {
		t.Errorf("cost = %+v, want a few units and one page", short)
	}
	// A large input makes the guest grow its memory, which costs.
	if err := event(a, strings.Repeat("x", 1<<20), &b); err != nil {
		t.Fatal(err)
	}
	if b.Cost.Fuel <= short.Fuel || b.Cost.Memory <= 1<<20 {
		t.Errorf("cost of 1 MiB = %+v", b.Cost)
	}
	if b.Reset(); b.Cost != (Cost{}) {
		t.Errorf("an empty batch has the cost %+v", b.Cost)
	}
}
