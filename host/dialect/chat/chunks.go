package chat

import (
	"strconv"

	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Chunks makes the events of a streamed answer.
//
// The emissions of one adapter call for one choice become one chunk. If it is the choice's
// first, a chunk with the role comes before it. The reason of FINISH gets a chunk of its
// own once it is final. Extra fields get no chunk of their own. They wait for the next
// chunk, and those of a choice that has its FINISH wait for the chunk with the reason. What
// CHUNK_EXTRA states after the last chunk of a choice goes into the usage chunk. It is
// dropped if the client asked for no usage, because a chunk without choices breaks clients
// that do not expect one.
//
// After an error only Usage may be called.
type Chunks struct {
	answer
	text    []byte // an event up to the text of choice 0, as a template
	written int    // bytes counted for the array of the events
	head    int32  // length of the part of text that all events share
	usages  bool   // the client asked for usage
	direct  bool   // a single TEXT for choice 0 only needs text and what ends its event
}

const (
	textStart = `{"index":0,"delta":{"content":"`
	textEnd   = `"` + deltaEnd
	argsEnd   = `"}}]` + deltaEnd
	deltaEnd  = `},"logprobs":null,"finish_reason":null}`

	tail          = "]}\n\n"
	tailNullUsage = "],\"usage\":null}\n\n"
)

// The ends of an event after a text in its delta. They are arrays, because copying one
// takes a few instructions, and nearly every event of a stream has one.
var (
	textTail          = [len(textEnd + tail)]byte([]byte(textEnd + tail))
	textTailNullUsage = [len(textEnd + tailNullUsage)]byte([]byte(textEnd + tailNullUsage))
)

// tail returns the end of an event after its choices, without extra fields.
func (c *Chunks) tail() string {
	if c.usages {
		return tailNullUsage
	}
	return tail
}

// appendTextTail appends the end of an event after a text in its delta.
func (c *Chunks) appendTextTail(dst []byte) []byte {
	n := len(dst)
	if room := cap(dst) - n; room < len(textTail) || c.usages && room < len(textTailNullUsage) {
		return append(append(dst, textEnd...), c.tail()...)
	}
	if c.usages {
		dst = dst[:n+len(textTailNullUsage)]
		*(*[len(textTailNullUsage)]byte)(dst[n:]) = textTailNullUsage
		return dst
	}
	dst = dst[:n+len(textTail)]
	*(*[len(textTail)]byte)(dst[n:]) = textTail
	return dst
}

// NewChunks returns a streamed answer without content.
func NewChunks(info Info) *Chunks {
	b := make([]byte, 0, 144+len(info.ID)+len(info.Model))
	b = append(b, "data: "...)
	b = appendHead(b, info.ID, info.Created, info.Model, "chat.completion.chunk")
	c := &Chunks{head: int32(len(b)), text: append(b, textStart...), usages: info.IncludeUsage}
	c.start(info)
	return c
}

// appendHead appends an answer up to its first choice.
func appendHead(dst []byte, id string, created int64, model, object string) []byte {
	dst = append(dst, `{"id":`...)
	dst = facts.AppendString(dst, id)
	dst = append(dst, `,"object":"`...)
	dst = append(dst, object...)
	dst = append(dst, `","created":`...)
	dst = strconv.AppendInt(dst, created, 10)
	dst = append(dst, `,"model":`...)
	dst = facts.AppendString(dst, model)
	return append(dst, `,"choices":[`...)
}

// Apply appends the events for the emissions of one adapter call, if there are any.
//
//   - error: a *fault.Error: the adapter's ERROR, a breach of the protocol, or too
//     little memory. Then nothing was appended.
func (c *Chunks) Apply(dst []byte, ems []abi.Emission) ([]byte, error) {
	if e := facts.Alone(ems); e != nil {
		if c.direct && e.Kind == abi.Text && e.At == 0 && len(e.Data) > 0 && len(e.Data) < facts.Often && !facts.MayHaveHalf(e) {
			c.facts.AddStated(len(e.Data))
			dst = append(dst, c.text...)
			dst = facts.Text{Raw: e.Raw, Data: e.Data}.AppendTo(dst)
			return c.appendTextTail(dst), nil
		}
		if events, ok := c.pass(dst, e); ok {
			return events, nil
		}
	}
	return c.applyAll(dst, ems)
}

// applyAll is Apply for emissions that lead to anything.
func (c *Chunks) applyAll(dst []byte, ems []abi.Emission) ([]byte, error) {
	if err := c.apply(ems); err != nil {
		return dst, err
	}
	if c.facts.Stated() >= facts.Often {
		var err error
		if dst, err = c.room(dst); err != nil {
			return dst, err
		}
	}
	return c.show(dst), nil
}

// pass appends the event for an emission that is shown as it is and alone in its chunk. If
// that is not possible, it reports false, and nothing has changed.
func (c *Chunks) pass(dst []byte, e *abi.Emission) ([]byte, bool) {
	ch := c.choice(e.Choice())
	if ch == nil || !ch.started || !ch.extra.Empty() || !c.extra.Empty() {
		return dst, false
	}
	call, ok := c.facts.TryPass(e)
	if !ok {
		return dst, false
	}
	text := facts.Text{Raw: e.Raw, Data: e.Data}
	dst = c.begin(dst, ch)
	switch e.Kind {
	case abi.Text:
		dst = text.AppendTo(append(dst, `{"content":"`...))
	case abi.Refusal:
		dst = text.AppendTo(append(dst, `{"refusal":"`...))
	case abi.Reasoning:
		dst = append(dst, `{"reasoning_content":"`...)
		from := len(dst)
		dst = text.AppendTo(dst)
		inside := dst[from:]
		dst = append(append(dst, `","reasoning":"`...), inside...)
	case abi.ToolArgs:
		dst = append(dst, `{"tool_calls":[{"index":`...)
		dst = appendIndex(dst, call)
		dst = text.AppendTo(append(dst, `,"function":{"arguments":"`...))
		return append(append(dst, argsEnd...), c.tail()...), true
	}
	return c.appendTextTail(dst), true
}

// show appends the events for what was stated since the last call.
func (c *Chunks) show(dst []byte) []byte {
	rest := 0
	for i := range c.choices.Len() {
		ch := c.choices.At(i)
		dst = c.flush(dst, ch)
		rest += ch.extra.Held()
	}
	c.facts.Rendered(rest+c.extra.Held(), c.size)
	c.direct = c.choices.Len() > 0 && c.extra.Empty() && c.plain(c.choices.At(0))
	return dst
}

// plain reports whether a text for the choice becomes a chunk with nothing else in it.
func (c *Chunks) plain(ch *choice) bool {
	return ch.index == 0 && ch.started && ch.extra.Empty() && c.facts.Plain(0)
}

// room makes room in dst for the events of what was stated, and counts it if they are
// large. They can be large only if much was stated.
func (c *Chunks) room(dst []byte) ([]byte, error) {
	n := c.rendered()
	if n < facts.Often || n <= cap(dst)-len(dst) {
		return dst, nil
	}
	size := len(dst) + n
	if err := c.facts.Hold(size); err != nil {
		return dst, err
	}
	grown := append(make([]byte, 0, size), dst...)
	c.Sent(true)
	c.written = size
	return grown, nil
}

// Sent notes that the events have reached the client. dropped says that their array is no
// longer used.
func (c *Chunks) Sent(dropped bool) {
	if dropped {
		c.facts.Drop(c.written)
		c.written = 0
	}
}

// flush appends the events for what was stated about ch since the last call.
func (c *Chunks) flush(dst []byte, ch *choice) []byte {
	delta, finish := ch.visible(), ch.finish != "" && !ch.ended
	if !delta && !finish {
		return dst
	}
	if !ch.started {
		ch.started = true
		dst = c.begin(dst, ch)
		if ch.noText() {
			dst = append(dst, `{"role":"assistant","content":null},"logprobs":null,"finish_reason":null}`...)
		} else {
			dst = append(dst, `{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}`...)
		}
		dst = append(dst, c.tail()...)
	}
	if delta {
		dst = c.begin(dst, ch)
		dst = ch.appendDelta(dst)
		if len(ch.logprobs) == 0 {
			dst = append(dst, `,"logprobs":null,"finish_reason":null`...)
		} else {
			dst = append(ch.appendLogprobs(dst), `,"finish_reason":null`...)
		}
		if !c.facts.Finished(ch.index) {
			dst = ch.extra.AppendTo(dst)
			ch.extra.Reset()
		}
		dst = c.close(dst)
		ch.forget()
	}
	if finish {
		ch.ended = true
		dst = c.begin(dst, ch)
		dst = append(dst, `{},"logprobs":null,"finish_reason":"`...)
		dst = append(dst, ch.finish...)
		dst = append(dst, '"')
		dst = ch.extra.AppendTo(dst)
		ch.extra.Reset()
		dst = c.close(dst)
	}
	return dst
}

// begin appends a chunk up to the delta of its one choice.
func (c *Chunks) begin(dst []byte, ch *choice) []byte {
	const first = `{"index":0,"delta":` // which textStart begins with
	if ch.index == 0 {
		return append(dst, c.text[:int(c.head)+len(first)]...)
	}
	dst = append(dst, c.text[:c.head]...)
	dst = append(dst, `{"index":`...)
	dst = appendIndex(dst, ch.index)
	return append(dst, `,"delta":`...)
}

// appendIndex appends the index of a choice or a call, which mostly has one digit.
func appendIndex(dst []byte, n int) []byte {
	if n < 10 {
		return append(dst, '0'+byte(n))
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

// close appends what follows the fields of a chunk's choice.
func (c *Chunks) close(dst []byte) []byte {
	dst = append(dst, '}')
	tail := c.tail()
	if c.extra.Empty() {
		return append(dst, tail...)
	}
	dst = append(dst, tail[:len(tail)-len("}\n\n")]...)
	dst = c.extra.AppendTo(dst)
	c.extra.Reset()
	return append(dst, "}\n\n"...)
}

// visible reports whether there is anything to put into a delta.
func (ch *choice) visible() bool {
	if len(ch.content) > 0 || len(ch.reasoning) > 0 || len(ch.refusal) > 0 ||
		len(ch.logprobs) > 0 || !ch.delta.Empty() {
		return true
	}
	for i := range ch.calls {
		if ch.calls[i].visible() {
			return true
		}
	}
	return false
}

// visible reports whether there is anything of the call to put into a delta.
func (c *call) visible() bool {
	return c.fresh || len(c.args) > 0 || !c.extra.Empty()
}

// appendDelta appends the delta.
func (ch *choice) appendDelta(dst []byte) []byte {
	start := len(dst)
	dst = appendTextField(dst, `,"content":"`, ch.content)
	dst = appendReasoning(dst, ch.reasoning)
	dst = appendTextField(dst, `,"refusal":"`, ch.refusal)
	sep := `,"tool_calls":[`
	for i := range ch.calls {
		c := &ch.calls[i]
		if !c.visible() {
			continue
		}
		dst = append(dst, sep...)
		sep = ","
		dst = append(dst, `{"index":`...)
		dst = appendIndex(dst, i)
		dst = append(dst, ',')
		if c.fresh {
			dst = c.appendIdentity(dst)
		} else {
			dst = append(dst, `"function":{`...)
		}
		dst = c.appendArguments(dst)
	}
	if sep == "," {
		dst = append(dst, ']')
	}
	dst = ch.delta.AppendTo(dst)
	if len(dst) == start {
		return append(dst, "{}"...)
	}
	dst[start] = '{' // instead of the first comma
	return append(dst, '}')
}

// appendIdentity appends a tool call up to its arguments: index, id, type and name.
func (c *call) appendIdentity(dst []byte) []byte {
	dst = append(dst, `"id":`...)
	dst = facts.AppendString(dst, c.id)
	dst = append(dst, `,"type":"function","function":{"name":`...)
	dst = facts.AppendString(dst, c.name)
	return append(dst, ',')
}

// appendArguments appends a tool call's arguments and the rest of it.
func (c *call) appendArguments(dst []byte) []byte {
	dst = append(dst, `"arguments":"`...)
	dst = append(dst, c.args...)
	dst = append(dst, `"}`...)
	dst = c.extra.AppendTo(dst)
	return append(dst, '}')
}

// appendTextField appends a field unless it has no text. key is everything before the
// text.
func appendTextField(dst []byte, key string, text []byte) []byte {
	if len(text) == 0 {
		return dst
	}
	dst = append(dst, key...)
	dst = append(dst, text...)
	return append(dst, '"')
}

// appendReasoning appends the reasoning under both names that clients look for.
func appendReasoning(dst, text []byte) []byte {
	dst = appendTextField(dst, `,"reasoning_content":"`, text)
	return appendTextField(dst, `,"reasoning":"`, text)
}

// appendLogprobs appends the choice's logprobs; null if there are none.
func (ch *choice) appendLogprobs(dst []byte) []byte {
	if len(ch.logprobs) == 0 {
		return append(dst, `,"logprobs":null`...)
	}
	dst = append(dst, `,"logprobs":{"content":[`...)
	dst = append(dst, ch.logprobs...)
	return append(dst, `],"refusal":null}`...)
}

// forget drops what a delta has rendered and keeps small buffers for the next one.
func (ch *choice) forget() {
	empty(&ch.content)
	empty(&ch.reasoning)
	empty(&ch.refusal)
	empty(&ch.logprobs)
	ch.delta.Reset()
	for i := range ch.calls {
		c := &ch.calls[i]
		c.fresh = false
		empty(&c.args)
		c.extra.Reset()
	}
}

func empty(b *[]byte) {
	if cap(*b) > facts.KeepBetween {
		*b = nil
		return
	}
	*b = (*b)[:0]
}

// End ends the answer. Call it when the upstream ended cleanly, or in any way once
// Complete reports true. It appends what is still missing: the last chunk of each
// choice, the usage if the client asked for it, and the end mark.
//
//   - error: a *fault.Error for a choice without a FINISH (the caller may know a better
//     reason than that the upstream ended) or a call without a name. Then nothing was
//     appended.
func (c *Chunks) End(dst []byte) ([]byte, error) {
	if err := c.end(); err != nil {
		return dst, err
	}
	dst = c.show(dst)
	if c.usages {
		dst = append(dst, c.text[:c.head]...)
		dst = append(dst, `],"usage":`...)
		dst = c.facts.AppendUsage(dst)
		dst = c.extra.AppendTo(dst)
		dst = append(dst, "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...), nil
}
