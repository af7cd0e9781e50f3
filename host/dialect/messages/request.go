package messages

import (
	"context"
	"errors"

	"github.com/kai-gateway/kai/host/buffer"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk/abi"
)

// requestInfo is what an answer needs to know of its request. It never changes.
type requestInfo struct {
	// names are the client's names of the tools whose names were shortened for the
	// provider, by the short name; nil: none was.
	names map[string]string

	// ids reports whether a call in the request's history has that id.
	ids func(id string) bool
}

// fullName returns the client's name of a tool, which the provider calls name.
func (a *requestInfo) fullName(name string) string {
	if full, ok := a.names[name]; ok {
		return full
	}
	return name
}

// Parse reads a request to /v1/messages.
//
// It checks what the gateway promises to check; the rest is up to adapter and provider. If
// only a provider that speaks this API can take the request, because it has a server tool
// for example, its Untranslated says so. A field that is null counts as absent, and unknown
// ones are ignored. Text is spliced, and never decoded and encoded again.
//
//   - error: a *fault.Error, whose Param is a place as this API names it, such as
//     messages.2.content.0. Its text begins with the place.
func Parse(_ context.Context, b []byte, c dialect.Caller) (*dialect.Request, error) {
	r, err := parse(b, false, c.Buffers)
	if r == nil {
		return nil, err
	}
	r.Untranslated = err
	r.Op, r.NativeOp = abi.Chat, abi.Messages
	r.Native = func() (*dialect.Native, error) { return r.passed(b, c.Header) }
	a := r.asked
	r.Whole = func(i dialect.Info) dialect.Answer { return newWhole(a, i) }
	r.Streamed = func(i dialect.Info) dialect.Stream { return newStream(a, i) }
	return r.Request, nil
}

// ParseCount reads a request to /v1/messages/count_tokens: one to /v1/messages that needs
// no limit, since its tokens are only counted.
func ParseCount(_ context.Context, b []byte, c dialect.Caller) (*dialect.Request, error) {
	r, err := parse(b, true, c.Buffers)
	if r == nil {
		return nil, err
	}
	r.Untranslated = err
	r.Op, r.NativeOp, r.Stream, r.Whole = abi.Count, abi.CountMessages, false, newCount
	r.Native = func() (*dialect.Native, error) { return r.passed(b, c.Header) }
	return r.Request, nil
}

// The extensions of chat completions that an adapter may take, by the names they have in
// its manifest.
const (
	extCache  = "cache_control"
	extTopK   = "top_k"
	extNative = "anthropic"
)

// request is a request that was read, and what is needed to write another form of it.
type request struct {
	*dialect.Request
	asked    requestInfo
	source   source // in the client's body
	counting bool
	bytes    int // of the client's body
	found    found
	places   *places
}

// places are those of the form of a request that was asked for last.
type places struct {
	plain origins  // of Body
	given *origins // of the form that was asked for last
}

// parse reads a request. The result lacks Op, Native, Whole and Streamed. If there is an
// error, the result is nil if nobody can take the request. Otherwise it has no Body, and
// the request may be taken as it is.
func parse(b []byte, counting bool, buffers *buffer.Pool) (*request, error) {
	r := &request{Request: &dialect.Request{}, counting: counting, bytes: len(b), places: &places{}}
	if err := r.source.read(b); err != nil {
		return nil, err
	}
	if err := r.source.check(counting); err != nil {
		return nil, err
	}
	t, body, err := r.write(form{}, buffers)
	if err != nil {
		r.Model, r.Stream = r.source.model.text(), r.source.stream.isTrue()
		return r, err
	}
	ids, p := t.ids, r.places
	p.plain = t.origins
	p.given = &p.plain
	r.found = t.found
	r.asked = requestInfo{names: t.names, ids: func(id string) bool { _, has := ids[id]; return has }}
	r.Model, r.Stream, r.Body, r.Owner, r.IDs = body.Model, body.Stream, body, t.owner, body.IDs()
	r.Size = int64(len(t.out)+t.origins.size()+64*len(ids)) + body.Size()
	r.Fault = func(e *fault.Error) *fault.Error { return p.given.fault(e) }
	if t.effort != "" {
		r.Wish = wish
	}
	if t.found != (found{}) {
		r.Size *= 2 // for another form
		r.Form = r.formFor
	}
	return r, nil
}

// write writes the request in a form, and checks it as what it has become.
func (r *request) write(f form, buffers *buffer.Pool) (*translation, *chat.Request, error) {
	t := newTranslation(&r.source, r.bytes, f, r.counting, buffers)
	if err := t.write(); err != nil {
		return nil, nil, err
	}
	parse := chat.ParseTranslated
	if t.thoughts.halves {
		parse = chat.ParseRequest
	}
	body, err := parse(t.out)
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return nil, nil, t.origins.fault(e)
	}
	return t, body, err
}

// formFor returns the request for an adapter that takes some extensions.
func (r *request) formFor(takes func(extension string) bool) (dialect.Body, error) {
	f := form{
		Cache:  r.found.cache && takes(extCache),
		TopK:   r.found.topK && takes(extTopK),
		Native: r.found.native && takes(extNative),
	}
	if f == (form{}) {
		r.places.given = &r.places.plain
		return r.Body, nil
	}
	t, body, err := r.write(f, nil)
	if err != nil {
		return nil, err
	}
	r.places.given = &t.origins
	return body, nil
}
