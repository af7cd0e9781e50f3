package quoted

import (
	"bytes"
	"strconv"
)

// JSON can contain half a character, one surrogate without the other: "\ud83d". UTF-8
// cannot, and clients that decode such a half fail when they encode it again. So it
// becomes U+FFFD, as in Go's decoder of JSON. The escape for that is as long as the one
// that it replaces.

// MendHalves replaces the halves in p, which is JSON or the inside of a string, by
// U+FFFD. mark is the backslash of its escapes: `\`, or `\\` in JSON that is itself
// inside a string. With edges, a half at the beginning or end of p stays, because the
// other half may be in the emission before or after this one.
func MendHalves(p []byte, mark string, edges bool) {
	for i := 0; ; {
		next := bytes.IndexByte(p[i:], '\\')
		if next < 0 {
			return
		}
		i += next
		if !bytes.HasPrefix(p[i:], []byte(mark)) {
			i += 2 // an escape of the string that the JSON is in
			continue
		}
		first := surrogateAt(p[i:], mark)
		if first == 0 {
			// Some other escape, perhaps of a backslash, which is itself escaped if the
			// JSON is in a string.
			if i += len(mark); len(mark) == 2 && i < len(p) && p[i] == '\\' {
				i++
			}
			i++
			if i >= len(p) {
				return
			}
			continue
		}
		size := len(mark) + len("ud83d")
		second := rune(0)
		if isHigh(first) {
			second = surrogateAt(p[i+size:], mark)
		}
		switch {
		case isLow(second):
			size *= 2
		case edges && i == 0 && isLow(first), edges && i+size == len(p) && isHigh(first):
		default:
			copy(p[i+len(mark)+1:], "fffd")
		}
		i += size
	}
}

// surrogateAt returns the surrogate whose escape p begins with, or 0 if p begins with
// anything else.
func surrogateAt(p []byte, mark string) rune {
	n := len(mark)
	if len(p) < n+5 || string(p[:n]) != mark || p[n] != 'u' || p[n+1]|0x20 != 'd' {
		return 0
	}
	r, err := strconv.ParseUint(string(p[n+1:n+5]), 16, 16)
	if err != nil || r < 0xd800 {
		return 0
	}
	return rune(r)
}

func isHigh(r rune) bool { return r >= 0xd800 && r < 0xdc00 }
func isLow(r rune) bool  { return r >= 0xdc00 && r < 0xe000 }
