// Package passing passes on answers of the APIs that clients speak, OpenAI's Responses and
// Anthropic's Messages, whole and streamed. It states what the gateway has to know of them: what
// they cost, and whether they are complete. It is for adapters whose upstream speaks such an API.
//
// https://platform.openai.com/docs/api-reference/responses
// https://platform.claude.com/docs/en/api/messages
package passing

import (
	"bytes"
	"encoding/binary"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Dialect says how the answers of one kind of server differ from others'.
type Dialect struct {
	Name string // begins the sentences about the server: "OpenRouter"

	// Failure explains an error within an answer, an object or a string. head is nil in a
	// stream.
	Failure func(op abi.Op, head sdk.Head, e sdk.JSON) error
}

// Whole passes on a whole answer with a status of 2xx, if it is complete. It may be an error all
// the same. u is as in Event.
func (d *Dialect) Whole(r *sdk.Response, u *Usage, out *sdk.Out) error {
	if r.Op == abi.Responses {
		return d.wholeResponse("response", r.Head, r.Body, out)
	}
	if r.Op == abi.CompactResponses {
		return d.wholeResponse("response.compaction", r.Head, r.Body, out)
	}
	return d.wholeMessage(r.Head, r.Body, u, out)
}

// Event passes on an event, whatever its type.
//
//   - u: of the exchange's state; nil for an adapter that has the Responses API alone
func (d *Dialect) Event(e *sdk.Event, u *Usage, out *sdk.Out) error {
	text := blockDelta
	if e.Op == abi.Responses {
		text = textDelta
	}
	if !out.PassAll(e, text) {
		return nil
	}
	switch {
	case e.End || e.Done:
		return nil
	case e.Op == abi.Responses:
		return d.responsesEvent(e, out)
	}
	return d.messagesEvent(e, u, out)
}

// What those events begin with that nearly all of a stream consists of.
const (
	textDelta  = `{"type":"response.output_text.delta"`
	blockDelta = `{"type":"content_block_delta"`
)

// Unserved turns the error that there is no such path into one that makes the gateway
// translate: that the API is not served. Such an error can't be repeated.
//
//   - status: the upstream's
//   - text: what a client is told whose request can't be translated: what is missing where,
//     and what the operator can do
func Unserved(err error, status int, text string) error {
	if e, ok := err.(*sdk.Error); ok && e.NoRetry && (status == 404 || status == 405) && e.Code == "upstream_error" {
		e.Message, e.Own = text, text
		return NotHere(e)
	}
	return err
}

// NotHere turns an error into one that makes the gateway translate.
func NotHere(e *sdk.Error) error {
	e.Status, e.Code, e.Type, e.NoRetry = 404, "unsupported_operation", sdk.NotFoundError, true
	return e
}

func (d *Dialect) malformed() error {
	return errortext.Upstream(d.Name + " sent an answer that is not what its API promises. Does base_url lead to it?")
}

func (d *Dialect) incomplete() error {
	return errortext.Upstream(d.Name + "'s answer is not complete.")
}

func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// isNovel reports whether the data of an event is JSON but no object. No known event has
// such data, so it passes.
func isNovel(e *sdk.Event) bool {
	return e.Data.Kind() != sdk.KindObject && e.Data.Valid() == nil && string(e.Name) != "error"
}

// nameOf returns what an event is: its type, or else the name that it has in the stream.
func nameOf(kind sdk.JSON, e *sdk.Event) []byte {
	if name := inside(kind); len(name) > 0 {
		return name
	}
	return e.Name
}

// isFailure reports whether an event says that the answer failed. Something in front of the API may
// leave out the type, or the event's name. What is only about a part of the answer, such as a
// tool, may have an error in it, and the answer goes on.
func isFailure(name []byte, e *sdk.Event, failure sdk.JSON) bool {
	return string(name) == "error" || string(e.Name) == "error" || len(name) == 0 && !failure.Empty()
}

// typeOf returns the type of an event that begins with it, without reading further; nil of any
// other.
func typeOf(data sdk.JSON) []byte {
	const begin = `{"type":"`
	if len(data) < len(begin) || string(data[:len(begin)]) != begin {
		return nil
	}
	end := bytes.IndexByte(data[len(begin):], '"')
	if end < 0 {
		return nil
	}
	return data[len(begin) : len(begin)+end]
}

// inside returns the inside of a string that an iterator has checked, or nil for anything
// else.
func inside(v sdk.JSON) []byte {
	if len(v) >= 2 && v[0] == '"' {
		return v[1 : len(v)-1]
	}
	return nil
}
