package wasm

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
)

func TestTrapIsRepeatedOnAFreshInstance(t *testing.T) {
	var log bytes.Buffer
	a := newAdapter(t, hostile(t, "worn"), &log)
	var b Batch
	for n := range 10 {
		if err := event(a, "again", &b); err != nil || len(b.Emissions) != 1 || string(b.Emissions[0].Data) != "again" {
			t.Fatalf("event %d: %v, %v; want one TEXT", n, b.Emissions, err)
		}
	}
	if n := strings.Count(log.String(), "adapter call failed"); n != 9 {
		t.Errorf("the log has %d failed calls, want 9: all but the first event met a worn instance", n)
	}
}

// loadIn loads a module in e and waits until it is ready.
func loadIn(t *testing.T, e *Engine, module []byte) *Adapter {
	t.Helper()
	a := e.Adapter("test", module, AdapterOptions{})
	if err := a.Wait(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestVersionsAreKeptAfterUse(t *testing.T) {
	modules := NewModules(1)
	defer modules.Close()
	e := New(Options{Modules: modules})
	defer e.Close()
	events, worn := hostile(t, "events"), hostile(t, "worn")

	first := loadIn(t, e, events)
	same := loadIn(t, e, events)
	if first.loader.version != same.loader.version {
		t.Error("one module in use was compiled twice")
	}
	version := first.loader.version
	first.Close()
	var b Batch
	if err := event(same, "still in use", &b); err != nil {
		t.Errorf("closing one adapter broke another of the same module: %v", err)
	}
	same.Close()

	back := loadIn(t, e, events)
	if back.loader.version != version {
		t.Error("swapping back compiled the module again")
	}
	back.Close()
	other := loadIn(t, e, worn) // with room for one, events has to go when worn is given up
	other.Close()
	if again := loadIn(t, e, events); again.loader.version == version {
		t.Error("more versions were kept than NewModules was told")
	} else {
		again.Close()
	}
	modules.mu.Lock()
	defer modules.mu.Unlock()
	if n := len(modules.live); n != 0 {
		t.Errorf("%d versions are in use at the end", n)
	}
}

func TestCorruptCacheIsMadeAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	module := hostile(t, "events")
	load := func() {
		t.Helper()
		e := New(Options{CacheDir: dir})
		defer e.Close()
		a := loadIn(t, e, module)
		defer a.Close()
		var b Batch
		if err := event(a, "hello", &b); err != nil {
			t.Error(err)
		}
	}
	files := func() (list []string) {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				list = append(list, path)
			}
			return nil
		})
		return list
	}
	load()
	if len(files()) == 0 {
		t.Fatal("nothing was cached")
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the cache directory has mode %v (%v), want 0700", info.Mode(), err)
	}
	for _, f := range files() {
		data, _ := os.ReadFile(f)
		for i := len(data) / 2; i < len(data); i++ {
			data[i] ^= 0xff
		}
		if err := os.WriteFile(f, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load() // in spite of it
	load() // from what was made anew
	if len(files()) == 0 {
		t.Error("nothing was cached anew")
	}
}

func TestEngineCloseAnswersWhoWaits(t *testing.T) {
	before := runtime.NumGoroutine()
	e := New(Options{})
	adapters := make([]*Adapter, 20)
	for i := range adapters {
		adapters[i] = e.Adapter("test", hostile(t, "events"), AdapterOptions{})
	}
	var waiting sync.WaitGroup
	for _, a := range adapters {
		waiting.Go(func() {
			if err := a.Wait(context.Background(), time.Hour); err != nil && !errors.Is(err, errClosed) {
				t.Error(err)
			}
		})
	}
	e.Close()
	waiting.Wait()
	for _, a := range adapters {
		a.Close()
	}
	deadline := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

func TestWaitGivesUp(t *testing.T) {
	a := &Adapter{loader: &loader{ready: make(chan struct{}), begin: func() {}}}
	if err := a.Wait(t.Context(), time.Millisecond); !errors.Is(err, ErrNotReady) {
		t.Errorf("error = %v, want ErrNotReady", err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if err := a.Wait(ctx, time.Hour); !errors.Is(err, gone) {
		t.Errorf("error = %v, want the context's cause", err)
	}
}

// TestCallsTakeTurns runs calls of two adapters at once on one slot.
func TestCallsTakeTurns(t *testing.T) {
	e := New(Options{Calls: 1, Logger: slog.New(slog.DiscardHandler)})
	defer e.Close()
	a, b := loadIn(t, e, hostile(t, "events")), loadIn(t, e, hostile(t, "events"))
	defer a.Close()
	defer b.Close()
	var calls sync.WaitGroup
	for _, who := range []*Adapter{a, b, a, b} {
		calls.Go(func() {
			var batch Batch
			for range 500 {
				if _, err := who.Event(context.Background(), abi.Chat, 0, nil, nil, []byte("turn"), &batch); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	calls.Wait()
	if e.slots.free != 1 || len(e.slots.ring) != 0 {
		t.Errorf("%d slots free, %d waiting at the end", e.slots.free, len(e.slots.ring))
	}
}

func TestFreshInstancesServeOneRequestOnly(t *testing.T) {
	e := New(Options{})
	defer e.Close()
	a := e.Adapter("test", hostile(t, "worn"), AdapterOptions{Fresh: true})
	defer a.Close()
	if err := a.Wait(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	seen := map[*instance]bool{}
	for range 3 {
		mine, end := a.ForRequest()
		var b Batch
		for range 2 { // the second one wears the first instance out
			if err := event(mine, "x", &b); err != nil {
				t.Fatal(err)
			}
		}
		if len(mine.idle) != 1 || seen[mine.idle[0]] {
			t.Errorf("%d idle instances; want one that no other request had", len(mine.idle))
		}
		seen[mine.idle[0]] = true
		end()
		if len(mine.idle) != 0 {
			t.Error("an instance outlived its request")
		}
	}
	if len(a.idle) != 0 {
		t.Errorf("%d instances that no request will use", len(a.idle))
	}
}

func TestLimitsOfAnAdapter(t *testing.T) {
	for name, tc := range map[string]struct {
		limits Limits
		data   string
		kind   FailureKind
	}{
		"fuel":   {Limits{Fuel: 1_000_000}, "L", OutOfFuel},
		"input":  {Limits{Input: 10}, "more than ten bytes", TooLarge},
		"output": {Limits{Output: 1}, "F", OutOfFuel}, // after emissions that were refused
	} {
		t.Run(name, func(t *testing.T) {
			e := New(Options{})
			defer e.Close()
			a := e.Adapter("test", hostile(t, "events"), AdapterOptions{Limits: tc.limits})
			defer a.Close()
			if err := a.Wait(t.Context(), time.Hour); err != nil {
				t.Fatal(err)
			}
			var b Batch
			var broke *CallError
			if err := event(a, tc.data, &b); !errors.As(err, &broke) || broke.Kind != tc.kind {
				t.Errorf("error = %v, want %v", err, tc.kind)
			}
		})
	}
	e := New(Options{})
	defer e.Close()
	a := e.Adapter("test", hostile(t, "events"), AdapterOptions{Limits: Limits{Memory: 64 << 10}})
	defer a.Close()
	if err := a.Wait(t.Context(), time.Hour); err == nil || !strings.Contains(err.Error(), "of memory from the beginning") {
		t.Errorf("error = %v, want one about memory: the module needs two pages", err)
	}
}

// TestInstancesThatNobodyNeedsAreClosed has four calls at a time and then one.
func TestInstancesThatNobodyNeedsAreClosed(t *testing.T) {
	e := New(Options{Idle: time.Hour}) // the test trims
	defer e.Close()
	a := e.Adapter("test", hostile(t, "events"), AdapterOptions{MaxIdle: 4})
	defer a.Close()
	if err := a.Wait(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	many := func(n int) {
		t.Helper()
		var lent []*instance
		for range n {
			in, err := a.take(anybody(a), false)
			if err != nil {
				t.Fatal(err)
			}
			lent = append(lent, in)
		}
		for _, in := range lent {
			a.give(in)
		}
	}
	idle := func(want int, when string) {
		t.Helper()
		if n := len(a.idle); n != want {
			t.Errorf("%s: %d idle instances, want %d", when, n, want)
		}
	}
	many(4)
	a.trim()
	idle(4, "all were needed")
	many(3)
	a.trim()
	idle(3, "three were needed")
	a.trim()
	idle(1, "none was needed")
	a.trim()
	idle(1, "the last one stays")
	var b Batch
	if err := event(a, "hi", &b); err != nil || string(b.Emissions[0].Data) != "hi" {
		t.Errorf("%v, %v", b.Emissions, err)
	}
}

// TestTheEngineTrims leaves it to the engine.
func TestTheEngineTrims(t *testing.T) {
	e := New(Options{Idle: time.Millisecond})
	defer e.Close()
	a := e.Adapter("test", hostile(t, "events"), AdapterOptions{MaxIdle: 2})
	defer a.Close()
	if err := a.Wait(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	one, err := a.take(anybody(a), false)
	if err != nil {
		t.Fatal(err)
	}
	two, err := a.take(anybody(a), false)
	if err != nil {
		t.Fatal(err)
	}
	a.give(one)
	a.give(two)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		a.pool.mu.Lock()
		n := len(a.idle)
		a.pool.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d idle instances, want one", n)
		}
	}
}

// TestEnginesShareModules: engines that load the same module at the same time have one
// version of it, which outlives the engine that compiled it.
func TestEnginesShareModules(t *testing.T) {
	modules := NewModules(1)
	events := hostile(t, "events")
	adapters := make([]*Adapter, 4)
	engines := make([]*Engine, len(adapters))
	for i := range engines {
		engines[i] = New(Options{Modules: modules})
		adapters[i] = engines[i].Adapter("test", events, AdapterOptions{})
	}
	for i, a := range adapters {
		if err := a.Wait(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if a.loader.version != adapters[0].loader.version {
			t.Errorf("engine %d has a version of its own", i)
		}
	}
	for i, a := range adapters[:3] {
		a.Close()
		engines[i].Close()
	}
	var b Batch
	if err := event(adapters[3], "still in use", &b); err != nil {
		t.Errorf("closing other engines broke the last: %v", err)
	}
	modules.Close()
	if err := event(adapters[3], "still in use", &b); err != nil {
		t.Errorf("it was freed while it was used: %v", err)
	}
	adapters[3].Close()
	engines[3].Close()
	if n := len(modules.live) + modules.kept.Len(); n != 0 {
		t.Errorf("%d versions are left in the end", n)
	}
}
