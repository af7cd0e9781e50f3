package wasm

import (
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
)

func TestQuickCalls(t *testing.T) {
	a := newAdapter(t, buildGo(t, "./testdata/echo"), nil)
	var b Batch
	say := func(what string) {
		t.Helper()
		if err := event(a, `{"say":"`+what+`"}`, &b); err != nil || len(b.Emissions) == 0 || string(b.Emissions[0].Data) != what {
			t.Fatalf("say %q: %v, %v", what, err, b.Emissions)
		}
	}
	// What needs no slot is served while nobody gives one back.
	if err := a.engine.slots.acquire(t.Context(), a.tenant, time.Minute); err != nil {
		t.Fatal(err)
	}
	say("hello")
	a.engine.slots.release()

	// More work than a quick call may do is repeated in a slot, unnoticed.
	work := `{"do":"work","with":"` + strings.Repeat("x", 1000) + `"}`
	for range 2 {
		if err := event(a, work, &b); err != nil || len(b.Emissions) != 2 || string(b.Emissions[0].Data) != "done" || b.Emissions[1].Kind != abi.State {
			t.Fatalf("work: %v, %v", err, b.Emissions)
		}
		if want := a.opts.Limits.fuel(len(work)); b.Cost.Budget != want || b.Cost.Fuel < quickFuel {
			t.Errorf("cost = %+v, want a budget of %d", b.Cost, want)
		}
	}
	// From then on only smaller input is tried: the instance outlived the second.
	if got, want := a.quick[inEvent].bytes(), len(work)/2; got != want {
		t.Errorf("quick calls have less than %d bytes, want %d", got, want)
	}
	if got := a.quick[inRequest].bytes(); got != quickInput {
		t.Errorf("quick requests have less than %d bytes, want %d: only events ran out", got, quickInput)
	}
	// One in a slot that needed little shows that its like may be quick again.
	say(strings.Repeat("y", 1000))
	if got, want := a.quick[inEvent].bytes(), 1000+len(`{"say":""}`)+1; got != want {
		t.Errorf("quick calls have less than %d bytes, want %d again", got, want)
	}
}
