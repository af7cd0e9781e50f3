package demo

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// firstWord returns the first word of a text, with the space before it. The demo streams it
// as one chunk and counts it as one token. A comma ends a word, too, because JSON without
// spaces would otherwise be a single word.
func firstWord(s string) string {
	i := 0
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	for i < len(s) && !isSpace(s[i]) {
		i++
		if s[i-1] == ',' {
			break
		}
	}
	if strings.TrimSpace(s[i:]) == "" {
		return s // the space at the end belongs to the last word
	}
	return s[:i]
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// shorten makes a text one line of at most limit characters.
func shorten(s string, limit int) string {
	s = strings.Join(strings.Fields(s), " ")
	n := 0
	for i := range s {
		if n == limit {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// sentence ends a text with a full stop if it ends with a letter or digit.
func sentence(s string) string {
	if r, _ := utf8.DecodeLastRuneInString(s); unicode.IsLetter(r) || unicode.IsDigit(r) {
		return s + "."
	}
	return s
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// mentions reports whether a text names a tool, by its whole name or by the last word of the
// name. Case doesn't matter. "What is the weather?" mentions get_weather and GetWeather.
func mentions(text, name string) bool {
	text = strings.ToLower(text)
	return hasWord(text, strings.ToLower(name)) || hasWord(text, strings.ToLower(lastWord(name)))
}

// lastWord returns the last word of a name like get_weather or GetWeather.
func lastWord(name string) string {
	word := name[strings.LastIndexAny(name, "_-.")+1:]
	for i := len(word) - 1; i > 0; i-- {
		if unicode.IsUpper(rune(word[i])) && unicode.IsLower(rune(word[i-1])) {
			return word[i:]
		}
	}
	return word
}

// hasWord reports whether a word stands in a text with no letters beside it.
func hasWord(text, word string) bool {
	if word == "" {
		return false
	}
	for rest := text; ; {
		before, after, found := strings.Cut(rest, word)
		if !found {
			return false
		}
		last, _ := utf8.DecodeLastRuneInString(before)
		next, _ := utf8.DecodeRuneInString(after)
		if !unicode.IsLetter(last) && !unicode.IsLetter(next) {
			return true
		}
		rest = after
	}
}

// words are what a user's text has to fill in.
type words struct {
	name    string    // the last name in it, else the last word, else "example"
	numbers []float64 // in order
}

// wordsOf finds names and numbers in a text. A name is one or more words in a row that begin
// with a capital. The first word of the text doesn't count, because it always does.
func wordsOf(text string) words {
	var w words
	var name, last string
	within := false // the word before is part of name
	for i, field := range strings.Fields(text) {
		word := strings.TrimFunc(field, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
		if word == "" {
			within = false
			continue
		}
		last = word
		if f, err := strconv.ParseFloat(word, 64); err == nil && isDigit(word[0]) {
			if strings.Contains(field, "-"+word) {
				f = -f
			}
			w.numbers = append(w.numbers, f)
		}
		r, _ := utf8.DecodeRuneInString(word)
		switch {
		case !unicode.IsUpper(r) || i == 0:
			within = false
		case within:
			name += " " + word
		default:
			name, within = word, true
		}
		// A comma or full stop ends a name.
		within = within && strings.HasSuffix(field, word)
	}
	for _, s := range [...]string{name, last, "example"} {
		if s != "" {
			w.name = s
			return w
		}
	}
	return w
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
