package passing

import (
	"strconv"

	"github.com/kai-gateway/kai/sdk"
)

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
	var g glance
	g.takeUsage(raw)
	u.add(&g, out)
}

// takeUsage takes the counts of a usage object.
func (g *glance) takeUsage(raw sdk.JSON) {
	for f := sdk.Object(raw); f.Next(); {
		switch v := f.Value(); string(f.Key()) {
		case "input_tokens":
			g[input] = v
		case "cache_creation_input_tokens":
			g[written] = v
		case "cache_read_input_tokens":
			g[cached] = v
		case "output_tokens":
			g[output] = v
		case "output_tokens_details":
			g[thought] = v.Get("thinking_tokens")
		case "cost": // OpenRouter's
			g[cost] = v
		}
	}
}

// add updates the counts with those of an event, and states all that are known.
func (u *Usage) add(g *glance, out *sdk.Out) {
	known := false
	take := func(v sdk.JSON, to *uint32, said *bool) {
		if n, ok := v.Int(); ok && n >= 0 && n < 1<<31 {
			*to, *said, known = uint32(n), true, true
		}
	}
	take(g[input], &u.input, &u.prompt)
	take(g[written], &u.written, &u.prompt)
	take(g[cached], &u.read, &u.prompt)
	take(g[output], &u.output, &u.answer)
	take(g[thought], &u.thought, &u.details)
	paid := isNumber(g[cost])
	if !known && !paid {
		return
	}
	var room [256]byte // for what is there nearly always
	b := append(room[:0], '{')
	number := func(field string, n int64) { b = append(strconv.AppendInt(append(b, field...), n, 10), ',') }
	if u.prompt {
		number(`"prompt_tokens":`, int64(u.input)+int64(u.written)+int64(u.read))
	}
	if u.answer {
		number(`"completion_tokens":`, int64(u.output))
	}
	if u.prompt {
		number(`"prompt_tokens_details":{"cached_tokens":`, int64(u.read))
		number(`"cache_write_tokens":`, int64(u.written))
		b = append(closed(b), ',')
	}
	if u.details {
		number(`"completion_tokens_details":{"reasoning_tokens":`, int64(u.thought))
		b = append(closed(b), ',')
	}
	if paid {
		b = append(append(append(b, `"cost":`...), g[cost]...), ',')
	}
	out.Usage(closed(b))
}
