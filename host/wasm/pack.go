package wasm

import (
	"context"
	"time"

	"github.com/kai-gateway/kai/host/wasm/modfile"
)

// Packed is an adapter's module as it is handed on.
type Packed struct {
	Module   []byte // with the custom sections
	Manifest modfile.Manifest
	Differs  error // the adapter does something else than its transcript says, so no gateway will take it
}

// PackOptions configures Pack.
type PackOptions struct {
	Transcript []byte // goes into the module; nil: none does
	CacheDir   string // as in Options; whoever loads the packed module finds its code there
}

// Pack checks that module is an adapter which can be loaded, by loading it, and
// puts its manifest, and the transcript, into custom sections: everybody can read
// the manifest without running the module, and a gateway replays the transcript
// before it takes the module.
func Pack(ctx context.Context, module []byte, o PackOptions) (*Packed, error) {
	module, err := modfile.WithoutTranscript(module)
	if err != nil {
		return nil, &modfile.LoadError{Err: err}
	}
	e := New(Options{CacheDir: o.CacheDir})
	defer e.Close()
	a := e.Adapter("pack", module, AdapterOptions{})
	defer a.Close()
	if err := a.Wait(ctx, time.Minute); err != nil {
		return nil, err
	}
	p := &Packed{Manifest: a.Manifest()}
	if o.Transcript != nil {
		t, err := modfile.ParseTranscript(o.Transcript)
		if err != nil {
			return nil, err
		}
		p.Differs = a.replay(a.loader.version, t)
	}
	p.Module, err = modfile.Pack(module, p.Manifest, o.Transcript)
	return p, err
}
