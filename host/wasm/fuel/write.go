package fuel

import (
	"fmt"
	"slices"
	"sort"
)

// The result has one more import, after those of the module, and some functions of our
// own after all others:
//
//	original                     result
//	0 to i-1   imported          0 to i-1     imported
//	                             i            the import that spends
//	i          the first         i+1 to n-1   as before
//	i+1 to n-1 the others        n            the first
//	                             n+1 and on   helpers
//
// So the import gets the index of the first function that the module defines, and that
// function goes after the others. No other function gets a new index. parsed.edits has
// all places that name the first function.

func (p *parsed) spendImport() uint32 { return uint32(len(p.imports)) }
func (p *parsed) firstMoved() uint32  { return uint32(len(p.funcs)) }

// Types that are appended.
func (p *parsed) spendType() uint32 { return uint32(len(p.types)) }     // () -> ()
func (p *parsed) sizedType() uint32 { return uint32(len(p.types)) + 1 } // (i32, i32, i32) -> ()

// write puts the module together again. It limits the tables, appends types, the
// import, the helpers, and the global with its export, and puts charges into the code.
// Everything else stays as it was, except for the index of the first function.
func (p *parsed) write() ([]byte, error) {
	out := make([]byte, 0, len(p.data)+len(p.data)/2+64)
	out = append(out, header[:]...)
	for _, id := range []byte{
		sectionType, sectionImport, sectionFunction, sectionTable, sectionMemory, sectionGlobal,
		sectionExport, sectionStart, sectionElement, sectionDataCount, sectionCode, sectionData,
	} {
		switch s := p.sections[id]; id {
		case sectionType:
			out = appendSection(out, id, p.typeSection(s))
		case sectionImport:
			out = appendSection(out, id, p.importSection(s))
		case sectionFunction:
			out = appendSection(out, id, p.functionSection(s))
		case sectionGlobal:
			out = appendSection(out, id, p.globalSection(s))
		case sectionExport:
			out = appendSection(out, id, p.exportSection(s))
		case sectionCode:
			out = appendSection(out, id, p.codeSection())
		default:
			if s.end == 0 {
				continue
			}
			content := []byte(nil)
			switch id {
			case sectionTable:
				content = p.tableSection()
			case sectionData:
				content = p.dataSection(s)
			default:
				content = p.copy(nil, s.body, s.end)
			}
			out = appendSection(out, id, content)
		}
	}
	if p.names != nil {
		out = appendSection(out, sectionCustom, p.nameSection())
	}
	if len(out) > 2*p.limits.MaxSize {
		return nil, fmt.Errorf("instrumented module of %d bytes, the limit is %d", len(out), 2*p.limits.MaxSize)
	}
	return out, nil
}

// copy appends a part of the original with its edits.
func (p *parsed) copy(out []byte, from, to int) []byte {
	edits := p.edits[sort.Search(len(p.edits), func(i int) bool { return int(p.edits[i].at) >= from }):]
	for len(edits) > 0 && int(edits[0].at) < to {
		at := int(edits[0].at)
		out = appendU32(append(out, p.data[from:at]...), edits[0].to)
		r := reader{data: p.data, pos: at, end: to}
		r.u32()
		from, edits = r.pos, edits[1:]
	}
	return append(out, p.data[from:to]...)
}

func (p *parsed) typeSection(s list) []byte {
	b := appendU32(nil, uint32(s.n+2+len(p.shapeList)))
	b = append(b, p.data[s.body:s.end]...)
	b = append(b, 0x60, 0, 0)
	b = append(b, 0x60, 3, typeI32, typeI32, typeI32, 0)
	for _, shape := range p.shapeList {
		b = appendName(append(b, 0x60), shape)
		b = appendName(b, shape)
	}
	return b
}

func (p *parsed) importSection(s list) []byte {
	b := appendU32(nil, uint32(s.n)+1)
	b = append(b, p.data[s.body:s.end]...)
	b = appendName(appendName(b, ImportModule), ImportName)
	return appendU32(append(b, byte(Function)), p.spendType())
}

func (p *parsed) functionSection(s list) []byte {
	helpers := p.helpers()
	b := appendU32(nil, uint32(s.n+len(helpers)))
	if s.n > 0 {
		r := reader{data: p.data, pos: s.body, end: s.end}
		first := r.u32()
		b = appendU32(append(b, p.data[r.pos:s.end]...), first)
	}
	for _, h := range helpers {
		b = appendU32(b, h.typ)
	}
	return b
}

func (p *parsed) tableSection() []byte {
	b := appendU32(nil, uint32(len(p.tables)))
	for _, t := range p.tables {
		b = append(b, t.element, 1)
		b = appendU32(b, t.min)
		b = appendU32(b, min(t.max, uint32(p.limits.MaxTableEntries)))
	}
	return b
}

