package fuel

import "slices"

// pieceBytes is how much of the memory one instruction touches at most. That takes about
// 50 microseconds. More is done in pieces, and the host has its turn between them.
const pieceBytes = 256 << 10

// helper is a function that is added to the module.
type helper struct {
	name string
	typ  uint32 // index of its type
	body []byte // without the size
}

// sized is an instruction that can take long, depending on an operand.
type sized struct {
	op      byte   // the number after opMisc; 0: the instruction never takes long
	segment uint32 // of memory.init
}

func sizedOf(in instruction) sized {
	if in.op != opMisc {
		return sized{}
	}
	switch in.sub {
	case miscMemoryFill, miscMemoryCopy:
		return sized{op: in.sub}
	case miscMemoryInit:
		return sized{op: in.sub, segment: in.arg}
	}
	return sized{}
}

// The helpers are in this order: spend, fill, copy, one for each data segment in
// parsed.large, and one for each shape of what loops carry.
const (
	helperSpend = iota
	helperFill
	helperCopy
	helperInit
)

// helperBytes is how many bytes one helper adds to the module at most.
const helperBytes = 160

// helper returns the function that a charge calls when the slice is spent. If pieces is
// true, it does the instruction after the charge, in pieces. Otherwise it only spends.
func (p *parsed) helper(s sized) (index uint32, pieces bool) {
	first := p.firstMoved() + 1
	switch s.op {
	case miscMemoryFill:
		return first + helperFill, true
	case miscMemoryCopy:
		return first + helperCopy, true
	case miscMemoryInit:
		if i, large := slices.BinarySearch(p.large, s.segment); large {
			return first + helperInit + uint32(i), true
		}
	}
	return first + helperSpend, false
}

// helpers makes all helpers. The import is called through one of them, because that
// keeps the charges small.
func (p *parsed) helpers() []helper {
	spend := appendU32(raw(opCall), p.firstMoved()+1+helperSpend)
	all := []helper{
		{ImportModule + "." + ImportName, p.spendType(), append(appendU32(raw(0, opCall), p.spendImport()), opEnd)},
		{ImportModule + ".fill", p.sizedType(), fillInPieces(spend)},
		{ImportModule + ".copy", p.sizedType(), copyInPieces(spend)},
	}
	for _, segment := range p.large {
		all = append(all, helper{ImportModule + ".init", p.sizedType(), p.initInPieces(spend, segment)})
	}
	for i, shape := range p.shapeList {
		b := append(raw(0), spend...)
		for local := range len(shape) {
			b = append(b, opLocalGet, byte(local))
		}
		all = append(all, helper{ImportModule + ".carry", p.sizedType() + 1 + uint32(i), append(b, opEnd)})
	}
	return all
}

// Parameters of the helpers.
const (
	paramTo   = 0
	paramFrom = 1 // or the value
	paramSize = 2
)

func raw(b ...byte) []byte { return b }

// beyond is a condition: what starts at a parameter, with the size in paramSize, ends
// after the given end. Both are compared as i64.
func beyond(start byte, end ...byte) []byte {
	return slices.Concat(
		raw(opLocalGet, start, opI64ExtendU, opLocalGet, paramSize, opI64ExtendU, opI64Add), end, raw(opI64GtU))
}

// memoryEnd is the size of the memory in bytes.
var memoryEnd = raw(opMemorySize, 0, opI64ExtendU, opI64Const, 16, opI64Shl)

// all does the whole instruction at once.
func all(instruction ...byte) []byte {
	return append(raw(opLocalGet, paramTo, opLocalGet, paramFrom, opLocalGet, paramSize), instruction...)
}

// whenBeyond does the whole instruction if the condition holds, so that it traps as the
// original would: before it writes anything.
func whenBeyond(condition, instruction []byte) []byte {
	return slices.Concat(condition, raw(opIf, blockEmpty), all(instruction...), raw(opReturn, opEnd))
}

var piece = appendI64(raw(opI32Const), pieceBytes)

// while repeats a step as long as more than one piece is left.
func while(spend []byte, step ...[]byte) []byte {
	return slices.Concat(
		raw(opLoop, blockEmpty, opLocalGet, paramSize), piece, raw(opI32GtU, opIf, blockEmpty),
		slices.Concat(step...), spend, raw(opBr, 1, opEnd, opEnd))
}

// add moves a parameter forward by one piece.
func add(param byte) []byte {
	return slices.Concat(raw(opLocalGet, param), piece, raw(opI32Add, opLocalSet, param))
}

// less subtracts one piece from the size.
var less = slices.Concat(raw(opLocalGet, paramSize), piece, raw(opI32Sub, opLocalSet, paramSize))

func fillInPieces(spend []byte) []byte {
	fill := raw(opMisc, miscMemoryFill, 0)
	return slices.Concat(
		raw(0), spend,
		whenBeyond(beyond(paramTo, memoryEnd...), fill),
		while(spend,
			raw(opLocalGet, paramTo, opLocalGet, paramFrom), piece, fill,
			add(paramTo), less),
		all(fill...), raw(opEnd))
}

// copyInPieces begins at the end where it does not overwrite what it still has to copy.
func copyInPieces(spend []byte) []byte {
	copied := raw(opMisc, miscMemoryCopy, 0, 0)
	return slices.Concat(
		raw(0), spend,
		whenBeyond(beyond(paramTo, memoryEnd...), copied),
		whenBeyond(beyond(paramFrom, memoryEnd...), copied),
		raw(opLocalGet, paramTo, opLocalGet, paramFrom, opI32GtU, opIf, blockEmpty),
		while(spend,
			less,
			raw(opLocalGet, paramTo, opLocalGet, paramSize, opI32Add),
			raw(opLocalGet, paramFrom, opLocalGet, paramSize, opI32Add),
			piece, copied),
		raw(opElse),
		while(spend,
			raw(opLocalGet, paramTo, opLocalGet, paramFrom), piece, copied,
			add(paramTo), add(paramFrom), less),
		raw(opEnd),
		all(copied...), raw(opEnd))
}

func (p *parsed) initInPieces(spend []byte, segment uint32) []byte {
	init := append(appendU32(raw(opMisc, miscMemoryInit), segment), 0)
	return slices.Concat(
		raw(0), spend,
		whenBeyond(beyond(paramTo, memoryEnd...), init),
		// The first line catches sums that would overflow: no segment has so many
		// bytes. The next one copies no bytes from the end of the source, and so traps
		// if the source isn't there: the segment may have been dropped.
		whenBeyond(beyond(paramFrom, appendI64(raw(opI64Const), 1<<31)...), init),
		raw(opLocalGet, paramTo, opLocalGet, paramFrom, opLocalGet, paramSize, opI32Add, opI32Const, 0), init,
		while(spend,
			raw(opLocalGet, paramTo, opLocalGet, paramFrom), piece, init,
			add(paramTo), add(paramFrom), less),
		all(init...), raw(opEnd))
}
