//go:build !kai_native

package host

import (
	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/wasm"
)

// forRequest gives the adapter for the calls of one request, and what is to be
// called at its end.
func forRequest(a adapter) (adapter, func()) {
	sandboxed, ok := a.(*wasm.Adapter)
	if !ok {
		return a, func() {}
	}
	return sandboxed.ForRequest()
}

// newAdapter begins to load the provider's adapter into its sandbox.
func newAdapter(engine *wasm.Engine, c config.Provider, module []byte, o wasm.AdapterOptions) adapter {
	return engine.Adapter(c.Name, module, o)
}
