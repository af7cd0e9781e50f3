package wasm

import (
	"bytes"
	"strconv"
)

// JSON can name half a character, a surrogate without the other one: "\ud83d". No
// UTF-8 can hold it, and clients that decode it fail when they encode it again. So
// it becomes U+FFFD, as any decoder of Go makes of it. The escape for that is as
// long as the one it replaces.

// mendHalves replaces the halves in p, which is JSON or the inside of a string.
// mark is the backslash of its escapes: `\`, or `\\` in JSON that stands in a
// string in turn. With edges a half that p begins or ends with stays, since the
// other one may be in the emission before or behind.
func mendHalves(p []byte, mark string, edges bool) {
	for i := 0; ; {
		next := bytes.IndexByte(p[i:], '\\')
		if next < 0 {
			return
		}
		i += next
		if !bytes.HasPrefix(p[i:], []byte(mark)) {
			i += 2 // an escape of the string that the JSON stands in
			continue
		}
		first := surrogateAt(p[i:], mark)
		if first == 0 {
			// Any other escape, which may stand for a backslash.
			if i += len(mark); len(mark) == 2 && i < len(p) && p[i] == '\\' {
				i++ // which the string that the JSON stands in escapes
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

// surrogateAt gives the half that p begins with an escape for, 0 for anything else.
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

// hugeNumber finds a number in valid JSON that no float64 holds, such as 1e999:
// some libraries refuse it, others make an infinity of it, which they can't write.
func hugeNumber(p []byte) bool {
	for i := 0; i < len(p); {
		switch c := p[i]; {
		case c == '"':
			i++
			for p[i] != '"' {
				if p[i] == '\\' {
					i++
				}
				i++
			}
			i++
		case c == '-' || c >= '0' && c <= '9':
			from, exponent := i, false
			for i < len(p) && (p[i] >= '0' && p[i] <= '9' || p[i] == '.' || p[i] == '-' || p[i] == '+' || p[i]|0x20 == 'e') {
				exponent = exponent || p[i]|0x20 == 'e'
				i++
			}
			if exponent || i-from > maxDigits {
				if _, err := strconv.ParseFloat(string(p[from:i]), 64); err != nil {
					return true
				}
			}
		default:
			i++
		}
	}
	return false
}

// maxDigits is the length up to which a number without exponent is no huge one.
const maxDigits = 300
