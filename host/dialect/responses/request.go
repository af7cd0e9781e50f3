package responses

import (
	"bytes"
	"context"
	"errors"

	"github.com/kai-gateway/kai/host/buffer"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"

	"github.com/kai-gateway/kai/sdk/abi"
)

// requestInfo is what an answer needs to know of its request. It never changes, and refers to
// nothing in the request's body.
type requestInfo struct {
	echo    echo
	tools   tools
	compact bool // the answer is exactly one compaction item
	store   bool // the response is remembered

	// keep remembers the finished response: the object as GET will show it, and its output
	// items as they were sent at done, each with its id. It copies what it keeps. nil:
	// nothing is remembered.
	keep func(id string, response []byte, items [][]byte)
}

// Options configures Parse. The zero value is ready for use, and remembers nothing.
type Options struct {
	// Store remembers items and responses that clients refer to. Default: nothing is
	// remembered.
	Store Store

	// MaxBody is how many bytes the conversation may have that previous_response_id and
	// references add to a request. Default: 32 MiB.
	MaxBody int64
}

// Parse returns what reads requests to POST /v1/responses.
func Parse(o Options) dialect.Parse {
	if o.MaxBody <= 0 {
		o.MaxBody = 32 << 20
	}
	return func(ctx context.Context, b []byte, c dialect.Caller) (*dialect.Request, error) {
		b = bytes.TrimPrefix(b, []byte("\ufeff"))
		t := translation{owned: owned{o.Store, c.Principal}, room: o.MaxBody, memory: c.Memory, buffers: c.Buffers}
		if err := t.reading.read(b); err != nil {
			return nil, err
		}
		t.conversation = conversation{reading: &t.reading, tools: &t.tools, room: 3*len(b) + 4<<20, memory: c.Memory}
		if err := t.fields.checkAlways(); err != nil {
			return nil, err
		}
		r, err := t.translate(ctx)
		if err != nil {
			if full, ok := errors.AsType[*memory.Error](err); ok {
				return nil, full
			}
			r = t.untranslated()
			r.Untranslated = err
		}
		r.NativeOp = abi.Responses
		r.Native = func() (*dialect.Native, error) { return passed(b, err) }
		return r, nil
	}
}

// untranslated returns a request that only a provider that speaks this API can take.
func (t *translation) untranslated() *dialect.Request {
	a := requestInfo{echo: echoOf(t.fields)}
	model, _ := t.fields["model"].Str()
	return &dialect.Request{
		Op: abi.Chat, Model: model, Stream: t.fields.flag("stream", false), Size: int64(a.echo.size() + len(t.items)*inputBytes),
		Whole:    func(i dialect.Info) dialect.Answer { return newWhole(a, i) },
		Streamed: func(i dialect.Info) dialect.Stream { return newStream(a, i) },
	}
}

// translation makes a chat completion of one request.
type translation struct {
	reading
	owned        owned
	room         int64 // bytes that may be added from memory
	added        int   // those that were
	memory       *memory.Grant
	buffers      *buffer.Pool
	owner        *buffer.Owner // of what was written, if it was lent
	history      []item        // what was remembered of the conversation
	compact      bool
	tools        declarations
	conversation conversation
}

