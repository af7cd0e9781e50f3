package host

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/record"
	"github.com/kai-gateway/kai/sdk/abi"
)

// maxSpoken is how many bytes of texts a span has of a request, and of its answer.
const maxSpoken = 64 << 10

// spoken collects what a request and its answer say, if the operator has asked for it
// twice: for all of telemetry, and for the client's key.
type spoken struct {
	input   []message
	choices map[int]*spokenChoice
	room    int // bytes of the answer's texts that still fit in

	said func(name, data []byte, whole bool) []abi.Emission // what is said in an answer that passes; nil: nobody knows
}

// spokenChoice is one choice of an answer. Texts are insides of JSON string literals.
type spokenChoice struct {
	reasoning, text []byte
	calls           map[int]*spokenCall
	finish          string
}

type spokenCall struct{ id, name, arguments []byte }

// message is a message in the form of OpenTelemetry's conventions.
type message struct {
	Role   string `json:"role"`
	Parts  []part `json:"parts"`
	Finish string `json:"finish_reason,omitempty"`
}

// part is a part of a message. What is no text, such as a picture, has its type alone.
type part struct {
	Type      string          `json:"type"`
	Content   json.RawMessage `json:"content,omitempty"`
	ID        json.RawMessage `json:"id,omitempty"`
	Name      json.RawMessage `json:"name,omitempty"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
	Response  json.RawMessage `json:"response,omitempty"`
}

// listen returns what collects the texts of a request; nil: nobody wants them, or there is
// no memory for them.
func (c *call) listen() *spoken {
	if c.request.Op != abi.Chat || c.request.Untranslated != nil || !c.gateway.host.tracer.Wanted(c.http.Record) {
		return nil
	}
	size := c.body.Len(true)
	if c.memory.Hold(size+2*maxSpoken) != nil { // the texts stay until the request's end
		return nil
	}
	defer c.memory.Drop(size)
	s := &spoken{input: messagesOf(c.body.Body(c.plan.Alias))}
	if c.native != nil {
		s.said = c.native.Said
	}
	return s
}

// receive shows the answer what the upstream sent. If that passes as it came, no adapter
// states what it says, so that is collected here.
func (a *attempt) receive(name, data []byte, whole bool) {
	a.answer.received(name, data, whole)
	a.call.details.readEvent(data)
	if s := a.call.spoken; s != nil && s.said != nil && a.native {
		s.add(s.said(name, data, whole))
	}
}

// messagesOf reads the messages of a chat completion.
func messagesOf(body []byte) (all []message) {
	var r struct {
		Messages []struct {
			Role    string
			Content json.RawMessage
			Calls   []struct {
				ID       json.RawMessage
				Function struct{ Name, Arguments json.RawMessage }
			} `json:"tool_calls"`
			CallID json.RawMessage `json:"tool_call_id"`
		}
	}
	if json.Unmarshal(body, &r) != nil {
		return nil
	}
	room := maxSpoken
	for _, m := range r.Messages {
		shown := message{Role: m.Role, Parts: partsOf(m.Content, &room)}
		for i, p := range shown.Parts {
			if m.Role == "tool" && p.Content != nil {
				shown.Parts[i] = part{Type: "tool_call_response", ID: m.CallID, Response: p.Content}
			}
		}
		for _, call := range m.Calls {
			shown.Parts = append(shown.Parts, part{Type: "tool_call", ID: call.ID, Name: call.Function.Name, Arguments: cutText(call.Function.Arguments, &room)})
		}
		all = append(all, shown)
		if room <= 0 {
			break
		}
	}
	return all
}

// partsOf reads the content of a message: a text, or a list of parts.
func partsOf(content json.RawMessage, room *int) []part {
	var list []struct {
		Type string
		Text json.RawMessage
	}
	if json.Unmarshal(content, &list) != nil {
		if text := cutText(content, room); text != nil {
			return []part{{Type: "text", Content: text}}
		}
		return []part{}
	}
	parts := []part{}
	for _, p := range list {
		parts = append(parts, part{Type: p.Type, Content: cutText(p.Text, room)})
	}
	return parts
}

// cutText returns a JSON string with as much of a text as there is room for; nil if it isn't
// one.
func cutText(literal json.RawMessage, room *int) json.RawMessage {
	var text string
	if json.Unmarshal(literal, &text) != nil || len(literal) == 0 || literal[0] != '"' {
		return nil
	}
	if len(text) > *room {
		end := max(0, *room)
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	*room -= len(text)
	cut, _ := json.Marshal(text) // a string never fails
	return cut
}

// begin forgets the answer of an attempt, since another one begins.
func (s *spoken) begin() {
	if s != nil {
		s.choices, s.room = map[int]*spokenChoice{}, maxSpoken
	}
}

// add notes what a call of the adapter stated.
func (s *spoken) add(ems []abi.Emission) {
	if s == nil {
		return
	}
	for _, m := range ems {
		switch m.Kind {
		case abi.Text, abi.Refusal, abi.Reasoning, abi.ToolID, abi.ToolName, abi.ToolArgs:
			if to := s.choice(m).of(m); s.room > 0 {
				before := len(*to)
				*to = facts.Text{Data: m.Data[:min(len(m.Data), s.room)], Raw: m.Raw}.AppendTo(*to)
				s.room -= len(*to) - before
			}
		case abi.Finish:
			s.choice(m).finish = string(m.Data)
		}
	}
}

// choice returns the choice that an emission is about.
func (s *spoken) choice(m abi.Emission) *spokenChoice {
	c := s.choices[m.Choice()]
	if c == nil {
		c = &spokenChoice{calls: map[int]*spokenCall{}}
		s.choices[m.Choice()] = c
	}
	return c
}

// of returns where the text of an emission goes.
func (c *spokenChoice) of(m abi.Emission) *[]byte {
	switch m.Kind {
	case abi.Text, abi.Refusal:
		return &c.text
	case abi.Reasoning:
		return &c.reasoning
	}
	call := c.calls[m.Item()]
	if call == nil {
		call = &spokenCall{}
		c.calls[m.Item()] = call
	}
	switch m.Kind {
	case abi.ToolID:
		return &call.id
	case abi.ToolName:
		return &call.name
	}
	return &call.arguments
}

// content returns what was said, for the record; nil: nobody listened.
func (s *spoken) content() *record.Content {
	if s == nil {
		return nil
	}
	var answer []message
	for _, i := range slices.Sorted(maps.Keys(s.choices)) {
		c := s.choices[i]
		m := message{Role: "assistant", Parts: []part{}, Finish: c.finish}
		if len(c.reasoning) > 0 {
			m.Parts = append(m.Parts, part{Type: "reasoning", Content: quoted(c.reasoning)})
		}
		if len(c.text) > 0 {
			m.Parts = append(m.Parts, part{Type: "text", Content: quoted(c.text)})
		}
		for _, k := range slices.Sorted(maps.Keys(c.calls)) {
			m.Parts = append(m.Parts, part{Type: "tool_call", ID: quoted(c.calls[k].id), Name: quoted(c.calls[k].name), Arguments: quoted(c.calls[k].arguments)})
		}
		answer = append(answer, m)
	}
	text := func(all []message) string {
		if len(all) == 0 {
			return ""
		}
		b, _ := json.Marshal(all) // of strings that are JSON already
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return &record.Content{Input: text(s.input), Output: text(answer)}
}

// quoted makes a JSON string of the inside of one, cut to what a span may have.
func quoted(inside []byte) json.RawMessage {
	const longestEscape = len(`\ud83d\ude00`)
	end := min(len(inside), maxSpoken)
	for range longestEscape {
		literal := slices.Concat([]byte{'"'}, inside[:end], []byte{'"'})
		if json.Valid(literal) || end == 0 {
			return literal
		}
		end--
	}
	return json.RawMessage(`""`)
}
