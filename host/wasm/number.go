package wasm

import "strconv"

// hugeNumber reports whether p, which is valid JSON, has a number that is too large for
// a float64, such as 1e999. Some libraries refuse such a number, others read it as
// infinity, which they can't write.
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

// maxDigits is how long a number without an exponent can be without being too large.
const maxDigits = 300
