// Package long keeps long strings of an upstream's answer, and of some answers long arrays of
// numbers, away from its adapter. The adapter gets a token in place of each string, and where it emits the token, the
// string's bytes are put back. So an answer of 32 MiB that is mostly a picture fits into
// an adapter, and takes it no longer than the rest of the answer would.
//
// What is put back was checked to be the inside of a JSON string. An adapter can't invent
// a token, which has random bits, and can't multiply content much by repeating one. The
// package does no I/O.
package long

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

const (
	minBody   = 64 << 10 // bytes; a shorter answer stays as it is, and is not searched
	minString = 4 << 10  // bytes; a longer string is taken out
	maxTaken  = 4096     // how many strings of one answer are taken out at most
)

// A token is "@kai:", the nonce, ":", the number of the string, "@", as in requests.
const (
	tokenStart = "@kai:"
	nonceLen   = 32 // hexadecimal digits
)

// span is a range of bytes: the inside of a string, or an array of numbers with its
// brackets. The byte at to is not in it.
type span struct {
	from, to int
	numbers  bool
}

// Content is what was taken out of one answer, or out of one event of an answer. It refers
// to the body, which must not change as long as what was put back is used. A nil *Content
// is empty. Only one goroutine may use it at a time.
type Content struct {
	body  []byte
	nonce []byte
	spans []span
	limit int   // how many bytes may still be put back
	held  int64 // bytes counted in the memory.Grant
}

// Take returns body with tokens in place of its long strings. Of a data: URL in base64,
// only the data is taken out. If there are no long strings, short is body and c is nil.
// Halves of characters in what is taken out become U+FFFD, in body itself.
//
// What Take allocates is counted in m until Done. The error is a *memory.Error.
func Take(body []byte, m *memory.Grant) (short []byte, c *Content, err error) {
	if len(body) < minBody {
		return body, nil, nil
	}
	return take(body, find(body), m)
}

// TakeNumbers is Take for an answer that may be made of numbers: it takes out arrays of
// numbers, in whose place a string with the token stands, and strings that can be numbers in
// base64. Other strings stay.
func TakeNumbers(body []byte, m *memory.Grant) (short []byte, c *Content, err error) {
	return take(body, findNumbers(body), m)
}

func take(body []byte, spans []span, m *memory.Grant) (short []byte, c *Content, err error) {
	if len(spans) == 0 {
		return body, nil, nil
	}
	const longest = len(`"`) + len(tokenStart) + nonceLen + len(":4096@") + len(`"`)
	size := len(body)
	for _, s := range spans {
		size += longest - (s.to - s.from)
	}
	if err := m.Hold(int64(size)); err != nil {
		return nil, nil, err
	}
	var random [nonceLen / 2]byte
	rand.Read(random[:])
	c = &Content{body: body, nonce: []byte(hex.EncodeToString(random[:])), spans: spans, limit: 4*len(body) + 1<<20, held: int64(size)}
	short = make([]byte, 0, size)
	done := 0
	for n, s := range spans {
		short = append(short, body[done:s.from]...)
		if s.numbers {
			short = append(short, '"')
		}
		short = append(append(append(short, tokenStart...), c.nonce...), ':')
		short = append(strconv.AppendInt(short, int64(n), 10), '@')
		if s.numbers {
			short = append(short, '"')
		}
		done = s.to
	}
	return append(short, body[done:]...), c, nil
}

// errDamaged is the error for a token that is not whole.
var errDamaged = errors.New("an emission holds a damaged reference to content")

// PutBack replaces the tokens in emissions by their content. Emissions without text for
// a client stay as they are. What it allocates is counted in m until Done.
//
//   - error: a *memory.Error, or the adapter's mistake: a damaged token, a number that
//     does not exist, or content put back so often that it is more than four times as
//     long as the answer
func (c *Content) PutBack(ems []abi.Emission, m *memory.Grant) error {
	if c == nil {
		return nil
	}
	for i := range ems {
		e := &ems[i]
		switch e.Kind {
		case abi.Manifest, abi.Request, abi.State, abi.Wait, abi.Finish, abi.End, abi.Error:
			continue
		}
		if !bytes.Contains(e.Data, c.nonce) {
			continue
		}
		data, err := c.expand(*e, m)
		if err != nil {
			return err
		}
		e.Data = data
	}
	return nil
}

// Done says that nothing that Take and PutBack returned is used any more.
func (c *Content) Done(m *memory.Grant) {
	if c != nil {
		m.Drop(c.held)
		c.held = 0
	}
}

// piece is a part of an emission: what comes before a token, and the token's content.
type piece struct {
	before, content []byte
	form            form
}

// form says how content is written when it is put back.
type form uint8

const (
	inside  form = iota // as it was between the quotes
	decoded             // decoded, as text
	nested              // escaped once more, for JSON that is itself in a JSON string
)

