package upstream

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// minRedacted is the length in bytes of the shortest key that is looked for in
// answers. A shorter one is a placeholder, and may well be a word of the answer.
const minRedacted = 8

// replacement takes the place of a key. It needs no escaping in a JSON string.
const replacement = "[redacted]"

// redactor replaces a provider's key in the provider's answers. Some servers repeat a key
// that they refuse, and what reaches an adapter can reach clients.
//
// It finds the key as it is; in JSON, with any of its characters escaped; percent-encoded,
// up to maxEncoded times; and in base64 of either alphabet, even if the key is only a part
// of what was encoded, as in "Basic …" with a user and the key. It can't stop an upstream
// that wants to reveal the key, which has endless ways to do so.
//
// A nil redactor replaces nothing. The methods are safe for concurrent use.
type redactor struct{ forms []form }

// form is one way in which the key can be written.
type form struct {
	text   []byte
	anchor []byte // a part of text that no encoder changes; it is searched for first
	base64 bool   // - and _ stand for + and /
}

// newRedactor returns nil for a key that is too short to be looked for.
func newRedactor(key string) *redactor {
	if len(key) < minRedacted {
		return nil
	}
	r := &redactor{forms: []form{newForm([]byte(key), false)}}
	for before := range 3 {
		r.forms = append(r.forms, newForm(base64Core(key, before), true))
	}
	if strings.ContainsAny(key, `%\"`) {
		// When such a key is encoded, it can be read in several ways: form.match may
		// read "%25" differently than the encoder meant it.
		quoted := quote(key)
		for _, text := range []string{quoted, quote(quoted), url.QueryEscape(key), url.PathEscape(key), url.QueryEscape(url.QueryEscape(key))} {
			r.forms = append(r.forms, newForm([]byte(text), false))
		}
	}
	return r
}

// quote returns the inside of s as a JSON string.
func quote(s string) string {
	b, _ := json.Marshal(s) // a string never fails
	return string(b[1 : len(b)-1])
}

func newForm(text []byte, base64 bool) form {
	return form{text: text, anchor: anchorOf(text), base64: base64}
}

// base64Core returns those characters of a base64 text that the key alone determines.
// before is the number of bytes in front of the key, modulo 3. The characters that the
// key shares with its neighbours, at most four bits of it on each side, are left out
// and so stay in the answer.
func base64Core(key string, before int) []byte {
	full := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + key))
	from := (before*8 + 5) / 6        // the first character without bits of what precedes
	to := (before + len(key)) * 8 / 6 // the first one with bits of what follows
	return []byte(full[from:to])
}

// maxAnchor keeps anchors in the range that bytes.Index searches fastest.
const maxAnchor = 16

// anchorOf returns the longest run of letters and digits in text, cut so that it
// begins with a character that is rare in JSON. It is empty if there is none.
func anchorOf(text []byte) []byte {
	var run []byte
	for rest := text; len(rest) > 0; {
		n := 0
		for n < len(rest) && isAlphanumeric(rest[n]) {
			n++
		}
		if n > len(run) {
			run = rest[:n]
		}
		rest = rest[min(n+1, len(rest)):]
	}
	best := 0
	for i := 1; i+minRedacted <= len(run); i++ {
		if rarity(run[i]) > rarity(run[best]) {
			best = i
		}
	}
	run = run[best:]
	return run[:min(len(run), maxAnchor)]
}

// rarity orders characters by how rare they are in English and JSON; 3 is rarest.
func rarity(c byte) int {
	switch {
	case strings.IndexByte("QXZJKVWYUHBGF", c) >= 0:
		return 3
	case 'A' <= c && c <= 'Z', strings.IndexByte("qxzj", c) >= 0:
		return 2
	case '3' <= c && c <= '9', strings.IndexByte("kvwy", c) >= 0:
		return 1
	}
	return 0
}

// longest returns how many bytes the key has at most, however it is written.
func (r *redactor) longest() (n int) {
	if r == nil {
		return 0
	}
	for _, f := range r.forms {
		n = max(n, maxCharacter*len(f.text))
	}
	return n
}

// maxCharacter is how many bytes stand for one character of the key at most.
const maxCharacter = 1<<maxEncoded + len("u0041")

// settled returns how many bytes at the start of p can't be a part of the key, whatever
// follows. p has no whole key in it.
func (r *redactor) settled(p []byte) int {
	for i := max(0, len(p)-r.longest()); i < len(p); i++ {
		for j := range r.forms {
			if r.forms[j].mayBegin(p[i:]) {
				return i
			}
		}
	}
	return len(p)
}

// mayBegin reports whether p, which is not empty, may be the beginning of the form.
func (f *form) mayBegin(p []byte) bool {
	if bytes.HasPrefix(f.text, p) {
		return true
	}
	n := 0
	for _, c := range f.text {
		if n == len(p) {
			return true
		}
		k := f.character(p[n:], c)
		if k == 0 {
			// What escapes a character may be half of itself yet.
			return (p[n] == '%' || p[n] == '\\') && len(p)-n < maxCharacter
		}
		n += k
	}
	return false
}

// bytes returns p without the key: p itself if the key isn't in it, else a copy.
func (r *redactor) bytes(p []byte) []byte {
	if r == nil || !r.suspects(p) {
		return p
	}
	var out []byte
	kept := 0 // p[:kept] is in out
	for i := 0; i < len(p); {
		n := r.match(p[i:])
		if n == 0 {
			i++
			continue
		}
		out = append(append(out, p[kept:i]...), replacement...)
		i += n
		kept = i
	}
	if kept == 0 {
		return p
	}
	return append(out, p[kept:]...)
}

