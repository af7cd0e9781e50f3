// Package seal packs what a provider wants back with the next request, and what the API
// that a client speaks has no place for, into one string that clients carry back
// unchanged:
//
//	kai1. + base64url(deflate(JSON))
//	{"rd":[reasoning details…],"msg":{extras of the message},"calls":{"call id":{extras of the call}}}
//
// The Responses API carries it in encrypted_content, the Messages API in a signature.
//
// Nothing is encrypted, and nothing needs to be: the same client could write the same
// fields into a chat completion, and providers check their own signatures. But what comes
// back is foreign input, so [Open] limits its size and its depth, and takes nothing but
// the three fields, and of extras only those of an allow-list. It can never set a role, a
// content, or the name or arguments of a call.
package seal

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

const (
	// Prefix is what sealed content begins with. Prefix alone has nothing in it.
	Prefix = "kai1."

	MaxSealed = 256 << 10 // bytes of sealed content, prefix included
	MaxOpen   = 4 << 20   // bytes of its JSON
)

// maxDepth is how deep the JSON may nest. It becomes part of a chat completion, whose
// depth is limited, too.
const maxDepth = 64

// carried are the extra fields that are sealed: the rest is of no use to a provider.
var carried = []string{"extra_content"}

// Content is what is sealed. Everything in it is JSON in UTF-8, and all of it objects.
type Content struct {
	Details []json.RawMessage          // of the reasoning, in order
	Message json.RawMessage            // extra fields of the message; nil: none
	Calls   map[string]json.RawMessage // extra fields of its tool calls, by their ids
}

// Seal returns the sealed form of c, which is the same for the same content. Extra fields
// that are not on the allow-list are left out. If nothing is left, the result is Prefix
// alone; so it is if Open would refuse the content for its size, because a conversation
// that goes on without it is better than one that can't go on.
func Seal(c Content) string {
	plain := c.appendTo(nil)
	if len(plain) == len("{}") || len(plain) > MaxOpen {
		return Prefix
	}
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out.Reset()
	d.Reset(&d.out)
	_, _ = d.Write(plain) // a bytes.Buffer takes everything
	_ = d.Close()
	size := len(Prefix) + base64.RawURLEncoding.EncodedLen(d.out.Len())
	if size > MaxSealed {
		return Prefix
	}
	sealed := append(make([]byte, 0, size), Prefix...)
	return string(base64.RawURLEncoding.AppendEncode(sealed, d.out.Bytes()))
}

// appendTo appends the content as JSON.
func (c Content) appendTo(dst []byte) []byte {
	dst = append(dst, '{')
	sep := ""
	if len(c.Details) > 0 {
		dst = append(dst, `"rd":[`...)
		for i, detail := range c.Details {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, detail...)
		}
		dst = append(dst, ']')
		sep = ","
	}
	if extras := only(c.Message); extras != nil {
		dst = append(append(append(dst, sep...), `"msg":`...), extras...)
		sep = ","
	}
	open := sep + `"calls":{`
	for _, id := range slices.Sorted(maps.Keys(c.Calls)) {
		extras := only(c.Calls[id])
		if extras == nil {
			continue
		}
		dst = append(sdk.AppendQuote(append(dst, open...), id), ':')
		dst = append(dst, extras...)
		open = ","
	}
	if open == "," {
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// only returns the fields of an object that are carried, the last one of each name; nil if
// there are none.
func only(object []byte) json.RawMessage {
	var out []byte
	for _, name := range carried {
		var value sdk.JSON
		for it := sdk.Object(object); it.Next(); {
			if string(it.Key()) == name && it.Value().Kind() == sdk.KindObject {
				value = it.Value()
			}
		}
		if value != nil {
			out = append(sdk.AppendQuote(append(out, ','), name), ':')
			out = append(out, value...)
		}
	}
	if out == nil {
		return nil
	}
	out[0] = '{'
	return append(out, '}')
}

// Open returns what is sealed in s.
//
//   - room: how many bytes all that is sealed in a request may still open to. What s opens
//     to is subtracted, whatever becomes of it, so that a request can't cost more than
//     that: a few bytes may open to millions.
//   - ours: whether s was sealed by Kai. If it is foreign or broken it is false, c is
//     empty, and s is to be ignored.
//   - err: a *fault.Error without a Param, if s is larger than MaxSealed, or its JSON
//     larger than MaxOpen or than room.
func Open(s string, room *int) (c Content, ours bool, err error) {
	text, ok := strings.CutPrefix(s, Prefix)
	switch {
	case !ok:
		return Content{}, false, nil
	case len(s) > MaxSealed:
		return Content{}, false, tooLarge("is", MaxSealed)
	case text == "":
		return Content{}, true, nil
	}
	packed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Content{}, false, nil
	}
	limit := max(0, min(MaxOpen, *room))
	plain, err := inflate(packed, limit)
	*room -= len(plain)
	switch {
	case len(plain) > MaxOpen:
		return Content{}, false, tooLarge("opens to", MaxOpen)
	case len(plain) > limit:
		return Content{}, false, &fault.Error{Kind: fault.Invalid, Text: noRoom}
	case err != nil:
		return Content{}, false, nil
	case !utf8.Valid(plain) || depth(plain) > maxDepth || sdk.JSON(plain).Kind() != sdk.KindObject || sdk.JSON(plain).Valid() != nil:
		return Content{}, false, nil
	}
	return read(plain), true, nil
}

