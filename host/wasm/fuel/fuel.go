// Package fuel rewrites adapter modules so that they count what they execute and
// call the host whenever they have spent what it gave them.
//
// Compiled guest code cannot be interrupted from outside: while it runs, nothing
// else has that processor, and Go's next garbage collection waits for it. So the
// module interrupts itself. [Instrument] appends a mutable global, exported as
// [Global], from which every function entry and every loop iteration subtracts
// its price; so do the instructions whose work depends on an operand. When the
// value gets negative the guest calls the function [ImportName], an import that is
// also appended. The host is to note what was spent, what the global lacks included,
// and to set it to the next slice, or to end the call by a panic. It decides how
// large slices are, and how many there are. The call may also come while there is
// something left.
//
// What the package guarantees of the result: no path through it executes more
// than a constant number of instructions for a unit of fuel (see price.go), no
// table can outgrow its cap, no instruction touches more than pieceBytes of the
// memory without a turn of the host if a slice has no fuel for it, nothing in the
// original can read or write the fuel or call the import, a module the engine
// refuses stays one it refuses, and to compile it takes the engine no more than
// some seconds (see effort.go). What it does not do: it does not check types (the
// engine does), names of imports and exports (the loader does), the size of the
// memory, or the depth of the stack.
package fuel

import (
	"fmt"
)

const (
	// Global is the name under which an instrumented module exports what is left of
	// the slice, a mutable i64.
	Global = "kai_fuel"
	// ImportModule and ImportName name the function that it imports, of no parameters
	// or results, and calls when Global is negative.
	ImportModule = "kai_fuel"
	ImportName   = "spend"
)

// Options are the limits of [Instrument]. Zero or less means the default.
type Options struct {
	MaxSize         int   // bytes of a module; default 16 MiB. Its instrumented form may have twice as many
	MaxFunctions    int   // imported and defined; default 50,000
	MaxTables       int   // default 4
	MaxTableEntries int   // what a table may grow to; default 65,536
	StartFuel       int64 // the global's first value, the first slice of the start section; default 1000
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

// Module is an instrumented module and what a loader asks before compiling it.
type Module struct {
	Wasm    []byte   // the instrumented module
	Imports []Import // of the original, in its order: without ours
	Exports []Export // of the original: without [Global]
	Memory  Pages    // of the only memory
	Start   bool     // there is a start section

	original []byte
}

// Custom returns the data of the original module's first custom section of that
// name, also of one that is not in Wasm. The result must not be modified.
func (m *Module) Custom(name string) ([]byte, bool) {
	return CustomSection(m.original, name)
}

// Instrument checks module against the limits and returns a copy of it that
// counts fuel. An error says what is refused and at which offset of module.
//
// The result keeps parts of module, which must not be modified afterwards.
// Memory use is bounded by a small multiple of MaxSize whatever the bytes say.
// Safe for concurrent use.
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
		Wasm:     wasm,
		Imports:  p.imports,
		Exports:  p.exported,
		Memory:   p.memories[0],
		Start:    p.start,
		original: module,
	}, nil
}
