package fuel

// Compiling a module is bounded, too. The engine's work for an instruction is not
// constant: from each basic block it walks up through all blocks that dominate it, it
// compares all values that come in over a branch, and it keeps lists of the values that
// live in each block. 100 KB could take it half a minute or gigabytes, and nothing can
// stop it within a function. Therefore the effort of each function is estimated here,
// in nanoseconds of wazero 1.12 on the machine of docs/design/0002-fuel.md, and limited.
const (
	maxEffort    = 500_000_000    // of a function, which may take about 400 MB of memory
	maxAllEffort = 10_000_000_000 // of all functions
)

// Prices of the estimate in nanoseconds, measured with functions that repeat one thing.
// If something takes memory rather than time, its price is for the memory, at 1.5 ns a
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
	effortDominator   = 5     // for each block that dominates a block or branch
	effortLive        = 12    // for each value that may live through a block
	effortFind        = 25    // for each block that is searched for the value of a variable that is used
)

// never is the depth of code that no path leads to. The engine skips it.
const never = 1 << 40

// effort estimates one function, instruction by instruction. It trusts the types. If
// they are wrong, the estimate is wrong, too, but the engine then refuses the module
// before it compiles anything. Here, "blocks" are the engine's basic blocks, and
// "labels" are the blocks of WebAssembly.
type effort struct {
	p      *parsed
	spent  int64
	locals int64 // the number of locals and parameters
	labels []label
	place  place
}

// place is what the effort of the next instruction depends on.
type place struct {
	height int64 // operands on the stack
	depth  int64 // blocks that dominate this one, and addresses checked in them, at most
	chain  int64 // how many blocks in a row, up to this one, have a single predecessor
}

// label is an open block, loop or if.
type label struct {
	op       byte  // opBlock for the function; of an if, opElse after its else
	arity    int64 // how many values a branch to it passes
	left     int64 // how many operands are on the stack after its end
	start    place
	depth    int64 // the lowest depth of a path to its end
	chain    int64 // the longest chain of a path to its end
	branches int64 // how many paths lead to its end; to the start, for a loop
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

// block begins a block whose only predecessor is the current one.
func (e *effort) block() {
	if e.reached() {
		live := e.locals + int64(e.p.globalN) + max(e.place.height, 0)
		e.spent += effortBlock + effortDominator*e.place.depth + effortLive*live
		e.place.depth++
		e.place.chain++
	}
}

// test is for a charge that tests if the slice is spent: an if with nothing in its first
// arm and a call in its second.
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

// turn is for the arm in which a loop gives the host its turn: it passes so many locals to the
// call, and begins once more. It comes on top of test.
func (e *effort) turn(carried int) {
	e.add((2*effortValue + effortFind) * int64(carried))
}

// find is for the search for the value of a variable.
func (e *effort) find() { e.add(effortFind * e.place.chain) }

// branch is for a branch to a label. Each local may get a value over the branch. The
// engine looks for that value and compares it with all others, and does the same with
// the branch. At the end of a function, locals are not needed any more.
func (e *effort) branch(to uint32) {
	if !e.reached() || e.spent > maxEffort || int64(to) >= int64(len(e.labels)) {
		return // over maxEffort, so that the sum can't overflow
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

// step is for an instruction. The branches of a br_table come before it.
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
		e.add(effortSized + 2*e.locals*e.locals) // its paths part and meet several times
		for range 4 {
			e.block()
		}
	case weight(in) == weightMemory:
		e.add(effortMemory)
		e.find()           // the memory's address
		e.find()           // its size
		e.place.depth += 2 // every block from here on is told what is known of this address
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
		e.place.chain = 0 // where paths meet, the engine remembers values that it has found
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

// end closes the innermost label. For the engine, every if has two arms.
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

// operands returns by how many operands an instruction changes the height of the stack,
// for the instructions that plain is for. For SIMD the result may be too high.
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
