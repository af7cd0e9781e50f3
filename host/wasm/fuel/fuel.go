// Package fuel rewrites adapter modules so that they count what they execute and
// call the host whenever they have spent what it gave them.
//
// Compiled guest code cannot be interrupted from outside. While it runs, nothing else
// has that processor, and Go's next garbage collection waits for it. So the module
// interrupts itself. [Instrument] appends a mutable global, exported as [Global]. Every
// function entry and every loop iteration subtracts its price from it, and so do the
// instructions whose work depends on an operand. When the value is negative, the guest
// calls the function [ImportName], an import that is also appended. The host must then
// set the global to the next slice, or end the call by a panic. What the global lacks
// has been spent, too. The host decides how large slices are, and how many there are.
// The guest may also call while some fuel is left.
//
// The package guarantees of the result:
//
//   - no path executes more than a constant number of instructions for a unit of fuel
//     (see price.go);
//   - no table can grow over its limit;
//   - no instruction touches more than pieceBytes of the memory without a turn of the
//     host, if the slice has no fuel for it;
//   - nothing in the original can read or write the fuel, or call the import;
//   - the engine still refuses a module that it refused before;
//   - the engine compiles it in a few seconds at most (see effort.go).
//
// It also shortens the detours that Go's compiler makes (see jumps.go), which saves more
// time than counting takes.
//
// It does not check types, which the engine does, or the names of imports and exports,
// which the loader does. Nor does it bound the size of the memory or the depth of the
// stack.
package fuel

import (
	"fmt"
)

const (
	// Global is the name under which an instrumented module exports what is left of
	// the slice, a mutable i64.
	Global = "kai_fuel"
	// ImportModule and ImportName name the function that an instrumented module
	// imports, and calls when Global is negative. It has no parameters or results.
	ImportModule = "kai_fuel"
	ImportName   = "spend"
)

// Version changes whenever the result of [Instrument] does, so that what was kept of an
// earlier program is not used. TestVersion says when.
const Version = 3

// Options are the limits of [Instrument]. Zero or less means the default.
type Options struct {
	MaxSize         int   // bytes of a module; default 16 MiB. The instrumented module may have twice as many
	MaxFunctions    int   // imported and defined functions; default 50,000
	MaxTables       int   // default 4
	MaxTableEntries int   // how many entries a table may grow to; default 65,536
	StartFuel       int64 // the first value of the global, with which the start section begins; default 1000
}

func (o Options) withDefaults() Options {
	if o.MaxSize <= 0 {
		o.MaxSize = 16 << 20
	}
	if o.MaxFunctions <= 0 {
		o.MaxFunctions = 50_000
	}
	if o.MaxTables <= 0 {
		o.MaxTables = 4
	}
	if o.MaxTableEntries <= 0 {
		o.MaxTableEntries = 65_536
	}
	if o.StartFuel <= 0 {
		o.StartFuel = 1000
	}
	return o
}

// Module is an instrumented module, with what a loader needs to know before it compiles
// the module.
type Module struct {
	Wasm    []byte   // the instrumented module
	Imports []Import // the original's, in its order, without the one that was added
	Exports []Export // the original's, without [Global]
	Memory  Pages    // the size of the only memory
	Start   bool     // there is a start section
}

// Instrument checks module against the limits and returns a copy of it that counts
// fuel. An error says what is refused, and at which offset of module.
//
// The result refers to module, which must not be modified afterwards. Whatever the
// bytes of module are, it needs no more memory than a small multiple of MaxSize. It is
// safe for concurrent use.
func Instrument(module []byte, opts Options) (*Module, error) {
	opts = opts.withDefaults()
	if len(module) > opts.MaxSize {
		return nil, fmt.Errorf("module of %d bytes, the limit is %d", len(module), opts.MaxSize)
	}
	p, err := parse(module, opts)
	if err != nil {
		return nil, err
	}
	wasm, err := p.write()
	if err != nil {
		return nil, err
	}
	return &Module{
		Wasm:    wasm,
		Imports: p.imports,
		Exports: p.exported,
		Memory:  p.memories[0],
		Start:   p.start,
	}, nil
}
