package responses

import (
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

// attachment are the images and files of a tool's result. Messages of tools can only have
// texts, so these follow in a message of the user, once no result comes any more.
type attachment struct {
	item   int
	callID []byte   // the inside of a JSON string
	output sdk.JSON // an array of parts that were checked
}

// onlyAttached is what the model reads in place of a result that has no text.
const onlyAttached = "[The result is attached below.]"

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
	id, ok := callID.Str()
	if !ok {
		return at.in("call_id").wrong(mustBeString)
	}
	if _, ok := c.calls[id]; !ok {
		return at.in("call_id").wrong("no tool call before this item has that id")
	}
	if c.run.open && !c.run.thinks() {
		c.endRun()
	}
	c.origins.add(ofResult, it.at)
	c.out = append(append(c.out, `,{"role":"tool","tool_call_id":`...), callID...)
	c.out = append(c.out, `,"content":`...)
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
			c.out = append(c.out, f.output...)
		} else {
			c.out = sdk.AppendQuote(c.out, string(f.output))
		}
	case inPatchOutput:
		err = c.appendPatched(f, at)
	}
	c.out = append(c.out, '}')
	return err
}

// appendOutput appends the text of a result, and keeps what else there is for later.
func (c *conversation) appendOutput(output, callID sdk.JSON, at spot) *fault.Error {
	if isString(output) {
		c.out = append(c.out, output...)
		return nil
	}
	if !isList(output) {
		return at.wrong("must be a string or an array of content parts")
	}
	var text texts
	others := false
	it := sdk.Array(output)
	for i := 0; it.Next(); i++ {
		p, err := readPart(it.Value(), at.element(i))
		if err != nil {
			return err
		}
		text.add(lineEnd, p.text)
		others = others || p.text == nil
	}
	if others {
		inside, _ := callID.RawStr()
		c.attached = append(c.attached, attachment{item: at.item, callID: inside, output: output})
		if len(text) == 0 {
			text.add("", []byte(onlyAttached))
		}
	}
	c.out = text.appendTo(c.out)
	return nil
}

// flushAttached writes the message with what was attached to the last results.
func (c *conversation) flushAttached() {
	if len(c.attached) == 0 {
		return
	}
	c.origins.add(ofAttached, c.attached[0].item)
	c.out = append(c.out, `,{"role":"user","content":[`...)
	for i := range c.attached {
		a := &c.attached[i]
		if i > 0 {
			c.out = append(c.out, ',')
		}
		label := texts{[]byte("[attachments of the result of call "), a.callID, []byte("]")}
		c.out = append(label.appendTo(append(c.out, `{"type":"text","text":`...)), '}')
		for it := sdk.Array(a.output); it.Next(); {
			if p, _ := readPart(it.Value(), spot{}); p.text == nil {
				c.out = p.appendTo(append(c.out, ','))
			}
		}
	}
	c.out = append(c.out, "]}"...)
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
	if len(found.list) == 0 {
		c.out = append(c.out, `"No tools were found."`...)
		return nil
	}
	c.out = append(c.out, `"These tools can be called now: `...)
	for i := range found.list {
		if i > 0 {
			c.out = append(c.out, ", "...)
		}
		c.out = append(c.out, c.tools.flat(identity{found.list[i].namespace, found.list[i].name})...) // which needs no escapes
	}
	c.out = append(c.out, '"')
	return nil
}

// appendPatched appends the result of a patch.
func (c *conversation) appendPatched(f *itemFields, at spot) *fault.Error {
	status, _ := f.status.RawStr()
	output, ok := f.output.RawStr()
	if f.output != nil && !ok {
		return at.in("output").wrong(mustBeString)
	}
	var text texts
	text.add("", status)
	text.add(": ", output)
	c.out = text.appendTo(c.out)
	return nil
}
