package fuel

// Compiling a module is bounded, too. For an instruction the engine does more
// than a constant: from each basic block it walks up through all that dominate
// it, it compares all values that come in over a branch, it keeps lists of what
// lives in each block. 100 KB could take it half a minute or gigabytes, and
// nothing can stop it within a function. Therefore the effort of each function
// is estimated here, in nanoseconds of wazero 1.12 on the machine of
// docs/design/0002-fuel.md, and limited.
const (
	maxEffort    = 500_000_000    // of a function; it may take about 400 MB of memory meanwhile
	maxAllEffort = 10_000_000_000 // of all functions
)

// Prices of the estimate in nanoseconds, measured with functions made of one
// thing. Where memory is what is dear it is memory that is priced, at 1.5 ns a
// byte.
const (
	effortInstruction = 400
	effortMemory      = 2_000  // loads and stores: the check of the address
	effortTable       = 10_000 // table.get, table.set
	effortSized       = 15_000 // operations sized by an operand, which become calls and loops
	effortCall        = 2_000
	effortIndirect    = 30_000
	effortValue       = 1_250 // a parameter or result, wherever it is passed
	effortGlobal      = 250   // a global, for each call, which may change it
	effortBlock       = 1_500
	effortEntry       = 5_000 // an entry of a br_table, which becomes a block
	effortDominator   = 5     // for a block and for a branch: each block that dominates it
	effortLive        = 12    // for a block: each value that may live through it
	effortFind        = 25    // for a use of a variable: each block looked at for its value
)

// never is the depth of code that no path leads to. The engine skips it.
const never = 1 << 40

// effort estimates one function, instruction by instruction. It believes the
// types: where they are wrong the estimate is, too, and the engine refuses the
// module before it compiles anything. "Blocks" are the engine's basic blocks
// here, "labels" those of WebAssembly.
type effort struct {
	p      *parsed
	spent  int64
	locals int64 // with the parameters
	labels []label
	place  place
}

// place is what the effort depends on from one instruction to the next.
type place struct {
	height int64 // operands on the stack
	depth  int64 // blocks that dominate this one, and addresses checked in them, at most
	chain  int64 // blocks in a row that have one way in each, up to here
}

// label is an open block, loop or if.
type label struct {
	op       byte  // opBlock for the function; opElse from there on
	arity    int64 // values that a branch to it passes
	left     int64 // operands there are behind its end
	start    place
	depth    int64 // the lowest depth of a way to its end
	chain    int64 // the longest chain of those
	branches int64 // how many ways there are, for a loop to its start
}

// begin begins a function.
func (e *effort) begin(p *parsed, t FuncType, locals int) {
	results := int64(len(t.Results))
	*e = effort{
		p:      p,
		spent:  effortBlock + effortLive*int64(p.globalN),
		locals: int64(locals),
		labels: append(e.labels[:0], label{op: opBlock, arity: results, left: results, depth: never}),
	}
}

func (e *effort) reached() bool { return e.place.depth < never }

func (e *effort) add(ns int64) {
	if e.reached() {
		e.spent += ns
	}
}

// block begins a block with one way in, from the current one.
func (e *effort) block() {
	if e.reached() {
		live := e.locals + int64(e.p.globalN) + max(e.place.height, 0)
		e.spent += effortBlock + effortDominator*e.place.depth + effortLive*live
		e.place.depth++
		e.place.chain++
	}
}

// test is an if that has nothing in its first arm and a call in its second: a
// charge that asks if the slice is spent.
func (e *effort) test() {
	before := e.place
	e.block()
	e.place = before
	e.block()
	e.add(effortCall + effortGlobal*int64(e.p.globalN))
	e.block()
	e.place.depth = before.depth + 1
	e.place.chain = 0
}

// again is the arm in which a loop hands on so many locals and begins once more,
// besides a test.
func (e *effort) again(carried int) {
	e.add((2*effortValue + effortFind) * int64(carried))
}

// find looks for the value of a variable.
func (e *effort) find() { e.add(effortFind * e.place.chain) }

// branch takes a way to a label. Each local may get a value from it there, which
// is looked for and compared with all others, and so is the way. At a function's
// end locals are of no use any more.
func (e *effort) branch(to uint32) {
	if !e.reached() || e.spent > maxEffort || int64(to) >= int64(len(e.labels)) {
		return // the sum can't overflow so
	}
	l := &e.labels[len(e.labels)-1-int(to)]
	passed := l.arity
	if l != &e.labels[0] {
		passed += e.locals
	}
	e.spent += effortDominator*e.place.depth + effortValue*l.arity +
		passed*(passed/2+effortFind*(1+e.place.chain)) + l.branches/2
	l.branches++
	if l.op != opLoop {
		l.depth = min(l.depth, e.place.depth)
		l.chain = max(l.chain, e.place.chain)
	}
}

