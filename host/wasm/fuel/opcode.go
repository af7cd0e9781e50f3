package fuel

// Opcodes that the package writes itself or treats specially. The numbers are those of
// the binary format, https://webassembly.github.io/spec/core/binary/instructions.html.
const (
	opUnreachable = 0x00
	opBlock       = 0x02
	opLoop        = 0x03
	opIf          = 0x04
	opElse        = 0x05
	opEnd         = 0x0b
	opBr          = 0x0c
	opBrIf        = 0x0d
	opBrTable     = 0x0e
	opReturn      = 0x0f
	opCall        = 0x10
	opCallIndir   = 0x11
	opLocalGet    = 0x20
	opLocalSet    = 0x21
	opLocalTee    = 0x22
	opGlobalGet   = 0x23
	opGlobalSet   = 0x24
	opTableGet    = 0x25
	opTableSet    = 0x26
	opMemoryGrow  = 0x40
	opI32Const    = 0x41
	opI64Const    = 0x42
	opF32Const    = 0x43
	opF64Const    = 0x44
	opMemorySize  = 0x3f
	opI32GtU      = 0x4b
	opI64LtS      = 0x53
	opI64GtU      = 0x56
	opI64GeS      = 0x59
	opI32Add      = 0x6a
	opI32Sub      = 0x6b
	opI64Add      = 0x7c
	opI64Sub      = 0x7d
	opI64Shl      = 0x86
	opI64ShrU     = 0x88
	opI32WrapI64  = 0xa7
	opI64ExtendU  = 0xad
	opBitsOfF32   = 0xbc
	opBitsOfF64   = 0xbd
	opF32OfBits   = 0xbe
	opF64OfBits   = 0xbf
	opRefNull     = 0xd0
	opRefFunc     = 0xd2
	opMisc        = 0xfc // saturating conversion, bulk memory, tables
	opSIMD        = 0xfd

	miscMemoryInit = 8
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableSize  = 16
	miscTableFill  = 17

	simdConst = 12

	blockEmpty = 0x40
)

// Types of values.
const (
	typeI32    = 0x7f
	typeI64    = 0x7e
	typeF32    = 0x7d
	typeF64    = 0x7c
	typeV128   = 0x7b
	typeFunc   = 0x70
	typeExtern = 0x6f
)

// immediate says what follows an opcode.
type immediate byte

const (
	immUnknown   immediate = iota // there is no such instruction, or its feature is refused
	immNone                       // nothing
	immBlockType                  // the type of a block, loop or if
	immLabel                      // how many blocks a branch leaves
	immLabels                     // br_table: a vector of labels and one more
	immLocal                      // index of a local
	immGlobal                     // index of a global
	immIndex                      // any other index
	immTwoIndex                   // two other indexes
	immMemArg                     // alignment and offset
	immMemLane                    // alignment, offset and a lane
	immLane                       // index of a lane
	immBytes16                    // 16 bytes: v128.const, i8x16.shuffle
	immConst32                    // a signed number of 32 bits
	immConst64                    // a signed number of 64 bits
	immFloat32                    // 4 bytes
	immFloat64                    // 8 bytes
	immRefType                    // the type of a ref.null
	immTypes                      // the types of a select
	immZero                       // a byte that must be 0
	immTwoZeros                   // two bytes that must be 0
	immIndexZero                  // memory.init: an index and a byte that must be 0
)

// plain has the immediates of opcodes of one byte. misc and simd have those of opcodes
// after a prefix. An instruction that isn't listed is refused.
var plain = func() (t [256]immediate) {
	span := func(from, to int, im immediate) {
		for op := from; op <= to; op++ {
			t[op] = im
		}
	}
	span(0x00, 0x01, immNone) // unreachable, nop
	span(opBlock, opIf, immBlockType)
	t[opElse] = immNone
	t[opEnd] = immNone
	span(opBr, opBrIf, immLabel)
	t[opBrTable] = immLabels
	t[opReturn] = immNone
	t[opCall] = immIndex
	t[opCallIndir] = immTwoIndex
	span(0x1a, 0x1b, immNone) // drop, select
	t[0x1c] = immTypes        // select with a type
	span(opLocalGet, opLocalTee, immLocal)
	span(opGlobalGet, opGlobalSet, immGlobal)
	span(opTableGet, opTableSet, immIndex)
	span(0x28, 0x3e, immMemArg)       // loads and stores
	span(0x3f, opMemoryGrow, immZero) // memory.size, memory.grow
	t[opI32Const] = immConst32
	t[opI64Const] = immConst64
	t[opF32Const] = immFloat32
	t[opF64Const] = immFloat64
	span(0x45, 0xc4, immNone) // comparisons, arithmetic, conversions, sign extension
	t[opRefNull] = immRefType
	t[0xd1] = immNone // ref.is_null
	t[opRefFunc] = immIndex
	return t
}()

var misc = [...]immediate{
	immNone, immNone, immNone, immNone, immNone, immNone, immNone, immNone, // saturating conversions
	miscMemoryInit: immIndexZero,
	9:              immIndex, // data.drop
	miscMemoryCopy: immTwoZeros,
	miscMemoryFill: immZero,
	miscTableInit:  immTwoIndex,
	13:             immIndex, // elem.drop
	miscTableCopy:  immTwoIndex,
	miscTableGrow:  immIndex,
	miscTableSize:  immIndex,
	miscTableFill:  immIndex,
}

