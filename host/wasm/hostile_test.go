package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/internal/testkit/race"
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
	if race.Enabled {
		return // the detector's own memory isn't given back
	}
	var grown int64
	for range 3000 { // a minute
		debug.FreeOSMemory()
		if grown = residentBytes(t) - before; grown <= 64<<20 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d MiB more memory than before", grown>>20)
}

// besideOthers attacks while other streams of the adapter go on, and gives what
// became of the attack. Theirs must stay byte for byte what they are.
func besideOthers(t *testing.T, a *Adapter, attack func() error) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var others, begun sync.WaitGroup
	for i := range 4 {
		begun.Add(1)
		others.Go(func() {
			begin := sync.OnceFunc(begun.Done)
			defer begin()
			var b Batch
			want := strings.Repeat("honest ", i+1)
			for ctx.Err() == nil {
				if err := event(a, want, &b); err != nil || string(b.Emissions[0].Data) != want {
					t.Errorf("another stream got %v, %v", b.Emissions, err)
					return
				}
				begin()
			}
		})
	}
	begun.Wait()
	err := attack()
	cancel()
	others.Wait()
	return err
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

			err := besideOthers(t, a, func() error { return event(a, tc.data, &b) })

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
		"start-loop":      {"start function: adapter ran out of fuel"},
		"initialize-loop": {"_initialize: adapter ran out of fuel"},
		"start-table":     {"start function: adapter ran out of fuel"},
		"deep-start":      {"start function: adapter trapped", "stack overflow"},
		"deep-initialize": {"_initialize: adapter trapped", "stack overflow"},
		"loop-handshake":  {"kai_abi_v1: adapter ran out of fuel"},
		"loop-manifest":   {"kai_manifest: adapter ran out of fuel"},
		"loop-buffer":     {"kai_abi_v1: adapter ran out of fuel"},
		"loop-configure":  {"kai_configure: adapter ran out of fuel"},
		"manifest-huge":   {"MANIFEST: 1048576 bytes; at most 65536 are allowed"},
		"manifest-twice":  {"emitted 2 manifests instead of one"},
		"manifest-flood":  {"kai_manifest: adapter ran out of fuel"},
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
			if race.Enabled && (name == "start-loop" || name == "initialize-loop") {
				t.Skip("takes seconds inside of the guest: make check runs it without the race detector")
			}
			before := residentBytes(t)
			e := New(Options{})
			defer e.Close()
			a := e.Adapter("test", hostile(t, name), AdapterOptions{Limits: fuelAlone})
			defer a.Close()
			err := a.Wait(t.Context(), time.Hour)
			var load *modfile.LoadError
			if !errors.As(err, &load) {
				t.Fatalf("error = %v, want a *modfile.LoadError", err)
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

// TestHostileBuffers asks for more memory than the guest had when it was loaded,
// from one that is honest until then.
func TestHostileBuffers(t *testing.T) {
	a := newAdapter(t, hostile(t, "buffer-later"), nil)
	for name, tc := range map[string]struct {
		size int
		kind FailureKind
		says string
	}{
		"it never returns":        {20 << 10, OutOfFuel, "out of fuel"},
		"it recurses":             {40 << 10, Trap, "stack overflow"},
		"it has no memory":        {80 << 10, OutOfMemory, "kai_buffer has no 81920 bytes"},
		"an odd address":          {160 << 10, BadOutput, "gave 4097, which is not 8-aligned memory of the guest"},
		"an address out of reach": {320 << 10, BadOutput, "gave 4294967288, which is not"},
		"it traps":                {640 << 10, Trap, "unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			var b Batch
			event(a, strings.Repeat("x", tc.size), &b) // as in TestHostileEvents
			debug.FreeOSMemory()
			before := residentBytes(t)
			err := besideOthers(t, a, func() error { return event(a, strings.Repeat("x", tc.size), &b) })
			var e *CallError
			if !errors.As(err, &e) || e.Kind != tc.kind || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error = %v, want %v with %q", err, tc.kind, tc.says)
			}
			memorySettles(t, before)
		})
	}
}

