package fuel

import (
	"fmt"
	"time"
)

// body is one function of the module, with the places where it pays.
type body struct {
	localN  int     // number of declarations of locals
	locals  section // these declarations, without their number
	first   uint32  // index of the first added local: the number of parameters and locals before
	code    section
	charges []charge // by offset; the first is the entry's
	sized   bool     // the price of a charge depends on an operand
}

// charge is one place where a function pays.
type charge struct {
	at    int32 // the offset of the byte that the charge comes before
	price int32
	kind  chargeKind
	size  *rate // what the i32 on top of the stack costs besides the price; nil: nothing
	op    sized // the instruction that follows, if it may have to be done in pieces
	end   int32 // where that instruction ends
	carry carry // of a payEntry or payLoop
}

// chargeKind says what a charge does besides paying.
type chargeKind byte

const (
	payAndTest chargeKind = iota // tests afterwards if the slice is spent
	payOnly                      // leaves the test to the next charge
	payEntry                     // is at the start of a function, in a loop of its own, and tests as payLoop does
	payLoop                      // is at the start of a loop, and tests as price.go says
)

// path is the weight of what the dearest path to a place has executed.
type path struct {
	debt int32 // since the last charge
	open int32 // since the last test
	// called says that a call has returned since the last test. tail is the weight of
	// what followed it, and at least tailFree after an instruction that weighs more than 1.
	called bool
	tail   int32
}

// or returns the dearer of two paths that lead to the same place.
func (p path) or(q path) path {
	return path{max(p.debt, q.debt), max(p.open, q.open), p.called || q.called, max(p.tail, q.tail)}
}

// frame is an open block of the function being read.
type frame struct {
	op     byte   // opBlock for the function itself, too
	at     int32  // its offset
	path   path   // the dearest path of the branches to this block: to the start of a loop, else to the end
	start  path   // the path to an opIf
	charge int32  // the index of the charge of an opLoop
	params int32  // the number of parameters of an opLoop
	jumps  *jumps // of a loop that begins with a table of jumps, and of the blocks between it and the table
}

// code reads the code section.
func (p *parsed) code(r *reader) {
	n := r.count(p.limits.MaxFunctions, "function bodies")
	if r.err == nil && n != p.defined() {
		r.failAt(r.pos, "%d functions declared, %d defined", p.defined(), n)
	}
	sum := 0
	var frames []frame
	var effort effort
	var names locals
	var labels []uint32
	for i := len(p.imports); i < len(p.funcs) && r.err == nil; i++ {
		size := r.u32()
		if uint64(size) > uint64(r.left()) {
			r.failAt(r.pos, "function %d has %d bytes, the section %d more", i, size, r.left())
			return
		}
		content := r.sub(int(size))
		w := walker{p: p, r: &content, frames: frames[:0], effort: effort, locals: names, labels: labels}
		w.function(p.types[p.funcs[i]])
		content.done("a function")
		if content.err != nil {
			r.fail(fmt.Errorf("function %d: %w", i, content.err))
			return
		}
		frames, effort, names, labels = w.frames, w.effort, w.locals, w.labels
		p.bodies = append(p.bodies, w.body)
		if sum += int(w.body.first); sum > maxAllLocals {
			r.failAt(r.pos, "more than %d locals in all functions", maxAllLocals)
		}
		p.dearest = max(p.dearest, effort.spent)
		if p.effort += effort.spent; p.effort > maxAllEffort {
			r.fail(fmt.Errorf("function %d: all functions up to here take over %v to compile, the limit", i, time.Duration(maxAllEffort)))
		}
	}
}

// walker reads one function and decides where it pays, and how much.
//
// path is the dearest path to where the walker is. Branches carry it to where they
// lead, so that it is known everywhere after one pass. Code that no path reaches is
// treated as if it had no debt; its charges are never executed.
type walker struct {
	p      *parsed
	r      *reader
	body   body
	frames []frame
	path   path
	exit   int32 // the highest debt at a return or call
	leaves bool  // the br_table that is being read leads out of the function
	locals locals
	effort effort
	before [2]instruction // the last two, the last one last
	labels []uint32       // of the br_table that is being read
}