var simd = func() (t [256]immediate) {
	span := func(from, to int, im immediate) {
		for op := from; op <= to; op++ {
			t[op] = im
		}
	}
	span(0x00, 0x0b, immMemArg) // loads, splat loads, store
	t[simdConst] = immBytes16
	t[0x0d] = immBytes16      // shuffle
	span(0x0e, 0x14, immNone) // swizzle, splats
	span(0x15, 0x22, immLane)
	span(0x23, 0x53, immNone)
	span(0x54, 0x5b, immMemLane)
	span(0x5c, 0x5d, immMemArg) // loads with zeros
	span(0x5e, 0xff, immNone)
	for _, gap := range []int{
		0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb,
		0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee,
	} {
		t[gap] = immUnknown
	}
	return t
}()

// foreign returns the feature that an instruction belongs to, if the ABI does not have
// that feature.
func foreign(op byte) string {
	switch op {
	case 0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f:
		return "exception handling"
	case 0x12, 0x13, 0x15:
		return "tail calls"
	case 0x14, 0xd4, 0xd5, 0xd6:
		return "typed function references"
	case 0xd3, 0xfb:
		return "garbage collection"
	case 0xfe:
		return "threads"
	}
	return ""
}

// instruction is one decoded instruction.
type instruction struct {
	at  int    // its offset
	op  byte   // the first byte
	sub byte   // the number after opMisc or opSIMD
	arg uint32 // label, local, global, function, data segment of memory.init, or the type of a call_indirect or typed block
	// typed says that a block has a function type. arg is the type's index.
	typed bool
}

// next decodes one instruction. visit is called with every label of a br_table.
func (r *reader) next(visit func(label uint32)) (in instruction) {
	in.at = r.pos
	in.op = r.byte()
	im := plain[in.op]
	switch in.op {
	case opMisc:
		if n := r.u32(); n < uint32(len(misc)) {
			in.sub, im = byte(n), misc[n]
		} else {
			r.failAt(in.at, "unknown instruction 0xfc %d", n)
			return in
		}
	case opSIMD:
		// The engine reads the number as one byte, and reads the second byte of
		// longer ones, 01, as a nop. So only the shortest form means the same to
		// the engine and to us.
		n := r.byte()
		in.sub, im = n, simd[n]
		if n >= 0x80 && r.byte() != 1 || im == immUnknown {
			r.failAt(in.at, "unknown SIMD instruction, or its number is not in the shortest form")
			return in
		}
	}
	switch im {
	case immUnknown:
		if feature := foreign(in.op); feature != "" {
			r.failAt(in.at, "instruction %#02x belongs to %s, which adapters cannot use", in.op, feature)
		} else {
			r.failAt(in.at, "unknown instruction %#02x", in.op)
		}
	case immBlockType:
		in.arg, in.typed = r.blockType()
	case immLabel, immLocal, immGlobal, immIndex:
		in.arg = r.u32()
	case immLabels:
		for n := r.count(len(r.data), "labels"); n > 0 && r.err == nil; n-- {
			visit(r.u32())
		}
		visit(r.u32())
	case immTwoIndex:
		in.arg = r.u32()
		r.u32()
	case immMemArg:
		r.memArg()
	case immMemLane:
		r.memArg()
		r.byte()
	case immLane:
		r.byte()
	case immBytes16:
		r.skip(16)
	case immConst32:
		r.signed(32)
	case immConst64:
		r.signed(64)
	case immFloat32:
		r.skip(4)
	case immFloat64:
		r.skip(8)
	case immRefType:
		r.refType()
	case immTypes:
		for n := r.count(maxValues, "types of select"); n > 0 && r.err == nil; n-- {
			r.valueType()
		}
	case immZero:
		r.expectZero("memory index")
	case immTwoZeros:
		r.expectZero("memory index")
		r.expectZero("memory index")
	case immIndexZero:
		in.arg = r.u32()
		r.expectZero("memory index")
	}
	return in
}

// blockType reads the type of a block. ok says that it is a function type, with that
// index. The index is a positive number of 33 bits, which needs no more bytes than one
// of 32 bits.
func (r *reader) blockType() (function uint32, ok bool) {
	if r.pos < r.end && r.data[r.pos] >= 0x40 && r.data[r.pos] < 0x80 {
		if r.data[r.pos] == blockEmpty {
			r.pos++
		} else {
			r.valueType()
		}
		return 0, false
	}
	at := r.pos
	function = r.u32()
	if last := r.data[max(r.pos-1, 0)]; r.err == nil && r.pos-at < 5 && last >= 0x40 {
		r.failAt(at, "block type is a negative number")
	}
	return function, true
}

func (r *reader) memArg() {
	at := r.pos
	if align := r.u32(); align >= 32 {
		r.failAt(at, "alignment 2^%d, or a memory index", align)
	}
	r.u32()
}

func (r *reader) valueType() byte {
	at := r.pos
	t := r.byte()
	switch t {
	case typeI32, typeI64, typeF32, typeF64, typeV128, typeFunc, typeExtern:
	default:
		r.failAt(at, "type %#02x is none that adapters can use", t)
	}
	return t
}

func (r *reader) refType() byte {
	at := r.pos
	t := r.byte()
	if t != typeFunc && t != typeExtern {
		r.failAt(at, "type %#02x is neither funcref nor externref", t)
	}
	return t
}
