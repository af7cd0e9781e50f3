package passing

import "github.com/kai-gateway/kai/sdk"

// Usage is how many tokens a message has cost so far, in the words of Anthropic's API. An
// adapter keeps it in its state: the counts of a stream are cumulative, message_start has those
// of the prompt, and message_delta has those of the answer, and sometimes all of them.
type Usage struct {
	input   uint32 // of the prompt, beside the next two
	written uint32 // of the prompt, written to the cache
	read    uint32 // of the prompt, read from the cache
	output  uint32
	thought uint32 // the part of output that was thinking

	prompt, answer, details bool // the counts of the prompt, output and thought are known
}

// Add updates the counts with those of a usage object, and states all that are known.
func (u *Usage) Add(raw sdk.JSON, out *sdk.Out) {
	known := false
	var cost sdk.JSON
	for f := sdk.Object(raw); f.Next(); {
		v, count, said := f.Value(), &u.input, &u.prompt
		switch string(f.Key()) {
		case "input_tokens":
		case "cache_creation_input_tokens":
			count = &u.written
		case "cache_read_input_tokens":
			count = &u.read
		case "output_tokens":
			count, said = &u.output, &u.answer
		case "output_tokens_details":
			v, count, said = v.Get("thinking_tokens"), &u.thought, &u.details
		case "cost": // OpenRouter's
			cost = v
			continue
		default:
			continue
		}
		if n, ok := v.Int(); ok && n >= 0 && n < 1<<31 {
			*count, *said, known = uint32(n), true, true
		}
	}
	if !known && cost.Kind() != sdk.KindNumber {
		return
	}
	var w sdk.Writer
	w.Object()
	if u.prompt {
		w.Key("prompt_tokens").Int(int64(u.input) + int64(u.written) + int64(u.read))
	}
	if u.answer {
		w.Key("completion_tokens").Int(int64(u.output))
	}
	if u.prompt {
		w.Key("prompt_tokens_details").Object()
		w.Key("cached_tokens").Int(int64(u.read))
		w.Key("cache_write_tokens").Int(int64(u.written))
		w.End()
	}
	if u.details {
		w.Key("completion_tokens_details").Object()
		w.Key("reasoning_tokens").Int(int64(u.thought))
		w.End()
	}
	if cost.Kind() == sdk.KindNumber {
		w.Key("cost").Raw(cost)
	}
	w.End()
	out.Usage(w.Bytes())
}
