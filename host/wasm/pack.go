package wasm

import (
	"context"
	"time"

	"github.com/kai-gateway/kai/host/wasm/modfile"
)

// Packed is an adapter's module, ready to be given to others.
type Packed struct {
	Module   []byte // with the custom sections
	Manifest modfile.Manifest
	Differs  error // the adapter doesn't do what its transcript says, so no gateway will load it; nil: it does
}

// PackOptions configures Pack.
type PackOptions struct {
	Transcript []byte // goes into the module; nil: the module gets none
	CacheDir   string // as in Options; later, the packed module's compiled code is found there
}

// Pack loads module, to check that it is an adapter. It puts the adapter's manifest
// and the transcript into custom sections. Then the manifest can be read without
// running the module, and a gateway replays the transcript before it uses the module.
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
