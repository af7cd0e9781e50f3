package fault

import (
	"strings"
	"unicode"
)

// MaxShown is how many characters of a client's text an error or the log repeats.
const MaxShown = 100

// Shown makes foreign text safe to show on terminals, in logs and to people: characters that
// are not printable become U+FFFD, and the text is cut after limit characters.
func Shown(s string, limit int) string {
	shown := 0
	for i := range s {
		if shown == limit {
			s = s[:i] + "…"
			break
		}
		shown++
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