// translate makes a request of what was read.
func (t *translation) translate(ctx context.Context) (*dialect.Request, *fault.Error) {
	if err := t.fields.check(); err != nil {
		return nil, err
	}
	if err := t.err; err != nil {
		return nil, err
	}
	if err := t.readInput(); err != nil {
		return nil, err
	}
	if err := t.readHistory(ctx); err != nil {
		return nil, err
	}
	resolved, err := t.resolve(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.readTools(resolved); err != nil {
		return nil, err
	}
	out, err := t.write(resolved, len(t.body)+t.added)
	if err != nil {
		return nil, err
	}
	var request *chat.Request
	var e error
	if t.conversation.halves {
		request, e = chat.ParseRequest(out)
	} else {
		request, e = chat.ParseMarked(out, &t.conversation.marks)
	}
	if e != nil {
		return nil, t.conversation.origins.translate(asFault(e))
	}
	return t.request(ctx, request, cap(out)), nil
}

// request returns the request as the gateway goes on with it.
func (t *translation) request(ctx context.Context, c *chat.Request, size int) *dialect.Request {
	a := requestInfo{echo: echoOf(t.fields), compact: t.compact}
	if !t.compact {
		a.tools = t.tools.table()
	}
	var remember func()
	if a.store = t.owned.store != nil && t.fields.flag("store", true); a.store {
		a.keep, remember = t.remembering(ctx)
	}
	origins := t.conversation.origins
	return &dialect.Request{
		Remember: remember,
		Op:       abi.Chat, Model: c.Model, Stream: c.Stream, Body: c, Owner: t.owner, IDs: c.IDs(),
		Size:     int64(size+a.echo.size()+len(t.items)*inputBytes+len(t.tools.list)*toolBytes) + c.Size(),
		Whole:    func(i dialect.Info) dialect.Answer { return newWhole(a, i) },
		Streamed: func(i dialect.Info) dialect.Stream { return newStream(a, i) },
		Fault:    origins.translate,
	}
}

// How many bytes are kept until the answer for each item and each tool of a request: where
// it came from, what is remembered of it, and its names.
const (
	inputBytes = 64
	toolBytes  = 256
)

// remembering returns a function that remembers the input, and one that remembers the response
// and does nothing unless the other was called before. A compaction takes the place of all that
// was before it.
func (t *translation) remembering(ctx context.Context) (keep func(string, []byte, [][]byte), remember func()) {
	o := t.owned
	var known *record
	remember = func() {
		r := &record{}
		if !t.compact {
			r.previous, _ = t.fields["previous_response_id"].Str()
			var err error
			if r.input, err = o.keepInput(ctx, t.items); err != nil {
				return
			}
		}
		known = r
	}
	ctx = context.WithoutCancel(ctx) // a client that hangs up at the end may ask for the response later
	return func(id string, response []byte, items [][]byte) {
		if known != nil {
			o.keep(ctx, *known, id, response, items)
		}
	}, remember
}

// readInput checks the input, and reads it if it is a string.
func (t *translation) readInput() *fault.Error {
	input := t.fields["input"]
	at := spot{item: atTop}.in("input")
	switch {
	case input == nil:
	case isString(input):
		message := append(append([]byte(`{"role":"user","content":`), input...), '}')
		t.items = []item{{raw: message, kind: inMessage, at: wholeInput}}
	case !isList(input):
		return at.wrong("must be a string or an array of items")
	}
	if n := len(t.items); n > 0 && t.items[n-1].kind == inTrigger {
		t.compact = true
		t.items = t.items[:n-1]
	}
	if len(t.items) == 0 && !t.compact && t.fields["instructions"] == nil && t.fields["previous_response_id"] == nil {
		return at.wrong("is required: a string or an array of at least one item")
	}
	return nil
}

// readTools reads the tools of the request, and of those items that have some.
func (t *translation) readTools(items []item) *fault.Error {
	if list := t.fields["tools"]; list != nil {
		if err := t.tools.add(list, spot{item: atTop}.in("tools")); err != nil {
			return err
		}
	}
	for i := range items {
		it := &items[i]
		if it.kind != inTools && it.kind != inSearchOutput {
			continue
		}
		list := t.fieldsOf(it).tools
		if list.Empty() {
			continue
		}
		if err := t.tools.add(list, it.spot().in("tools")); err != nil {
			return err
		}
	}
	t.tools.settle()
	return nil
}

// write returns the chat completion.
func (t *translation) write(items []item, size int) ([]byte, *fault.Error) {
	out, owner := t.buffers.Lend(size + size/8 + 1024)
	t.owner = owner
	out, err := t.fields.appendSettings(out, t.compact)
	if err != nil {
		return nil, err
	}
	if out, err = t.appendTools(out); err != nil {
		return nil, err
	}
	out = append(out, `,"messages":`...)
	out[0] = '{' // all fields have a comma before them
	before := len(out)
	c := &t.conversation
	c.out, c.leadItem = out, atTop
	c.marks.Messages(out)
	if instructions, ok := insideOf(t.fields["instructions"]); ok {
		c.lead.add("", instructions)
		c.leadSystem = len(c.lead) > 0
	}
	for i := range items {
		if err := c.add(&items[i]); err != nil {
			return nil, err
		}
	}
	if t.compact {
		c.addUserText(atTop, texts{[]byte(compactionPrompt)})
	}
	c.interrupt()
	if len(c.out) == before {
		return append(c.out, "[]}"...), nil
	}
	c.out[before] = '[' // and so have all messages
	return append(c.out, "]}"...), nil
}

// appendTools appends the tools, and what the request says about them, if there are any and
// they are wanted.
func (t *translation) appendTools(dst []byte) ([]byte, *fault.Error) {
	start := len(dst)
	dst = append(dst, `,"tools":[`...)
	for i := range t.tools.list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = t.tools.list[i].appendTo(dst)
		t.conversation.origins.tools = append(t.conversation.origins.tools, t.tools.list[i].at)
	}
	dst, err := t.tools.appendChoice(append(dst, ']'), t.fields["tool_choice"])
	if err != nil {
		return dst, err
	}
	if parallel := t.fields["parallel_tool_calls"]; parallel != nil {
		dst = append(append(dst, `,"parallel_tool_calls":`...), parallel...)
	}
	if len(t.tools.list) == 0 || t.compact {
		return dst[:start], nil
	}
	return dst, nil
}
