package responses

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

// run is what the assistant did between two things that others did.
type run struct {
	open     bool
	item     int // its first one
	text     texts
	thoughts texts
	details  [][]byte                   // reasoning_details, JSON
	message  json.RawMessage            // extra fields of the message, an object; nil: none
	extras   map[string]json.RawMessage // extra fields of its calls, by their ids
	calls    []toolCall
}

// toolCall is a call of the assistant.
type toolCall struct {
	at        int      // its item
	id        sdk.JSON // a string
	name      string   // flat
	arguments []byte   // the inside of a JSON string literal
}

// thinks reports whether the run has nothing but reasoning yet.
func (r *run) thinks() bool { return r.open && len(r.text) == 0 && len(r.calls) == 0 }

// beginRun begins a run, or continues the open one.
func (c *conversation) beginRun(it *item) {
	c.begin()
	if !c.run.open {
		c.run.open, c.run.item = true, int(it.at)
	}
}

// endRun writes the message that the run is, and ends it. A run without anything that a
// provider would accept is left out.
func (c *conversation) endRun() {
	r := &c.run
	if !r.open {
		return
	}
	if len(r.text) > 0 || len(r.calls) > 0 || len(r.details) > 0 || r.message != nil {
		c.flushAttached() // of the results before
		c.writeRun()
	}
	clear(r.extras)
	*r = run{text: r.text[:0], thoughts: r.thoughts[:0], details: r.details[:0], extras: r.extras, calls: r.calls[:0]}
}

func (c *conversation) writeRun() {
	r := &c.run
	c.origins.addRun(r)
	c.message("assistant")
	if len(r.text) > 0 {
		c.text(r.text)
	} else {
		c.raw("null")
	}
	if len(r.thoughts) > 0 {
		// Clients get thoughts under two names, and providers take either.
		c.out = r.thoughts.appendTo(append(c.out, `,"reasoning_content":`...))
		c.out = r.thoughts.appendTo(append(c.out, `,"reasoning":`...))
	}
	for i, detail := range r.details {
		if i == 0 {
			c.raw(`,"reasoning_details":[`)
		} else {
			c.raw(",")
		}
		c.out = append(c.out, detail...)
	}
	if len(r.details) > 0 {
		c.raw("]")
	}
	for i := range r.calls {
		if i == 0 {
			c.raw(`,"tool_calls":[`)
		} else {
			c.raw(",")
		}
		c.call(&r.calls[i], r.extras)
	}
	if len(r.calls) > 0 {
		c.raw("]")
	}
	c.out = append(appendExtras(c.out, r.message), '}')
}

// call appends a call.
func (c *completion) call(t *toolCall, extras map[string]json.RawMessage) {
	c.raw(`{"id":`)
	c.literal(t.id, (*chat.Marks).CallID)
	c.raw(`,"type":"function","function":{"name":"`, t.name, `","arguments":"`) // no flat name needs escapes
	c.out = append(c.out, t.arguments...)
	c.raw(`"}`)
	if len(extras) > 0 {
		id, _ := t.id.Str()
		c.out = appendExtras(c.out, extras[id])
	}
	c.raw("}")
}

// appendExtras appends the fields of an object, which has some, behind others.
func appendExtras(dst []byte, object json.RawMessage) []byte {
	if object == nil {
		return dst
	}
	dst = append(dst, ',')
	return append(dst, object[1:len(object)-1]...)
}

// addReasoning adds thoughts, and what is sealed with them. It does not end the results
// that it stands between, because clients put it there.
func (c *conversation) addReasoning(it *item, f *itemFields) *fault.Error {
	c.beginRun(it)
	text, at := f.content, it.spot().in("content")
	if text.Empty() {
		text, at = f.summary, it.spot().in("summary")
	}
	if text != nil {
		if err := c.run.thoughts.readTexts(text, at, blankLine, blankLine); err != nil {
			return err
		}
	}
	sealed, ok := f.sealed.Str()
	if !ok {
		return nil
	}
	content, err := c.open(sealed, it.spot())
	if err != nil {
		return err
	}
	for _, detail := range content.Details {
		c.noteHalves(detail)
		c.run.details = append(c.run.details, detail)
	}
	if content.Message != nil {
		c.noteHalves(content.Message)
		c.run.message = content.Message
	}
	for id, extras := range content.Calls {
		if c.run.extras == nil {
			c.run.extras = map[string]json.RawMessage{}
		}
		c.noteHalves(extras)
		c.run.extras[id] = extras
	}
	return nil
}

func (c *conversation) noteHalves(opened []byte) { c.halves = c.halves || seal.HasHalves(opened) }

// maxInflation is by which factor compressed content may grow when it is opened:
// https://zlib.net/zlib_tech.html
const maxInflation = 1032

// open opens the sealed content of an item. It counts what that may open to before, and
// what it did open to afterwards.
func (c *conversation) open(sealed string, at spot) (seal.Content, *fault.Error) {
	room := c.room
	most := int64(max(0, min(room, seal.MaxOpen, maxInflation*len(sealed))))
	if err := c.memory.Hold(most); err != nil {
		return seal.Content{}, asFault(err)
	}
	content, _, err := seal.Open(sealed, &c.room)
	c.memory.Drop(most)
	if err != nil {
		return seal.Content{}, at.in("encrypted_content").wrong(asFault(err).Text)
	}
	if err := c.memory.Hold(copies * int64(room-c.room)); err != nil {
		return seal.Content{}, asFault(err)
	}
	return content, nil
}