func (w *walker) function(t FuncType) {
	r := w.r
	w.declarations(t.Params)
	w.body.code = section{body: r.pos, end: r.end}
	w.effort.begin(w.p, t, int(w.body.first))
	w.pay(charge{at: int32(r.pos)})
	w.frames = append(w.frames, frame{op: opBlock})
	for r.err == nil && len(w.frames) > 0 {
		w.leaves, w.labels = false, w.labels[:0]
		w.step(r.next(w.entry))
	}
	if r.err == nil {
		w.closeEntry(&w.body.charges[0], t)
	}
}

// closeEntry fills in what is known of the entry at the end of the function.
func (w *walker) closeEntry(c *charge, t FuncType) {
	c.price = entryPrice(int(w.body.first)+len(t.Results), w.exit)
	if c.price > MaxLoopPrice {
		return // a slice that is smaller would never get over it
	}
	c.kind = payEntry
	var params []touch
	for i := range min(len(t.Params), maxCarried) {
		params = append(params, touch{local: uint32(i)})
	}
	c.carry = w.p.carry(w.r, int(c.at), params, &w.locals)
	w.effort.turn(int(c.carry.n))
}

// declarations reads the declarations of locals.
func (w *walker) declarations(params []byte) {
	r := w.r
	at := r.pos
	total := uint64(len(params))
	w.locals.begin(params)
	w.body.localN = r.count(len(r.data), "declarations of locals")
	w.body.locals.body = r.pos
	for i := 0; i < w.body.localN && r.err == nil; i++ {
		total += uint64(r.u32())
		typ := r.valueType()
		if total > maxLocals-addedLocals {
			r.failAt(at, "more than %d parameters and locals", maxLocals-addedLocals)
			return
		}
		w.locals.declare(uint32(total), typ)
	}
	w.body.locals.end = r.pos
	w.body.first = uint32(total)
}

// pay adds a charge, which settles the debt.
func (w *walker) pay(c charge) {
	if w.p.grow(w.r, int(c.at), chargeBytes); w.r.err != nil {
		return
	}
	w.body.charges = append(w.body.charges, c)
	w.body.sized = w.body.sized || c.size != nil
	w.path.debt = 0
	if c.kind == payOnly {
		return
	}
	w.path = path{}
	w.effort.test()
}

func (w *walker) push(f frame) {
	if len(w.frames) >= maxNesting {
		w.r.failAt(w.r.pos, "more than %d blocks inside one another", maxNesting)
		return
	}
	w.frames = append(w.frames, f)
}

// ends reports whether an instruction may end the function.
func (w *walker) ends(in instruction) bool {
	switch in.op {
	case opReturn:
		return true
	case opEnd:
		return len(w.frames) == 1
	case opBr, opBrIf:
		return int(in.arg) == len(w.frames)-1
	case opBrTable:
		return w.leaves
	}
	return false
}

// settle adds the charge that is needed before an instruction, if one is.
func (w *walker) settle(in instruction) {
	at, debt := int32(in.at), w.path.debt
	switch {
	case w.path.called && w.path.tail >= tailFree && w.ends(in):
		// However little that is, it costs something: a deep recursion makes its way back
		// in millions of such pieces, which have to spend the slice.
		w.pay(charge{at: at, price: max(1, debt/perUnit)})
	case w.path.open >= testStride:
		w.pay(charge{at: at, price: debt / perUnit})
	case debt >= stride, in.op == opLoop && debt > perUnit:
		w.pay(charge{at: at, price: debt / perUnit, kind: payOnly})
	}
	if size := rateOf(in); size != nil {
		w.pay(charge{at: at, price: size.base + w.path.debt/perUnit, size: size, op: sizedOf(in), end: int32(w.r.pos)})
	}
	n := weight(in)
	w.path.debt += n
	w.path.open += n
	if w.path.tail += n; n > 1 {
		w.path.tail = max(w.path.tail, tailFree)
	}
}

