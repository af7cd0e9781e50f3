// Package errortext makes what an upstream says of a failure fit to show: it finds
// the text for people in whatever it is wrapped in, and leaves out what is none of
// a client's business.
package errortext

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

// Dig finds the text for people in what a server said of a failure: a string,
// JSON within a string, or an object that buries it under one of the usual
// names. It is "" if there is none, and raw: see Clean.
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

// Clean makes a foreign text fit to show: one line of bounded length, no page of
// HTML, no key or account, no sentence that private says is none of the client's
// business, a full stop at the end. It is "" when nothing is left.
func Clean(s string, private func(sentence string) bool) string {
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
		if !private(sentence) {
			kept = append(kept, sentence)
		}
	}
	words := strings.Split(strings.Join(kept, " "), " ")
	for i, w := range words {
		words[i] = masked(w)
	}
	return cut(strings.Join(words, " "))
}

// Beginnings of what providers call their keys and their customers' accounts.
var (
	keyMarks     = [...]string{"sk-", "gsk_", "csk-", "xai-", "pplx-", "nvapi-", "tgp_v1_", "hf_", "fw_", "AIza"}
	accountMarks = [...]string{"org-", "org_", "proj_"}
)

// masked gives a word, or what stands in for it.
func masked(word string) string {
	bare := strings.TrimLeft(word, "\"'`([{<:=")
	for _, mark := range keyMarks {
		if strings.HasPrefix(bare, mark) {
			return "[key]"
		}
	}
	for _, mark := range accountMarks {
		if strings.HasPrefix(bare, mark) {
			return "[account]"
		}
	}
	return word
}

func isPage(s string) bool {
	head := strings.ToLower(s[:min(len(s), 1000)])
	return strings.HasPrefix(strings.TrimSpace(head), "<") ||
		strings.Contains(head, "<html") || strings.Contains(head, "<!doctype")
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

// IsWord reports whether s is a single word such as MALFORMED_FUNCTION_CALL,
// which says something and can hide nothing.
func IsWord(s string) bool {
	for _, c := range []byte(s) {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= 64 && s != "error"
}

// IsPrivate reports whether a sentence has a link, other than to documentation, or
// the address of a server: it leads to the pages of an account that is not the
// reader's, or into a network that is not.
func IsPrivate(sentence string) bool {
	for word := range strings.FieldsSeq(sentence) {
		_, address, isURL := strings.Cut(word, "://")
		if isURL && !strings.Contains(address, "docs") {
			return true
		}
		if !isURL && isAddress(word) {
			return true
		}
	}
	return false
}

// isAddress reports whether a word is an IPv4 address or a host with a port.
func isAddress(word string) bool {
	word = strings.Trim(word, "\"'`()[]{}<>,;:.!?")
	host, port, hasPort := strings.Cut(word, ":")
	if hasPort && (strings.Trim(port, "0123456789") != "" || port == "") {
		return false
	}
	return strings.Count(host, ".") == 3 && strings.Trim(host, "0123456789.") == "" ||
		hasPort && (host == "localhost" || strings.Contains(host, "."))
}
