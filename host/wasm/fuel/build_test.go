package fuel

import (
	"bytes"
	"slices"
)

// build is a module being written by hand: each section a list of its entries in
// the binary format. Empty sections are left out.
type build struct {
	types, imports, funcs, tables, memories, globals, exports [][]byte
	start                                                     []byte
	elements, codes, data                                     [][]byte
	dataCount                                                 bool // is stated
}

// bytes gives the module.
func (b build) bytes() []byte {
	out := slices.Clone(header[:])
	list := func(id byte, entries [][]byte) {
		if len(entries) > 0 {
			content := appendU32(nil, uint32(len(entries)))
			out = appendSection(out, id, append(content, slices.Concat(entries...)...))
		}
	}
	list(sectionType, b.types)
	list(sectionImport, b.imports)
	list(sectionFunction, b.funcs)
	list(sectionTable, b.tables)
	list(sectionMemory, b.memories)
	list(sectionGlobal, b.globals)
	list(sectionExport, b.exports)
	if b.start != nil {
		out = appendSection(out, sectionStart, b.start)
	}
	list(sectionElement, b.elements)
	if b.dataCount {
		out = appendSection(out, sectionDataCount, appendU32(nil, uint32(len(b.data))))
	}
	list(sectionCode, b.codes)
	list(sectionData, b.data)
	return out
}

// entries reads as a list of entries in a literal.
func entries(e ...[]byte) [][]byte { return e }

// text is a name or the data of a segment.
func text(s string) []byte { return append(appendU32(nil, uint32(len(s))), s...) }

// exportOf is an export entry.
func exportOf(name string, kind Kind, index byte) []byte {
	return append(text(name), byte(kind), index)
}

// function is a code entry without locals; it adds the end.
func function(code ...byte) []byte { return functionWith(raw(0), code...) }

// functionWith is a code entry with declarations of locals.
func functionWith(locals []byte, code ...byte) []byte {
	content := slices.Concat(locals, code, raw(opEnd))
	return append(appendU32(nil, uint32(len(content))), content...)
}

var (
	nullary = raw(0x60, 0, 0)                // () -> ()
	toI32   = raw(0x60, 0, 1, typeI32)       // () -> i32
	onePage = raw(1, 1, 1)                   // memory of exactly one page
	i32zero = raw(opI32Const, 0, opEnd)      // constant expression
	growing = raw(typeFunc, 0, 1)            // table of one function or more
	global0 = raw(typeI32, 0, 0x41, 0, 0x0b) // immutable i32
)

// one is a module with a memory, a growing table and one function, exported as
// "run", of type () -> () with an i32 for its local 0.
func one(code ...byte) build {
	return build{
		types:    entries(nullary),
		funcs:    entries(raw(0)),
		tables:   entries(growing),
		memories: entries(onePage),
		exports:  entries(exportOf("run", Function, 0)),
		codes:    entries(functionWith(raw(1, 1, typeI32), code...)),
	}
}

// two appends a function of type () -> () to a module.
func two(m build, code ...byte) build {
	m.funcs = append(m.funcs, raw(0))
	m.codes = append(m.codes, function(code...))
	return m
}

// countdown runs body n times, counting in local 0.
func countdown(n int, body ...byte) []byte {
	return slices.Concat(
		appendI64(raw(opI32Const), int64(n)), raw(opLocalSet, 0, opLoop, blockEmpty), body,
		raw(opLocalGet, 0, opI32Const, 1, 0x6b, opLocalTee, 0, opBrIf, 0, opEnd),
	)
}

// fill is memory.fill of n bytes from address 0.
func fill(n int) []byte {
	return slices.Concat(
		raw(opI32Const, 0, opI32Const, 0), appendI64(raw(opI32Const), int64(n)),
		raw(opMisc, miscMemoryFill, 0),
	)
}

// drops is n times two cheap instructions.
func drops(n int) []byte { return bytes.Repeat(raw(opI32Const, 0, 0x1a), n) }