// TestWASITellsNothing calls every function of the WASI stub with addresses in
// and beyond the guest's memory: none has an effect outside of the guest, tells
// it anything, or takes the gateway down.
func TestWASITellsNothing(t *testing.T) {
	var log bytes.Buffer
	a := newAdapter(t, hostile(t, "wasi"), &log)
	names := slices.Sorted(maps.Keys(modfile.WASI)) // as the guest imports them
	const out, end = 8200, 1 << 16                  // what it answers with, and the end of its memory
	call := func(name string, args ...uint32) (result uint32, memory []byte, err error) {
		data := binary.LittleEndian.AppendUint32(nil, uint32(slices.Index(names, name)))
		for i := range 9 {
			arg := uint32(0)
			if i < len(args) {
				arg = args[i]
			}
			data = binary.LittleEndian.AppendUint32(data, arg)
		}
		var b Batch
		if err = event(a, string(data), &b); err != nil {
			return 0, nil, err
		}
		got := b.Emissions[0].Data
		return binary.LittleEndian.Uint32(got), got[8:], nil
	}
	untouched := strings.Repeat("\x55", 64)

	for name, args := range map[string][]uint32{ // where a path or a descriptor would be, all it can think of
		"path_open": {3, 1, 16, 80, 0, 0xffff, 0xffff, 0, out}, "fd_prestat_get": {3, out}, "fd_prestat_dir_name": {3, out, 64},
		"fd_read": {0, out, 1, out + 32}, "fd_readdir": {3, out, 64, 0, out + 32}, "fd_pread": {3, out, 1, 0, out},
		"path_readlink": {3, 16, 80, out, 64, out}, "path_filestat_get": {3, 0, 16, 80, out}, "fd_filestat_get": {1, out},
		"fd_fdstat_get": {0, out}, "path_unlink_file": {3, 16, 80}, "fd_close": {0}, "fd_seek": {1, 0, 0, out}, "fd_tell": {1, out},
	} {
		if got, memory, err := call(name, args...); err != nil || got != wasiBadf || string(memory) != untouched {
			t.Errorf("%s = %d, %q, %v; want %d and nothing", name, got, memory, err, wasiBadf)
		}
	}
	for name, want := range map[string]string{"args_sizes_get": strings.Repeat("\x00", 8), "environ_sizes_get": "\x02\x00\x00\x00\x21\x00\x00\x00"} {
		if got, memory, err := call(name, out, out+4); err != nil || got != wasiOK || string(memory) != want+untouched[8:] {
			t.Errorf("%s = %d, %q, %v; want %q", name, got, memory, err, want)
		}
	}
	if got, memory, err := call("args_get", out, out+32); err != nil || got != wasiOK || string(memory) != untouched {
		t.Errorf("args_get = %d, %q, %v; want nothing", got, memory, err)
	}
	const addresses = "\x10\x20\x00\x00\x18\x20\x00\x00" // of the variables, at out+8
	const variables = "GOGC=25\x00GODEBUG=gcstoptheworld=2\x00"
	if got, memory, err := call("environ_get", out, out+8); err != nil || got != wasiOK || !strings.HasPrefix(addresses+variables+untouched, string(memory)) {
		t.Errorf("environ_get = %d, %q, %v; want nothing but %q", got, memory, err, variables)
	}
	if got, memory, err := call("clock_time_get", 0, 1, out); err != nil || got != wasiOK || binary.LittleEndian.Uint64(memory) > uint64(time.Hour) {
		t.Errorf("clock_time_get = %d, %q, %v; want a count that is no time", got, memory, err)
	}

	if got, _, err := call("fd_write", 7, out, 1, out); err != nil || got != wasiBadf {
		t.Errorf("fd_write to a file = %d, %v", got, err)
	}
	for name, places := range map[string][][]uint32{ // addresses of what is written or read
		"args_sizes_get": {{end, out}, {out, end - 3}}, "environ_sizes_get": {{0xffffffff, out}, {out, 0xfffffffc}},
		"environ_get":   {{end - 3, out}, {out, end - 7}, {0xffffffff, 0xffffffff}},
		"clock_res_get": {{0, end - 7}, {0, 0xffffffff}}, "clock_time_get": {{0, 0, end - 7}, {0, 0, 0xfffffff8}},
		"random_get": {{end, 1}, {end - 8, 9}, {0xffffffff, 0xffffffff}, {0, 0xffffffff}},
		"fd_write":   {{2, end, 1, out}, {2, out, 0xffffffff, out}, {2, out, 1025, out}, {1, end - 4, 1, out}, {2, out, 1, out}}, // the vectors hold 0x55555555
		"poll_oneoff": {{end, out, 1, out}, {out, end, 1, out}, {out, end - 31, 1, out}, {0xffffffff, 0xffffffff, 64, out},
			{out, 16384, 1, end - 3}},
	} {
		for _, args := range places {
			if got, _, err := call(name, args...); err != nil || got != wasiFault {
				t.Errorf("%s%x = %d, %v; want %d", name, args, got, err, wasiFault)
			}
		}
	}
	for _, n := range []uint32{0, 65, 0x80000000, 0xffffffff} {
		if got, _, err := call("poll_oneoff", out, 16384, n, out); err != nil || got != wasiNosys {
			t.Errorf("poll_oneoff of %d subscriptions = %d, %v; want %d", n, got, err, wasiNosys)
		}
	}
	// Whatever else it comes up with: an answer, or the end of the call.
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		args := make([]uint32, 9)
		for i := range args {
			args[i] = []uint32{0, 1, 2, 3, 64, 1024, out, end - 1, end, 0x7fffffff, 0x80000000, 0xffffffff, random.Uint32()}[random.IntN(13)]
		}
		name := names[random.IntN(len(names))]
		var e *CallError
		if _, _, err := call(name, args...); err != nil && !errors.As(err, &e) {
			t.Fatalf("%s%x: %v", name, args, err)
		}
	}
	if _, _, err := call("proc_exit", 0); err == nil || !strings.Contains(err.Error(), "the adapter called exit(0)") {
		t.Errorf("proc_exit: %v", err)
	}
	if _, memory, err := call("sched_yield"); err != nil || string(memory) != untouched {
		t.Errorf("after all that: %q, %v", memory, err)
	}
	if strings.ContainsAny(log.String(), "\x00\x1b\r") {
		t.Errorf("control characters reached the log: %.300q", log.String())
	}
}

