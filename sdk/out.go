package sdk

import (
	"strconv"
	"unsafe"

	"github.com/kai-gateway/kai/sdk/abi"
)

// Out is where an adapter states facts. Its methods copy their arguments, except for parts
// of the call's input (Request.Body, Event.Data and so on), which nobody may write to. If
// the adapter's method returns an error, nothing that it stated counts except usage.
//
// Methods ending in JSON take the inside of a JSON string literal (JSON.RawStr),
// so that text passes from the upstream to the client without being decoded.
type Out struct {
	sink func(kind, at int32, p []byte) // native builds only
	buf  []byte
}

// Upstream is a request to the upstream.
type Upstream struct {
	Method  string      // default POST
	Path    string      // below the provider's base_url, for example "/api/chat"; may have a query
	Framing abi.Framing // how the answer is framed if its content type doesn't say otherwise
	Headers []string    // "lower-case-name: value"; content-type is application/json if there is a body and no other
	Body    []byte
	WaitMS  int // milliseconds to wait before it is sent, for upstreams that are polled
}

// Send makes u the request of this exchange or, in Response, its next one. The gateway
// adds the secret, the host and everything about the connection.
func (o *Out) Send(u Upstream) {
	if u.WaitMS > 0 {
		o.mark(abi.Wait, int32(u.WaitMS))
	}
	b := o.buf[:0]
	if u.Method == "" {
		u.Method = "POST"
	}
	b = append(b, u.Method...)
	b = append(b, ' ')
	b = append(b, u.Path...)
	b = append(b, '\n')
	typed := u.Body == nil
	for _, h := range u.Headers {
		typed = typed || len(h) > 13 && h[:13] == "content-type:"
		b = append(append(b, h...), '\n')
	}
	if !typed {
		b = append(b, "content-type: application/json\n"...)
	}
	o.buf = b
	o.emit(abi.Request, int32(u.Framing), b)
	if len(u.Body) > 0 {
		o.emit(abi.Body, 0, u.Body)
	}
}

// Wait delays what follows by ms milliseconds, at most 60,000. It is for an adapter that
// answers in Request without an upstream. Before a request use Upstream.WaitMS.
func (o *Out) Wait(ms int) { o.mark(abi.Wait, int32(ms)) }

// Text adds to what the assistant says in a choice.
func (o *Out) Text(choice int, text []byte) { o.text(abi.Text, choice, 0, text) }

// TextJSON is Text for the inside of a JSON string literal.
func (o *Out) TextJSON(choice int, inside []byte) { o.text(abi.Text|abi.Raw, choice, 0, inside) }

// Reasoning adds to what the model thinks before it answers.
func (o *Out) Reasoning(choice int, text []byte) { o.text(abi.Reasoning, choice, 0, text) }

// ReasoningJSON is Reasoning for the inside of a JSON string literal.
func (o *Out) ReasoningJSON(choice int, inside []byte) {
	o.text(abi.Reasoning|abi.Raw, choice, 0, inside)
}

// Refusal adds to the text in which the model declines.
func (o *Out) Refusal(choice int, text []byte) { o.text(abi.Refusal, choice, 0, text) }

// RefusalJSON is Refusal for the inside of a JSON string literal.
func (o *Out) RefusalJSON(choice int, inside []byte) {
	o.text(abi.Refusal|abi.Raw, choice, 0, inside)
}

// ToolID states the id of tool call n of a choice. Calls are numbered from 0, as the
// upstream numbers them. Without an id, or with one used before, the gateway makes one.
func (o *Out) ToolID(choice, n int, id string) { o.string(abi.ToolID, abi.At(choice, n), id) }

// ToolName states which function tool call n calls. A name may come in pieces,
// each in another call of the adapter, until the arguments begin.
func (o *Out) ToolName(choice, n int, name string) { o.string(abi.ToolName, abi.At(choice, n), name) }

// ToolArgs adds to the JSON text of the arguments of tool call n.
func (o *Out) ToolArgs(choice, n int, text []byte) { o.text(abi.ToolArgs, choice, n, text) }

// ToolArgsJSON is ToolArgs for the inside of a JSON string literal.
func (o *Out) ToolArgsJSON(choice, n int, inside []byte) {
	o.text(abi.ToolArgs|abi.Raw, choice, n, inside)
}

// ToolExtra adds fields that OpenAI doesn't know to tool call n.
func (o *Out) ToolExtra(choice, n int, object []byte) {
	o.emit(abi.ToolExtra, abi.At(choice, n), object)
}

// ToolSignature states the provider's signature of tool call n, which it wants back with
// the call.
func (o *Out) ToolSignature(choice, n int, text []byte) { o.text(abi.ToolSignature, choice, n, text) }

// ToolSignatureJSON is ToolSignature for the inside of a JSON string literal.
func (o *Out) ToolSignatureJSON(choice, n int, inside []byte) {
	o.text(abi.ToolSignature|abi.Raw, choice, n, inside)
}

// ReasoningDetail adds a part of the reasoning in the form in which the provider
// wants it back: an object with "type" ("reasoning.text", "reasoning.summary" or
// "reasoning.encrypted"), "text", "summary" or "data", and as far as there are such
// "signature", "format", "index" and "id", as OpenRouter's reasoning_details have
// them. Its readable text must also be stated as Reasoning.
func (o *Out) ReasoningDetail(choice int, object []byte) {
	o.emit(abi.ReasoningDetail, abi.At(choice, 0), object)
}

