package body

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/kai-gateway/kai/host/fault"
)

// A token stands for long content: "@kai:", the nonce, ":", the number of the content,
// "@". Every request has a new nonce, so no client can write a token.
const (
	tokenStart = "@kai:"
	nonceLen   = 32 // hexadecimal digits
)

// abridged is an edited body with tokens in the place of its long content.
type abridged struct {
	edited
	nonce string
}

func abridge(d *Doc) *abridged {
	a := &abridged{}
	all := make([]Edit, 0, len(d.edits)+len(d.long))
	all = append(all, d.edits...)
	if len(d.long) > 0 {
		var random [nonceLen / 2]byte
		rand.Read(random[:])
		a.nonce = hex.EncodeToString(random[:])
	}
	const longestToken = len(tokenStart) + nonceLen + len(":4294967295@")
	tokens := make([]byte, 0, longestToken*len(d.long))
	for n, s := range d.long {
		from := len(tokens)
		tokens = append(append(append(tokens, tokenStart...), a.nonce...), ':')
		tokens = append(strconv.AppendInt(tokens, int64(n), 10), '@')
		all = append(all, Edit{s, tokens[from:]})
	}
	a.edited = d.apply(all)
	return a
}

// Refs holds the long content that Short took out of a request. A nil *Refs
// holds none.
type Refs struct {
	// Limit is how many bytes an expanded body may have. Short sets it to four times the
	// client's body plus 1 MiB.
	Limit int

	// Room returns an empty slice with room for exactly size bytes, which Expand fills;
	// Expand returns its error. Default: it is allocated.
	Room func(size int) ([]byte, error)

	nonce string
	body  []byte
	long  []Span
}

func newRefs(a *abridged, body []byte, long []Span) *Refs {
	return &Refs{Limit: 4*len(body) + 1<<20, nonce: a.nonce, body: body, long: long}
}

// Expand returns body with the long content in the place of the tokens, wherever
// they stand and as often as they do. The bytes are those the client sent
// between two quotes, so a token must stand within a JSON string.
//
// Body without tokens comes back as it is. A result beyond Limit, a token for
// content that does not exist, and a nonce that is not within a whole token are
// the adapter's mistake: *fault.Error with status 502 and code adapter_error.
func (r *Refs) Expand(body []byte) ([]byte, error) {
	if r == nil {
		return body, nil
	}
	size, tokens := len(body), 0
	for i := 0; ; tokens++ {
		token, content, err := r.next(body, i)
		if err != nil {
			return nil, adapterMistake(err)
		}
		if token.To == 0 {
			break
		}
		size += len(content) - (token.To - token.From)
		if size > r.Limit {
			return nil, adapterMistake(fmt.Errorf("content put back %d times makes the body larger than %d bytes", tokens+1, r.Limit))
		}
		i = token.To
	}
	if tokens == 0 {
		return body, nil
	}
	var out []byte
	if r.Room == nil {
		out = make([]byte, 0, size)
	} else {
		var err error
		if out, err = r.Room(size); err != nil {
			return nil, err
		}
	}
	for i := 0; ; {
		token, content, _ := r.next(body, i)
		if token.To == 0 {
			return append(out, body[i:]...), nil
		}
		out = append(out, body[i:token.From]...)
		out = append(out, content...)
		i = token.To
	}
}

// Pieces calls yield with the bytes of body, in order, and with the long content where Expand
// would put it. Nothing is copied.
func (r *Refs) Pieces(body []byte, yield func([]byte)) error {
	if r == nil {
		yield(body)
		return nil
	}
	for i := 0; ; {
		token, content, err := r.next(body, i)
		switch {
		case err != nil:
			return adapterMistake(err)
		case token.To == 0:
			yield(body[i:])
			return nil
		}
		yield(body[i:token.From])
		yield(content)
		i = token.To
	}
}

// next finds the first token at or after from, and its content. If there is none, the token
// is zero.
func (r *Refs) next(body []byte, from int) (token Span, content []byte, err error) {
	at := bytes.Index(body[from:], []byte(r.nonce))
	if at < 0 {
		return Span{}, nil, nil
	}
	at += from
	if !bytes.HasSuffix(body[from:at], []byte(tokenStart)) {
		return Span{}, nil, errors.New("the body holds a damaged reference to content")
	}
	number, _, whole := bytes.Cut(body[at+nonceLen:min(len(body), at+nonceLen+12)], []byte("@"))
	if !whole || len(number) < 2 || number[0] != ':' {
		return Span{}, nil, errors.New("the body holds a damaged reference to content")
	}
	n, err := strconv.ParseUint(string(number[1:]), 10, 32)
	if err != nil || n >= uint64(len(r.long)) {
		return Span{}, nil, fmt.Errorf("the body refers to content %q of %d", number[1:], len(r.long))
	}
	token = Span{at - len(tokenStart), at + nonceLen + len(number) + 1}
	return token, r.long[n].Of(r.body), nil
}

func adapterMistake(err error) *fault.Error {
	return &fault.Error{
		Kind: fault.Adapter, Code: "adapter_error",
		Text:  "the provider's adapter built an invalid request",
		Cause: fmt.Errorf("expand references: %w", err),
	}
}
