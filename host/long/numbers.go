package long

import "bytes"

// minBase64 is in bytes: a longer string of numbers in base64 is taken out. Every array with a
// number in it is taken out, so that no adapter has to deal with numbers that are malformed or
// too large.
const minBase64 = 1 << 10

// findNumbers returns the arrays of numbers and the base64 of a body, in order. What it
// finds in a body that isn't JSON does no harm: whoever reads the numbers checks each.
func findNumbers(body []byte) (spans []span) {
	for i := 0; i < len(body) && len(spans) < maxTaken; {
		switch body[i] {
		case '"':
			s := span{from: i + 1}
			if s.to = closingQuote(body, s.from); s.to < 0 {
				return spans
			}
			if i = s.to + 1; s.to-s.from > minBase64 && isBase64(body[s.from:s.to]) && !isKey(body[i:]) {
				spans = append(spans, s)
			}
		case '[':
			s := span{from: i, numbers: true}
			for i++; i < len(body) && ofNumber[body[i]]; i++ {
			}
			if i == len(body) || body[i] != ']' {
				continue
			}
			i++
			if s.to = i; bytes.ContainsAny(body[s.from:min(s.to, s.from+space)], "0123456789") {
				spans = append(spans, s)
			}
		default:
			i++
		}
	}
	return spans
}

// space is how many bytes of an array are searched for its first digit.
const space = 64

// ofNumber are the bytes of numbers, and of what is between them.
var ofNumber = tableOf("0123456789+-.eE, \t\r\n")

// ofBase64 are the bytes of base64, in both alphabets. A slash may be escaped.
var ofBase64 = tableOf(`ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=\`)

func tableOf(bytes string) (table [256]bool) {
	for _, c := range []byte(bytes) {
		table[c] = true
	}
	return table
}

func isBase64(s []byte) bool {
	for _, c := range s {
		if !ofBase64[c] {
			return false
		}
	}
	return insideString(s)
}
