package fuel

// Prices are in units of fuel. A unit is about one iteration of a small loop, or 1 to
// 2 ns of a usual guest's time:
//
//   - function entry: 1 + (parameters + locals + results)/4 + debt/64
//   - loop header, at each iteration: 1 + parameters/4 + debt/64
//   - straight code: 4 whenever the debt reaches 256
//   - the end of a function, if a load, a store, a division or 16 other instructions
//     followed the last call: 1, or debt/64 if that is more
//   - operations sized by an operand: see rate
//
// The debt is the weight of the instructions executed since the last charge, on the
// dearest path. For a function the path may end at any of its exits and calls, for a
// loop at any branch back to it. Without the debt, a body of megabytes without a loop
// would cost one unit per execution, and a limit would last for days. It would be
// simpler to add up all instructions of a body, but wrong for guests in Go: their
// compiler makes each function one loop around a table of jumps, so a loop of a few
// instructions in the source would pay for its whole function each time.
//
// So n instructions on any path cost at least about n/64 units, or n/128 in code that
// is made for it, and an iteration of a small loop costs 1.
const (
	perUnit = 64  // how much debt a unit pays
	stride  = 256 // the debt at which straight code pays

	testStride = 4096 // how much weight may be executed before a function tests if the slice is spent
	tailFree   = 16   // how many instructions of weight 1 may follow a call, without such a test, before the function ends
)

func entryPrice(values int, debt int32) int32 { return 1 + int32(values)/4 + debt/perUnit }

func loopPrice(params, debt int32) int32 { return 1 + params/4 + debt/perUnit }

// Weights of instructions that do not weigh 1. The times are those of the slowest case
// measured.
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
	// byteRate is a unit for 64 bytes. Copying and filling memory does a few times that
	// in a nanosecond.
	byteRate = &rate{base: 1, shift: 6}
	// entryRate is a unit for 8 table entries of 8 bytes.
	entryRate = &rate{base: 1, shift: 3}
	// tableGrowRate is a unit for 8 entries, too. Its base is for leaving compiled code
	// and coming back, which takes about 100 ns.
	tableGrowRate = &rate{base: 16, shift: 3}
	// memoryGrowRate is for pages of 64 KiB, which the system has to clear. They have
	// the price of a memory.fill.
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

// The most that instrumenting adds.
const (
	addedLocals = 2  // locals of a function: the fuel left (i64) and an operand (i32)
	chargeBytes = 80 // bytes of one charge
	movedBytes  = 4  // bytes that an index grows by
)

// MaxLoopPrice is the most that an iteration of a loop costs. Every slice must have as
// much, if there is as much fuel left; otherwise the loop would never go on.
//
// The reason is how loops pay. The engine stores each value that a loop carries, at each
// iteration, if the value lives through a call anywhere in the loop, even on a path that
// is never taken. So the call that gives the host its turn takes these values and
// returns them. Then the loop begins once more, and has not paid yet. If the price is 5,
// the fuel is in global 3, the added local is 2 and the loop carries the locals 0, an
// i32, and 1, an i64, it pays with
//
//	loop
//	  global.get 3; i64.const 5; i64.sub; local.tee 2; i64.const 0; i64.ge_s
//	  if
//	    local.get 2; global.set 3
//	  else
//	    local.get 0; i64.extend_i32_u; f64.reinterpret_i64; local.get 1; f64.reinterpret_i64
//	    call carry
//	    i64.reinterpret_f64; local.set 1; i64.reinterpret_f64; i32.wrap_i64; local.set 0
//	    br 1
//	  end
//
// See maxFloats for why they are passed as floats. The entry of a function is such a loop,
// too. It carries the parameters and ends where the function's own code begins, unless its
// price is higher than that of any loop. In the middle of a function, where values are on
// the stack, it pays with
//
//	global.get 3; i64.const 5; i64.sub; local.tee 2; global.set 3
//	local.get 2; i64.const 0; i64.ge_s; if; else; call spend; end
//
// The arm with the call is always the second one. The engine lays out the first one first,
// and if the second one leads back to a loop, puts it behind all other code. It also
// allocates registers for the first one, and the second one has to restore them.
//
// The global may become negative here: what it lacks is part of what was spent.
const MaxLoopPrice = 1 + maxValues/4 + (stride+weightRefFunc)/perUnit

// appendPayment appends a payment. It leaves the rest of the fuel on the stack.
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
