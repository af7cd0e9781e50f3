package fuel

import (
	"cmp"
	"slices"
)

// Limits of what loops carry. The engine stores any more locals at each iteration,
// which costs only time.
const (
	maxTouched = 64    // locals of a loop that are looked at
	maxCarried = 24    // locals of a loop that it carries
	maxShapes  = 1_000 // different lists of types that loops carry
)

// locals finds out which locals each open loop carries from one iteration to the next:
// those that it sets, and that it reads before it has set them. It need not be exact,
// because a local more or less only changes the speed of the loop. So it forgets which
// locals were set wherever paths meet.
type locals struct {
	runs    []run
	set     []uint32  // by local: the stretch of code in which it was last set
	stretch uint32    // the current stretch
	loops   [][]touch // by depth: locals of the open loops; the rest are kept for their memory
	depth   int       // how many loops are open
}

// run is a row of locals of one type. It ends before the local end.
type run struct {
	end uint32
	typ byte
}

type touch struct {
	local     uint32
	set, read bool
}

// begin begins a function.
func (l *locals) begin(params []byte) {
	l.runs, l.depth = l.runs[:0], 0
	for i, typ := range params {
		l.declare(uint32(i)+1, typ)
	}
	l.meet()
}

func (l *locals) declare(end uint32, typ byte) { l.runs = append(l.runs, run{end, typ}) }

func (l *locals) typ(local uint32) byte {
	i, _ := slices.BinarySearchFunc(l.runs, local, func(r run, local uint32) int {
		if r.end <= local {
			return -1
		}
		return 1
	})
	return l.runs[i].typ
}

// meet begins a new stretch of code.
func (l *locals) meet() { l.stretch++ }

func (l *locals) open() {
	l.meet()
	if l.depth == len(l.loops) {
		l.loops = append(l.loops, nil)
	}
	l.loops[l.depth] = l.loops[l.depth][:0]
	l.depth++
}

// touch records that an instruction sets a local or reads it.
func (l *locals) touch(local uint32, set bool) {
	if l.depth == 0 {
		return
	}
	for uint32(len(l.set)) <= local {
		l.set = append(l.set, 0)
	}
	switch {
	case set:
		l.set[local] = l.stretch
	case l.set[local] == l.stretch:
		return // it reads what the loop has set before
	}
	l.note(touch{local: local, set: set, read: !set})
}

func (l *locals) note(t touch) {
	loop := &l.loops[l.depth-1]
	if i := slices.IndexFunc(*loop, func(o touch) bool { return o.local == t.local }); i >= 0 {
		o := &(*loop)[i]
		if o.read || !t.read {
			o.set = o.set || t.set
			return
		}
		t.set = t.set || o.set
		*loop = slices.Delete(*loop, i, i+1)
	}
	if len(*loop) < maxTouched {
		*loop = append(*loop, t)
	}
}

// close ends the innermost loop and returns the locals that it carries, the one that is
// read first first. The result is valid until the next loop is opened.
func (l *locals) close() []touch {
	loop := l.loops[l.depth-1]
	l.depth--
	if l.depth > 0 {
		for _, t := range loop {
			l.note(t)
		}
	}
	loop = slices.DeleteFunc(loop, func(t touch) bool { return !t.set || !t.read })
	return loop[:min(len(loop), maxCarried)]
}

// carry says which locals a loop carries: a part of parsed.carried, and its shape, the
// types as which they are passed to the call and come back.
type carry struct {
	from  int32
	n     int16
	shape int16
}

// carried is a local that a loop carries, and its type.
type carried struct {
	local uint32
	typ   byte
	float bool // it is passed as an f64
}

// carryBytes is how many bytes one carried local adds to the module at most.
const carryBytes = 16

// maxFloats is how many locals are passed as an f64, whatever they are. The engine takes
// a register of its own for each argument, and a value that is in that register and still
// needed is stored, at each iteration. The registers for floats, which are this many, are
// usually free.
const maxFloats = 8

func (p *parsed) carry(r *reader, at int, loop []touch, l *locals) carry {
	if len(loop) == 0 {
		return carry{}
	}
	from, floats := len(p.carried), 0
	for _, t := range loop {
		c := carried{local: t.local, typ: l.typ(t.local)}
		if floats < maxFloats && c.typ >= typeF64 { // all numbers but vectors
			c.float = true
			floats++
		}
		p.carried = append(p.carried, c)
	}
	list := p.carried[from:]
	slices.SortStableFunc(list, func(a, b carried) int { return cmp.Compare(b.passed(), a.passed()) })
	shape := make([]byte, len(list))
	for i, c := range list {
		shape[i] = c.passed()
	}
	n, known := p.shapes[string(shape)]
	if !known {
		if len(p.shapeList) == maxShapes {
			p.carried = p.carried[:from]
			return carry{}
		}
		if p.shapes == nil {
			p.shapes = map[string]uint32{}
		}
		n = uint32(len(p.shapeList))
		p.shapes[string(shape)] = n
		p.shapeList = append(p.shapeList, string(shape))
		p.grow(r, at, helperBytes)
	}
	p.grow(r, at, carryBytes*len(loop))
	return carry{from: int32(from), n: int16(len(loop)), shape: int16(n)}
}

// passed is the type as which a local is passed.
func (c carried) passed() byte {
	if c.float {
		return typeF64
	}
	return c.typ
}

// appendGet appends what puts a local on the stack, as the type as which it is passed.
func (c carried) appendGet(out []byte) []byte {
	out = appendU32(append(out, opLocalGet), c.local)
	if !c.float {
		return out
	}
	switch c.typ {
	case typeI32:
		out = append(out, opI64ExtendU, opF64OfBits)
	case typeI64:
		out = append(out, opF64OfBits)
	case typeF32:
		out = append(out, opBitsOfF32, opI64ExtendU, opF64OfBits)
	}
	return out
}

// appendSet appends what takes the local from the stack again.
func (c carried) appendSet(out []byte) []byte {
	if c.float {
		switch c.typ {
		case typeI32:
			out = append(out, opBitsOfF64, opI32WrapI64)
		case typeI64:
			out = append(out, opBitsOfF64)
		case typeF32:
			out = append(out, opBitsOfF64, opI32WrapI64, opF32OfBits)
		}
	}
	return appendU32(append(out, opLocalSet), c.local)
}

// appendTurn appends the call with which a loop gives the host its turn, passing the locals
// that the loop carries.
func (p *parsed) appendTurn(out []byte, c carry) []byte {
	list := p.carried[c.from:][:c.n]
	helper := p.firstMoved() + 1 + helperSpend
	if c.n > 0 {
		helper = p.firstMoved() + 1 + helperInit + uint32(len(p.large)) + uint32(c.shape)
	}
	for _, l := range list {
		out = l.appendGet(out)
	}
	out = appendU32(append(out, opCall), helper)
	for _, l := range slices.Backward(list) {
		out = l.appendSet(out)
	}
	return out
}
