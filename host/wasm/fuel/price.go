package fuel

// Prices, in units of fuel. A unit is about what a small loop's iteration costs,
// a nanosecond or a few.
//
//   - function entry: 1 + (parameters + locals + results)/4 + debt/16
//   - loop header, each iteration: 1 + parameters/4 + debt/16
//   - within straight code: 8 whenever the debt reaches 128
//
// The debt is the number of instructions executed since the last charge, on the
// dearest path that ends there: for a function at any of its exits and calls,
// for a loop at any branch back to it. Without it a body of megabytes without a
// loop would cost one unit an execution, and a budget could last for days. The
// sum of all instructions of a body would be a simpler measure, but a wrong one
// for Go guests: their compiler makes each function one loop around a table of
// jumps, and a loop of a few instructions in the source would pay for its whole
// function at each iteration.
//
// So a path of n instructions costs at least about n/32 units, whatever it
// is made of, and a loop of a few instructions costs 1 an iteration.
const (
	perUnit = 16  // instructions of debt a unit pays
	stride  = 128 // debt that is settled within straight code
)

func entryPrice(values int, debt int32) int32 { return 1 + int32(values)/4 + debt/perUnit }

func loopPrice(params, debt int32) int32 { return 1 + params/4 + debt/perUnit }

// weight is what an instruction adds to the debt: 1, or more where the
// processor takes more than a few cycles.
func weight(in instruction) int32 {
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
	chargeBytes = 48 // at most, of one charge
)

// appendCharge appends the instructions of one charge. They leave the stack as
// it was: for a price of 5, with the fuel in global 3 and the added local 2,
//
//	global.get 3; i64.const 5; i64.sub; local.tee 2; global.set 3
//	local.get 2; i64.const 0; i64.lt_s; if; unreachable; end
//
// The value goes into the global before it is tested, because a negative one is
// how the host tells this trap from others.
func appendCharge(out []byte, c charge, fuelGlobal, fuelLocal uint32) []byte {
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
	out = appendI64(append(out, opI64Const), int64(c.price))
	out = append(out, opI64Sub)
	out = appendU32(append(out, opLocalTee), fuelLocal)
	out = appendU32(append(out, opGlobalSet), fuelGlobal)
	out = appendU32(append(out, opLocalGet), fuelLocal)
	return append(out, opI64Const, 0, opI64LtS, opIf, blockEmpty, opUnreachable, opEnd)
}
