package facts

import (
	"bytes"
	"crypto/rand"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

// choice is one of the answer's alternatives.
type choice struct {
	index  int
	finish string // the reason stated so far; "": none yet
	late   bool   // content came after that reason
	spoke  bool   // there was content: text, reasoning, a refusal or a tool call

	halves [3]half // halves of characters at the ends of the text, the reasoning and the refusal

	calls []call // in the order of their first emission
	begun int    // calls that have an index
}

// call is one tool call of a choice.
type call struct {
	item    int    // the adapter's number
	index   int    // the number that clients see; -1 until the call begins
	begun   bool   // arguments came that are not only white space
	given   string // the id the adapter stated
	name    string
	half    half      // at the end of the arguments
	waiting []waiting // what was stated before the call began
}

// waiting is a copy of what was stated about a call.
type waiting struct {
	kind abi.Kind
	text Text
}

// isContent reports whether emissions of a kind are part of what the assistant says or
// does.
func isContent(k abi.Kind) bool {
	switch k {
	case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs:
		return true
	}
	return false
}

// choice returns the choice with an index, and opens it if necessary. It returns nil if
// the index is too large. The result is valid until the next call.
func (a *Answer) choice(index int) *choice {
	if ch := a.find(index); ch != nil || index >= abi.MaxChoices {
		return ch
	}
	a.open++
	ch := a.choices.Add()
	ch.index = index
	return ch
}

// find returns the choice with an index, nil if it has not opened. The result is valid until
// another one opens.
func (a *Answer) find(index int) *choice {
	for i := range a.choices.Len() {
		if ch := a.choices.At(i); ch.index == index {
			return ch
		}
	}
	return nil
}

// take adds an emission about ch.
func (a *Answer) take(ch *choice, e *abi.Emission) *fault.Error {
	if ch == nil {
		return protocolError("%v for choice %d, of at most %d", e.Kind, e.Choice(), abi.MaxChoices)
	}
	if isContent(e.Kind) && len(e.Data) > 0 {
		if a.final {
			ch.late = true
			return lateError()
		}
		ch.spoke, ch.late = true, ch.finish != ""
	} else if a.final {
		return nil // the client has seen the end of the choice
	}
	if err := a.hold(e); err != nil {
		return err
	}
	switch e.Kind {
	case abi.Text:
		a.addText(&ch.halves[0], ch, e)
	case abi.Reasoning:
		a.addText(&ch.halves[1], ch, e)
	case abi.Refusal:
		a.addText(&ch.halves[2], ch, e)
	case abi.Finish:
		return a.finish(ch, e)
	case abi.ToolID, abi.ToolName, abi.ToolArgs, abi.ToolExtra, abi.ToolSignature:
		return a.takeTool(ch, e)
	default:
		a.next(e.Kind, ch.index).Text = Text{e.Raw, e.Data}
	}
	return nil
}

// pass adds a PASS. One with content is content of the first choice.
func (a *Answer) pass(e *abi.Emission) *fault.Error {
	if e.At == abi.PassContent {
		ch := a.choice(0)
		if a.final {
			ch.late = true
			return lateError()
		}
		ch.spoke, ch.late = true, ch.finish != ""
	}
	a.next(e.Kind, 0)
	return nil
}

// addText adds a text of a choice.
func (a *Answer) addText(h *half, ch *choice, e *abi.Emission) {
	if text := h.joined(e); len(text.Data) > 0 {
		a.say(e.Kind, ch.index, 0, text)
	}
}

// takeTool adds an emission about a tool call.
func (a *Answer) takeTool(ch *choice, e *abi.Emission) *fault.Error {
	if len(e.Data) == 0 {
		return nil
	}
	c := ch.call(e.Item())
	if c == nil {
		return protocolError("more than %d tool calls in choice %d", abi.MaxCalls, ch.index)
	}
	a.touched = true
	switch e.Kind {
	case abi.ToolArgs:
		c.begun = c.begun || !isBlank(e)
		if text := c.half.joined(e); len(text.Data) > 0 {
			a.addTo(ch, c, e.Kind, text)
		}
	case abi.ToolExtra, abi.ToolSignature:
		a.addTo(ch, c, e.Kind, Text{e.Raw, e.Data})
	case abi.ToolID:
		if c.given == "" {
			c.given = string(e.Data)
		}
	case abi.ToolName:
		switch {
		case c.name == string(e.Data):
		case c.name != "" && (c.begun || c.index >= 0):
			return protocolError("a second %v for tool call %d of choice %d", e.Kind, c.item, ch.index)
		case len(c.name)+len(e.Data) > maxName:
			return protocolError("a %v of more than %d bytes", e.Kind, maxName)
		default:
			c.name += string(e.Data)
		}
	}
	return nil
}

// addTo adds a fact about a tool call. Before the call begins, the fact waits. Pieces of
// arguments that wait are joined, so that a thousand of them need no thousand slices.
func (a *Answer) addTo(ch *choice, c *call, kind abi.Kind, text Text) {
	switch {
	case c.index >= 0 && kind == abi.ToolArgs:
		a.say(kind, ch.index, c.index, text)
		return
	case c.index >= 0:
		d := a.next(kind, ch.index)
		d.Call, d.Text = c.index, text
		return
	}
	if n := len(c.waiting); n > 0 && kind == abi.ToolArgs && c.waiting[n-1].kind == kind {
		last := &c.waiting[n-1].text
		if last.Raw == text.Raw {
			last.Data = append(last.Data, text.Data...)
			return
		}
	}
	c.waiting = append(c.waiting, waiting{kind, Text{text.Raw, bytes.Clone(text.Data)}})
}

// maxName is far longer, in bytes, than any provider allows a function's name to be.
const maxName = 4 << 10

// isBlank reports whether the text of an emission is white space.
func isBlank(e *abi.Emission) bool {
	for i := 0; i < len(e.Data); i++ {
		switch c := e.Data[i]; {
		case c == ' ', c == '\t', c == '\n', c == '\r':
		case e.Raw && c == '\\' && i+1 < len(e.Data) && (e.Data[i+1] == 'n' || e.Data[i+1] == 'r' || e.Data[i+1] == 't'):
			i++
		default:
			return false
		}
	}
	return true
}

// call returns the tool call that the adapter calls item, or nil if there would be too
// many. The result is valid until the next call.
func (ch *choice) call(item int) *call {
	if c := ch.known(item); c != nil || len(ch.calls) == abi.MaxCalls {
		return c
	}
	ch.calls = append(ch.calls, call{item: item, index: -1})
	return &ch.calls[len(ch.calls)-1]
}

// known returns the tool call that the adapter calls item, or nil if nothing was stated
// about it yet. The result is valid until another call is added.
func (ch *choice) known(item int) *call {
	for i := len(ch.calls) - 1; i >= 0; i-- {
		if ch.calls[i].item == item {
			return &ch.calls[i]
		}
	}
	return nil
}

// beginCalls begins every call that can begin, which gives it its index and id. A name
// may come in pieces, so it is complete only when the arguments begin, another call
// begins, or nothing follows.
func (a *Answer) beginCalls(ch *choice) {
	for i := range ch.calls {
		c := &ch.calls[i]
		if c.index >= 0 || c.name == "" || !c.begun && i == len(ch.calls)-1 && !a.final {
			continue
		}
		c.index = ch.begun
		ch.begun++
		id := c.given
		if _, used := a.ids[id]; used || id == "" {
			id = "call_" + rand.Text()[:24]
		}
		if a.ids == nil {
			a.ids = map[string]struct{}{}
		}
		a.ids[id] = struct{}{}
		d := a.next(abi.ToolName, ch.index)
		d.Call, d.ID, d.Name = c.index, id, c.name
		for _, w := range c.waiting {
			a.addTo(ch, c, w.kind, w.text)
		}
		c.waiting = nil
	}
}

// finish notes why ch ends. A reason that comes after more content replaces the one
// before; otherwise "stop" replaces nothing.
func (a *Answer) finish(ch *choice, e *abi.Emission) *fault.Error {
	reason := finishReason(e.Data)
	switch {
	case reason == "":
		return protocolError("an unknown reason in FINISH for choice %d", ch.index)
	case ch.finish == "":
		a.open--
	case !ch.late && reason == abi.FinishStop:
		return nil
	}
	ch.finish, ch.late = reason, false
	return nil
}

// finishReason returns the constant for the payload of FINISH, "" if it is none.
func finishReason(p []byte) string {
	switch string(p) {
	case abi.FinishStop:
		return abi.FinishStop
	case abi.FinishLength:
		return abi.FinishLength
	case abi.FinishToolCalls:
		return abi.FinishToolCalls
	case abi.FinishContentFilter:
		return abi.FinishContentFilter
	case abi.FinishFunctionCall:
		return abi.FinishFunctionCall
	}
	return ""
}