// Signature states the provider's signature of a choice's text, which it wants back with
// the message.
func (o *Out) Signature(choice int, text []byte) { o.text(abi.Signature, choice, 0, text) }

// SignatureJSON is Signature for the inside of a JSON string literal.
func (o *Out) SignatureJSON(choice int, inside []byte) {
	o.text(abi.Signature|abi.Raw, choice, 0, inside)
}

// Citation adds a source of a choice's text, an object in the provider's form.
func (o *Out) Citation(choice int, object []byte) { o.emit(abi.Citation, abi.At(choice, 0), object) }

// Logprobs adds an array of OpenAI's token objects for the choice's text.
func (o *Out) Logprobs(choice int, array []byte) { o.emit(abi.Logprobs, abi.At(choice, 0), array) }

// DeltaExtra adds fields that OpenAI doesn't know to the message or delta.
func (o *Out) DeltaExtra(choice int, object []byte) {
	o.emit(abi.DeltaExtra, abi.At(choice, 0), object)
}

// ChoiceExtra adds fields that OpenAI doesn't know to the choice.
func (o *Out) ChoiceExtra(choice int, object []byte) {
	o.emit(abi.ChoiceExtra, abi.At(choice, 0), object)
}

// ChunkExtra adds fields that OpenAI doesn't know to the answer or chunk.
func (o *Out) ChunkExtra(object []byte) { o.emit(abi.ChunkExtra, 0, object) }

// Usage states a usage object in OpenAI's shape, or a part of one. Objects are merged
// leaf by leaf, and the last value counts.
func (o *Out) Usage(object []byte) { o.emit(abi.Usage, 0, object) }

// Tokens is Usage for an upstream that counts two numbers.
func (o *Out) Tokens(prompt, completion int64) {
	b := append(o.buf[:0], `{"prompt_tokens":`...)
	b = strconv.AppendInt(b, prompt, 10)
	b = append(b, `,"completion_tokens":`...)
	b = strconv.AppendInt(b, completion, 10)
	o.buf = append(b, '}')
	o.emit(abi.Usage, 0, o.buf)
}

// End says that the answer is complete by the upstream's own protocol, as [DONE] does.
// Nothing more is read, even if the connection stays open. If there was content,
// choices without Finish are finished.
func (o *Out) End() { o.mark(abi.End, 0) }

// StopReason states the provider's own word for why a choice ends, in addition to Finish.
func (o *Out) StopReason(choice int, word []byte) { o.text(abi.StopReason, choice, 0, word) }

// StopReasonJSON is StopReason for the inside of a JSON string literal.
func (o *Out) StopReasonJSON(choice int, inside []byte) {
	o.text(abi.StopReason|abi.Raw, choice, 0, inside)
}

// Finish ends a choice. reason is one of the Finish constants of package abi. Content of
// the choice that comes later still belongs to it, and so does a better reason.
func (o *Out) Finish(choice int, reason string) { o.string(abi.Finish, abi.At(choice, 0), reason) }

// Pass passes the upstream's event, or its whole answer, on to the client as it came. It is
// for operations that are [abi.Op.Native] and for events of those that are [abi.Op.Streams],
// and comes at most once a call. content says that it is a part of what the assistant says or
// does: after that no other provider is asked.
func (o *Out) Pass(content bool) {
	at := int32(0)
	if content {
		at = abi.PassContent
	}
	o.mark(abi.Pass, at)
}

// PassAll is Pass(true) for e, if its data begin with a text, and then for those of the events that
// came together with it, up to one whose data do not. e becomes that one; what is stated from then
// on is about it. rest is false if all were passed. It spares the calls of Event for what it passes,
// where nearly all events are only passed; an adapter that doesn't use it gets each event in a call.
//
//   - e: what Event was called with, and no copy of it
//   - begin: at least eight bytes; otherwise PassAll panics
func (o *Out) PassAll(e *Event, begin string) (rest bool) {
	if len(begin) < 8 {
		panic("sdk: PassAll needs a text of at least eight bytes")
	}
	return o.passAll(e, begin)
}

// Result states the whole answer of an operation other than chat.
func (o *Out) Result(json []byte) { o.emit(abi.Result, 0, json) }

func (o *Out) fail(e *Error) {
	b := append(o.buf[:0], `{"status":`...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	for _, f := range [...]struct{ key, value string }{{"type", e.Type}, {"code", e.Code}, {"param", e.Param}} {
		if f.value != "" {
			b = append(append(append(b, `,"`...), f.key...), `":`...)
			b = AppendQuote(b, f.value)
		}
	}
	b = append(b, `,"message":`...)
	b = AppendQuote(b, e.Message)
	if e.RetryAfterMS > 0 {
		b = append(b, `,"retry_after_ms":`...)
		b = strconv.AppendInt(b, e.RetryAfterMS, 10)
	}
	if e.Own != "" {
		b = AppendQuote(append(b, `,"own":`...), e.Own)
	}
	if e.NoRetry {
		b = append(b, `,"no_retry":true`...)
	}
	o.buf = append(b, '}')
	o.emit(abi.Error, 0, o.buf)
}

func (o *Out) text(kind abi.Kind, choice, item int, p []byte) {
	if len(p) > 0 {
		o.emit(kind, abi.At(choice, item), p)
	}
}

func (o *Out) string(kind abi.Kind, at int32, s string) {
	o.emit(kind, at, unsafe.Slice(unsafe.StringData(s), len(s)))
}
