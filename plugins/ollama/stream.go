package ollama

import (
	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Event handles one line of a streamed answer. The answer is complete with the line that has
// "done":true, and never before. The end of the stream means nothing, because a server that
// dies ends it, too.
func (*adapter) Event(e *sdk.Event, s *state, out *sdk.Out) error {
	if e.End || e.Done || s.Ended {
		return nil
	}
	if e.Op.Native() {
		return others.Event(e, &s.Usage, out)
	}
	if e.Op == abi.Completions {
		return errortext.InCompletions(take(e.Data, s, out))
	}
	return take(e.Data, s, out)
}

// take states the content of one object of an answer. A stream has one in each line, and the
// last has the metrics. A whole answer is an object like the last.
func take(data sdk.JSON, s *state, out *sdk.Out) error {
	if data.Kind() != sdk.KindObject {
		return malformed()
	}
	var failure, logprobs, reason, prompt, cached, completion sdk.JSON
	done := false
	r := sdk.NewReader(data)
	for top := r.Object(); r.Next(top); {
		if string(r.Key()) == "message" {
			if err := message(&r, s, out); err != nil {
				return err
			}
			continue
		}
		v := r.Value()
		switch string(r.Key()) {
		case "response": // instead of the message, from /api/generate
			inside, ok := text(v)
			if !ok {
				return malformed()
			}
			if len(inside) > 0 {
				out.TextJSON(0, inside)
			}
		case "done":
			done, _ = v.Bool()
		case "error":
			failure = v
		case "logprobs":
			logprobs = v
		case "done_reason":
			reason = v
		case "prompt_eval_count":
			prompt = v
		case "prompt_eval_cached_count":
			cached = v
		case "eval_count":
			completion = v
		}
	}
	if r.Err() != nil {
		return malformed()
	}
	if !failure.Empty() {
		text, kind := unwrap(data)
		return explain(500, text, kind, s)
	}
	if logprobs.Kind() == sdk.KindArray {
		var w sdk.Writer
		writeTokens(&w, logprobs, true)
		out.Logprobs(0, w.Bytes())
	}
	if !done {
		return nil
	}
	s.Ended = true
	finish, err := finishReason(reason)
	if err != nil {
		return err
	}
	// Ollama leaves out a count of zero.
	promptTokens, _ := prompt.Int()
	completionTokens, _ := completion.Int()
	out.Tokens(promptTokens, completionTokens)
	if cached.Kind() == sdk.KindNumber {
		var w sdk.Writer
		w.Object()
		w.Key("prompt_tokens_details").Object()
		w.Key("cached_tokens").Raw(cached)
		w.End()
		w.End()
		out.Usage(w.Bytes())
	}
	out.Finish(0, finish)
	out.End()
	return nil
}

// finishReason maps done_reason. Ollama says stop even if tools were called. The gateway
// corrects that.
func finishReason(v sdk.JSON) (string, error) {
	reason, _ := v.Str()
	switch reason {
	case "length":
		return abi.FinishLength, nil
	case "":
		// Ollama's word for a closed connection to its engine.
		return "", errortext.Upstream("Ollama's engine stopped before the answer was complete.")
	case "load", "unload":
		return "", errortext.Upstream("Ollama only loaded or unloaded the model instead of answering.")
	}
	return abi.FinishStop, nil
}

// message states the new content of a line's message, which r is before.
func message(r *sdk.Reader, s *state, out *sdk.Out) error {
	var thinking, content, calls sdk.JSON
	for fields := r.Object(); r.Next(fields); {
		switch string(r.Key()) {
		case "content":
			content = r.Value()
		case "thinking":
			thinking = r.Value()
		case "tool_calls":
			calls = r.Value()
		}
	}
	if r.Err() != nil {
		return malformed()
	}
	if inside, ok := text(thinking); !ok {
		return malformed()
	} else if len(inside) > 0 {
		out.ReasoningJSON(0, inside)
	}
	if inside, ok := text(content); !ok {
		return malformed()
	} else if len(inside) > 0 {
		out.TextJSON(0, inside)
	}
	if calls != nil {
		return toolCalls(calls, s, out)
	}
	return nil
}

// text returns the inside of a string, which may be absent or null. A Reader must have checked v.
func text(v sdk.JSON) (inside []byte, ok bool) {
	if inside, ok := v.Inside(); ok {
		return inside, true
	}
	return nil, len(v) == 0 || v[0] == 'n'
}

// toolCalls states complete calls. They come in lines of their own. If the engine runs the
// model's template, they come all together in the last line.
func toolCalls(calls sdk.JSON, s *state, out *sdk.Out) error {
	switch calls.Kind() {
	case sdk.KindNull:
		return nil
	case sdk.KindArray:
	default:
		return malformed()
	}
	for c := range sdk.ToolCalls(calls) {
		name, ok := c.Name.Str()
		if !ok {
			return malformed()
		}
		n := int(s.Calls)
		s.Calls++
		if id, ok := c.ID.Str(); ok { // servers before 0.12.10 send none
			out.ToolID(0, n, id)
		}
		out.ToolName(0, n, name)
		switch c.Arguments.Kind() {
		case sdk.KindObject:
			out.ToolArgs(0, n, c.Arguments)
		case sdk.KindAbsent, sdk.KindNull:
			out.ToolArgs(0, n, []byte("{}"))
		default:
			return malformed()
		}
	}
	return nil
}

// writeTokens writes token objects in OpenAI's form, in which bytes and top_logprobs are
// always there.
func writeTokens(w *sdk.Writer, tokens sdk.JSON, alternatives bool) {
	w.Array()
	r := sdk.NewReader(tokens)
	for list := r.Array(); r.Next(list); {
		var token, logprob, bytes, top sdk.JSON
		for fields := r.Object(); r.Next(fields); {
			switch string(r.Key()) {
			case "token":
				token = r.Value()
			case "logprob":
				logprob = r.Value()
			case "bytes":
				bytes = r.Value()
			case "top_logprobs":
				top = r.Value()
			}
		}
		w.Object()
		w.Key("token").Raw(token)
		w.Key("logprob").Raw(logprob)
		w.Key("bytes").Raw(bytes)
		if alternatives {
			w.Key("top_logprobs")
			writeTokens(w, top, false)
		}
		w.End()
	}
	w.End()
}