func (p *parsed) globalSection(s list) []byte {
	b := appendU32(nil, uint32(p.globalN)+1)
	b = p.copy(b, s.body, s.end)
	b = append(b, typeI64, 1, opI64Const)
	b = appendI64(b, p.limits.StartFuel)
	return append(b, opEnd)
}

func (p *parsed) exportSection(s list) []byte {
	b := appendU32(nil, uint32(len(p.exported))+1)
	b = p.copy(b, s.body, s.end)
	b = append(appendName(b, Global), byte(GlobalVar))
	return appendU32(b, uint32(p.globalN))
}

func (p *parsed) codeSection() []byte {
	helpers := p.helpers()
	out := make([]byte, 0, len(p.data)+len(p.data)/2)
	out = appendU32(out, uint32(len(p.bodies)+len(helpers)))
	var one []byte
	add := func(content []byte) {
		out = appendU32(out, uint32(len(content)))
		out = append(out, content...)
	}
	for i := range p.bodies {
		one = p.function(one[:0], &p.bodies[(i+1)%len(p.bodies)])
		add(one)
	}
	for _, h := range helpers {
		add(h.body)
	}
	return out
}

// function appends the new body of a function, without its size.
func (p *parsed) function(out []byte, b *body) []byte {
	added := uint32(1)
	if b.sized {
		added = 2
	}
	out = appendU32(out, uint32(b.localN)+added)
	out = append(out, p.data[b.locals.body:b.locals.end]...)
	out = append(out, 1, typeI64)
	if b.sized {
		out = append(out, 1, typeI32)
	}
	pos := b.code.body
	for _, c := range b.charges {
		out = p.copy(out, pos, int(c.at))
		out, pos = p.charge(out, c, b.first)
	}
	return p.copy(out, pos, b.code.end)
}

// charge appends a charge, with the part of the original that belongs to it. next is the
// offset at which the original goes on.
func (p *parsed) charge(out []byte, c charge, local uint32) (_ []byte, next int) {
	global := uint32(p.globalN)
	helper, pieces := p.helper(c.op)
	switch c.kind {
	case payOnly:
		out = appendPayment(out, c, global, local)
		return appendU32(append(out, opGlobalSet), global), int(c.at)
	case payEntry:
		return append(p.payInLoop(append(out, opLoop, blockEmpty), c, local), opEnd), int(c.at)
	case payLoop:
		return p.payInLoop(out, c, local), int(c.at)
	}
	out = appendPayment(out, c, global, local)
	if c.price != 0 || c.size != nil {
		out = appendU32(append(out, opLocalTee), local)
		out = appendU32(append(out, opGlobalSet), global)
		out = appendU32(append(out, opLocalGet), local)
	}
	out = append(out, opI64Const, 0, opI64GeS)
	if !pieces {
		out = append(out, opIf, blockEmpty, opElse)
		return append(appendU32(append(out, opCall), helper), opEnd), int(c.at)
	}
	out = appendI64(append(out, opIf), int64(p.sizedType()))
	out = append(p.copy(out, int(c.at), int(c.end)), opElse)
	return append(appendU32(append(out, opCall), helper), opEnd), int(c.end)
}

// payInLoop appends the charge at the start of a loop.
func (p *parsed) payInLoop(out []byte, c charge, local uint32) []byte {
	global := uint32(p.globalN)
	out = appendPayment(out, c, global, local)
	out = appendU32(append(out, opLocalTee), local)
	out = append(out, opI64Const, 0, opI64GeS, opIf, blockEmpty)
	out = appendU32(append(out, opLocalGet), local)
	out = appendU32(append(out, opGlobalSet), global)
	return append(p.appendTurn(append(out, opElse), c.carry), opBr, 1, opEnd)
}

// nameSection returns a name section with the names of the module's functions, and of
// ours.
func (p *parsed) nameSection() []byte {
	b := appendName(nil, "name")
	if p.names.module != nil {
		b = appendSection(b, namesModule, p.names.module)
	}
	helpers := p.helpers()
	var named, last []byte
	n := uint32(1 + len(helpers))
	r := reader{data: p.data, pos: p.names.functions.body, end: p.names.functions.end}
	for range p.names.functions.n {
		at := r.pos
		index, name := r.u32(), r.name()
		switch {
		case int64(index) >= int64(len(p.funcs)):
			continue // there is no such function
		case index == p.spendImport():
			last = appendName(appendU32(last, p.firstMoved()), name)
		default:
			named = append(named, p.data[at:r.pos]...)
		}
		n++
	}
	named = appendName(appendU32(named, p.spendImport()), ImportModule+"."+ImportName)
	named = append(named, last...)
	for i, h := range helpers {
		named = appendName(appendU32(named, p.firstMoved()+1+uint32(i)), h.name)
	}
	return appendSection(b, namesFunctions, slices.Concat(appendU32(nil, n), named))
}

// appendName appends a name or other text with its length.
func appendName(b []byte, s string) []byte {
	return append(appendU32(b, uint32(len(s))), s...)
}
