package fuel

// Prices, in units of fuel. A unit is about one iteration of a small loop: 1 to
// 2 ns of a usual guest's time.
//
//   - function entry: 1 + (parameters + locals + results)/4 + debt/64
//   - loop header, at each iteration: 1 + parameters/4 + debt/64
//   - straight code: 4 whenever the debt reaches 256
//   - operations sized by an operand: see rate
//
// The debt is the weight of the instructions executed since the last charge, on
// the dearest path that ends there: for a function at any of its exits and calls,
// for a loop at any branch back to it. Without it a body of megabytes without a
// loop would cost one unit an execution, and a budget would last for days. Adding
// up all instructions of a body would be simpler and wrong for Go guests: their
// compiler makes each function one loop around a table of jumps, so a loop of a
// few instructions in the source would pay for its whole function each time.
//
// So n instructions on any path cost about n/64 units at least (n/128 in code
// made for it), and an iteration of a small loop costs 1.
const (
	perUnit = 64  // debt that a unit pays
	stride  = 256 // debt that is settled within straight code

	testStride = 4096 // weight that may be executed until a function looks if the slice is spent
	tailFree   = 16   // what may follow a call without such a look before the function ends
)

func entryPrice(values int, debt int32) int32 { return 1 + int32(values)/4 + debt/perUnit }

func loopPrice(params, debt int32) int32 { return 1 + params/4 + debt/perUnit }

// Weights of instructions, where they are not 1. Measured is the slowest case.
const (
	weightMemory   = 8   // a load that misses all caches: 200 ns
	weightDivision = 8   // divisions and square roots: 3-7 ns, more on older processors
	weightRefFunc  = 256 // leaves the compiled code: 290 ns
)

// weight is what an instruction adds to the debt.
func weight(in instruction) int32 {
	switch op := in.op; {
	case op >= 0x28 && op <= 0x3e:
		return weightMemory
	case op >= 0x6d && op <= 0x70, op >= 0x7f && op <= 0x82, // integers
		op == 0x91, op == 0x95, op == 0x9f, op == 0xa3: // floats: sqrt, div
		return weightDivision
	case op == opRefFunc:
		return weightRefFunc
	case op == opSIMD:
		switch simd[in.sub] {
		case immMemArg, immMemLane:
			return weightMemory
		}
		switch in.sub {
		case 0xe3, 0xe7, 0xef, 0xf3: // sqrt, div
			return weightDivision
		}
	}
	return 1
}

// rate is the price of an instruction whose work depends on the unsigned i32 on
// top of the stack: base + n>>shift, or base + n<<-shift for a negative shift.
type rate struct {
	base  int32
	shift int8
}

var (
	// 64 bytes a unit; a memory copies and fills a few of those a nanosecond.
	byteRate = &rate{base: 1, shift: 6}
	// 8 entries of 8 bytes.
	entryRate = &rate{base: 1, shift: 3}
	// The same; the way out of compiled code and back is about 100 ns.
	tableGrowRate = &rate{base: 16, shift: 3}
	// Pages of 64 KiB that the system has to clear, at the price of memory.fill.
	memoryGrowRate = &rate{base: 16, shift: -10}
)

func rateOf(in instruction) *rate {
	switch in.op {
	case opMemoryGrow:
		return memoryGrowRate
	case opMisc:
		switch in.sub {
		case miscMemoryInit, miscMemoryCopy, miscMemoryFill:
			return byteRate
		case miscTableInit, miscTableCopy, miscTableFill:
			return entryRate
		case miscTableGrow:
			return tableGrowRate
		}
	}
	return nil
}

const (
	addedLocals = 2  // at most, per function: the fuel left (i64) and an operand (i32)
	chargeBytes = 80 // at most, of one charge
	movedBytes  = 4  // by which an index grows at most
)

// Kinds of charges. For a price of 5, with the fuel in global 3 and the added local
// 2, a function's entry pays with
//
//	global.get 3; i64.const 5; i64.sub; local.tee 2; global.set 3
//	local.get 2; i64.const 0; i64.ge_s; if; else; call spend; end
//
// What was lacking stays in the global, as part of what was spent. The dear way is
// the second arm, because the engine allocates registers for the first one and
// leaves it to the other to restore them.
//
// In a loop that would be dear all the same: the engine stores each value that a
// loop carries, at each iteration, if it lives through a call anywhere inside. So it
// is handed to the call and comes back as its result, with which the loop begins
// once more, its price unpaid. For a loop that carries the locals 0 and 1:
//
//	loop
//	  global.get 3; i64.const 5; i64.sub; local.tee 2; i64.const 0; i64.lt_s
//	  if; local.get 0; local.get 1; call carry; local.set 1; local.set 0; br 1; end
//	  local.get 2; global.set 3
//
// MaxLoopPrice is what an iteration costs at most, which every slice has to have
// if there is as much, or the loop would never get on.
const MaxLoopPrice = 1 + maxValues/4 + (stride+weightRefFunc)/perUnit

// appendSpend calls a helper unless the i32 on top of the stack is true.
func appendSpend(out []byte, helper uint32) []byte {
	out = append(out, opIf, blockEmpty, opElse)
	return append(appendU32(append(out, opCall), helper), opEnd)
}

// appendPayment leaves on the stack what remains after a payment.
func appendPayment(out []byte, c charge, fuelGlobal, fuelLocal uint32) []byte {
	operand := fuelLocal + 1
	if c.size != nil {
		out = appendU32(append(out, opLocalTee), operand)
	}
	out = appendU32(append(out, opGlobalGet), fuelGlobal)
	if c.size != nil {
		out = appendU32(append(out, opLocalGet), operand)
		out = append(out, opI64ExtendU)
		if c.size.shift < 0 {
			out = append(out, opI64Const, byte(-c.size.shift), opI64Shl)
		} else {
			out = append(out, opI64Const, byte(c.size.shift), opI64ShrU)
		}
		out = append(out, opI64Sub)
	}
	if c.price == 0 {
		return out
	}
	out = appendI64(append(out, opI64Const), int64(c.price))
	return append(out, opI64Sub)
}
