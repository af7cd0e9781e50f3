// Package quoted knows what may stand between the quotes of a JSON string. All that clients
// and upstreams write passes here, so it reads 32 bytes at a time where the processor can.
package quoted

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

const (
	low  = 0x0101010101010101
	high = 0x8080808080808080

	block = 32 // bytes that vectors look at together
	few   = 16 // bytes that are looked at before vectors are worth their beginning
)

// Stop returns the index of the first byte in b, from i on, that is a quote, a backslash or a
// control character; len(b) if there is none. ascii says that all bytes before it are ASCII.
func Stop(b []byte, i int) (stop int, ascii bool) {
	if !vectors || len(b)-i < few+block {
		stop, seen := stopInWords(b, i)
		return stop, seen&high == 0
	}
	stop, seen := stopInWords(b[:i+few], i)
	if stop == i+few {
		n, beyond := stopInBlocks(&b[stop], len(b)-stop)
		var more uint64
		stop, more = stopInWords(b, stop+n) // which finds what the blocks did
		if beyond {
			return stop, false
		}
		seen |= more
	}
	return stop, seen&high == 0
}

// stopInWords is Stop without vectors. seen has the bytes before the stop, or-ed.
//
// It reads 8 bytes at a time. In found, the highest bit of each byte says that the byte is a
// quote, a backslash or a control character. The borrow of a subtraction can set too many bits,
// but only above the first right one.
func stopInWords(b []byte, i int) (stop int, seen uint64) {
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, backslash := w^low*'"', w^low*'\\'
		found := high & ((quote-low)&^quote | (backslash-low)&^backslash | (w-low*' ')&^w)
		if found != 0 {
			n := bits.TrailingZeros64(found) &^ 7
			return i + n/8, seen | w&(1<<n-1)
		}
		seen |= w
		i += 8
	}
	for ; i < len(b); i++ {
		c := b[i]
		if c == '"' || c == '\\' || c < ' ' {
			break
		}
		seen |= uint64(c)
	}
	return i, seen
}

// Valid reports whether b is UTF-8.
func Valid(b []byte) bool {
	if !vectors || len(b) < 2*block {
		return utf8.Valid(b)
	}
	// The vectors look at the three bytes before each byte.
	i := 0
	for i < 3 {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return false
		}
		i += size
	}
	n, ok := validInBlocks(&b[i], len(b)-i)
	if !ok {
		return false
	}
	// A character may begin in the last block and go on behind it.
	i += n
	for back := 1; back <= 3; back++ {
		if c := b[i-back]; c >= 0xC0 {
			i -= back
			break
		}
	}
	return utf8.Valid(b[i:])
}

// Inside reports whether p may stand between the quotes of a JSON string, as far as its ASCII is
// concerned: without quotes and control characters, and with good escapes. If so, surrogates says
// that it has escapes of surrogates, and isUTF8 that it is UTF-8.
func Inside(p []byte) (ok, surrogates, isUTF8 bool) {
	isASCII := true
	for i := 0; ; {
		stop, ascii := Stop(p, i)
		isASCII = isASCII && ascii
		if stop == len(p) {
			return true, surrogates, isASCII || Valid(p)
		}
		n := escape(p[stop:])
		if n == 0 {
			return false, false, false
		}
		surrogates = surrogates || n == 6 && p[stop+2]|0x20 == 'd' && p[stop+3] >= '8'
		i = stop + n
	}
}

// escape returns the length of the escape that p begins with; 0: it begins with none.
func escape(p []byte) int {
	if len(p) < 2 || p[0] != '\\' {
		return 0
	}
	if p[1] != 'u' {
		if bytes.IndexByte([]byte(`"\/bfnrt`), p[1]) < 0 {
			return 0
		}
		return 2
	}
	if len(p) < 6 {
		return 0
	}
	for _, c := range p[2:6] {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return 0
		}
	}
	return 6
}
