package responses

import (
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"

	"github.com/kai-gateway/kai/sdk"
)

// conversation makes the messages of a chat completion of the items of an input.
//
// An assistant run is a sequence of the assistant's messages, reasoning and calls, in any
// order. Anything else ends it. One run is one message: some providers would refuse
// several, and the templates of others would misread them. Results follow their run at
// once. Instructions at the beginning become one message, since many models take only one.
type conversation struct {
	completion
	reading *reading
	tools   *declarations

	lead       texts // instructions before anything else
	leadSystem bool  // one of them has the role system
	leadItem   int   // where the first one stands; atTop
	begun      bool  // there was something else than instructions

	run      run
	attached []attachment
	calls    callIDs
	shells   map[string][]byte // call_id of local_shell calls, raw, by the id of their item
	last     lastTool
	origins  origins
	room     int  // bytes that sealed content may still open to
	halves   bool // there may be halves of characters, in what was sealed
	memory   *memory.Grant
	scratch  []byte // decoded arguments
}

// add adds one item.
func (c *conversation) add(it *item) *fault.Error {
	switch f := c.reading.fieldsOf(it); it.kind {
	case inMessage:
		return c.addMessage(it, &f)
	case inReasoning:
		return c.addReasoning(it, &f)
	case inFunctionCall, inCustomCall, inSearchCall, inLocalShellCall, inShellCall, inPatchCall:
		return c.addCall(it, &f)
	case inOutput, inSearchOutput, inLocalShellOutput, inShellOutput, inPatchOutput:
		return c.addOutput(it, &f)
	case inAgentMessage:
		return c.addAgentMessage(it, &f)
	case inCompaction:
		return c.addCompaction(it, &f)
	case inTrigger:
		return it.spot().in("type").wrong("must be the last item of the input")
	}
	return nil // tools, which were read before, and what says nothing to a model
}

// addMessage adds a message of any role.
func (c *conversation) addMessage(it *item, f *itemFields) *fault.Error {
	inside, _ := insideOf(f.role)
	at := it.spot().in("content")
	if it.at == wholeInput {
		at = it.spot()
	}
	switch role := string(unescaped(inside)); role {
	case "assistant":
		c.beginRun(it)
		return c.run.text.readTexts(f.content, at, blankLine, "")
	case "user":
		c.interrupt()
		c.origins.add(ofMessage, int(it.at))
		c.message(role)
		err := c.userContent(f.content, at)
		c.raw("}")
		return err
	case "system", "developer":
		if !c.begun {
			return c.addLead(role, f.content, int(it.at), at)
		}
		var text texts
		if err := text.readTexts(f.content, at, "", lineEnd); err != nil {
			return err
		}
		c.interrupt()
		c.origins.add(ofMessage, int(it.at))
		c.message(role)
		c.text(text)
		c.raw("}")
		return nil
	}
	return it.spot().in("role").wrong("must be one of user, assistant, system, developer")
}

// addLead adds an instruction that stands before anything else.
func (c *conversation) addLead(role string, content sdk.JSON, item int, at spot) *fault.Error {
	if len(c.lead) == 0 {
		c.leadItem = item
	}
	c.leadSystem = c.leadSystem || role == "system"
	return c.lead.readTexts(content, at, blankLine, lineEnd)
}

// begin writes the instructions at the beginning, once something else comes.
func (c *conversation) begin() {
	if c.begun {
		return
	}
	c.begun = true
	if len(c.lead) == 0 {
		return
	}
	c.origins.add(ofLead, c.leadItem)
	role := "developer"
	if c.leadSystem {
		role = "system"
	}
	c.message(role)
	c.text(c.lead)
	c.raw("}")
}

// interrupt ends what a message ends that is not the assistant's.
func (c *conversation) interrupt() {
	c.begin()
	c.endRun()
	c.flushAttached()
}

// addUserText adds a message of the user that Kai writes itself.
func (c *conversation) addUserText(item int, text texts) {
	c.interrupt()
	c.origins.add(ofKai, item)
	c.message("user")
	c.text(text)
	c.raw("}")
}

// addAgentMessage adds what another of Codex's agents says, such as the task of a
// sub-agent. Its encrypted_content is what the model wrote, in plain text: nobody has
// encrypted it.
func (c *conversation) addAgentMessage(it *item, f *itemFields) *fault.Error {
	var text texts
	if err := text.readTexts(f.content, it.spot().in("content"), "", ""); err != nil {
		return err
	}
	c.addUserText(int(it.at), text)
	return nil
}

// addCompaction adds a summary of what the conversation was before. One of another
// gateway can't be read, and is left out.
func (c *conversation) addCompaction(it *item, f *itemFields) *fault.Error {
	sealed, _ := f.sealed.Str()
	content, err := c.open(sealed, it.spot())
	if err != nil {
		return err
	}
	if summary := summaryIn(content); len(summary) > 0 {
		c.noteHalves(summary)
		c.addUserText(int(it.at), texts{[]byte(`Summary of the conversation so far:\n`), summary})
	}
	return nil
}
