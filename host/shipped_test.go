package host_test

import (
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/internal/testkit"
)

// newEngine makes an engine that keeps what it compiles, for the tests that follow.
func newEngine(t testing.TB) *wasm.Engine {
	e := wasm.New(wasm.Options{CacheDir: testkit.CacheDir})
	t.Cleanup(e.Close)
	return e
}

// shippedAdapter loads a shipped adapter and waits until it is ready.
func shippedAdapter(t testing.TB, e *wasm.Engine, plugin string, o wasm.AdapterOptions) *wasm.Adapter {
	t.Helper()
	module, err := testkit.Module(plugin)
	if err != nil {
		t.Fatalf("%v (run \"make plugins\")", err)
	}
	a := e.Adapter(plugin, module, o)
	t.Cleanup(a.Close)
	if err := a.Wait(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	return a
}