// addCall adds a call of a tool of any kind.
func (c *conversation) addCall(it *item, f *itemFields) *fault.Error {
	if it.kind == inSearchCall {
		if where, _ := f.execution.Str(); where == "server" || f.callID == nil {
			return nil // the trace of a hosted tool
		}
	}
	at := it.spot()
	var name string
	var arguments []byte
	var err *fault.Error
	switch it.kind {
	case inFunctionCall:
		name = c.flat(f)
		arguments, err = c.arguments(f.arguments, at.in("arguments"))
	case inCustomCall:
		name = c.flat(f)
		arguments, err = customArguments(f.input, at.in("input"))
	case inSearchCall:
		name, arguments = c.emulated(toolSearch), objectArguments(f.arguments)
	case inLocalShellCall:
		name, arguments = c.emulated(localShell), objectArguments(f.action, "command", "working_directory", "timeout_ms", "env", "user")
	case inShellCall:
		name, arguments = c.emulated(shell), objectArguments(f.action, "commands", "timeout_ms", "max_output_length")
	case inPatchCall:
		name, arguments = c.emulated(applyPatch), objectArguments(f.operation, "type", "path", "diff")
	}
	switch {
	case !isString(f.callID):
		return at.in("call_id").wrong(mustBeString)
	case name == "":
		return at.in("name").wrong("must be a string that is not empty")
	case err != nil:
		return err
	}
	c.beginRun(it)
	c.run.calls = append(c.run.calls, toolCall{at: int(it.at), id: f.callID, name: name, arguments: arguments})
	c.calls.add(f.callID)
	if itemID, ok := f.id.Str(); ok && it.kind == inLocalShellCall {
		if c.shells == nil {
			c.shells = map[string][]byte{}
		}
		c.shells[itemID] = f.callID
	}
	return nil
}

// lastTool is the tool that was called last. Most calls are of the same one.
type lastTool struct {
	name, namespace sdk.JSON
	flat            string
}

// flat returns the flat name of the tool that a call names; "" if it names none.
func (c *conversation) flat(f *itemFields) string {
	if c.last.flat != "" && bytes.Equal(f.name, c.last.name) && bytes.Equal(f.namespace, c.last.namespace) {
		return c.last.flat
	}
	var id identity
	if id.name, _ = f.name.Str(); id.name == "" {
		return ""
	}
	id.namespace, _ = f.namespace.Str()
	c.last = lastTool{f.name, f.namespace, c.tools.flat(id)}
	return c.last.flat
}

// emulated returns the flat name of a tool of another type than function.
func (c *conversation) emulated(k toolKind) string {
	return c.tools.flat(identity{name: emulations[k].name})
}

// arguments returns the arguments of a function call as the inside of a JSON string. They
// are always an object: most providers refuse a conversation with anything else in it, and
// what a model once got wrong stays in it for ever.
func (c *conversation) arguments(v sdk.JSON, at spot) ([]byte, *fault.Error) {
	inside, ok := insideOf(v)
	if !ok {
		if !isMap(v) {
			return nil, at.wrong(mustBeString)
		}
		return quoted(v), nil // some clients decode it
	}
	text := inside
	if bytes.IndexByte(inside, '\\') >= 0 {
		c.scratch = sdk.AppendUnquote(c.scratch[:0], inside)
		text = c.scratch
	}
	switch v := sdk.JSON(text); {
	case len(bytes.TrimSpace(text)) == 0:
		return []byte("{}"), nil
	case v.Kind() == sdk.KindObject && v.Valid() == nil:
		return inside, nil
	}
	wrapped := append([]byte(`{"_invalid_arguments":"`), inside...)
	return quoted(append(wrapped, `"}`...)), nil
}

// customArguments returns the arguments of the function that a custom tool is upstream.
func customArguments(input sdk.JSON, at spot) ([]byte, *fault.Error) {
	inside, ok := insideOf(input)
	if !ok {
		return nil, at.wrong(mustBeString)
	}
	return quoted(append(append([]byte(`{"input":"`), inside...), `"}`...)), nil
}

// objectArguments returns the fields of an object as the inside of a JSON string: those
// with the names, or all. What is null is left out.
func objectArguments(v sdk.JSON, names ...string) []byte {
	if !isMap(v) {
		return []byte("{}")
	}
	out := []byte{'{'}
	for it := body.FieldsOf(v); it.Next(); {
		if it.Value().Kind() == sdk.KindNull || len(names) > 0 && !slices.Contains(names, string(it.Key())) {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(sdk.AppendQuote(out, string(it.Key())), ':')
		out = append(out, it.Value()...)
	}
	return quoted(append(out, '}'))
}

// quoted returns a text as the inside of a JSON string.
func quoted(text []byte) []byte {
	literal := sdk.AppendQuote(make([]byte, 0, len(text)+len(text)/8+2), string(text))
	return literal[1 : len(literal)-1]
}
