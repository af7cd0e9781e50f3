package fuel

import (
	"fmt"
	"unicode/utf8"
)

// reader decodes the binary format from data[pos:end]. Positions are offsets in the
// whole module, so they can be used in messages as they are.
//
// The first mistake is kept in err and moves pos to end. Everything read after it is
// zero. So a loop over a count from the module must check err in each iteration, and
// nothing else has to.
type reader struct {
	data     []byte
	pos, end int
	err      error
}

// failAt records that the module is refused because of what is at an offset.
func (r *reader) failAt(offset int, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("offset %#x: %s", offset, fmt.Sprintf(format, args...))
	}
	r.pos = r.end
}

// fail records a mistake that another reader found.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.pos = r.end
}

func (r *reader) left() int { return r.end - r.pos }

// sub returns a reader of the next n bytes, and skips them here.
func (r *reader) sub(n int) reader {
	start := r.pos
	r.skip(n)
	return reader{data: r.data, pos: start, end: r.pos, err: r.err}
}

func (r *reader) skip(n int) {
	if n > r.left() {
		r.failAt(r.pos, "%d bytes wanted, %d left", n, r.left())
		return
	}
	r.pos += n
}

func (r *reader) bytes(n int) []byte {
	start := r.pos
	r.skip(n)
	if r.err != nil {
		return nil
	}
	return r.data[start:r.pos:r.pos]
}

func (r *reader) byte() byte {
	if r.pos >= r.end {
		r.failAt(r.pos, "ends too early")
		return 0
	}
	b := r.data[r.pos]
	r.pos++
	return b
}

// expectZero reads one byte that must be zero.
func (r *reader) expectZero(what string) {
	at := r.pos
	if got := r.byte(); got != 0 {
		r.failAt(at, "%s is %#02x, not 0x00", what, got)
	}
}

// u32 reads an unsigned LEB128 number of at most 32 bits, in at most 5 bytes.
func (r *reader) u32() uint32 {
	if r.pos < r.end && r.data[r.pos] < 0x80 {
		r.pos++
		return uint32(r.data[r.pos-1])
	}
	at := r.pos
	var v uint32
	for shift := 0; ; shift += 7 {
		b := r.byte()
		if shift == 28 && b > 0x0f {
			r.failAt(at, "number longer than 32 bits")
			return 0
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
}

// signed skips a signed LEB128 number of at most 32 or 64 bits. Of constants only the
// length matters here, and not the value.
func (r *reader) signed(bits int) {
	at := r.pos
	for rest := bits; ; rest -= 7 {
		b := r.byte()
		if rest <= 7 {
			// All bits of the last byte beyond the number repeat its sign.
			if beyond := int8(b<<1) >> rest; b >= 0x80 || beyond != 0 && beyond != -1 {
				r.failAt(at, "number longer than %d bits", bits)
			}
			return
		}
		if b < 0x80 {
			return
		}
	}
}

// count reads the length of a vector. It refuses a length over the limit, or one that
// doesn't fit into the bytes that are left: an entry has at least one.
func (r *reader) count(limit int, what string) int {
	at := r.pos
	n := r.u32()
	if uint64(n) > uint64(limit) {
		r.failAt(at, "%d %s, the limit is %d", n, what, limit)
		return 0
	}
	if int(n) > r.left() {
		r.failAt(at, "%d %s in %d bytes", n, what, r.left())
		return 0
	}
	return int(n)
}

func (r *reader) name() string {
	at := r.pos
	b := r.bytes(r.count(len(r.data), "bytes of a name"))
	if !utf8.Valid(b) {
		r.failAt(at, "a name is not UTF-8")
		return ""
	}
	return string(b)
}

// missing refuses an index of something that there isn't: count is how many there are.
func (r *reader) missing(at int, what string, index uint32, count int) {
	r.failAt(at, "%s %d does not exist, the count is %d", what, index, count)
}

// done refuses bytes that are left over.
func (r *reader) done(what string) {
	if r.pos != r.end {
		r.failAt(r.pos, "%d bytes after the end of %s", r.left(), what)
	}
}

// appendU32 appends v as unsigned LEB128: 300 is ac 02.
func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// appendI64 appends v as signed LEB128: 64 is c0 00.
func appendI64(b []byte, v int64) []byte {
	for v < -64 || v > 63 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}
