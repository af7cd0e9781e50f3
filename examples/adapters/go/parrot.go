// Command parrot is an adapter for Parrot, the small upstream that README.md in
// the folder above describes. It is the example of docs/sdk-go.md.
package main

import (
	"strconv"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

func init() { sdk.Register(Plugin()) }

func main() {}

// Plugin returns the adapter with its manifest.
func Plugin() *sdk.Plugin {
	return sdk.New(sdk.Manifest{
		Name:           "parrot",
		Version:        "1.0.0",
		License:        "Apache-2.0",
		Provider:       "parrot",
		Capabilities:   []string{"tools"},
		DefaultBaseURL: "http://localhost:7777",
		Auth:           sdk.Auth{Secret: "api_key", Header: "authorization", Format: "Bearer {}"},
		Options:        "// How high the parrot speaks.\npitch?: int & >=1 & <=9",
	}, adapter{})
}

type adapter struct{}

// state is what the adapter remembers from one call of an exchange to the next.
type state struct {
	Calls uint32 // how many tool calls there were so far; the number of the next one
	Spoke bool   // a word was said
	Ended bool   // the parrot said how it ended
}

// Request turns a chat completion into POST /v1/squawk.
func (adapter) Request(r *sdk.Request, s *state, out *sdk.Out) error {
	var model, messages, tools, limit sdk.JSON
	it := sdk.Object(r.Body)
	for it.Next() {
		switch string(it.Key()) {
		case "model":
			model = it.Value()
		case "messages":
			messages = it.Value()
		case "tools":
			tools = it.Value()
		case "max_tokens":
			limit = it.Value()
		}
	}
	if it.Err() != nil {
		return &sdk.Error{Status: 400, Message: "The request is not valid JSON."}
	}
	prompt, err := writePrompt(messages)
	if err != nil {
		return err
	}
	var w sdk.Writer
	w.Object()
	w.Key("model").Raw(model)
	w.Key("prompt").RawString(prompt)
	w.Key("stream").Bool(r.Stream)
	if limit.Kind() == sdk.KindNumber {
		w.Key("words").Raw(limit)
	}
	if pitch := r.Options.Get("pitch"); pitch != nil {
		w.Key("pitch").Raw(pitch)
	}
	if tools.Kind() == sdk.KindArray {
		w.Key("tricks").Array()
		for it := sdk.Array(tools); it.Next(); {
			w.Raw(it.Value().Get("function"))
		}
		w.End()
	}
	w.End()

	framing := abi.Whole
	if r.Stream {
		framing = abi.NDJSON
	}
	out.Send(sdk.Upstream{Path: "/v1/squawk", Framing: framing, Body: w.Bytes()})
	return nil
}

// writePrompt writes a conversation as one text, with a line for each message. It
// copies the texts as they are between their quotes, because a long text is
// replaced by the gateway's reference to it.
func writePrompt(messages sdk.JSON) ([]byte, error) {
	var prompt []byte
	i := 0
	for m := range sdk.Messages(messages) {
		if i > 0 {
			prompt = append(prompt, `\n`...)
		}
		prompt = append(prompt, speaker(m.Role)...)
		for p := range sdk.Parts(m.Content) {
			text, ok := p.Text.RawStr()
			if !ok {
				return nil, &sdk.Error{
					Status: 400, Param: "messages[" + strconv.Itoa(i) + "].content", Message: "Parrots understand text only.",
				}
			}
			prompt = append(append(prompt, ' '), text...)
		}
		i++
	}
	return prompt, nil
}

func speaker(role string) string {
	switch role {
	case "user":
		return "Human:"
	case "assistant":
		return "Parrot:"
	case "tool":
		return "Trick:"
	}
	return "Keeper:"
}

// Response handles a whole answer: one object with everything, or an error.
func (adapter) Response(r *sdk.Response, s *state, out *sdk.Out) error {
	if r.Status < 200 || r.Status > 299 {
		body := sdk.JSON(r.Body)
		return failed(int64(r.Status), body.Get("oops"), r.Head.Get("retry-after"))
	}
	if err := take(r.Body, s, out); err != nil {
		return err
	}
	if !s.Ended {
		return upstream("The parrot's answer is not complete.")
	}
	return nil
}

// Event handles one line of a streamed answer.
func (adapter) Event(e *sdk.Event, s *state, out *sdk.Out) error {
	if e.End || e.Done || s.Ended {
		return nil // without the line that says how it ended, the gateway reports an error
	}
	return take(e.Data, s, out)
}

// take states the content of one object of an answer.
func take(data sdk.JSON, s *state, out *sdk.Out) error {
	var word, tool, end, in, spoken, oops, code sdk.JSON
	it := sdk.Object(data)
	for it.Next() {
		switch string(it.Key()) {
		case "t":
			word = it.Value()
		case "tool":
			tool = it.Value()
		case "end":
			end = it.Value()
		case "in":
			in = it.Value()
		case "out":
			spoken = it.Value()
		case "oops":
			oops = it.Value()
		case "code":
			code = it.Value()
		}
	}
	if data.Kind() != sdk.KindObject || it.Err() != nil {
		return upstream("The answer is not what Parrot sends. Does base_url lead to it?")
	}
	if oops != nil {
		status, _ := code.Int()
		return failed(status, oops, "")
	}
	if text, ok := word.RawStr(); ok {
		if s.Spoke {
			out.Text(0, []byte(" ")) // each line is a word
		}
		out.TextJSON(0, text)
		s.Spoke = true
	}
	if name, ok := tool.Get("name").Str(); ok {
		out.ToolName(0, int(s.Calls), name)
		out.ToolArgs(0, int(s.Calls), tool.Get("args"))
		s.Calls++
	}
	if reason, ok := end.Str(); ok {
		s.Ended = true
		prompt, known := in.Int()
		if completion, ok := spoken.Int(); ok && known {
			out.Tokens(prompt, completion)
		}
		if reason != "length" {
			reason = "stop" // the gateway makes tool_calls of it if a tool was called
		}
		out.Finish(0, reason)
	}
	return nil
}

// failed maps an error of Parrot: the status of its answer, or the code in the
// middle of a stream, and its text.
func failed(status int64, oops sdk.JSON, retryAfter string) error {
	text, ok := oops.Str()
	if !ok {
		text = "it did not say why"
	}
	switch status {
	case 400, 422:
		return &sdk.Error{Status: 400, Message: "Parrot refuses the request: " + text}
	case 401, 403:
		return &sdk.Error{Status: 502, Code: "upstream_auth", Message: "Parrot refuses the gateway's key."}
	case 404:
		return &sdk.Error{Status: 404, Code: "model_not_found", Param: "model", Message: "Parrot has no such bird: " + text}
	case 429:
		seconds, _ := sdk.JSON(retryAfter).Int()
		return &sdk.Error{Status: 429, Message: "The parrot needs a rest: " + text, RetryAfterMS: max(0, min(seconds, 3600)) * 1000}
	}
	return upstream("Parrot failed: " + text)
}

// upstream returns the error for a failure for which the client is not to blame.
func upstream(message string) error {
	return &sdk.Error{Status: 502, Code: "upstream_error", Message: message}
}
