package long

import (
	"bytes"

	"github.com/kai-gateway/kai/host/quoted"
)

// find returns the long strings of a body, in order. It recognizes strings by their quotes
// and knows nothing else of JSON. What it finds in a body that isn't JSON does no harm: it
// is only taken out if it could be the inside of a string.
func find(body []byte) (spans []span) {
	for i := 0; len(spans) < maxTaken; {
		quote := bytes.IndexByte(body[i:], '"')
		if quote < 0 {
			break
		}
		s := span{from: i + quote + 1}
		if s.to = closingQuote(body, s.from); s.to < 0 {
			break
		}
		i = s.to + 1
		if s.to-s.from <= minString || isKey(body[i:]) {
			continue
		}
		s.from += dataURL(body[s.from:s.to])
		if s.to-s.from > minString && insideString(body[s.from:s.to]) {
			spans = append(spans, s)
		}
	}
	return spans
}

// closingQuote returns the index of the quote that ends the string which begins at from,
// or -1 if there is none.
func closingQuote(body []byte, from int) int {
	for i := from; ; i++ {
		quote := bytes.IndexByte(body[i:], '"')
		if quote < 0 {
			return -1
		}
		i += quote
		escaped := false
		for j := i - 1; j >= from && body[j] == '\\'; j-- {
			escaped = !escaped
		}
		if !escaped {
			return i
		}
	}
}

// isKey reports whether a colon follows a string, so that the string is a key.
func isKey(rest []byte) bool {
	for _, c := range rest {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return c == ':'
	}
	return false
}

// dataURL returns the length of a prefix such as "data:image/png;base64," of a string; 0:
// it has none.
func dataURL(s []byte) int {
	const mark = ";base64,"
	if !bytes.HasPrefix(s, []byte("data:")) {
		return 0
	}
	if i := bytes.Index(s[:min(len(s), 256)], []byte(mark)); i >= 0 {
		return i + len(mark)
	}
	return 0
}

// insideString reports whether s can be the inside of a JSON string: it is UTF-8 with
// well-formed escapes and without control characters. Halves of characters become U+FFFD,
// in s itself.
func insideString(s []byte) bool {
	ok, surrogates, isUTF8 := quoted.Inside(s)
	if surrogates {
		quoted.MendHalves(s, `\`, false)
	}
	return ok && isUTF8
}
