package body

import (
	"encoding/binary"
	"math/bits"
)

// names finds names in a fixed set of them. There is one search for each field of a
// request, so it is a hash table in which no two names have the same index.
type names struct {
	index []uint16 // which of slots a name can be, by the upper bits of its hash; its length is a power of two
	slots []slot   // the first one is for all other names
	seed  uint64
	shift uint // 64 less the logarithm of index's length
}

// slot has a name.
type slot struct {
	name       string
	head, tail uint64 // of ends
	known      uint8  // the number of a known name, from 1 on; 0: it isn't known
	place      Place  // of the field
}

// newNames returns the names of fields, and known names. If two fields have one name, the
// first counts. Known names that aren't among the fields, and all other names, have the
// place other.
func newNames(fields []Field, known []string, other Place) (n names) {
	at := map[string]int{}
	n.slots = []slot{{place: other}}
	add := func(name string, place Place) *slot {
		if at[name] == 0 {
			at[name] = len(n.slots)
			head, tail := ends([]byte(name), 0, len(name))
			n.slots = append(n.slots, slot{name: name, head: head, tail: tail, place: place})
		}
		return &n.slots[at[name]]
	}
	for _, f := range fields {
		add(f.Name, f.Place)
	}
	for i, name := range known {
		add(name, other).known = uint8(i + 1)
	}
	for log := uint(bits.Len(uint(4 * len(n.slots)))); !n.findSeed(log); log++ {
	}
	return n
}

// findSeed looks for a seed by which all names are at different indexes of a table of 2^log, and
// reports whether it has found one.
func (n *names) findSeed(log uint) bool {
	n.shift = 64 - log
	for try := range uint64(100) {
		n.seed = 0x9e3779b97f4a7c15 + 2*try*try*0x632be59bd9b4e019
		n.index = make([]uint16, 1<<log)
		ok := true
		for i := 1; ok && i < len(n.slots); i++ {
			s := &n.slots[i]
			at := &n.index[n.hash(s.head, s.tail, len(s.name))]
			ok, *at = *at == 0, uint16(i)
		}
		if ok {
			return true
		}
	}
	return false
}

// find returns the slot of the name that stands in b, or the first slot.
func (n *names) find(b []byte, from, to int) *slot {
	head, tail := ends(b, from, to)
	s := n.guess(head, tail, to-from)
	if s.is(head, tail, to-from) && (to-from <= 16 || s.name == string(b[from:to])) {
		return s
	}
	return &n.slots[0]
}

// guess returns the only slot that a name can have.
func (n *names) guess(head, tail uint64, size int) *slot {
	return &n.slots[n.index[n.hash(head, tail, size)]]
}

// is reports whether a slot is that of a name, of at most 16 bytes.
func (s *slot) is(head, tail uint64, size int) bool {
	return s.head == head && s.tail == tail && len(s.name) == size
}

// has reports whether a slot is that of a name.
func (n *names) has(s *slot) bool { return s != &n.slots[0] }

func (n *names) hash(head, tail uint64, size int) uint64 {
	return (head ^ bits.RotateLeft64(tail, 29) + uint64(size)) * n.seed >> (n.shift & 63)
}

// ends returns the first and the last 8 bytes of the name that stands in b. If the name has
// at most 16 bytes, that is all of it, so no other name of its length has the same.
func ends(b []byte, from, to int) (head, tail uint64) {
	switch size := to - from; {
	case size >= 8:
		return load(b, from), load(b, to-8)
	case from+8 <= len(b):
		return load(b, from) & below(size), 0
	}
	for i, c := range b[from:to] {
		head |= uint64(c) << (8 * i)
	}
	return head, 0
}

// load returns the 8 bytes at i, the first one lowest.
func load(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8 : i+8]) }

// below has the bits of the lowest n bytes, which are less than 8.
func below(n int) uint64 { return 1<<(8*n&63) - 1 }
