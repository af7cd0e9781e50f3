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
	for i := range *loop {
		if o := &(*loop)[i]; o.local == t.local {
			o.set, o.read = o.set || t.set, o.read || t.read
			return
		}
	}
	if len(*loop) < maxTouched {
		*loop = append(*loop, t)
	}
}

// close ends the innermost loop and returns the locals that it carries, ordered by type.
// The result is valid until the next loop is opened.
func (l *locals) close() []touch {
	loop := l.loops[l.depth-1]
	l.depth--
	if l.depth > 0 {
		for _, t := range loop {
			l.note(t)
		}
	}
	loop = slices.DeleteFunc(loop, func(t touch) bool { return !t.set || !t.read })
	loop = loop[:min(len(loop), maxCarried)]
	slices.SortFunc(loop, func(a, b touch) int {
		return cmp.Or(cmp.Compare(l.typ(a.local), l.typ(b.local)), cmp.Compare(a.local, b.local))
	})
	return loop
}

// carry says which locals a loop carries: a part of parsed.carried, and its shape.
type carry struct {
	from  int32
	n     int16
	shape int16
}

// carryBytes is how many bytes one carried local adds to the module at most.
const carryBytes = 8

func (p *parsed) carry(r *reader, at int, loop []touch, l *locals) carry {
	shape := make([]byte, len(loop))
	for i, t := range loop {
		shape[i] = l.typ(t.local)
	}
	if len(loop) == 0 {
		return carry{}
	}
	n, known := p.shapes[string(shape)]
	if !known {
		if len(p.shapeList) == maxShapes {
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
	c := carry{from: int32(len(p.carried)), n: int16(len(loop)), shape: int16(n)}
	for _, t := range loop {
		p.carried = append(p.carried, t.local)
	}
	p.grow(r, at, carryBytes*len(loop))
	return c
}

// again appends the call with which a loop gives the host its turn, passing the locals
// that the loop carries.
func (p *parsed) again(out []byte, c carry) []byte {
	carried := p.carried[c.from:][:c.n]
	helper := p.firstMoved() + 1 + helperSpend
	if c.n > 0 {
		helper = p.firstMoved() + 1 + helperInit + uint32(len(p.large)) + uint32(c.shape)
	}
	for _, local := range carried {
		out = appendU32(append(out, opLocalGet), local)
	}
	out = appendU32(append(out, opCall), helper)
	for i := range carried {
		out = appendU32(append(out, opLocalSet), carried[len(carried)-1-i])
	}
	return out
}
