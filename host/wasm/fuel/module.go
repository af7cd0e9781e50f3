package fuel

// Section ids.
const (
	sectionCustom    = 0
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
)

// sectionOrder has the place of each section: the data count comes before the code.
var sectionOrder = [...]int{
	sectionType: 1, sectionImport: 2, sectionFunction: 3, sectionTable: 4, sectionMemory: 5, sectionGlobal: 6,
	sectionExport: 7, sectionStart: 8, sectionElement: 9, sectionDataCount: 10, sectionCode: 11, sectionData: 12,
}

// Limits besides those of [Options] and of effort.go. No compiler comes near any of
// them; docs/design/0002-fuel.md has the highest numbers seen.
const (
	maxValues    = 128       // parameters, and results, of a function or block
	maxTypes     = 5_000     // the engine makes code for each, and needs 95 bytes for each parameter or result
	maxLocals    = 50_000    // parameters and locals of a function, with the ones we add
	maxEntries   = 100_000   // globals, exports, element and data segments
	maxElements  = 500_000   // elements of all segments; each takes 70 bytes in the engine
	maxNesting   = 10_000    // blocks inside one another
	maxAllLocals = 4_000_000 // locals of all functions; three bytes declare 50,000, and the engine stores each
	maxPages     = 65_536    // of a memory
)

// table is a table as declared.
type table struct {
	element  byte
	min, max uint32
}

// list is the content of a section, by offsets in the module. If n has the number of
// entries, body is the offset of the first one, after the count. end is 0 if there is no
// such section.
type list struct {
	n         int
	body, end int
}

// edit is an unsigned number of the original that is replaced by another one.
type edit struct {
	at int32
	to uint32
}

// names are the names that stack traces show.
type names struct {
	module    []byte // with its length; empty if it has none
	functions list
}

// parsed is a module that was taken apart.
type parsed struct {
	limits    Options
	data      []byte
	sections  [sectionDataCount + 1]list // by id
	named     bool                       // there is a name section
	names     *names                     // from the first name section; nil if the engine must not see them
	counted   bool                       // there is a data count, so instructions may name data segments by their index
	large     []uint32                   // data segments that memory.init copies in pieces
	types     []FuncType
	imports   []Import
	funcs     []uint32 // type indexes: the imported functions, then the module's own
	tables    []table
	memories  []Pages
	globalN   int
	exported  []Export
	start     bool
	edits     []edit            // by offset: indexes of the first function, which changes (see write.go), and labels (see jumps.go)
	carried   []carried         // the locals that loops carry, all loops one after the other
	shapes    map[string]uint32 // the types of what loops carry, each with its index in shapeList
	shapeList []string
	elements  int // elements of all segments so far
	bodies    []body
	room      int // how many bytes the module may still grow by

	effort, dearest int64 // the effort of compiling all functions, and of the one that takes longest
}

// parse checks everything that the engine doesn't check itself. The engine checks the
// types on the stack, and indexes other than those of locals, globals, types and labels.
func parse(module []byte, limits Options) (*parsed, error) {
	p := &parsed{limits: limits, data: module, room: 2*limits.MaxSize - len(module)}
	r := newReader(module)
	last := 0
	for r.err == nil && r.left() > 0 {
		s := r.section()
		if r.err != nil {
			break
		}
		if s.id == sectionCustom {
			p.keep(s)
			continue
		}
		if int(s.id) >= len(sectionOrder) {
			r.failAt(s.start, "unknown section %d", s.id) // 13 are the tags of exceptions
			break
		}
		if sectionOrder[s.id] <= last {
			r.failAt(s.start, "section %d is repeated or out of order", s.id)
			break
		}
		last = sectionOrder[s.id]
		p.sections[s.id] = list{body: s.body, end: s.end}
		content := reader{data: module, pos: s.body, end: s.end}
		p.section(s, &content)
		content.done("a section")
		if content.err != nil {
			return nil, content.err
		}
	}
	switch {
	case r.err != nil:
	case len(p.bodies) != p.defined():
		r.failAt(len(module), "%d functions declared, %d defined", p.defined(), len(p.bodies))
	case len(p.memories) != 1:
		r.failAt(len(module), "%d memories, an adapter has exactly one", len(p.memories))
	}
	return p, r.err
}

