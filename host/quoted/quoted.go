// Package quoted knows what may stand between the quotes of a JSON string. All that clients
// and upstreams write passes here, so it reads 32 bytes at a time where the processor can.
package quoted

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

const (
	low  = 0x0101010101010101
	high = 0x8080808080808080

	block = 32 // bytes that vectors look at together
	few   = 16 // bytes that are looked at before vectors are worth their beginning

	// piece is how many bytes vectors look at without a pause, since Go's collector has to wait
	// for them.
	piece = 256 << 10
)

// Text is what is known of the text before a stop.
type Text struct {
	Beyond  bool // there is a byte beyond ASCII
	Escaped bool // there is an escape
}

// Stop returns the index of the first byte in b, from i on, that is a quote, a control character,
// or a backslash; len(b) if there is none. It passes escapes of two characters: the backslash that
// it returns begins one of a code unit, or none.
func Stop(b []byte, i int) (stop int, t Text) {
	until := len(b)
	if vectors && until-i >= few+block {
		until = i + few
	}
	stop, found := stopInWords(b, i, until, &t)
	if found || until == len(b) {
		return stop, t
	}
	for len(b)-stop >= block {
		n, beyond, escaped := stopInBlocks(&b[stop], min(len(b)-stop, piece))
		t.Beyond, t.Escaped = t.Beyond || beyond, t.Escaped || escaped
		stop += n
		if stop == len(b) {
			break
		}
		if stop, found = stopInWords(b, stop, stop+1, &t); found { // it finds what the blocks did
			return stop, t
		}
	}
	stop, _ = stopInWords(b, stop, len(b), &t)
	return stop, t
}

// stopInWords is Stop without vectors, and adds to t. If nothing was found before until, it
// returns where it went on to, which may be beyond.
//
// It reads 8 bytes at a time. In marked, the highest bit of each byte says that the byte is a
// quote, a backslash or a control character. The borrow of a subtraction can set too many bits,
// but only above the first right one.
func stopInWords(b []byte, i, until int, t *Text) (stop int, found bool) {
	var seen uint64 // the bytes so far, or-ed
	for i < until {
		if i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i : i+8 : i+8])
			quote, backslash := w^low*'"', w^low*'\\'
			marked := high & ((quote-low)&^quote | (backslash-low)&^backslash | (w-low*' ')&^w)
			if marked == 0 {
				seen |= w
				i += 8
				continue
			}
			n := bits.TrailingZeros64(marked) &^ 7
			seen |= w & (1<<n - 1)
			i += n / 8
		} else if c := b[i]; c >= ' ' && c != '"' && c != '\\' {
			seen |= uint64(c)
			i++
			continue
		}
		if b[i] != '\\' || i+1 == len(b) || !escapes[b[i+1]] {
			found = true
			break
		}
		t.Escaped = true
		i += 2
	}
	t.Beyond = t.Beyond || seen&high != 0
	return i, found
}

// escapes are the characters that make an escape together with a backslash before them, except
// for u.
var escapes = [256]bool{'"': true, '\\': true, '/': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true}

// ShortEnd returns what follows the closing quote of a string in b whose text begins at i, if that
// is short and plain: of ASCII, without escapes. Else it returns 0. Most strings in a request are
// such names and words, for which End does too much.
func ShortEnd(b []byte, i int) int {
	for last := min(i+shortest, len(b)) - 8; i <= last; i += 8 {
		w := binary.LittleEndian.Uint64(b[i : i+8 : i+8])
		// As in stopInWords, but that a byte beyond ASCII is marked, too: only one that differs from
		// a quote in its highest bit alone is not in the first part, and that one is in the second.
		if marked := high & ((w ^ low*'"' - low) | (w ^ low*'\\' - low) | (w - low*' ')); marked != 0 {
			if i += bits.TrailingZeros64(marked) / 8; b[i] == '"' {
				return i + 1
			}
			return 0
		}
	}
	return 0
}

// shortest is how many bytes ShortEnd looks at.
const shortest = 40

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
	for len(b)-i >= block {
		n, ok := validInBlocks(&b[i], min(len(b)-i, piece))
		if !ok {
			return false
		}
		i += n
	}
	// A character may begin in the last block and go on behind it.
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
	beyond := false
	for i := 0; ; {
		stop, t := Stop(p, i)
		beyond = beyond || t.Beyond
		if stop == len(p) {
			return true, surrogates, !beyond || Valid(p)
		}
		if !isCodeUnit(p[stop:]) {
			return false, false, false
		}
		surrogates = surrogates || p[stop+2]|0x20 == 'd' && p[stop+3] >= '8'
		i = stop + 6
	}
}

// End returns what follows the closing quote of a JSON string that begins before i, with its
// opening quote. ok is false if it isn't one, or not in UTF-8; then end is of no use.
func End(b []byte, i int) (end int, t Text, ok bool) {
	from := i
	for {
		stop, more := Stop(b, i)
		t.Beyond, t.Escaped = t.Beyond || more.Beyond, t.Escaped || more.Escaped
		switch {
		case stop == len(b):
			return stop, t, false
		case b[stop] == '"':
			return stop + 1, t, !t.Beyond || Valid(b[from:stop])
		case !isCodeUnit(b[stop:]):
			return stop, t, false
		}
		t.Escaped = true
		i = stop + 6
	}
}

// isCodeUnit reports whether p begins with the escape of a code unit.
func isCodeUnit(p []byte) bool {
	if len(p) < 6 || p[0] != '\\' || p[1] != 'u' {
		return false
	}
	for _, c := range p[2:6] {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}
