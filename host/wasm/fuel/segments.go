package fuel

import (
	"cmp"
	"slices"
)

// joinGap is how many zeros may be between two data segments that are joined. A
// separate segment takes ten bytes or more of the module.
const joinGap = 256

// segment is a data segment for a constant address of the memory.
type segment struct {
	offset uint32
	data   []byte // a part of the original module
}

func (s segment) end() uint64 { return uint64(s.offset) + uint64(len(s.data)) }

// dataSection returns the content of the data section. Segments that are neighbours in
// memory are joined to one. Go's linker begins a new segment at every few zeros, tens of
// thousands in an adapter, and the engine keeps a hundred bytes of each for the module
// and twenty-four for every instance.
//
// The memory has the same content afterwards: it begins as zeros, and nothing is joined
// if segments overlap. Nor is anything joined if instructions may name segments by
// their index.
func (p *parsed) dataSection(s list) []byte {
	segments := p.segments(s)
	if segments == nil {
		return p.data[s.body:s.end]
	}
	slices.SortStableFunc(segments, func(a, b segment) int { return cmp.Compare(a.offset, b.offset) })
	var out, joined []byte
	n, joining := uint32(0), false
	for i, one := range segments {
		if !joining {
			n++
			out = append(appendI64(append(out, 0, opI32Const), int64(int32(one.offset))), opEnd)
			joined = joined[:0]
		}
		joined = append(joined, one.data...)
		joining = false
		if i+1 < len(segments) {
			end, next := one.end(), uint64(segments[i+1].offset)
			if next < end {
				return p.data[s.body:s.end] // they overlap
			}
			if joining = next-end <= joinGap; joining {
				joined = append(joined, make([]byte, next-end)...)
				continue
			}
		}
		out = append(appendU32(out, uint32(len(joined))), joined...)
	}
	return append(appendU32(make([]byte, 0, len(out)+5), n), out...)
}

// segments returns the data segments, or nil if one has no constant address.
func (p *parsed) segments(s list) []segment {
	if p.counted {
		return nil
	}
	r := reader{data: p.data, pos: s.body, end: s.end}
	all := make([]segment, r.u32())
	for i := range all {
		if r.byte() != 0 || r.byte() != opI32Const {
			return nil
		}
		all[i].offset = r.i32()
		if r.byte() != opEnd {
			return nil
		}
		all[i].data = r.bytes(int(r.u32()))
	}
	return all
}

// i32 reads a signed LEB128 number that [reader.signed] accepts.
func (r *reader) i32() (v uint32) {
	for shift := 0; ; shift += 7 {
		b := r.byte()
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			if b&0x40 != 0 && shift+7 < 32 {
				v |= ^uint32(0) << (shift + 7)
			}
			return v
		}
	}
}
