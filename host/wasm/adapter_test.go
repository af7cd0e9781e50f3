package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/race"
	"github.com/kai-gateway/kai/sdk/abi"
)

// fuelAlone are the limits of tests in which a call runs out of fuel: on a busy machine, it would run
// out of time first.
var fuelAlone = Limits{Time: time.Hour}

// newAdapter loads module in an engine of its own and waits until it is ready. No call of it runs
// out of time.
func newAdapter(t testing.TB, module []byte, log *bytes.Buffer) *Adapter {
	t.Helper()
	opts := Options{}
	if log != nil {
		opts.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	e := New(opts)
	a := e.Adapter("test", module, AdapterOptions{MaxIdle: 2, Limits: fuelAlone})
	t.Cleanup(func() { a.Close(); e.Close() })
	if err := a.Wait(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	return a
}

// anybody is a caller that waits for nothing.
func anybody(a *Adapter) caller {
	return caller{ctx: context.Background(), seat: &seat{slots: a.engine.slots, tenant: a.tenant, wait: time.Hour}, pace: a.pace}
}

func event(a *Adapter, data string, b *Batch) error {
	_, err := a.Event(context.Background(), abi.Chat, 0, nil, nil, []byte(data), b)
	return err
}

func TestGoGuest(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	module := buildGo(t, "./testdata/echo")
	var log bytes.Buffer
	a := newAdapter(t, module, &log)
	if got := a.Manifest().Name; got != "echo" {
		t.Errorf("manifest name = %q, want echo", got)
	}
	var b Batch
	if _, err := a.Request(t.Context(), abi.Chat, true, []byte(`{}`), []byte(`{"x":1}`), &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Emissions) != 2 || string(b.Emissions[0].Data) != "POST /echo\ncontent-type: application/json\n" ||
		string(b.Emissions[1].Data) != `{"x":1}` {
		t.Errorf("request emitted %v", b.Emissions)
	}
	failed, err := a.Response(t.Context(), abi.Chat, 418, nil, []byte("content-type: a/b\n"), []byte("tea"), &b)
	if err != nil || !failed || string(b.Emissions[0].Data) != `{"status":418,"code":"echo","message":"a/b tea"}` {
		t.Errorf("response: failed %v, err %v, emitted %v", failed, err, b.Emissions)
	}

	t.Run("many emissions", func(t *testing.T) {
		if err := event(a, `{"do":"many","say":"as it \u0063ame"}`, &b); err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range 300 {
			want = append(want, fmt.Sprintf("text %03d", i))
			if i == 150 {
				want = append(want, `as it \u0063ame`, strings.Repeat("x", 5000))
			}
		}
		for i, e := range b.Emissions {
			if e.Kind == abi.Text && (i >= len(want) || string(e.Data) != want[i]) {
				t.Fatalf("emission %d is %.100q", i, e.Data)
			}
		}
		if n := len(b.Emissions); n != len(want)+1 || b.Emissions[n-1].Kind != abi.State {
			t.Errorf("%d emissions, want %d and the state", n, len(want))
		}
	})
	t.Run("several events", func(t *testing.T) { eventsAgree(t, a) })
	t.Run("sleep", func(t *testing.T) {
		begin := time.Now()
		if err := event(a, `{"do":"sleep"}`, &b); err != nil || len(b.Emissions) != 2 || string(b.Emissions[0].Data) != "slept" {
			t.Errorf("emissions %s, error %v", emissions(b.Emissions), err)
		}
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("an hour of the guest's clock took %v", took)
		}
	})

	t.Run("a long life", func(t *testing.T) { staysSmall(t, a) })
	t.Run("a large heap", func(t *testing.T) { collectsMuch(t, a) })

	broken := map[string]FailureKind{"panic": Trap, "loop": OutOfFuel, "recurse": OutOfFuel, "grow": Trap, "flood": OutOfFuel}
	for do, want := range broken {
		t.Run(do, func(t *testing.T) {
			begin := time.Now()
			err := event(a, `{"do":"`+do+`"}`, &b)
			var e *CallError
			if !errors.As(err, &e) || e.Kind != want && do != "flood" && do != "recurse" && do != "grow" {
				t.Errorf("error = %v, want %v", err, want)
			}
			t.Logf("%v after %v", err, time.Since(begin))
			if err := event(a, `{"say":"still \u0068ere"}`, &b); err != nil || string(b.Emissions[0].Data) != `still \u0068ere` {
				t.Errorf("the next call: %v, %v", err, b.Emissions)
			}
		})
	}
	if !strings.Contains(log.String(), "assignment to entry in nil map") {
		t.Errorf("the panic is not in the log:\n%s", log.String())
	}
	event(a, `{"do":"log"}`, &b)
	t.Log(log.String())
}

// staysSmall has the echo collect its garbage some hundred times, in one instance. Go's runtime
// stops to help the collector when that seems to take half of all time, and then the heap grows
// and grows.
func staysSmall(t *testing.T, a *Adapter) {
	var b Batch
	made := a.instantiated.Load()
	var early int64
	for n := range 6000 {
		if err := event(a, `{"do":"waste"}`, &b); err != nil {
			t.Fatal(err)
		}
		if n == 100 {
			early = int64(b.Cost.Memory)
		}
	}
	late := int64(b.Cost.Memory)
	t.Logf("%d KiB after 100 calls, %d KiB after 6,000", early>>10, late>>10)
	if late > early+1<<20 || late > 8<<20 || a.instantiated.Load() != made {
		t.Errorf("memory of %d KiB after 100 calls, %d KiB after 6,000, and %d new instances", early>>10, late>>10, a.instantiated.Load()-made)
	}
}

// collectsMuch has the echo keep a million nodes, and then collect its garbage a dozen times. A
// collection follows all of their pointers, and falls on a single call.
func collectsMuch(t *testing.T, a *Adapter) {
	kept := a.runner.limits.KeptMemory
	defer func() { a.runner.limits.KeptMemory = kept }()
	a.runner.limits.KeptMemory = 64 << 20
	var b Batch
	made, dearest := a.instantiated.Load(), int64(0)
	for n := range 616 {
		do := "waste"
		if n < 16 {
			do = "plant"
		}
		if err := event(a, `{"do":"`+do+`"}`, &b); err != nil {
			t.Fatalf("call %d: %v", n, err)
		}
		dearest = max(dearest, b.Cost.Fuel)
	}
	t.Logf("the dearest call took %d fuel, in an instance of %d KiB", dearest, b.Cost.Memory>>10)
	if dearest <= fuelBase || a.instantiated.Load() != made {
		t.Errorf("the dearest call took %d fuel, want more than %d, and there are %d new instances", dearest, fuelBase, a.instantiated.Load()-made)
	}
}

// eventsAgree gives the echo several events one by one and in one call.
func eventsAgree(t *testing.T, a *Adapter) {
	frames := framesOf(t, `{"say":"a"}`, `{"do":"count"}`, `{"do":"many","say":"b"}`, `{"do":"count"}`)
	var b Batch
	var want []string
	var state []byte
	for data := range frames.All() {
		if _, err := a.Event(t.Context(), abi.Chat, 0, state, nil, data, &b); err != nil {
			t.Fatal(err)
		}
		ems := slices.Clone(b.Emissions)
		last := len(ems) - 1
		if ems[last].Kind != abi.State {
			t.Fatalf("there is no state: %s", emissions(ems))
		}
		state = bytes.Clone(ems[last].Data)
		want = append(want, emissions(ems[:last]))
	}
	want[len(want)-1] += fmt.Sprintf(", STATE 0 %q", state)
	if !a.Events(t.Context(), abi.Chat, nil, frames, &b) {
		t.Fatal("kai_events came to nothing")
	}
	if got := byFrame(&b, frames); got != strings.Join(want, " | ") {
		t.Errorf("together: %.2000s\none by one: %.2000s", got, strings.Join(want, " | "))
	}
	if b.Calls.OK != 5 {
		t.Errorf("%d calls, want 5", b.Calls.OK)
	}

	// One that fails has all given one by one, and the adapter goes on to take several.
	for range brokenInARow + 1 {
		if a.Events(t.Context(), abi.Chat, nil, framesOf(t, `{"say":"a"}`, `{"do":"fail"}`, `{"say":"b"}`), &b) || len(b.Emissions) > 0 {
			t.Error("events of which one fails are a success")
		}
	}
	if !a.TakesEvents() {
		t.Error("failures count as breaking")
	}
}

func BenchmarkEvent(b *testing.B) {
	a := newAdapter(b, buildGo(b, "./testdata/echo"), nil)
	var batch Batch
	data := []byte(`{"say":"hello"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Event(context.Background(), abi.Chat, 0, nil, nil, data, &batch); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSeveralEvents is BenchmarkEvent for 16 events in one call. Its time is that of
// all.
func BenchmarkSeveralEvents(b *testing.B) {
	a := newAdapter(b, buildGo(b, "./testdata/echo"), nil)
	var batch Batch
	frames := framesOf(b, slices.Repeat([]string{`{"say":"hello"}`}, 16)...)
	b.ReportAllocs()
	for b.Loop() {
		if !a.Events(context.Background(), abi.Chat, nil, frames, &batch) {
			b.Fatal("it came to nothing")
		}
		n := 0
		for _, ems := range batch.EachFrame(frames) {
			n += len(ems)
		}
		if n != 17 { // a text each, and the state
			b.Fatalf("%d emissions", n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*frames.Len()), "ns/event")
}
