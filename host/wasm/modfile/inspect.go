package modfile

import (
	"crypto/sha256"
	"errors"

	"github.com/kai-gateway/kai/host/wasm/fuel"
)

const (
	StartFuel     = 1_000     // the fuel that an instance begins with, before it is given more
	DefaultMemory = 128 << 20 // how many bytes of memory an instance may have by default
)

// LoadError says why a module can't be an adapter. Err has every reason that is known.
type LoadError struct{ Err error }

func (e *LoadError) Error() string { return "not an adapter: " + e.Err.Error() }
func (e *LoadError) Unwrap() error { return e.Err }

// Description is what can be known of a module without running it.
type Description struct {
	SHA256       [sha256.Size]byte
	Manifest     *Manifest // from the custom section; nil if there is none
	Imports      []string  // such as "kai_v1.emit", in the module's order
	Exports      []string  // in the module's order
	MemoryMin    int64     // bytes of memory that an instance begins with
	MemoryMax    int64     // bytes that it may grow to: the module's own limit, or the default if that is lower
	Instrumented int       // bytes of the module after the counting of fuel was added
	Problems     []error   // every reason why the module is not an adapter
}

// Inspect reads a module without compiling it. The error is a *LoadError if the gateway
// could not load the module, whatever it exports.
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

// problemsOf returns the errors that errors.Join has joined.
func problemsOf(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}