const noRoom = "what is sealed in the request opens to too much in all: send it as the answers had it, or leave the oldest out"

func tooLarge(verb string, limit int) *fault.Error {
	return &fault.Error{
		Kind: fault.Invalid,
		Text: fmt.Sprintf("sealed content that %s more than %d KiB: send it as the answer had it, or leave it out", verb, limit>>10),
	}
}

// read takes the three fields of a valid object.
func read(plain []byte) (c Content) {
	for it := sdk.Object(plain); it.Next(); {
		switch v := it.Value(); string(it.Key()) {
		case "rd":
			c.Details = nil
			for details := sdk.Array(v); details.Next(); {
				if details.Value().Kind() == sdk.KindObject {
					c.Details = append(c.Details, json.RawMessage(details.Value()))
				}
			}
		case "msg":
			c.Message = only(v)
		case "calls":
			c.Calls = nil
			for calls := sdk.Object(v); calls.Next(); {
				extras := only(calls.Value())
				if extras == nil {
					continue
				}
				if c.Calls == nil {
					c.Calls = map[string]json.RawMessage{}
				}
				c.Calls[string(calls.Key())] = extras
			}
		}
	}
	return c
}

// depth returns how deep the objects and arrays of some JSON nest.
func depth(b []byte) (deepest int) {
	open, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			open++
			deepest = max(deepest, open)
		case c == '}' || c == ']':
			open--
		}
	}
	return deepest
}

// deflater compresses into its own buffer. A new one takes 0.8 MB, and an inflater 40 KB,
// so both are reused.
type deflater struct {
	*flate.Writer
	out bytes.Buffer
}

var (
	deflaters = sync.Pool{New: func() any {
		w, _ := flate.NewWriter(nil, flate.DefaultCompression) // the level is a valid one
		return &deflater{Writer: w}
	}}
	inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}
)

// inflate decompresses, up to one byte more than limit. What comes before an error is
// returned, too.
func inflate(packed []byte, limit int) ([]byte, error) {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	if err := r.(flate.Resetter).Reset(bytes.NewReader(packed), nil); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(min(4*len(packed), limit))
	_, err := out.ReadFrom(io.LimitReader(r, int64(limit)+1))
	return out.Bytes(), err
}

// HasHalves reports whether what was sealed may have halves of characters in it. Unlike the rest
// of a request, it was not checked with the client's body.
func HasHalves(opened []byte) bool {
	return bytes.Contains(opened, []byte(`\ud`)) || bytes.Contains(opened, []byte(`\uD`))
}
