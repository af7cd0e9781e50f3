// Package errortext makes an upstream's error fit to show. It finds the text for people,
// whatever that is wrapped in, and leaves out what clients must not see: keys, accounts, and
// the addresses of servers.
package errortext

import (
	"strings"
	"unicode/utf8"

	"github.com/kai-gateway/kai/sdk"
)

// maxDig is how deep a text may be wrapped. maxText is how many bytes of it are shown.
const (
	maxDig  = 8
	maxText = 1000
)

// Dig finds the text for people in a server's error: a string, JSON in a string, or an object
// that has it under one of the usual names. The result is "" if there is none. It is not fit
// to show yet: see Clean.
func Dig(v sdk.JSON) string { return dig(v, maxDig) }

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
		for _, key := range [...]string{"message", "error", "detail", "msg", "errors"} {
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

// Clean makes a foreign text fit to show. The result is one line of bounded length with a
// full stop at its end. It has no HTML page, no stack trace, and nothing that hide hides. It
// leaves out sentences that are private (if private isn't nil), that say that a host could
// not be reached, or that send the reader to a page, if there is another sentence. The result
// is "" if nothing is left.
func Clean(s string, private func(sentence string) bool) string {
	if isPage(s) {
		return ""
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s, _, _ = strings.Cut(s, "Traceback (most recent call last)")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	var kept, linked []string
	dropped := false
	for s != "" {
		sentence := s
		if i := strings.Index(s, ". "); i >= 0 {
			sentence = s[:i+1]
		}
		s = strings.TrimPrefix(s[len(sentence):], " ")
		if private != nil && private(sentence) || isUnreachable(sentence) {
			dropped = true
			continue
		}
		if shown, links := hide(sentence); links {
			linked = append(linked, shown)
		} else {
			kept = append(kept, shown)
		}
	}
	if len(kept) == 0 && !dropped {
		kept = linked
	}
	return cut(strings.Join(kept, " "))
}

func isPage(s string) bool {
	head := strings.ToLower(s[:min(len(s), 1000)])
	return strings.HasPrefix(strings.TrimSpace(head), "<") ||
		strings.Contains(head, "<html") || strings.Contains(head, "<!doctype")
}

// cut bounds the length of a text and ends it like a sentence.
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

// IsWord reports whether s is a single word such as MALFORMED_FUNCTION_CALL. Such a word says
// something, and can't contain a secret.
func IsWord(s string) bool {
	for _, c := range []byte(s) {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= 64 && s != "error" && standIn(s) == ""
}

// Param returns the place in a request that a server names, such as messages[0].name. It
// returns "" if there is none, or none that can be shown.
func Param(v sdk.JSON) string {
	s, _ := v.Str()
	if shown, _ := hide(s); len(s) > 100 || shown != s {
		return ""
	}
	return s
}
