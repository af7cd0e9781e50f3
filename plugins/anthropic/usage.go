package anthropic

import "github.com/kai-gateway/kai/sdk"

// usage is how many tokens an answer has cost so far. Anthropic's counts are cumulative.
// message_start has those of the prompt. message_delta has those of the answer, and
// sometimes all of them.
type usage struct {
	Input   int64 // of the prompt, beside the next two
	Written int64 // of the prompt, written to the cache
	Read    int64 // of the prompt, read from the cache
	Output  int64
	Thought int64 // the part of Output that was thinking
	Details bool  // Thought is known
}

// add updates the counts with those of a usage object, and states them.
func (u *usage) add(raw sdk.JSON, out *sdk.Out) {
	known := false
	for f := sdk.Object(raw); f.Next(); {
		count := &u.Input
		v := f.Value()
		switch string(f.Key()) {
		case "input_tokens":
		case "cache_creation_input_tokens":
			count = &u.Written
		case "cache_read_input_tokens":
			count = &u.Read
		case "output_tokens":
			count = &u.Output
		case "output_tokens_details":
			v, count = v.Get("thinking_tokens"), &u.Thought
		default:
			continue
		}
		if n, ok := v.Int(); ok && n >= 0 && n < 1<<40 {
			*count, known = n, true
			u.Details = u.Details || count == &u.Thought
		}
	}
	if !known {
		return
	}
	var w sdk.Writer
	w.Object()
	w.Key("prompt_tokens").Int(u.Input + u.Written + u.Read)
	w.Key("completion_tokens").Int(u.Output)
	w.Key("prompt_tokens_details").Object()
	w.Key("cached_tokens").Int(u.Read)
	w.Key("cache_write_tokens").Int(u.Written)
	w.End()
	if u.Details {
		w.Key("completion_tokens_details").Object()
		w.Key("reasoning_tokens").Int(u.Thought)
		w.End()
	}
	w.End()
	out.Usage(w.Bytes())
}