// TestProbe is a guest that looks for something in its own memory at the exports
// that run when it is loaded.
func TestProbe(t *testing.T) {
	for name, tc := range map[string]struct{ sought, finds string }{
		"what the module holds": {`"clean","version":"1","adapter`, "found"},
		"a key":                 {"canary-7Hq/9+ZkX2mW5vB8nR4tY6", "clean"},
	} {
		t.Run(name, func(t *testing.T) {
			const placeholder = "what is looked for, inverted:"
			inverse := []byte(tc.sought)[:len(placeholder)]
			for i := range inverse {
				inverse[i] ^= 255
			}
			module := bytes.Replace(hostile(t, "probe"), []byte(placeholder), inverse, 1)
			e := New(Options{})
			defer e.Close()
			a := e.Adapter("test", module, AdapterOptions{})
			defer a.Close()
			err := a.Wait(t.Context(), time.Hour)
			switch {
			case tc.finds == "found" && (err == nil || !strings.Contains(err.Error(), "kai_configure returned 1")):
				t.Errorf("error = %v, want one of kai_configure, which searched", err)
			case tc.finds == "clean" && (err != nil || a.Manifest().Name != "clean"):
				t.Errorf("it says %v, %v", a.Manifest().Name, err)
			}
		})
	}
}

// TestInstancesKept bounds what an idle adapter holds: so many instances, and none
// that grew too large.
func TestInstancesKept(t *testing.T) {
	e := New(Options{})
	defer e.Close()
	a := e.Adapter("test", hostile(t, "puppet"), AdapterOptions{MaxIdle: 2, Limits: Limits{KeptMemory: 1 << 20}})
	defer a.Close()
	if err := a.Wait(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	var lent []*instance
	for range 5 {
		in, err := a.take(anybody(a), false)
		if err != nil {
			t.Fatal(err)
		}
		lent = append(lent, in)
	}
	for _, in := range lent {
		a.give(in)
	}
	if n := len(a.idle); n != 2 {
		t.Errorf("%d instances are kept, want 2", n)
	}
	var b Batch
	for range 2 {
		if err := event(a, strings.Repeat("x", 2<<20), &b); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.idle); n != 0 {
		t.Errorf("%d instances of more than their limit are kept", n)
	}
}

// TestDeepStacksAreNotKept has a guest recurse and come back: an instance with a
// large stack is not kept.
func TestDeepStacksAreNotKept(t *testing.T) {
	e := New(Options{})
	defer e.Close()
	a := e.Adapter("test", hostile(t, "dives"), AdapterOptions{})
	defer a.Close()
	if err := a.Wait(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	var b Batch
	if err := event(a, "", &b); err != nil || len(a.idle) != 1 {
		t.Fatalf("a flat call: %v, %d instances are kept", err, len(a.idle))
	}
	if n := a.idle[0].stackSize(); n < 1<<10 || n > keptStack {
		t.Fatalf("the stacks of an instance take %d bytes: does wazero still keep them where stackOf looks?", n)
	}
	if err := event(a, strings.Repeat("x", 50), &b); err != nil || len(a.idle) != 0 {
		t.Errorf("a deep call: %v, %d instances are kept, want none", err, len(a.idle))
	}
}