// keep notes what is kept of custom sections: the names for stack traces. Others
// describe offsets, which change, or are not for the engine. Without them the engine
// finds the same code in its cache, whatever they say.
func (p *parsed) keep(s section) {
	if s.customName == "name" && !p.named {
		p.named = true
		p.names = p.readNames(s)
	}
}

// Subsections of the name section.
const (
	namesModule    = 0
	namesFunctions = 1
	namesLocals    = 2
)

// readNames reads a name section. The result is nil if the engine must not see it: the
// engine trusts the counts in it and allocates memory for them before it reads on, so
// sixty bytes that claim a billion names would end the process. A section with names of
// locals is dropped as well, because they help nobody.
func (p *parsed) readNames(s section) *names {
	found := &names{}
	r := reader{data: p.data, pos: s.customStart, end: s.end}
	for r.err == nil && r.left() > 0 {
		id := r.byte()
		size := r.u32()
		if uint64(size) > uint64(r.left()) {
			return nil
		}
		content := r.sub(int(size))
		switch id {
		case namesModule:
			found.module = content.data[content.pos:content.end]
			content.name()
			content.done("the module's name")
		case namesFunctions:
			n := content.count(p.limits.MaxFunctions, "function names")
			found.functions = list{n: n, body: content.pos, end: content.end}
			for ; n > 0 && content.err == nil; n-- {
				content.u32()
				content.name()
			}
			content.done("the function names")
		case namesLocals:
			return nil
		}
		if content.err != nil {
			return nil
		}
	}
	if r.err != nil {
		return nil
	}
	return found
}

func (p *parsed) defined() int { return len(p.funcs) - len(p.imports) }

// count reads how many entries a section has, and records where they begin.
func (p *parsed) count(s section, r *reader, limit int, what string) int {
	n := r.count(limit, what)
	p.sections[s.id] = list{n: n, body: r.pos, end: r.end}
	return n
}

func (p *parsed) section(s section, r *reader) {
	switch s.id {
	case sectionType:
		for n := p.count(s, r, maxTypes, "types"); n > 0 && r.err == nil; n-- {
			p.funcType(r)
		}
	case sectionImport:
		for n := p.count(s, r, p.limits.MaxFunctions, "imports"); n > 0 && r.err == nil; n-- {
			p.importEntry(r)
		}
	case sectionFunction:
		for n := p.count(s, r, p.limits.MaxFunctions-len(p.imports), "functions"); n > 0 && r.err == nil; n-- {
			p.funcs = append(p.funcs, p.typeIndex(r))
		}
	case sectionTable:
		for n := r.count(p.limits.MaxTables, "tables"); n > 0 && r.err == nil; n-- {
			p.table(r)
		}
	case sectionMemory:
		for n := r.count(1, "memories"); n > 0 && r.err == nil; n-- {
			p.memory(r)
		}
	case sectionGlobal:
		p.globalN = p.count(s, r, maxEntries, "globals")
		for i := 0; i < p.globalN && r.err == nil; i++ {
			r.valueType()
			at := r.pos
			if mutable := r.byte(); mutable > 1 {
				r.failAt(at, "mutability of a global is %#02x", mutable)
			}
			p.constant(r)
		}
	case sectionExport:
		for n := p.count(s, r, maxEntries, "exports"); n > 0 && r.err == nil; n-- {
			p.export(r)
		}
	case sectionStart:
		p.start = true
		at := r.pos
		p.funcIndex(r, at, r.u32())
	case sectionElement:
		for n := r.count(maxEntries, "element segments"); n > 0 && r.err == nil; n-- {
			p.element(r)
		}
	case sectionDataCount:
		p.counted = true
		r.u32()
	case sectionCode:
		p.code(r)
	case sectionData:
		n := r.count(maxEntries, "data segments")
		for i := 0; i < n && r.err == nil; i++ {
			p.dataSegment(r, uint32(i))
		}
	}
}
