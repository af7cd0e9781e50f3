package responses

import (
	"bytes"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

// attachment are the images and files of a tool's result. Messages of tools can only have
// texts, so these follow in a message of the user, after the last result.
type attachment struct {
	item   int
	callID []byte   // the inside of a JSON string
	output sdk.JSON // an array of parts that were checked
}

// onlyAttached is what the model reads in place of a result that has no text.
const onlyAttached = "[The result is attached below.]"

// callIDs are the ids of the calls so far. Mostly, a result follows its call soon.
type callIDs struct {
	all     []sdk.JSON // strings, in order
	decoded map[string]struct{}
	n       int // how many of all are in decoded
}

func (c *callIDs) add(id sdk.JSON) { c.all = append(c.all, id) }

// has reports whether there was a call with an id, a string.
func (c *callIDs) has(id sdk.JSON) bool {
	const soon = 32
	for i := len(c.all) - 1; i >= max(0, len(c.all)-soon); i-- {
		if bytes.Equal(c.all[i], id) {
			return true
		}
	}
	if c.decoded == nil {
		c.decoded = map[string]struct{}{}
	}
	for ; c.n < len(c.all); c.n++ {
		text, _ := c.all[c.n].Str()
		c.decoded[text] = struct{}{}
	}
	text, _ := id.Str()
	_, ok := c.decoded[text]
	return ok
}

// addOutput adds the result of a call.
func (c *conversation) addOutput(it *item, f *itemFields) *fault.Error {
	at := it.spot()
	callID := f.callID
	if it.kind == inSearchOutput {
		if where, _ := f.execution.Str(); where == "server" || callID == nil {
			return nil // its tools were read before
		}
	}
	if id, ok := f.id.Str(); ok && it.kind == inLocalShellOutput && callID == nil {
		if callID = c.shells[id]; callID == nil {
			callID = f.id // which is that of the call in some descriptions of the API
		}
	}
	if !isString(callID) {
		return at.in("call_id").wrong(mustBeString)
	}
	if !c.calls.has(callID) {
		return at.in("call_id").wrong("no tool call before this item has that id")
	}
	if c.run.open && !c.run.thinks() {
		c.endRun()
	}
	c.origins.add(ofResult, int(it.at))
	c.marks.Message()
	c.raw(`,{"role":"tool","tool_call_id":`)
	c.literal(callID, (*chat.Marks).ResultID)
	c.raw(`,"content":`)
	var err *fault.Error
	switch it.kind {
	case inOutput, inLocalShellOutput:
		err = c.appendOutput(f.output, callID, at.in("output"))
	case inSearchOutput:
		err = c.appendFound(f.tools, at.in("tools"))
	case inShellOutput:
		if f.output == nil {
			return at.in("output").wrong("must be a string or an array")
		}
		if isString(f.output) {
			c.literal(f.output, (*chat.Marks).Text)
		} else {
			c.text(texts{quoted(f.output)})
		}
	case inPatchOutput:
		err = c.appendPatched(f, at)
	}
	c.raw("}")
	return err
}

// appendOutput appends the text of a result, and keeps everything else for later.
func (c *conversation) appendOutput(output, callID sdk.JSON, at spot) *fault.Error {
	if isString(output) {
		c.literal(output, (*chat.Marks).Text)
		return nil
	}
	if !isList(output) {
		return at.wrong("must be a string or an array of content parts")
	}
	var text texts
	others := false
	it := body.ElementsOf(output)
	for i := 0; it.Next(); i++ {
		p, err := readPart(it.Value(), at.element(i))
		if err != nil {
			return err
		}
		text.add(lineEnd, p.text)
		others = others || p.text == nil
	}
	if others {
		inside, _ := insideOf(callID)
		c.attached = append(c.attached, attachment{item: at.item, callID: inside, output: output})
		if len(text) == 0 {
			text.add("", []byte(onlyAttached))
		}
	}
	c.text(text)
	return nil
}

// flushAttached writes the message with what is attached to the last results.
func (c *conversation) flushAttached() {
	if len(c.attached) == 0 {
		return
	}
	c.origins.add(ofAttached, c.attached[0].item)
	c.message("user")
	for i := range c.attached {
		a := &c.attached[i]
		if i == 0 {
			c.raw("[")
		} else {
			c.raw(",")
		}
		c.raw(`{"type":"text","text":`)
		c.text(texts{[]byte("[attachments of the result of call "), a.callID, []byte("]")})
		c.raw("}")
		for it := body.ElementsOf(a.output); it.Next(); {
			if p, _ := readPart(it.Value(), spot{}); p.text == nil {
				c.raw(",")
				c.part(&p)
			}
		}
	}
	c.raw("]}")
	c.attached = c.attached[:0]
}

// appendFound appends the result of a search for tools: the names by which the model can
// call them now.
func (c *conversation) appendFound(list sdk.JSON, at spot) *fault.Error {
	var found declarations
	if list != nil {
		if err := found.add(list, at); err != nil {
			return err
		}
	}
	var text texts
	text.add("", []byte("No tools were found."))
	for i := range found.list {
		name := c.tools.flat(identity{found.list[i].namespace, found.list[i].name}) // which needs no escapes
		if i == 0 {
			text = texts{[]byte("These tools can be called now: "), []byte(name)}
		} else {
			text.add(", ", []byte(name))
		}
	}
	c.text(text)
	return nil
}

// appendPatched appends the result of a patch.
func (c *conversation) appendPatched(f *itemFields, at spot) *fault.Error {
	status, _ := insideOf(f.status)
	output, ok := insideOf(f.output)
	if f.output != nil && !ok {
		return at.in("output").wrong(mustBeString)
	}
	var text texts
	text.add("", status)
	text.add(": ", output)
	c.text(text)
	return nil
}
