package wasm

import (
	"runtime"
	"testing"
	"time"
	"weak"
)

// TestABrokenInstanceIsLetGo has nothing hold an instance that was lent and not
// given back: one that recursed keeps a stack of many MiB in this process' memory.
func TestABrokenInstanceIsLetGo(t *testing.T) {
	a := newAdapter(t, hostile(t, "events"), nil)
	var lent [2]*instance
	for i := range lent {
		in, err := a.take(anybody(a), false)
		if err != nil {
			t.Fatal(err)
		}
		lent[i] = in
	}
	for _, in := range lent {
		a.give(in)
	}
	lent = [2]*instance{}

	in := a.takeIdle()
	in.close()
	held := weak.Make(in)
	in = nil
	for deadline := time.Now().Add(time.Minute); held.Value() != nil; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal("a closed instance is still held")
		}
	}
}
