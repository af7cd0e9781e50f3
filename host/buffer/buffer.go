// Package buffer lends large slices of bytes, and lends them again when they were given back.
// A slice of 200 KB costs more to clear and to collect than what a gateway does with it.
//
// Every slice that is lent has one owner. Code that has the slice but not the owner may use it
// until the owner releases it, and not a moment longer: from then on it has the bytes of
// another request. Small slices are not lent: there would be much to get wrong for little
// gain.
package buffer

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Sizes in bytes. What is smaller than least, or larger than most, is allocated each time.
const (
	least = 32 << 10
	most  = 4 << 20
)

// classes is how many sizes slices have: four between each power of two and the next, so that
// at most a fifth of a slice is not used.
const classes = 4 * 8

// Pool has the slices that nobody holds. Go's collector frees those that were not used for two
// collections. The zero value is ready to use, and a nil *Pool lends nothing. It is safe for
// concurrent use.
type Pool struct {
	// Poison overwrites slices when they are released, and lends small ones, too, for tests of
	// who uses them afterwards.
	Poison bool

	free [classes]sync.Pool // of *slab, by class
}

// slab is a slice with all its room.
type slab struct{ bytes []byte }

// Owner owns a slice that was lent. A nil *Owner owns none, and its methods do nothing.
type Owner struct {
	pool     *Pool
	slab     *slab
	released atomic.Bool
}

// Lend returns an empty slice with room for exactly size bytes, and its owner, which must be
// released once. The bytes in it are of whoever had it before. The owner is nil if the slice
// was allocated and is left to Go's collector.
func (p *Pool) Lend(size int) ([]byte, *Owner) {
	if p == nil || size > most || size < least && !p.Poison {
		return make([]byte, 0, size), nil
	}
	class, room := classOf(max(size, least))
	s, _ := p.free[class].Get().(*slab)
	if s == nil {
		s = &slab{make([]byte, room)}
	}
	return s.bytes[:0:size], &Owner{pool: p, slab: s}
}

// classOf returns the class of slices for size bytes, and how much room they have.
func classOf(size int) (class, room int) {
	power := bits.Len(uint(size-1)) - 1 // 2^power is below size
	step := 1 << (power - 2)
	steps := (size-1)/step + 1 // 5 to 8
	return 4*(power-14) + steps - 5, steps * step
}

// Release gives the slice back. The owner must not be used afterwards: a second call panics,
// since the slice may be another request's by then.
func (o *Owner) Release() {
	if o == nil {
		return
	}
	if o.released.Swap(true) {
		panic("buffer: released twice")
	}
	s, p := o.slab, o.pool
	o.slab = nil
	if p.Poison {
		for i := range s.bytes {
			s.bytes[i] = poison
		}
	}
	class, _ := classOf(len(s.bytes))
	p.free[class].Put(s)
}

// poison is in no text.
const poison = 0xFF
