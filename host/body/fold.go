package body

import (
	"unicode"
	"unicode/utf8"
)

// Upstreams don't agree on what a field's name is. Go's encoding/json reads "Model" and
// "ſtream" as model and stream, and the last of several counts. C programs end a name at
// its first NUL. So a name that some reader could take for another one is refused.

// Fold returns the form in which two names are equal that some reader takes for the
// same: without what follows a NUL, each letter as the smallest of those that are
// equal to it by Unicode's simple case folding, as in encoding/json, but a to z
// in lower case. Most names are their own form, and are returned as they are.
func Fold(name []byte) []byte {
	if isFolded(name) {
		return name
	}
	out := make([]byte, 0, len(name)) // the smallest is never longer
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRune(name[i:])
		if r == 0 {
			break
		}
		i += size
		r = smallest(r)
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

func isFolded(name []byte) bool {
	for _, c := range name {
		if c == 0 || c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// smallest returns the smallest letter that is equal to r by simple case folding.
func smallest(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}
