package fuel

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/kai-gateway/kai/internal/testkit/race"
)

// guestSource is a guest as Go's compiler makes it: each function is one loop
// around a table of jumps, which is what prices have to be fair to.
const guestSource = `package main

import "encoding/json"

var document []byte

//go:wasmexport make
func build(n uint32) uint32 {
	type message struct{ Role, Content string }
	messages := make([]message, n)
	for i := range messages {
		messages[i] = message{"user", "hello there, how are you today?\n\"fine\""}
	}
	document, _ = json.Marshal(messages)
	return uint32(len(document))
}

//go:wasmexport parse
func parse() uint32 {
	var v any
	if json.Unmarshal(document, &v) != nil {
		return 0
	}
	out, _ := json.Marshal(v)
	return uint32(len(out))
}

// scan counts strings the way an iterator over raw JSON skips through them.
//
//go:wasmexport scan
func scan() uint32 {
	var strings uint32
	for i := 0; i < len(document); {
		switch c := document[i]; c {
		case '"':
			for i++; i < len(document) && document[i] != '"'; i++ {
				if document[i] == '\\' {
					i++
				} else if document[i] < 0x20 {
					return 0
				}
			}
			strings++
			i++
		case '{', '}', '[', ']', ',', ':', ' ', '\n':
			i++
		default:
			for i < len(document) && document[i] != ',' && document[i] != '}' {
				i++
			}
		}
	}
	return strings
}

//go:wasmexport fib
func fib(n uint32) uint32 {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func main() {}
`

// buildGuest compiles guestSource the way adapters are built.
func buildGuest(t testing.TB) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles a Go guest")
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module guest\n\ngo 1.24\n", "main.go": guestSource} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", "guest.wasm", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("compile the guest: %v\n%s", err, out)
	}
	wasm, err := os.ReadFile(filepath.Join(dir, "guest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// startGuest instantiates a Go guest, plain or instrumented.
func startGuest(t testing.TB, wasm []byte, h *host) api.Module {
	t.Helper()
	ctx, r := context.Background(), newRuntimeWith(t, h)
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	mod, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatalf("start the guest: %v", err)
	}
	return mod
}

func mustCall(t testing.TB, mod api.Module, name string, args ...uint64) uint64 {
	t.Helper()
	results, err := mod.ExportedFunction(name).Call(context.Background(), args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return results[0]
}

func TestGoGuest(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	wasm := buildGuest(t)
	began := time.Now()
	m := mustInstrument(t, wasm, Options{})
	t.Logf("instrumented in %v: %d bytes became %d (%+.1f %%)", time.Since(began).Round(time.Millisecond),
		len(wasm), len(m.Wasm), 100*float64(len(m.Wasm))/float64(len(wasm))-100)

	h := &host{left: 1 << 40, slice: 100}
	plain, fueled := startGuest(t, wasm, h), startGuest(t, m.Wasm, h)
	left := fueled.ExportedGlobal(Global).(api.MutableGlobal)
	t.Logf("_initialize: %d units", 1<<40+1000-h.left-int64(left.Get()))

	size := mustCall(t, plain, "make", 2000)
	left.Set(1 << 40)
	if got := mustCall(t, fueled, "make", 2000); got != size {
		t.Fatalf("make: instrumented %d, plain %d", got, size)
	}
	for _, name := range []string{"parse", "scan"} {
		want := mustCall(t, plain, name)
		h.left = 1 << 40
		left.Set(0)
		if got := mustCall(t, fueled, name); got != want {
			t.Errorf("%s: instrumented %d, plain %d", name, got, want)
		}
		t.Logf("%s: %.1f units for a byte", name, float64(1<<40-h.left-int64(left.Get()))/float64(size))
	}

	h.left = 0
	left.Set(1000)
	_, err := fueled.ExportedFunction("fib").Call(context.Background(), 30)
	if !errors.Is(err, errSpent) || int64(left.Get()) >= 0 {
		t.Errorf("fib on 1000 units: error = %v with %d left, want %v with less than none", err, int64(left.Get()), errSpent)
	}
}
