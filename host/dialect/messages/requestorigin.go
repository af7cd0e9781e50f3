package messages

import (
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/host/fault"
)

// origin is where in the client's request something of the chat request comes from.
type origin struct {
	message int32 // -1: system, or for a tool: the list of tools
	block   int32 // of the message's content, or of the tools; -1: all of it
}

func originOf(a at) origin { return origin{int32(a.message), int32(a.block)} }

// origins are those of a chat request's messages, in their order, of what stands in them,
// and of its tools.
type origins struct {
	messages []messageOrigin
	parts    []origin // of the contents of all messages
	calls    []origin // of all messages of the assistant
	tools    []origin
}

type messageOrigin struct {
	origin
	parts, calls int32 // how many there were before
}

// beginMessage begins a message of the chat request. head is what it begins with.
func (t *translation) beginMessage(from at, head string) {
	if len(t.origins.messages) > 0 {
		t.raw(`,`)
	}
	t.origins.messages = append(t.origins.messages, messageOrigin{originOf(from), int32(len(t.origins.parts)), int32(len(t.origins.calls))})
	t.here = from
	t.raw(head)
}

// mark is how much of the chat request is written.
type mark struct{ out, messages, parts int }

func (t *translation) mark() mark {
	return mark{len(t.out), len(t.origins.messages), len(t.origins.parts)}
}

// reset takes back what was written since the mark.
func (t *translation) reset(m mark) {
	t.out = t.out[:m.out]
	t.origins.messages = t.origins.messages[:m.messages]
	t.origins.parts = t.origins.parts[:m.parts]
}

// size returns how many bytes the origins have.
func (o *origins) size() int {
	return 16*cap(o.messages) + 8*(cap(o.parts)+cap(o.calls)+cap(o.tools))
}

// clientNames are the names that fields of a chat request have in this API.
var clientNames = map[string]string{
	"max_completion_tokens": "max_tokens",
	"stop":                  "stop_sequences",
	"response_format":       "output_config.format",
	"reasoning_effort":      "thinking",
	"safety_identifier":     "metadata.user_id",
	"parallel_tool_calls":   "tool_choice.disable_parallel_tool_use",
}

// fault puts an error about the chat request into the terms of the client's request. Its
// place is the client's, and if that is a part of messages or tools, the text begins with
// it.
func (o *origins) fault(e *fault.Error) *fault.Error {
	name, rest := cutField(e.Param)
	path := ""
	switch name {
	case "":
		return e
	case "messages":
		path = o.message(rest)
	case "tools":
		path = o.tool(rest)
	default:
		path = name
		if client, ok := clientNames[name]; ok {
			path = client
		}
	}
	if path == "" || path == e.Param {
		return e
	}
	changed := *e
	changed.Param = path
	if text, ok := strings.CutPrefix(e.Text, e.Param+": "); ok {
		changed.Text = path + ": " + text
	} else if rest != "" && (name == "messages" || name == "tools") {
		changed.Text = path + ": " + e.Text
	}
	return &changed
}

// message returns the client's place of "[3].content[1].image_url".
func (o *origins) message(path string) string {
	n, rest := cutIndex(path)
	if n < 0 || n >= len(o.messages) {
		return ""
	}
	m := o.messages[n]
	parts, calls := o.parts[m.parts:], o.calls[m.calls:]
	if n+1 < len(o.messages) {
		next := o.messages[n+1]
		parts, calls = parts[:next.parts-m.parts], calls[:next.calls-m.calls]
	}
	from := m.origin
	field, list := cutField(strings.TrimPrefix(rest, "."))
	k, _ := cutIndex(list)
	switch {
	case field == "content" && k >= 0 && k < len(parts):
		from = parts[k]
	case field == "tool_calls" && k >= 0 && k < len(calls):
		from = calls[k]
	case m.block < 0 && (field == "role" || field == "content") && m.message >= 0:
		return at{int(m.message), -1, -1}.String() + "." + field
	}
	return at{int(from.message), int(from.block), -1}.String()
}

// tool returns the client's place of "[3].function.name".
func (o *origins) tool(path string) string {
	n, rest := cutIndex(path)
	if n < 0 || n >= len(o.tools) {
		return ""
	}
	from := o.tools[n]
	if from.message >= 0 {
		return at{int(from.message), int(from.block), -1}.String() + ".tool"
	}
	place := "tools." + strconv.Itoa(int(from.block))
	switch {
	case strings.HasPrefix(rest, ".function.name"):
		place += ".name"
	case strings.HasPrefix(rest, ".function.parameters"):
		place += ".input_schema"
	}
	return place
}

// cutField returns the name that a path begins with, and what follows.
func cutField(path string) (name, rest string) {
	if i := strings.IndexAny(path, ".["); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// cutIndex returns the index that "[3].role" begins with, and what follows; -1 for a path
// that begins with none.
func cutIndex(path string) (n int, rest string) {
	number, rest, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || path[0] != '[' {
		return -1, path
	}
	return n, rest
}