func (w *walker) step(in instruction) {
	if w.r.err != nil {
		return
	}
	if in.op == opBr {
		in.arg = w.shortcut(in)
	}
	w.settle(in)

	switch in.op {
	case opBlock, opIf:
		w.blockParams(in)
		w.push(frame{op: in.op, at: int32(in.at), start: w.path})
	case opLoop:
		params := w.blockParams(in)
		w.push(frame{op: opLoop, at: int32(in.at), charge: int32(len(w.body.charges)), params: params})
		w.pay(charge{at: int32(w.r.pos), kind: payLoop})
		w.locals.open()
	case opElse:
		f := &w.frames[len(w.frames)-1]
		if f.op != opIf {
			w.r.failAt(in.at, "else without if")
			return
		}
		f.op, f.path = opElse, f.path.or(w.path)
		w.path = f.start
		w.locals.meet()
	case opEnd:
		w.end()
	case opBr:
		w.branch(in.arg)
		w.path = path{}
	case opBrIf:
		w.branch(in.arg)
	case opBrTable:
		w.table()
		w.path = path{}
	case opUnreachable:
		w.path = path{}
	case opReturn:
		w.exit = max(w.exit, w.path.debt)
		w.path = path{}
	case opCall:
		w.p.funcIndex(w.r, in.at+1, in.arg)
		w.call()
	case opCallIndir:
		if w.r.err == nil && int64(in.arg) >= int64(len(w.p.types)) {
			w.r.missing(in.at+1, "type", in.arg, len(w.p.types))
		}
		w.call()
	case opRefFunc:
		w.p.funcIndex(w.r, in.at+1, in.arg)
	case opLocalGet, opLocalSet, opLocalTee:
		if in.arg >= w.body.first {
			w.r.missing(in.at, "local", in.arg, int(w.body.first))
		} else {
			w.locals.touch(in.arg, in.op != opLocalGet)
		}
	case opGlobalGet, opGlobalSet:
		w.p.globalIndex(w.r, in.at, in.arg)
	}
	if w.r.err == nil {
		w.effort.step(in)
	}
	w.before[0], w.before[1] = w.before[1], in
	if w.effort.spent > maxEffort {
		w.r.failAt(in.at, "up to here the function takes over %v to compile, the limit: it has too many blocks, branches, calls or locals", time.Duration(maxEffort))
	}
}

// call is for an instruction that calls a function and comes back.
func (w *walker) call() {
	w.exit = max(w.exit, w.path.debt)
	w.path.called, w.path.tail = true, 0
}

// blockParams checks a block's type and counts its parameters.
func (w *walker) blockParams(in instruction) int32 {
	if !in.typed {
		return 0
	}
	if int64(in.arg) >= int64(len(w.p.types)) {
		w.r.missing(in.at, "type", in.arg, len(w.p.types))
		return 0
	}
	return int32(len(w.p.types[in.arg].Params))
}

// end closes the innermost block. The end of the function is an exit.
func (w *walker) end() {
	f := w.frames[len(w.frames)-1]
	w.frames = w.frames[:len(w.frames)-1]
	if f.jumps != nil && f.op == opBlock {
		f.jumps.open = int32(len(w.frames) - 1)
	}
	switch f.op {
	case opLoop:
		if w.r.err == nil {
			w.closeLoop(&w.body.charges[f.charge], f)
		}
	case opIf:
		w.path = w.path.or(f.path).or(f.start)
	default:
		w.path = w.path.or(f.path)
	}
	if f.op != opLoop {
		w.locals.meet()
	}
	if len(w.frames) == 0 {
		w.exit = max(w.exit, w.path.debt)
	}
}

// entry is for one label of a br_table.
func (w *walker) entry(label uint32) {
	w.effort.add(effortEntry)
	w.leaves = w.leaves || int(label) == len(w.frames)-1
	w.labels = append(w.labels, label)
	w.branch(label)
}

// closeLoop completes the charge of a loop with what is known at the loop's end.
func (w *walker) closeLoop(c *charge, f frame) {
	c.price = loopPrice(f.params, f.path.debt)
	carried := w.locals.close()
	if f.params > 0 {
		// The parameters are on the stack and can't be passed to the call.
		c.kind = payAndTest
		return
	}
	c.carry = w.p.carry(w.r, int(c.at), carried, &w.locals)
	w.effort.turn(int(c.carry.n))
}

// branch carries the path to a label.
func (w *walker) branch(label uint32) {
	if int64(label) >= int64(len(w.frames)) {
		w.r.missing(w.r.pos, "label", label, len(w.frames))
		return
	}
	f := &w.frames[len(w.frames)-1-int(label)]
	f.path = f.path.or(w.path)
	w.effort.branch(label)
}
