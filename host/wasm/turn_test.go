package wasm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
)

// walking makes a call of the walker in the background. stop ends it, and gives its
// error.
func walking(t *testing.T, a *Adapter) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	before := a.instantiated.Load()
	go func() {
		var b Batch
		_, err := a.Event(ctx, abi.Chat, 0, nil, nil, []byte("walk"), &b)
		ended <- err
	}()
	for a.idleCount() > 0 && a.instantiated.Load() == before { // until it has an instance
		runtime.Gosched()
	}
	return func() error {
		cancel(errGone)
		return <-ended
	}
}

var errGone = errors.New("the client is gone")

func (a *Adapter) idleCount() int {
	a.pool.mu.Lock()
	defer a.pool.mu.Unlock()
	return len(a.idle)
}

// patient gives a module as an adapter whose calls have all the time there is.
func patient(t *testing.T, e *Engine, name string) *Adapter {
	t.Helper()
	a := e.Adapter(name, hostile(t, name), AdapterOptions{MaxIdle: 2, Limits: Limits{Time: time.Hour}})
	t.Cleanup(a.Close)
	if err := a.Wait(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	return a
}

// TestOthersRunBesideALongCall lets a call go on that only its caller ends. What
// needs the processor, or all of them, gets it meanwhile: other calls, with and
// without a slot, and the collector.
func TestOthersRunBesideALongCall(t *testing.T) {
	e := New(Options{Calls: 1})
	t.Cleanup(e.Close)
	walker, other := patient(t, e, "walker"), patient(t, e, "events")
	stop := walking(t, walker)
	var b Batch
	for _, say := range []string{"short", strings.Repeat("long ", 10<<10)} {
		for range 3 {
			runtime.GC()
			if err := event(other, say, &b); err != nil || string(b.Emissions[0].Data) != say {
				t.Fatalf("another call: %v, %v", b.Emissions, err)
			}
		}
	}
	if err := stop(); !errors.Is(err, errGone) {
		t.Errorf("error = %v, want that its caller is gone", err)
	}
	if walker.pause.failing.Load() {
		t.Error("the adapter is blamed for it")
	}
}

func TestTimeEndsACall(t *testing.T) {
	var log bytes.Buffer
	a := newAdapter(t, hostile(t, "walker"), &log)
	a.runner.limits.Time = 60 * time.Millisecond
	var b Batch
	err := event(a, "walk", &b)
	var e *CallError
	if !errors.As(err, &e) || e.Kind != OutOfTime || e.Large {
		t.Errorf("error = %v, want OutOfTime", err)
	}
	if want := "adapter ran out of time: it needs more than 60ms of a processor (limits.time)"; err.Error() != want || !strings.Contains(log.String(), want) {
		t.Errorf("error = %q and log\n%s\nwant %q", err, log.String(), want)
	}
	if err := event(a, strings.Repeat("walk", largeInput/4), &b); !errors.As(err, &e) || !e.Large {
		t.Errorf("error = %#v, want one that blames the size", err)
	}
	if n := a.pause.count; n != 1 {
		t.Errorf("%d inputs are held against the adapter, want the small one", n)
	}
}

// TestWaitingIsNotTime makes a call wait for its slot again and again: that is no
// time of its own.
func TestWaitingIsNotTime(t *testing.T) {
	if !threadClock {
		t.Skip("there is no clock for a thread on this system")
	}
	e := New(Options{Calls: 1})
	t.Cleanup(e.Close)
	one, two := patient(t, e, "walker"), patient(t, e, "walker")
	two.runner.limits.Time = 200 * time.Millisecond
	stop := walking(t, one)
	defer stop()
	// Both share the one slot, so that the second needs at least twice as long.
	begin := time.Now()
	var b Batch
	err := event(two, "walk", &b)
	took := time.Since(begin)
	var broke *CallError
	if !errors.As(err, &broke) || broke.Kind != OutOfTime {
		t.Errorf("error = %v, want OutOfTime", err)
	}
	if took < 300*time.Millisecond {
		t.Errorf("it ended after %v, of which others had half", took)
	}
}

// TestOneProcessor runs the tests of this file again in a process that has only
// one.
func TestOneProcessor(t *testing.T) {
	if os.Getenv("GOMAXPROCS") == "1" {
		t.Skip("this is it")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run", "^(TestOthersRunBesideALongCall|TestTimeEndsACall|TestWaitingIsNotTime)$")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
