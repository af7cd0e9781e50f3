package sdk

import (
	"bytes"
	"iter"
)

// Message is one message of a chat request. Its fields are raw JSON, and empty if absent or
// null.
type Message struct {
	Role       string // in lower case, as in OpenAI's API
	Content    JSON   // a string or an array of parts
	Name       JSON
	ToolCalls  JSON // in an assistant's message: an array
	ToolCallID JSON // in a tool's message
	Reasoning  JSON // "reasoning", else "reasoning_content": what a model thought in an earlier turn
	Raw        JSON // the whole object
}

// Messages returns the messages in a chat request's "messages".
func Messages(array JSON) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for items := Array(array); items.Next(); {
			m := Message{Raw: items.Value()}
			for f := Object(m.Raw); f.Next(); {
				v := f.Value()
				if v.Kind() == KindNull {
					continue
				}
				switch string(f.Key()) {
				case "role":
					m.Role, _ = v.Str()
				case "content":
					m.Content = v
				case "name":
					m.Name = v
				case "tool_calls":
					m.ToolCalls = v
				case "tool_call_id":
					m.ToolCallID = v
				case "reasoning":
					m.Reasoning = v
				case "reasoning_content":
					if m.Reasoning == nil {
						m.Reasoning = v
					}
				}
			}
			if !yield(m) {
				return
			}
		}
	}
}

// Part is one part of a message's content.
type Part struct {
	Type string // "text", "image_url", "input_audio", "file", "refusal" or whatever the client sent
	Text JSON   // of "text" (and of "refusal": its text): a string
	URL  JSON   // of "image_url": a string, perhaps a data: URL
	Data JSON   // of "input_audio" and "file": a string of base64 (a file's is a data: URL)
	Raw  JSON   // the whole part
}

// Parts returns the parts of a message's content; a string is one part of text. A
// text that is null counts as absent.
func Parts(content JSON) iter.Seq[Part] {
	return func(yield func(Part) bool) {
		switch content.Kind() {
		case KindString:
			yield(Part{Type: "text", Text: content, Raw: content})
		case KindArray:
			for items := Array(content); items.Next(); {
				if !yield(part(items.Value())) {
					return
				}
			}
		}
	}
}

func part(raw JSON) Part {
	p := Part{Raw: raw}
	for f := Object(raw); f.Next(); {
		v := f.Value()
		switch string(f.Key()) {
		case "type":
			p.Type, _ = v.Str()
		case "text", "refusal":
			if v.Kind() != KindNull { // clients send both, one of them null
				p.Text = v
			}
		case "image_url":
			p.URL = v
			if v.Kind() == KindObject {
				p.URL = v.Get("url")
			}
		case "input_audio":
			p.Data = v.Get("data")
		case "file":
			p.Data = v.Get("file_data")
		}
	}
	return p
}

// SplitDataURL splits the inside of a JSON string that is a data: URL in base64:
// "data:image/png;base64,iVBOR…" gives "image/png" and "iVBOR…". After the comma there may be a
// reference to content that the gateway keeps. It is returned as it is. ok is false for any
// other URL.
func SplitDataURL(inside []byte) (mediaType string, base64 []byte, ok bool) {
	const scheme, marker = "data:", ";base64,"
	if len(inside) < len(scheme) || !equalFold(inside[:len(scheme)], scheme) {
		return "", nil, false
	}
	rest := inside[len(scheme):]
	for i := 0; i+len(marker) <= len(rest) && i < 256; i++ {
		if rest[i] == ';' && equalFold(rest[i:i+len(marker)], marker) {
			return unslash(rest[:i]), rest[i+len(marker):], true
		}
	}
	return "", nil, false
}

// unslash decodes the only escape that media types have in JSON: "image\/png".
func unslash(b []byte) string {
	out := make([]byte, 0, len(b))
	for i, c := range b {
		if c == '\\' && i+1 < len(b) && b[i+1] == '/' {
			continue
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	return string(out)
}

func equalFold(b []byte, lower string) bool {
	for i := range len(lower) {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// ToolCall is one tool call in an assistant's message.
type ToolCall struct {
	ID        JSON // a string
	Name      JSON // a string: the function's name
	Arguments JSON // a string of JSON text
	Raw       JSON
}

// Object returns the call's arguments as an object, which is {} if there are none. ok is false
// if the text is not a JSON object.
func (c ToolCall) Object() (object JSON, ok bool) {
	v := c.Arguments
	if v.Kind() == KindString {
		text, _ := v.AppendStr(nil)
		v = bytes.TrimSpace(text)
	}
	switch {
	case len(v) == 0, string(v) == "null":
		return JSON("{}"), true
	case v.Kind() == KindObject && v.Valid() == nil:
		return v, true
	}
	return nil, false
}

// ToolCalls returns the calls in a message's "tool_calls".
func ToolCalls(array JSON) iter.Seq[ToolCall] {
	return func(yield func(ToolCall) bool) {
		for items := Array(array); items.Next(); {
			if !yield(toolCall(items.Value())) {
				return
			}
		}
	}
}

func toolCall(raw JSON) ToolCall {
	c := ToolCall{Raw: raw}
	named := false
	r := NewReader(raw)
	for call := r.Object(); r.Next(call); {
		switch key := string(r.Key()); {
		case key == "id" && c.ID == nil:
			c.ID = r.Value()
		case key == "function" && !named && r.Kind() == KindObject:
			named = true
			for function := r.Object(); r.Next(function); {
				switch string(r.Key()) {
				case "name":
					c.Name = r.Value()
				case "arguments":
					c.Arguments = r.Value()
				}
			}
		}
	}
	return c
}
