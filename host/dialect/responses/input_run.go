package responses

import (
	"bytes"
	"encoding/json"
	"slices"

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

// thinks reports whether there is nothing yet but reasoning.
func (r *run) thinks() bool { return r.open && len(r.text) == 0 && len(r.calls) == 0 }

// beginRun begins a run, or goes on with it.
func (c *conversation) beginRun(it *item) {
	c.begin()
	if !c.run.open {
		c.run.open, c.run.item = true, it.at
	}
}

// endRun writes the message that the run is, and ends it. A run without anything that a
// provider would take is left out.
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
	out := append(c.out, `,{"role":"assistant","content":`...)
	if len(r.text) > 0 {
		out = r.text.appendTo(out)
	} else {
		out = append(out, "null"...)
	}
	if len(r.thoughts) > 0 {
		// Clients get thoughts under two names, and providers take either.
		out = r.thoughts.appendTo(append(out, `,"reasoning_content":`...))
		out = r.thoughts.appendTo(append(out, `,"reasoning":`...))
	}
	if len(r.details) > 0 {
		out = append(out, `,"reasoning_details":[`...)
		for i, detail := range r.details {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, detail...)
		}
		out = append(out, ']')
	}
	if len(r.calls) > 0 {
		out = append(out, `,"tool_calls":[`...)
		for i := range r.calls {
			if i > 0 {
				out = append(out, ',')
			}
			out = r.calls[i].appendTo(out, r.extras)
		}
		out = append(out, ']')
	}
	out = appendExtras(out, r.message)
	c.out = append(out, '}')
}

// appendTo appends the call in the form of chat completions.
func (t *toolCall) appendTo(dst []byte, extras map[string]json.RawMessage) []byte {
	dst = append(append(dst, `{"id":`...), t.id...)
	dst = append(dst, `,"type":"function","function":{"name":`...)
	dst = append(sdk.AppendQuote(dst, t.name), `,"arguments":"`...)
	dst = append(append(dst, t.arguments...), `"}`...)
	if len(extras) > 0 {
		id, _ := t.id.Str()
		dst = appendExtras(dst, extras[id])
	}
	return append(dst, '}')
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
// that it stands between: clients put it there.
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
	content, _, err := seal.Open(sealed)
	if err != nil {
		return sealedError(it.spot(), err)
	}
	for _, detail := range content.Details {
		c.room -= len(detail)
		c.run.details = append(c.run.details, detail)
	}
	if content.Message != nil {
		c.room -= len(content.Message)
		c.run.message = content.Message
	}
	for id, extras := range content.Calls {
		if c.run.extras == nil {
			c.run.extras = map[string]json.RawMessage{}
		}
		c.room -= len(extras)
		c.run.extras[id] = extras
	}
	if c.room < 0 {
		return c.noRoom(it)
	}
	return nil
}

// sealedError says where sealed content stands that is too large.
func sealedError(at spot, err error) *fault.Error {
	return at.in("encrypted_content").wrong(asFault(err).Text)
}

// noRoom is the error of a request whose sealed content is too much in all.
func (c *conversation) noRoom(it *item) *fault.Error {
	return it.spot().in("encrypted_content").wrong("the sealed content of all items is too large when it is opened; leave the oldest out")
}

// addCall adds a call of a tool of any kind.
func (c *conversation) addCall(it *item, f *itemFields) *fault.Error {
	if it.kind == inSearchCall {
		if where, _ := f.execution.Str(); where == "server" || f.callID == nil {
			return nil // the trace of a hosted tool
		}
	}
	id := identity{}
	id.name, _ = f.name.Str()
	id.namespace, _ = f.namespace.Str()
	at := it.spot()
	var arguments []byte
	var err *fault.Error
	switch it.kind {
	case inFunctionCall:
		arguments, err = c.arguments(f.arguments, at.in("arguments"))
	case inCustomCall:
		arguments, err = customArguments(f.input, at.in("input"))
	case inSearchCall:
		id, arguments = identity{name: emulations[toolSearch].name}, objectArguments(f.arguments)
	case inLocalShellCall:
		id = identity{name: emulations[localShell].name}
		arguments = objectArguments(f.action, "command", "working_directory", "timeout_ms", "env", "user")
	case inShellCall:
		id = identity{name: emulations[shell].name}
		arguments = objectArguments(f.action, "commands", "timeout_ms", "max_output_length")
	case inPatchCall:
		id = identity{name: emulations[applyPatch].name}
		arguments = objectArguments(f.operation, "type", "path", "diff")
	}
	switch {
	case !isString(f.callID):
		return at.in("call_id").wrong(mustBeString)
	case id.name == "":
		return at.in("name").wrong("must be a string that is not empty")
	case err != nil:
		return err
	}
	c.beginRun(it)
	c.run.calls = append(c.run.calls, toolCall{at: it.at, id: f.callID, name: c.tools.flat(id), arguments: arguments})
	if c.calls == nil {
		c.calls = map[string]struct{}{}
	}
	callID, _ := f.callID.Str()
	c.calls[callID] = struct{}{}
	if itemID, ok := f.id.Str(); ok && it.kind == inLocalShellCall {
		if c.shells == nil {
			c.shells = map[string][]byte{}
		}
		c.shells[itemID] = f.callID
	}
	return nil
}

// arguments returns the arguments of a function call as the inside of a JSON string, of an
// object in any case: most providers refuse a conversation with anything else in it, and
// what a model once got wrong stays in it for ever.
func (c *conversation) arguments(v sdk.JSON, at spot) ([]byte, *fault.Error) {
	inside, ok := v.RawStr()
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
	inside, ok := input.RawStr()
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
	for it := sdk.Object(v); it.Next(); {
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