// text returns s without the key.
func (r *redactor) text(s string) string {
	if r == nil {
		return s
	}
	return string(r.bytes([]byte(s)))
}

// names returns the header without the key in its names: the header itself if the key
// isn't in them, else a copy. HTTP doesn't keep the case of names, so case is ignored.
func (r *redactor) names(header http.Header) http.Header {
	if r == nil {
		return header
	}
	var clean http.Header
	for name, values := range header {
		lower := strings.ToLower(name)
		without := lower
		for _, f := range r.forms {
			without = strings.ReplaceAll(without, strings.ToLower(string(f.text)), "redacted")
		}
		if without == lower {
			continue
		}
		if clean == nil {
			clean = maps.Clone(header)
		}
		delete(clean, name)
		clean[without] = append(clean[without], values...)
	}
	if clean == nil {
		return header
	}
	return clean
}

// error returns err without the key in its text. If the key was in it, the result
// is another error, without err's type.
func (r *redactor) error(err error) error {
	if r == nil || err == nil {
		return err
	}
	text := err.Error()
	if plain := r.text(text); plain != text {
		return errors.New(plain)
	}
	return err
}

// suspects is a quick check that is enough for nearly all frames. If it returns false, the
// key is not in p. Usual encoders leave letters and digits as they are, so the anchor is
// found. Other encoders are noticed because they escape letters or digits.
func (r *redactor) suspects(p []byte) bool {
	for i := range r.forms {
		if bytes.Contains(p, r.forms[i].anchor) {
			return true
		}
	}
	return escapesLetters(p, percentSign, 0) || escapesLetters(p, unicodeEscape, 2)
}

var (
	percentSign   = []byte("%")
	unicodeEscape = []byte(`\u`)
)

// escapesLetters reports whether a letter, digit or percent sign is written in
// p as mark, that many zeros, and two hexadecimal digits.
func escapesLetters(p, mark []byte, zeros int) bool {
	for {
		i := bytes.Index(p, mark)
		if i < 0 {
			return false
		}
		p = p[i+len(mark):]
		if len(p) < zeros+2 {
			return false
		}
		if c, ok := hexByte(p[zeros:]); ok && string(p[:zeros]) == "00"[:zeros] && (isAlphanumeric(c) || c == '%') {
			return true
		}
	}
}

// match returns the length of the form of the key that p begins with, or 0.
func (r *redactor) match(p []byte) int {
	c, _ := unescape(p)
	for i := range r.forms {
		f := &r.forms[i]
		if first := f.text[0]; f.same(c, first) || f.same(p[0], first) {
			if n := f.match(p); n > 0 {
				return n
			}
		}
	}
	return 0
}

// match returns how many bytes at the start of p stand for the form, or 0.
func (f *form) match(p []byte) int {
	if bytes.HasPrefix(p, f.text) {
		return len(f.text)
	}
	n := 0
	for _, c := range f.text {
		k := f.character(p[n:], c)
		if k == 0 {
			return 0
		}
		n += k
	}
	return n
}

// character returns how many bytes at the start of p stand for c, or 0.
func (f *form) character(p []byte, c byte) int {
	if len(p) == 0 {
		return 0
	}
	if decoded, n := unescape(p); f.same(decoded, c) {
		return n
	}
	if f.same(p[0], c) {
		return 1
	}
	return 0
}

func (f *form) same(a, b byte) bool {
	return a == b || f.base64 && (a == '-' && b == '+' || a == '_' && b == '/')
}

// maxEncoded is how many times over the key may be encoded and still be found.
const maxEncoded = 3

// unescape returns the character that p begins with, escaped or not, and its length.
func unescape(p []byte) (c byte, n int) {
	switch p[0] {
	case '%':
		return percentEncoded(p)
	case '\\':
		return backslashed(p)
	}
	return p[0], 1
}

// percentEncoded reads %41, or %2541, which is %41 encoded again.
func percentEncoded(p []byte) (c byte, n int) {
	n = 1
	for times := 1; times < maxEncoded && len(p) >= n+4 && p[n] == '2' && p[n+1] == '5'; times++ {
		if _, ok := hexByte(p[n+2:]); !ok {
			break
		}
		n += 2
	}
	if c, ok := hexByte(p[n:]); ok {
		return c, n + 2
	}
	return '%', 1
}

// backslashed reads \u0041, \/, \" and \\, each with more backslashes where JSON
// was quoted again.
func backslashed(p []byte) (c byte, n int) {
	for n < len(p) && n < 1<<maxEncoded && p[n] == '\\' {
		n++
	}
	rest := p[n:]
	switch {
	case len(rest) > 0 && (rest[0] == '/' || rest[0] == '"'):
		return rest[0], n + 1
	case len(rest) >= 5 && rest[0] == 'u' && rest[1] == '0' && rest[2] == '0':
		if c, ok := hexByte(rest[3:]); ok {
			return c, n + 5
		}
	}
	return '\\', n
}

// hexByte reads two hexadecimal digits.
func hexByte(p []byte) (c byte, ok bool) {
	if len(p) < 2 {
		return 0, false
	}
	high, low := hexDigit(p[0]), hexDigit(p[1])
	return high<<4 | low, high|low < 16
}

// hexDigit returns the value of a hexadecimal digit; 16: c is none.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