// step takes an instruction, behind the branches it makes.
func (e *effort) step(in instruction) {
	e.add(effortInstruction)
	switch in.op {
	case opBlock, opLoop, opIf:
		e.open(in)
	case opElse:
		e.otherwise()
	case opEnd:
		e.end()
	case opBrIf:
		e.place.height--
		e.block()
	case opReturn:
		e.branch(uint32(len(e.labels) - 1))
		e.place.depth = never
	case opBr, opBrTable, opUnreachable:
		e.place.depth = never
	case opCall:
		e.add(effortCall)
		if int64(in.arg) < int64(len(e.p.funcs)) {
			e.call(e.p.types[e.p.funcs[in.arg]])
		}
	case opCallIndir:
		e.add(effortIndirect)
		e.place.height--
		if int64(in.arg) < int64(len(e.p.types)) {
			e.call(e.p.types[in.arg])
		}
	default:
		e.plain(in)
	}
}

func (e *effort) plain(in instruction) {
	switch {
	case in.op == opLocalGet, in.op == opGlobalGet:
		e.find()
	case in.op == opTableGet, in.op == opTableSet:
		e.add(effortTable)
	case rateOf(in) != nil:
		e.add(effortSized + 2*e.locals*e.locals) // they meet and part several times
		for range 4 {
			e.block()
		}
	case weight(in) == weightMemory:
		e.add(effortMemory)
		e.find()           // the memory's address
		e.find()           // its size
		e.place.depth += 2 // what is known of this address is handed on to each block from here
	}
	e.place.height += operands(in)
}

func (e *effort) call(t FuncType) {
	params, results := int64(len(t.Params)), int64(len(t.Results))
	e.add(effortValue*(params+results) + effortGlobal*int64(e.p.globalN))
	e.place.height += results - params
}

// open begins a block, loop or if.
func (e *effort) open(in instruction) {
	var params, results int64
	switch {
	case in.typed && int64(in.arg) < int64(len(e.p.types)):
		t := e.p.types[in.arg]
		params, results = int64(len(t.Params)), int64(len(t.Results))
	case e.p.data[in.at+1] != blockEmpty:
		results = 1
	}
	e.add(effortValue * (params + results))
	if in.op == opIf {
		e.place.height--
	}
	l := label{op: in.op, arity: results, left: e.place.height - params + results, start: e.place, depth: never}
	switch in.op {
	case opBlock:
		e.labels = append(e.labels, l)
	case opLoop:
		l.arity = params
		e.labels = append(e.labels, l)
		e.branch(0)
		e.block()
		e.place.chain = 0 // values found once are remembered where ways meet
	case opIf:
		e.labels = append(e.labels, l)
		e.block()
	}
}

// otherwise ends the first arm of an if and begins the second.
func (e *effort) otherwise() {
	e.branch(0)
	l := &e.labels[len(e.labels)-1]
	l.op, e.place = opElse, l.start
	e.block()
}

// end closes the innermost label. To the engine every if has two arms.
func (e *effort) end() {
	l := &e.labels[len(e.labels)-1]
	if l.op == opIf {
		e.otherwise()
	}
	e.branch(0)
	if l.op != opLoop {
		e.place.depth, e.place.chain = l.depth, l.chain
		if l.branches > 1 {
			e.place.chain = 0
		}
	}
	e.place.height = l.left
	if e.labels = e.labels[:len(e.labels)-1]; len(e.labels) > 0 {
		e.block()
	}
}

// operands is by how many an instruction changes the height of the stack, of
// those that plain is for. For SIMD it is more, or as many.
func operands(in instruction) int64 {
	switch in.op {
	case opMisc:
		return int64(miscOperands[in.sub])
	case opSIMD:
		if in.sub == simdConst {
			return 1
		}
		return 0
	}
	return int64(plainOperands[in.op])
}

var plainOperands = func() (t [256]int8) {
	span := func(from, to int, n int8) {
		for op := from; op <= to; op++ {
			t[op] = n
		}
	}
	t[0x1a] = -1         // drop
	span(0x1b, 0x1c, -2) // select
	t[opLocalGet], t[opLocalSet] = 1, -1
	t[opGlobalGet], t[opGlobalSet] = 1, -1
	t[opTableSet] = -2
	span(0x36, 0x3e, -2) // stores
	t[0x3f] = 1          // memory.size
	span(opI32Const, opF64Const, 1)
	span(0x46, 0x4f, -1) // comparisons, but those with zero
	span(0x51, 0x66, -1)
	span(0x6a, 0x78, -1) // arithmetic with two operands
	span(0x7c, 0x8a, -1)
	span(0x92, 0x98, -1)
	span(0xa0, 0xa6, -1)
	t[opRefNull], t[opRefFunc] = 1, 1
	return t
}()

var miscOperands = [len(misc)]int8{
	miscMemoryInit: -3, miscMemoryCopy: -3, miscMemoryFill: -3,
	miscTableInit: -3, miscTableCopy: -3, miscTableFill: -3,
	miscTableGrow: -1, miscTableSize: 1,
}
