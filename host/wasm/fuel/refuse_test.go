package fuel

import (
	"bytes"
	"slices"
	"testing"
)

// with changes a copy of the module that has one empty function.
func with(change func(*build)) []byte {
	m := one()
	change(&m)
	return m.bytes()
}

// The code of one's function is at offset 0x2e, where many cases put their mistake.
func TestInstrumentRefuses(t *testing.T) {
	small := Options{MaxSize: 1 << 12, MaxFunctions: 3, MaxTables: 2, MaxTableEntries: 100}
	twice := func(b []byte) [][]byte { return entries(b, b) }
	for name, tc := range map[string]struct {
		module []byte
		opts   Options
		want   string
	}{
		// Sizes.
		"a module over the size":        {make([]byte, 1<<12+1), small, "module of 4097 bytes, the limit is 4096"},
		"too many functions":            {with(func(b *build) { b.funcs = slices.Repeat(entries(raw(0)), 4) }), small, "offset 0x10: 4 functions, the limit is 3"},
		"imports count as functions":    {with(func(b *build) { b.imports = slices.Repeat(entries(slices.Concat(text("m"), text("f"), raw(0, 0))), 3) }), small, "offset 0x25: 1 functions, the limit is 0"},
		"too many tables":               {with(func(b *build) { b.tables = slices.Repeat(entries(growing), 3) }), small, "offset 0x14: 3 tables, the limit is 2"},
		"a table with too many entries": {with(func(b *build) { b.tables = entries(raw(typeFunc, 0, 101)) }), small, "offset 0x16: table of 101 entries, the limit is 100"},
		"too many parameters": {with(func(b *build) {
			b.types = append(b.types, slices.Concat(raw(0x60, 0x81, 1), bytes.Repeat(raw(typeI32), 129), raw(0)))
		}), Options{}, "offset 0x10: 129 parameters, the limit is 128"},
		"too many results": {with(func(b *build) {
			b.types = append(b.types, slices.Concat(raw(0x60, 0, 0x81, 1), bytes.Repeat(raw(typeI32), 129)))
		}), Options{}, "offset 0x11: 129 results, the limit is 128"},
		"too many types": {with(func(b *build) { b.types = slices.Repeat(entries(nullary), 5_001) }), Options{}, "offset 0xb: 5001 types, the limit is 5000"},
		"too many elements": {with(func(b *build) {
			b.elements = slices.Repeat(entries(slices.Concat(raw(1, 0, 0x90, 0xa1, 0xf), make([]byte, 250_000))), 3)
		}), Options{}, "offset 0x7a156: more than 500000 elements in all segments"},
		"too many locals": {with(func(b *build) { b.codes = entries(functionWith(raw(1, 0xd0, 0x86, 3, typeI32))) }), Options{}, "function 0: offset 0x2b: more than 49998 parameters and locals"},
		"locals that overflow": {with(func(b *build) {
			b.codes = entries(functionWith(raw(2, 0xff, 0xff, 0xff, 0xff, 0xf, typeI32, 2, typeI32)))
		}), Options{}, "function 0: offset 0x2b: more than 49998 parameters and locals"},
		"too many locals in all": {with(func(b *build) {
			b.funcs = slices.Repeat(entries(raw(0)), 90)
			b.codes = slices.Repeat(entries(functionWith(raw(1, 0xc0, 0x84, 3, typeI32))), 90)
		}), Options{}, "offset 0x2bb: more than 4000000 locals in all functions"},
		"blocks too deep":            {one(bytes.Repeat(raw(opBlock, blockEmpty), 70_000)...).bytes(), Options{}, "function 0: offset 0x4e52: more than 10000 blocks inside one another"},
		"blocks too many to compile": {one(bytes.Repeat(raw(opI32Const, 0, opIf, blockEmpty, opEnd), 10_000)...).bytes(), Options{}, "function 0: offset 0x553b: up to here the function takes over 500ms to compile, the limit: it has too many blocks, branches, calls or locals"},
		"branches that pass too many locals to compile": {with(func(b *build) {
			branches := bytes.Repeat(raw(opI32Const, 0, opBrIf, 0), 2_000)
			b.codes = entries(functionWith(raw(1, 0xe8, 7, typeI32), slices.Concat(raw(opBlock, blockEmpty), branches, raw(opEnd))...))
		}), Options{}, "function 0: offset 0x301: up to here the function takes over 500ms to compile, the limit: it has too many blocks, branches, calls or locals"},
		"loops too deep to compile":      {one(bytes.Repeat(raw(opLoop, blockEmpty), 9_000)...).bytes(), Options{}, "function 0: offset 0x21d4: up to here the function takes over 500ms to compile, the limit: it has too many blocks, branches, calls or locals"},
		"more loops than bytes to write": {one(bytes.Repeat(raw(opLoop, blockEmpty, opEnd), 200)...).bytes(), small, "function 0: offset 0x149: so many loops and calls that the instrumented module is over 8192 bytes"},

		// Frames.
		"nothing":                         {nil, Options{}, "not a WebAssembly module of version 1"},
		"another version":                 {[]byte("\x00asm\x02\x00\x00\x00"), Options{}, "not a WebAssembly module of version 1"},
		"a component":                     {[]byte("\x00asm\x0d\x00\x01\x00"), Options{}, "not a WebAssembly module of version 1"},
		"an unknown section":              {append(one().bytes(), 14, 0), Options{}, "offset 0x2f: unknown section 14"},
		"the tags of exceptions":          {append(header[:], 13, 3, 1, 0, 0), Options{}, "offset 0x8: unknown section 13"},
		"a section out of order":          {append(one().bytes(), sectionType, 1, 0), Options{}, "offset 0x2f: section 1 is repeated or out of order"},
		"a section twice":                 {append(header[:], sectionType, 1, 0, sectionType, 1, 0), Options{}, "offset 0xb: section 1 is repeated or out of order"},
		"data count after code":           {append(one().bytes(), sectionDataCount, 1, 0), Options{}, "offset 0x2f: section 12 is repeated or out of order"},
		"a section beyond the end":        {append(header[:], sectionType, 5, 0), Options{}, "offset 0x8: section 1 has 5 bytes, the module 1 more"},
		"a section longer than its parts": {append(header[:], sectionType, 2, 0, 0), Options{}, "offset 0xb: 1 bytes after the end of a section"},
		"a section that ends in an entry": {append(header[:], sectionType, 2, 1, 0x60), Options{}, "offset 0xc: ends too early"},
		"a number of six bytes":           {append(header[:], sectionType, 0x80, 0x80, 0x80, 0x80, 0x80, 0), Options{}, "offset 0x9: number longer than 32 bits"},
		"a number over 32 bits":           {append(header[:], sectionType, 0x80, 0x80, 0x80, 0x80, 0x10), Options{}, "offset 0x9: number longer than 32 bits"},
		"a count of four billion":         {append(header[:], sectionExport, 5, 0xff, 0xff, 0xff, 0xff, 0xf), Options{}, "offset 0xa: 4294967295 exports, the limit is 100000"},
		"a count over the bytes":          {append(header[:], sectionElement, 2, 100, 0), Options{}, "offset 0xa: 100 element segments in 1 bytes"},
		"a name that is not UTF-8":        {append(header[:], sectionCustom, 2, 1, 0xff), Options{}, "offset 0xa: a name is not UTF-8"},
		"functions without bodies":        {with(func(b *build) { b.codes = nil }), Options{}, "offset 0x27: 1 functions declared, 0 defined"},
		"bodies without functions":        {with(func(b *build) { b.codes = twice(b.codes[0]) }), Options{}, "offset 0x2a: 1 functions declared, 2 defined"},
		"a body beyond the section":       {with(func(b *build) { b.codes = entries(raw(9, 0, opEnd)) }), Options{}, "offset 0x2b: function 0 has 9 bytes, the section 2 more"},
		"a body without end":              {with(func(b *build) { b.codes = entries(raw(2, 0, 1)) }), Options{}, "function 0: offset 0x2d: ends too early"},
		"a body with two ends":            {one(opEnd).bytes(), Options{}, "function 0: offset 0x2f: 1 bytes after the end of a function"},

		// Types.
		"a struct type":         {with(func(b *build) { b.types = entries(raw(0x5f, 0)) }), Options{}, "offset 0xb: type that is not a function's"},
		"an exnref local":       {with(func(b *build) { b.codes = entries(functionWith(raw(1, 1, 0x69))) }), Options{}, "function 0: offset 0x2d: type 0x69 is none that adapters can use"},
		"a type that is not":    {with(func(b *build) { b.funcs = entries(raw(1)) }), Options{}, "offset 0x11: type 1 does not exist, the count is 1"},
		"a block of no type":    {one(opBlock, 7, opEnd).bytes(), Options{}, "function 0: offset 0x2e: type 7 does not exist, the count is 1"},
		"a negative block type": {one(opBlock, 0xff, 0x7e, opEnd).bytes(), Options{}, "function 0: offset 0x2f: block type is a negative number"},

		// Imports, tables, memories.
		"an imported memory":                      {with(func(b *build) { b.imports = entries(slices.Concat(text("env"), text("memory"), raw(2, 0, 1))) }), Options{}, `offset 0x1c: import "env"."memory": memory, only functions can be imported`},
		"an imported table":                       {with(func(b *build) { b.imports = entries(slices.Concat(text("env"), text("t"), raw(1, typeFunc, 0, 1))) }), Options{}, `offset 0x17: import "env"."t": table, only functions can be imported`},
		"an imported global":                      {with(func(b *build) { b.imports = entries(slices.Concat(text("env"), text("g"), raw(3, typeI32, 0))) }), Options{}, `offset 0x17: import "env"."g": global, only functions can be imported`},
		"an imported tag":                         {with(func(b *build) { b.imports = entries(slices.Concat(text("env"), text("e"), raw(4, 0, 0))) }), Options{}, `offset 0x17: import "env"."e": unknown kind, only functions can be imported`},
		"no memory":                               {with(func(b *build) { b.memories = nil }), Options{}, "offset 0x29: 0 memories, an adapter has exactly one"},
		"two memories":                            {with(func(b *build) { b.memories = twice(onePage) }), Options{}, "offset 0x1a: 2 memories, the limit is 1"},
		"a shared memory":                         {with(func(b *build) { b.memories = entries(raw(3, 1, 1)) }), Options{}, "offset 0x1b: memory shared between threads"},
		"a 64-bit memory":                         {with(func(b *build) { b.memories = entries(raw(4, 1)) }), Options{}, "offset 0x1b: memory with 64-bit addresses"},
		"a custom page size":                      {with(func(b *build) { b.memories = entries(raw(8, 1, 0)) }), Options{}, "offset 0x1b: unknown kind 0x08 of memory"},
		"a memory over 4 GiB":                     {with(func(b *build) { b.memories = entries(raw(0, 0x81, 0x80, 4)) }), Options{}, "offset 0x1b: memory of more than 65536 pages"},
		"a 64-bit table":                          {with(func(b *build) { b.tables = entries(raw(typeFunc, 4, 1)) }), Options{}, "offset 0x16: table with 64-bit addresses"},
		"a shared table":                          {with(func(b *build) { b.tables = entries(raw(typeFunc, 3, 1, 1)) }), Options{}, "offset 0x16: table shared between threads"},
		"a table with more at least than at most": {with(func(b *build) { b.tables = entries(raw(typeFunc, 1, 2, 1)) }), Options{}, "offset 0x16: table of at least 2 and at most 1"},
		"a table with an initial value":           {with(func(b *build) { b.tables = entries(raw(0x40, 0, typeFunc, 0, 1, opRefNull, typeFunc, opEnd)) }), Options{}, "offset 0x15: type 0x40 is neither funcref nor externref"},

		// The fuel itself.
		"an export of our name":         {with(func(b *build) { b.exports = entries(exportOf(Global, Function, 0)) }), Options{}, `offset 0x21: export "kai_fuel" is the gateway's own`},
		"an export of the fuel":         {with(func(b *build) { b.exports = entries(exportOf("g", GlobalVar, 0)) }), Options{}, "offset 0x21: global 0 does not exist, the count is 0"},
		"global.get of the fuel":        {with(func(b *build) { b.globals = entries(global0); b.codes = one(opGlobalGet, 1, 0x1a).codes }), Options{}, "function 0: offset 0x36: global 1 does not exist, the count is 1"},
		"global.set of the fuel":        {one(opI64Const, 0, opGlobalSet, 0).bytes(), Options{}, "function 0: offset 0x30: global 0 does not exist, the count is 0"},
		"a global that starts with it":  {with(func(b *build) { b.globals = entries(raw(typeI64, 0, opGlobalGet, 1, opEnd)) }), Options{}, "offset 0x23: global 1 does not exist, the count is 1"},
		"elements at the fuel's offset": {with(func(b *build) { b.elements = entries(raw(0, opGlobalGet, 0, opEnd, 0)) }), Options{}, "offset 0x2b: global 0 does not exist, the count is 0"},
		"an element that is the fuel":   {with(func(b *build) { b.elements = entries(raw(5, typeFunc, 1, opGlobalGet, 0, opEnd)) }), Options{}, "offset 0x2d: global 0 does not exist, the count is 0"},
		"data at the fuel's offset":     {with(func(b *build) { b.data = entries(raw(0, opGlobalGet, 0, opEnd, 0)) }), Options{}, "offset 0x33: global 0 does not exist, the count is 0"},
		"a local of ours":               {one(opLocalGet, 1, 0x1a).bytes(), Options{}, "function 0: offset 0x2e: local 1 does not exist, the count is 1"},

		// Instructions.
		"an atomic load":                      {one(0xfe, 0x10, 2, 0).bytes(), Options{}, "function 0: offset 0x2e: instruction 0xfe belongs to threads, which adapters cannot use"},
		"try":                                 {one(0x06, blockEmpty).bytes(), Options{}, "function 0: offset 0x2e: instruction 0x06 belongs to exception handling, which adapters cannot use"},
		"throw":                               {one(0x08, 0).bytes(), Options{}, "function 0: offset 0x2e: instruction 0x08 belongs to exception handling, which adapters cannot use"},
		"try_table":                           {one(0x1f, blockEmpty, 0, opEnd).bytes(), Options{}, "function 0: offset 0x2e: instruction 0x1f belongs to exception handling, which adapters cannot use"},
		"return_call":                         {one(0x12, 0).bytes(), Options{}, "function 0: offset 0x2e: instruction 0x12 belongs to tail calls, which adapters cannot use"},
		"call_ref":                            {one(0x14, 0).bytes(), Options{}, "function 0: offset 0x2e: instruction 0x14 belongs to typed function references, which adapters cannot use"},
		"struct.new":                          {one(0xfb, 0, 0).bytes(), Options{}, "function 0: offset 0x2e: instruction 0xfb belongs to garbage collection, which adapters cannot use"},
		"an opcode no one has":                {one(0x27).bytes(), Options{}, "function 0: offset 0x2e: unknown instruction 0x27"},
		"a misc opcode no one has":            {one(opMisc, 18).bytes(), Options{}, "function 0: offset 0x2e: unknown instruction 0xfc 18"},
		"a relaxed SIMD opcode":               {one(opSIMD, 0x80, 2).bytes(), Options{}, "function 0: offset 0x2e: unknown SIMD instruction, or its number is not in the shortest form"},
		"a gap in SIMD":                       {one(opSIMD, 0x9a, 1).bytes(), Options{}, "function 0: offset 0x2e: unknown SIMD instruction, or its number is not in the shortest form"},
		"SIMD in a longer form":               {one(opSIMD, 0x8c, 0, opUnreachable).bytes(), Options{}, "function 0: offset 0x2e: unknown SIMD instruction, or its number is not in the shortest form"},
		"a load of 64 bits":                   {one(opI32Const, 0, 0x28, 2, 0x80, 0x80, 0x80, 0x80, 0x10, 0x1a).bytes(), Options{}, "function 0: offset 0x32: number longer than 32 bits"},
		"a load of memory 1":                  {one(opI32Const, 0, 0x28, 0x42, 1, 0, 0x1a).bytes(), Options{}, "function 0: offset 0x31: alignment 2^66, or a memory index"},
		"memory.grow of memory 1":             {one(opI32Const, 0, opMemoryGrow, 1, 0x1a).bytes(), Options{}, "function 0: offset 0x31: memory index is 0x01, not 0x00"},
		"an i32 of six bytes":                 {one(opI32Const, 0x80, 0x80, 0x80, 0x80, 0x80, 0).bytes(), Options{}, "function 0: offset 0x2f: number longer than 32 bits"},
		"an i32 of 33 bits":                   {one(opI32Const, 0xff, 0xff, 0xff, 0xff, 0x0f).bytes(), Options{}, "function 0: offset 0x2f: number longer than 32 bits"},
		"an i64 of 65 bits":                   {one(opI64Const, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1).bytes(), Options{}, "function 0: offset 0x2f: number longer than 64 bits"},
		"a constant cut off":                  {one(opF64Const, 0, 0).bytes(), Options{}, "function 0: offset 0x2f: 8 bytes wanted, 3 left"},
		"a branch too far":                    {one(opBr, 1).bytes(), Options{}, "function 0: offset 0x30: label 1 does not exist, the count is 1"},
		"a table of branches too far":         {one(opI32Const, 0, opBrTable, 1, 0, 2).bytes(), Options{}, "function 0: offset 0x34: label 2 does not exist, the count is 1"},
		"a table of too many branches":        {one(opI32Const, 0, opBrTable, 0xff, 0xff, 0xff, 0xff, 0xf).bytes(), Options{}, "function 0: offset 0x31: 4294967295 labels, the limit is 55"},
		"else without if":                     {one(opElse).bytes(), Options{}, "function 0: offset 0x2e: else without if"},
		"two elses":                           {one(opI32Const, 0, opIf, blockEmpty, opElse, opElse, opEnd).bytes(), Options{}, "function 0: offset 0x33: else without if"},
		"an extended constant":                {with(func(b *build) { b.globals = entries(raw(typeI32, 0, opI32Const, 1, opI32Const, 1, 0x6a, opEnd)) }), Options{}, "offset 0x25: constant expression of more than one instruction"},
		"a call for a constant":               {with(func(b *build) { b.globals = entries(raw(typeI32, 0, opCall, 0, opEnd)) }), Options{}, "offset 0x23: instruction 0x10 in a constant expression"},
		"a table of branches for a constant":  {with(func(b *build) { b.data = entries(raw(0, opBrTable, 0, 0, opEnd, 0)) }), Options{}, "offset 0x33: instruction 0x0e in a constant expression"},
		"a global that is half mutable":       {with(func(b *build) { b.globals = entries(raw(typeI32, 2, opI32Const, 1, opEnd)) }), Options{}, "offset 0x22: mutability of a global is 0x02"},
		"an unknown element segment":          {with(func(b *build) { b.elements = entries(raw(8, 0)) }), Options{}, "offset 0x2a: unknown kind 8 of element segment"},
		"an unknown data segment":             {with(func(b *build) { b.data = entries(raw(3, 0)) }), Options{}, "offset 0x32: unknown kind 3 of data segment"},
		"an export of a tag":                  {with(func(b *build) { b.exports = entries(exportOf("e", 4, 0)) }), Options{}, `offset 0x21: export "e": unknown kind`},
		"an export of no function":            {with(func(b *build) { b.exports = entries(exportOf("f", Function, 1)) }), Options{}, "offset 0x24: function 1 does not exist, the count is 1"},
		"a call of the import":                {one(opCall, 1).bytes(), Options{}, "function 0: offset 0x2f: function 1 does not exist, the count is 1"},
		"a reference to it":                   {one(opRefFunc, 1, 0x1a).bytes(), Options{}, "function 0: offset 0x2f: function 1 does not exist, the count is 1"},
		"a global that refers to it":          {with(func(b *build) { b.globals = entries(raw(typeFunc, 0, opRefFunc, 1, opEnd)) }), Options{}, "offset 0x24: function 1 does not exist, the count is 1"},
		"an element that refers to it":        {with(func(b *build) { b.elements = entries(slices.Concat(raw(0), i32zero, raw(1, 1))) }), Options{}, "offset 0x2f: function 1 does not exist, the count is 1"},
		"an element that computes it":         {with(func(b *build) { b.elements = entries(raw(5, typeFunc, 1, opRefFunc, 1, opEnd)) }), Options{}, "offset 0x2e: function 1 does not exist, the count is 1"},
		"a start function that is the import": {with(func(b *build) { b.start = raw(1) }), Options{}, "offset 0x29: function 1 does not exist, the count is 1"},
		"a block of our type":                 {one(opBlock, 1, opEnd).bytes(), Options{}, "function 0: offset 0x2e: type 1 does not exist, the count is 1"},
		"an indirect call of our type":        {one(opI32Const, 0, opCallIndir, 1, 0).bytes(), Options{}, "function 0: offset 0x31: type 1 does not exist, the count is 1"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Instrument(tc.module, tc.opts)
			if err == nil {
				t.Fatalf("accepted: %x", m.Wasm)
			}
			if err.Error() != tc.want {
				t.Errorf("error:\n  %v\nwant:\n  %v", err, tc.want)
			}
		})
	}
}