func (c *Content) expand(e abi.Emission, m *memory.Grant) ([]byte, error) {
	var pieces []piece
	rest, size := e.Data, 0
	for {
		at := bytes.Index(rest, c.nonce)
		if at < 0 {
			break
		}
		content, numbers, end, err := c.content(rest, at)
		if err != nil {
			return nil, err
		}
		p := piece{before: rest[:at-len(tokenStart)], content: content}
		if numbers { // they stand for the whole string
			if !bytes.HasSuffix(p.before, []byte(`"`)) || !bytes.HasPrefix(rest[end:], []byte(`"`)) {
				return nil, errDamaged
			}
			p.before, end = p.before[:len(p.before)-1], end+1
		}
		p.form = formOf(e, e.Data[:len(e.Data)-len(rest)+len(p.before)])
		if p.form != nested && bytes.IndexByte(content, '\\') < 0 {
			p.form = inside // without escapes, both are the same
		}
		size += len(p.before) + len(content)
		if p.form == nested {
			size += escapes(content)
		}
		if c.limit -= len(content); c.limit < 0 {
			return nil, errors.New("content is put back so often that it comes to more than four times the answer")
		}
		pieces = append(pieces, p)
		rest = rest[end:]
	}
	if len(pieces) == 1 && size == len(pieces[0].content) && len(rest) == 0 && pieces[0].form == inside {
		return pieces[0].content, nil
	}
	size += len(rest)
	if err := m.Hold(int64(size)); err != nil {
		return nil, err
	}
	c.held += int64(size)
	out := make([]byte, 0, size)
	for _, p := range pieces {
		out = append(out, p.before...)
		switch p.form {
		case inside:
			out = append(out, p.content...)
		case decoded:
			out = sdk.AppendUnquote(out, p.content)
		case nested:
			out = appendEscaped(out, p.content)
		}
	}
	return append(out, rest...), nil
}

// content reads the token in p whose nonce begins at at. The token ends before end. numbers
// says that it stands for an array of numbers.
func (c *Content) content(p []byte, at int) (content []byte, numbers bool, end int, err error) {
	if !bytes.HasSuffix(p[:at], []byte(tokenStart)) {
		return nil, false, 0, errDamaged
	}
	rest := p[at+nonceLen:]
	number, _, whole := bytes.Cut(rest[:min(len(rest), len(":4096@"))], []byte("@"))
	if !whole || len(number) < 2 || number[0] != ':' {
		return nil, false, 0, errDamaged
	}
	n, err := strconv.ParseUint(string(number[1:]), 10, 16)
	if err != nil || n >= uint64(len(c.spans)) {
		return nil, false, 0, fmt.Errorf("an emission refers to content %q of %d", number[1:], len(c.spans))
	}
	s := c.spans[n]
	return c.body[s.from:s.to], s.numbers, at + nonceLen + len(number) + 1, nil
}

// formOf returns how content is written in an emission, after the bytes before. In JSON,
// and in the raw form of a text, a token is in a JSON string. In a plain text, it stands
// for the text. Tool arguments are both: a text that is JSON.
func formOf(e abi.Emission, before []byte) form {
	switch e.Kind {
	case abi.ToolArgs:
		switch {
		case e.Raw && oddQuotes(before, `\"`):
			return nested
		case e.Raw, oddQuotes(before, `"`):
			return inside
		}
		return decoded
	case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.Signature, abi.ToolSignature, abi.StopReason:
		if !e.Raw {
			return decoded
		}
	}
	return inside
}

// oddQuotes reports whether p, the beginning of a JSON text, ends in a string. quote is `"`,
// or `\"` if the text is itself in a JSON string, where its quotes and backslashes are
// escaped.
func oddQuotes(p []byte, quote string) bool {
	odd := false
	for i := 0; i < len(p); i++ {
		switch {
		case bytes.HasPrefix(p[i:], []byte(quote)):
			odd = !odd
			i += len(quote) - 1
		case quote == `"` && p[i] == '\\':
			i++
		case quote == `\"` && bytes.HasPrefix(p[i:], []byte(`\\`)):
			if i += 2; i < len(p) && p[i] == '\\' {
				i++
			}
		}
	}
	return odd
}

// escapes returns by how many bytes p, the inside of a string, grows when it is escaped
// once more.
func escapes(p []byte) int { return bytes.Count(p, []byte(`\`)) + bytes.Count(p, []byte(`"`)) }

// appendEscaped appends p, the inside of a string, and escapes it once more. All quotes
// and control characters in p are escaped already.
func appendEscaped(dst, p []byte) []byte {
	for {
		i := bytes.IndexByte(p, '\\')
		if i < 0 {
			return append(dst, p...)
		}
		// An escaped quote becomes a backslash and a quote, both escaped.
		dst = append(append(dst, p[:i]...), `\\`...)
		if p = p[i+1:]; len(p) > 0 && (p[0] == '"' || p[0] == '\\') {
			dst = append(dst, '\\', p[0])
			p = p[1:]
		}
	}
}
