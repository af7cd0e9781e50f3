package fuel

func (p *parsed) funcType(r *reader) {
	if at := r.pos; r.byte() != 0x60 {
		r.failAt(at, "type that is not a function's")
	}
	values := func(what string) []byte {
		n := r.count(maxValues, what)
		start := r.pos
		for range n {
			r.valueType()
		}
		return r.data[start:r.pos:r.pos]
	}
	t := FuncType{Params: values("parameters")}
	t.Results = values("results")
	p.types = append(p.types, t)
}

func (p *parsed) typeIndex(r *reader) uint32 {
	at := r.pos
	i := r.u32()
	if r.err == nil && int64(i) >= int64(len(p.types)) {
		r.missing(at, "type", i, len(p.types))
	}
	return i
}

func (p *parsed) importEntry(r *reader) {
	im := Import{Module: r.name(), Name: r.name()}
	at := r.pos
	im.Kind = Kind(r.byte())
	if r.err != nil {
		return
	}
	if im.Kind != Function {
		r.failAt(at, "import %q.%q: %v, only functions can be imported", im.Module, im.Name, im.Kind)
		return
	}
	i := p.typeIndex(r)
	if r.err != nil {
		return
	}
	im.Type = p.types[i]
	p.imports = append(p.imports, im)
	p.funcs = append(p.funcs, i)
}

// limit reads the minimum and maximum of a table or memory. Without a maximum the
// result is 1<<32-1, which is more than any limit.
func limit(r *reader, what string) (minimum, maximum uint32) {
	at := r.pos
	flags := r.byte()
	switch {
	case r.err != nil:
		return 0, 0
	case flags&^7 != 0:
		r.failAt(at, "unknown kind %#02x of %s", flags, what)
	case flags&4 != 0:
		r.failAt(at, "%s with 64-bit addresses", what)
	case flags&2 != 0:
		r.failAt(at, "%s shared between threads", what)
	}
	minimum, maximum = r.u32(), 1<<32-1
	if flags&1 != 0 {
		maximum = r.u32()
	}
	if r.err == nil && minimum > maximum {
		r.failAt(at, "%s of at least %d and at most %d", what, minimum, maximum)
	}
	return minimum, maximum
}

func (p *parsed) table(r *reader) {
	t := table{element: r.refType()}
	at := r.pos
	t.min, t.max = limit(r, "table")
	if int64(t.min) > int64(p.limits.MaxTableEntries) {
		r.failAt(at, "table of %d entries, the limit is %d", t.min, p.limits.MaxTableEntries)
	}
	p.tables = append(p.tables, t)
}

func (p *parsed) memory(r *reader) {
	at := r.pos
	minimum, maximum := limit(r, "memory")
	if minimum > maxPages || maximum > maxPages && maximum != 1<<32-1 {
		r.failAt(at, "memory of more than %d pages", maxPages)
	}
	p.memories = append(p.memories, Pages{Min: minimum, Max: min(maximum, maxPages)})
}

// globalIndex refuses the index of the global that will be appended.
func (p *parsed) globalIndex(r *reader, at int, i uint32) {
	if r.err == nil && int64(i) >= int64(p.globalN) {
		r.missing(at, "global", i, p.globalN)
	}
}

// funcIndex refuses the indexes of functions that will be added. It records the offset
// of an index that names the module's first function.
func (p *parsed) funcIndex(r *reader, at int, i uint32) {
	switch {
	case r.err != nil:
	case int64(i) >= int64(len(p.funcs)):
		r.missing(at, "function", i, len(p.funcs))
	case int(i) == len(p.imports):
		p.edits = append(p.edits, edit{at: int32(at), to: p.firstMoved()})
		p.grow(r, at, movedBytes)
	}
}

// grow counts the bytes that the module grows by.
func (p *parsed) grow(r *reader, at, bytes int) {
	if p.room -= bytes; p.room < 0 {
		r.failAt(at, "so many loops and calls that the instrumented module is over %d bytes", 2*p.limits.MaxSize)
	}
}

// constant reads a constant expression, which is a first value or an offset.
func (p *parsed) constant(r *reader) {
	in := r.next(func(uint32) {})
	if r.err != nil {
		return
	}
	switch in.op {
	case opGlobalGet:
		p.globalIndex(r, in.at, in.arg)
	case opRefFunc:
		p.funcIndex(r, in.at+1, in.arg)
	case opI32Const, opI64Const, opF32Const, opF64Const, opRefNull:
	default:
		if in.op != opSIMD || in.sub != simdConst {
			r.failAt(in.at, "instruction %#02x in a constant expression", in.op)
		}
	}
	if at := r.pos; r.byte() != opEnd {
		r.failAt(at, "constant expression of more than one instruction")
	}
}

func (p *parsed) export(r *reader) {
	at := r.pos
	e := Export{Name: r.name(), Kind: Kind(r.byte())}
	indexAt := r.pos
	e.Index = r.u32()
	if r.err != nil {
		return
	}
	switch {
	case e.Name == Global:
		r.failAt(at, "export %q is the gateway's own", Global)
	case e.Kind > GlobalVar:
		r.failAt(at, "export %q: %v", e.Name, e.Kind)
	case e.Kind == GlobalVar:
		p.globalIndex(r, at, e.Index)
	case e.Kind == Function:
		if p.funcIndex(r, indexAt, e.Index); r.err == nil {
			e.Type = p.types[p.funcs[e.Index]]
		}
	}
	p.exported = append(p.exported, e)
}

// element reads one element segment. The bits of its flags mean: 1, passive or declared;
// 2, it has a table index, or declared if bit 1 is set; 4, it has expressions.
func (p *parsed) element(r *reader) {
	at := r.pos
	flags := r.u32()
	if flags > 7 {
		r.failAt(at, "unknown kind %d of element segment", flags)
		return
	}
	if flags&1 == 0 {
		if flags&2 != 0 {
			r.u32()
		}
		p.constant(r)
	}
	if flags&3 != 0 {
		if flags&4 != 0 {
			r.refType()
		} else {
			r.expectZero("kind of elements")
		}
	}
	n := r.count(len(r.data), "elements")
	if p.elements += n; p.elements > maxElements {
		r.failAt(at, "more than %d elements in all segments", maxElements)
	}
	for ; n > 0 && r.err == nil; n-- {
		if flags&4 != 0 {
			p.constant(r)
		} else {
			at := r.pos
			p.funcIndex(r, at, r.u32())
		}
	}
}

func (p *parsed) dataSegment(r *reader, index uint32) {
	at := r.pos
	flags := r.u32()
	if flags > 2 {
		r.failAt(at, "unknown kind %d of data segment", flags)
		return
	}
	if flags == 2 {
		r.u32()
	}
	if flags != 1 {
		p.constant(r)
	}
	n := r.count(len(r.data), "bytes of data")
	if n > pieceBytes && p.counted { // without a count, nothing can name it
		p.large = append(p.large, index)
		p.grow(r, at, helperBytes)
	}
	r.skip(n)
}
