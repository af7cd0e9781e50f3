package wasm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
)

// hostile reads a module of testdata/hostile, whose .wat says what it does.
// "make wat" assembles them.
func hostile(t testing.TB, name string) []byte {
	t.Helper()
	module, err := os.ReadFile("testdata/hostile/" + name + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// residentBytes is the memory of this process that the kernel backs.
func residentBytes(t testing.TB) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc on this machine")
	}
	var pages [2]int64
	for i, f := range strings.Fields(string(data))[:2] {
		for _, c := range f {
			pages[i] = pages[i]*10 + int64(c-'0')
		}
	}
	return pages[1] * int64(os.Getpagesize())
}

// memorySettles waits until the process has about as much memory as before; the
// system takes back what was freed when it likes.
func memorySettles(t testing.TB, before int64) {
	t.Helper()
	if raceEnabled {
		return // the detector's own memory isn't given back
	}
	var grown int64
	for range 100 {
		debug.FreeOSMemory()
		if grown = residentBytes(t) - before; grown <= 64<<20 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d MiB more memory than before", grown>>20)
}

// TestHostileEvents attacks with every event of events.wat while other streams
// of the same adapter go on: theirs must stay byte for byte what they are.
func TestHostileEvents(t *testing.T) {
	for name, tc := range map[string]struct {
		data string
		kind FailureKind
		says string // in the error
	}{
		"an endless loop":               {"L", OutOfFuel, "out of fuel"},
		"exponential calls":             {"X", OutOfFuel, "out of fuel"},
		"deep recursion":                {"R", Trap, "stack overflow"},
		"a memory bomb":                 {"M", OutOfFuel, "out of fuel"},
		"a table bomb":                  {"T", OutOfFuel, "out of fuel"},
		"memory.fill for ever":          {"B", OutOfFuel, "out of fuel"},
		"a flood of emissions":          {"F", OutOfFuel, "out of fuel"},
		"a flood of log lines":          {"C", OutOfFuel, "out of fuel"},
		"a trap":                        {"U", Trap, "unreachable"},
		"a status that is none":         {"G", Trap, "returned status 7"},
		"a payload outside of memory":   {"P", BadOutput, "outside of memory"},
		"a payload of negative length":  {"N", BadOutput, "outside of memory"},
		"a kind that is none":           {"K", BadOutput, "kind 99 does not exist"},
		"a request out of an event":     {"Q", BadOutput, "REQUEST is not allowed here"},
		"a choice out of range":         {"H", BadOutput, "choice 9999"},
		"a state over the limit":        {"S", BadOutput, "at most 4096"},
		"usage that is no JSON":         {"J", BadOutput, "USAGE: not a JSON object"},
		"raw text that ends its string": {"W", BadOutput, "not the inside of a JSON string"},
		"a finish reason that is none":  {"V", BadOutput, `"flood" is no finish reason`},
		"more than a call may be given": {strings.Repeat("x", 8<<20+1), TooLarge, "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAdapter(t, hostile(t, "events"), nil)
			var b Batch
			if err := event(a, "warm", &b); err != nil {
				t.Fatal(err)
			}
			event(a, tc.data, &b) // what a first attack leaves behind, such as a larger heap, a second one may not add to
			debug.FreeOSMemory()
			before := residentBytes(t)

			ctx, cancel := context.WithCancel(t.Context())
			var others sync.WaitGroup
			served := make([]int, 4)
			for i := range served {
				others.Go(func() {
					var b Batch
					want := strings.Repeat("honest ", i+1)
					for ctx.Err() == nil {
						if err := event(a, want, &b); err != nil || string(b.Emissions[0].Data) != want {
							t.Errorf("another stream got %v, %v", b.Emissions, err)
							return
						}
						served[i]++
					}
				})
			}
			err := event(a, tc.data, &b)
			cancel()
			others.Wait()

			var e *CallError
			if !errors.As(err, &e) || e.Kind != tc.kind || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error = %v, want %v with %q", err, tc.kind, tc.says)
			}
			if len(b.Emissions) != 0 {
				t.Errorf("emissions of a broken call were kept: %v", b.Emissions)
			}
			if err := event(a, "still here", &b); err != nil || string(b.Emissions[0].Data) != "still here" {
				t.Errorf("after the attack: %v, %v", b.Emissions, err)
			}
			memorySettles(t, before)
		})
	}
}

func TestTextThatIsNoUTF8IsMended(t *testing.T) {
	a := newAdapter(t, hostile(t, "events"), nil)
	var b Batch
	if err := event(a, "8", &b); err != nil || string(b.Emissions[0].Data) != "\uFFFD" {
		t.Errorf("got %v, %v; want U+FFFD", b.Emissions, err)
	}
}

func TestFailedWithoutError(t *testing.T) {
	a := newAdapter(t, hostile(t, "events"), nil)
	var b Batch
	failed, err := a.Event(t.Context(), abi.Chat, 0, nil, nil, []byte("Y"), &b)
	if err != nil || !failed {
		t.Errorf("failed = %v, err = %v; want true, nil", failed, err)
	}
}

// TestHostileModules holds the message of every module that must not load.
func TestHostileModules(t *testing.T) {
	for name, want := range map[string][]string{
		"start-loop":      {"start function trapped or ran out of fuel"},
		"initialize-loop": {"_initialize: adapter ran out of fuel"},
		"start-table":     {"start function trapped or ran out of fuel"},
		"table-huge":      {"table"},
		"memory-huge":     {"memory"},
		"buffer-outside":  {"kai_buffer(16384) gave 4294967288"},
		"buffer-odd":      {"kai_buffer(16384) gave 4097, which is not 8-aligned"},
		"buffer-none":     {"kai_buffer has no 16384 bytes"},
		"names-fuel":      {"global"},
		"exports-fuel":    {"kai_fuel"},
		"foreign-import":  {"wasi_snapshot_preview1.sock_send: an adapter has no sockets", "env.system, which Kai does not have"},
		"program":         {"it exports _start"},
		"incomplete":      {"it exports no kai_response", "it exports no kai_event", "kai_buffer must be a function of 1 i32"},
		"no-manifest":     {"emitted 0 manifests instead of one"},
	} {
		t.Run(name, func(t *testing.T) {
			before := residentBytes(t)
			e := New(Options{})
			defer e.Close()
			a := e.Adapter("test", hostile(t, name), AdapterOptions{})
			defer a.Close()
			err := a.Wait(t.Context(), time.Minute)
			var load *LoadError
			if !errors.As(err, &load) {
				t.Fatalf("error = %v, want a *LoadError", err)
			}
			for _, w := range want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q lacks %q", err, w)
				}
			}
			if ready, status := a.Status(); ready || status == nil {
				t.Errorf("Status() = %v, %v", ready, status)
			}
			memorySettles(t, before)
		})
	}
}

func TestLogIsQuotedAndLimited(t *testing.T) {
	var log bytes.Buffer
	a := newAdapter(t, hostile(t, "events"), &log)
	var b Batch
	event(a, "C", &b)
	lines := strings.Count(log.String(), "msg=adapter ")
	if lines == 0 || lines > 3*20 {
		t.Errorf("%d lines of a flood were written, want some and at most %d a second", lines, 20)
	}
	if strings.ContainsAny(log.String(), "\x1b") || !strings.Contains(log.String(), `a line\nwith \x1b[31mcontrols`) {
		t.Errorf("control characters reached the log: %.300q", log.String())
	}
}
