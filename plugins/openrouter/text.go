package openrouter

import (
	"strings"
	"unicode/utf8"

	"github.com/kai-gateway/kai/sdk"
)

// maxDig is how deep a text may be buried, maxText how many bytes of it are shown.
const (
	maxDig  = 8
	maxText = 1000
)

// dig finds the text for people in what a provider answered: a string, JSON
// within a string, or an object that buries it under one of the usual names.
func dig(v sdk.JSON, depth int) string {
	if depth == 0 {
		return ""
	}
	switch v.Kind() {
	case sdk.KindString:
		s, _ := v.Str()
		inner := sdk.JSON(s)
		if k := inner.Kind(); (k == sdk.KindObject || k == sdk.KindArray) && inner.Valid() == nil {
			return dig(inner, depth-1)
		}
		return s
	case sdk.KindObject:
		for _, key := range [...]string{"message", "error", "detail", "msg"} {
			if s := dig(v.Get(key), depth-1); s != "" {
				return s
			}
		}
	case sdk.KindArray:
		for it := sdk.Array(v); it.Next(); {
			if s := dig(it.Value(), depth-1); s != "" {
				return s
			}
		}
	}
	return ""
}

// clean makes a foreign text fit to show: one line, no page of HTML, no key, no
// sentence that sends the reader to the settings of an account that is not
// theirs, a full stop at the end. It is "" when nothing is left.
func clean(s string) string {
	if isPage(s) {
		return ""
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	var kept []string
	for s != "" {
		sentence := s
		if i := strings.Index(s, ". "); i >= 0 {
			sentence = s[:i+1]
		}
		s = strings.TrimPrefix(s[len(sentence):], " ")
		if !pointsToAccount(sentence) {
			kept = append(kept, sentence)
		}
	}
	words := strings.Split(strings.Join(kept, " "), " ")
	for i, w := range words {
		if strings.Contains(w, "sk-or-") {
			words[i] = "[key]"
		}
	}
	return cut(strings.Join(words, " "))
}

func isPage(s string) bool {
	head := strings.ToLower(s[:min(len(s), 1000)])
	return strings.HasPrefix(strings.TrimSpace(head), "<") ||
		strings.Contains(head, "<html") || strings.Contains(head, "<!doctype")
}

// pointsToAccount reports whether a sentence has a link to OpenRouter's site
// other than its documentation.
func pointsToAccount(sentence string) bool {
	for {
		_, path, found := strings.Cut(sentence, "openrouter.ai/")
		if !found {
			return false
		}
		if !strings.HasPrefix(path, "docs") {
			return true
		}
		sentence = path
	}
}

// cut bounds a text and ends it as a sentence ends.
func cut(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
		return s + "…"
	}
	if s != "" && strings.IndexByte(".!?", s[len(s)-1]) < 0 && !strings.HasSuffix(s, "…") {
		s += "."
	}
	return s
}

// isWord reports whether s is a single word such as MALFORMED_FUNCTION_CALL.
func isWord(s string) bool {
	for _, c := range []byte(s) {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= 64 && s != "error"
}
