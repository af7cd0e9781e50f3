package modfile

import (
	"crypto/sha256"
	"errors"

	"github.com/kai-gateway/kai/host/wasm/fuel"
)

// What the gateway sees to when it instruments a module and runs it.
const (
	StartFuel     = 1_000     // what an instance begins with, before it is given more
	DefaultMemory = 128 << 20 // bytes that an instance may have, where nothing else is configured
)

// LoadError is a module that can't be an adapter, with every reason known.
type LoadError struct{ Err error }

func (e *LoadError) Error() string { return "not an adapter: " + e.Err.Error() }
func (e *LoadError) Unwrap() error { return e.Err }

// Description is what a module shows of itself without being run.
type Description struct {
	SHA256       [sha256.Size]byte
	Manifest     *Manifest // of the custom section; nil if there is none
	Imports      []string  // "kai_v1.emit" and so on, in the module's order
	Exports      []string  // in the module's order
	MemoryMin    int64     // bytes an instance begins with
	MemoryMax    int64     // bytes it may grow to, by its own word or the default limit
	Instrumented int       // bytes of the module with the fuel counting in it
	Problems     []error   // everything by which it is no adapter
}

// Inspect reads a module without compiling it. The error is a *LoadError for
// bytes that are no module the gateway could load, whatever it exports.
func Inspect(module []byte) (Description, error) {
	m, err := fuel.Instrument(module, fuel.Options{StartFuel: StartFuel})
	if err != nil {
		return Description{}, &LoadError{err}
	}
	d := Description{
		SHA256:       sha256.Sum256(module),
		MemoryMin:    int64(m.Memory.Min) << 16,
		MemoryMax:    min(int64(m.Memory.Max)<<16, DefaultMemory),
		Instrumented: len(m.Wasm),
	}
	for _, i := range m.Imports {
		d.Imports = append(d.Imports, i.Module+"."+i.Name)
	}
	for _, e := range m.Exports {
		d.Exports = append(d.Exports, e.Name)
	}
	if err := CheckABI(m); err != nil {
		d.Problems = problemsOf(err)
	}
	manifest, found, err := ReadManifest(module)
	switch {
	case err != nil:
		d.Problems = append(d.Problems, err)
	case found:
		d.Manifest = &manifest
	}
	return d, nil
}

// problemsOf takes apart what errors.Join put together.
func problemsOf(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}
