package responses

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/host/fault"
)

// origins say where in the client's request each message of the chat completion comes from.
// So errors of those who see nothing but the chat completion can name places that the
// client knows.
type origins struct {
	messages []origin
	calls    []int32 // items of calls, of all messages
	tools    []spot
}

// origin is where one message comes from.
type origin struct {
	what  messageKind
	item  int32 // the number of an item, or what is none: see spot
	calls int32 // of an assistant's message: where its calls begin in origins.calls
}

// messageKind is what a message was made of.
type messageKind uint8

const (
	ofMessage  messageKind = iota // one message
	ofLead                        // instructions
	ofRun                         // what the assistant did
	ofResult                      // a tool's output
	ofAttached                    // the images and files of outputs
	ofKai                         // what has no parts of its own
)

// add adds the origin of a message.
func (o *origins) add(what messageKind, item int) {
	o.messages = append(o.messages, origin{what: what, item: int32(item)})
}

// addRun adds the origin of an assistant's message.
func (o *origins) addRun(r *run) {
	o.messages = append(o.messages, origin{what: ofRun, item: int32(r.item), calls: int32(len(o.calls))})
	for i := range r.calls {
		o.calls = append(o.calls, int32(r.calls[i].at))
	}
}

// place matches the paths of a chat completion that look different in the client's
// request.
var place = regexp.MustCompile(`\b(?:(messages|tools)\[(\d{1,9})\]((?:\.[a-z_]+|\[\d{1,9}\])*)|(?:max_completion_tokens|max_tokens|reasoning_effort|verbosity|response_format(?:\.[a-z_]+)*)\b)`)

// translate puts an error of those who know only the chat completion into the terms of the
// client's request.
func (o *origins) translate(e *fault.Error) *fault.Error {
	own := *e
	own.Param, own.Text = o.replace(e.Param), o.replace(e.Text)
	for _, field := range []struct{ chat, ours string }{{"messages", "input"}, {"logprobs", "top_logprobs"}} {
		if e.Param == field.chat { // words that also mean other things
			own.Param = field.ours
			if rest, ok := strings.CutPrefix(e.Text, field.chat+":"); ok {
				own.Text = field.ours + ":" + rest
			}
		}
	}
	return &own
}

// replace replaces all paths in a text.
func (o *origins) replace(text string) string {
	return place.ReplaceAllStringFunc(text, func(path string) string {
		switch path {
		case "max_completion_tokens", "max_tokens":
			return "max_output_tokens"
		case "reasoning_effort":
			return "reasoning.effort"
		case "verbosity":
			return "text.verbosity"
		}
		if rest, ok := strings.CutPrefix(path, "response_format"); ok {
			return "text.format" + strings.TrimPrefix(rest, ".json_schema")
		}
		parts := place.FindStringSubmatch(path)
		n, _ := strconv.Atoi(parts[2]) // at most nine digits
		switch {
		case parts[1] == "messages" && n < len(o.messages):
			return o.message(o.messages[n], parts[3])
		case parts[1] == "tools" && n < len(o.tools):
			return o.tools[n].path() + strings.TrimPrefix(parts[3], ".function")
		}
		return path
	})
}

// message returns the path of a part of a message.
//
//   - rest: the path within the message, as in ".content[1].text"
func (o *origins) message(m origin, rest string) string {
	at := spot{item: int(m.item)}.path()
	if m.item == inMemory || m.item == wholeInput {
		return at
	}
	switch m.what {
	case ofLead:
		if m.item == atTop {
			return "instructions"
		}
	case ofMessage:
		return at + partPath(rest)
	case ofRun:
		return o.inRun(m, at, rest)
	case ofResult:
		if strings.HasPrefix(rest, ".tool_call_id") {
			return at + ".call_id"
		}
		return at + ".output"
	case ofAttached:
		return at + ".output"
	}
	return at
}

// partPath returns the path of a part of a message in the terms of the client's.
func partPath(rest string) string {
	for _, field := range []struct{ chat, ours string }{
		{".image_url", ".image_url"}, {".file.file_data", ".file_data"}, {".file", ""}, {".input_audio", ".input_audio"}, {".text", ".text"},
	} {
		if before, _, ok := strings.Cut(rest, field.chat); ok {
			return before + field.ours
		}
	}
	return rest
}

// inRun returns the path of a part of an assistant's message: of the item that is the
// call, if it is about one.
func (o *origins) inRun(m origin, at, rest string) string {
	number, field, ok := strings.Cut(strings.TrimPrefix(rest, ".tool_calls["), "]")
	n, err := strconv.Atoi(number)
	if i := int(m.calls) + n; ok && err == nil && strings.HasPrefix(rest, ".tool_calls[") && i < len(o.calls) {
		at = spot{item: int(o.calls[i])}.path()
		switch {
		case o.calls[i] == inMemory:
		case strings.HasSuffix(field, ".arguments"):
			at += ".arguments"
		case strings.HasSuffix(field, ".name"):
			at += ".name"
		case strings.HasSuffix(field, ".id"):
			at += ".call_id"
		}
	}
	return at
}
