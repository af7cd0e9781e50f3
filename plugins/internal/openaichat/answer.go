package openaichat

import (
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// answer is the top level of a chunk or of a whole answer. Fields that are null or empty are
// absent here.
type answer struct {
	failure sdk.JSON // "error"
	usage   sdk.JSON
	choices []choice // nil: there are none
	wrong   bool     // some of them can't be read
}

// form says how choices are read.
type form uint8

const (
	parts form = iota // parts of messages; a choice without an index is the first
	whole             // whole messages; without an index, a choice has that of its position
	texts             // of the operation completions, whole or in parts; as whole
)

// read reads body, once, and appends to dst an object with the fields that it doesn't know. It
// drops id, object, created and model, which the gateway writes itself: the model that answered
// may be a fallback or a dated name, but clients look for the alias that they asked for. It drops
// OpenAI's obfuscation, too, which is random padding against people who measure packets. The
// gateway's packets are different ones:
// https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options
func (a *answer) read(d *Dialect, body sdk.JSON, as form, dst []byte) ([]byte, error) {
	r := sdk.NewReader(body)
	for top := r.Object(); r.Next(top); {
		if string(r.Key()) == "choices" && r.Kind() == sdk.KindArray {
			a.readChoices(&r, as)
			continue
		}
		v := r.Value()
		if IsNothing(v) {
			continue
		}
		switch key := r.Key(); string(key) {
		case "choices":
			a.wrong = true
		case "error":
			if !v.Empty() {
				a.failure = v
			}
		case "usage":
			a.usage = v
		case "object":
			if inside, _ := v.Inside(); string(inside) == "error" && a.failure == nil {
				a.failure = body // vLLM and Mistral send this: https://github.com/vllm-project/vllm/issues/12886
			}
		case "id", "created", "model", "obfuscation":
		case "x_groq":
			if rest := a.readGroq(v); len(rest) > 0 {
				dst = AppendField(dst, key, rest)
			}
		default:
			if !has(d.Private, key) {
				dst = AppendField(dst, key, v)
			}
		}
	}
	if r.Err() != nil {
		return nil, errMalformed
	}
	return dst, nil
}

// readChoices reads "choices", of which there may be as many as an answer can have.
func (a *answer) readChoices(r *sdk.Reader, as form) {
	a.choices = a.choices[:0]
	for list := r.Array(); r.Next(list); {
		if len(a.choices) == abi.MaxChoices {
			a.wrong = true
			return
		}
		c := choice{}
		if as != parts {
			c.index = len(a.choices)
		}
		a.choices = append(a.choices, c)
		if err := a.choices[len(a.choices)-1].read(r, as); err != nil {
			a.wrong = true
			return
		}
	}
}

// readGroq reads Groq's own object: it has the usage of a stream, whether that was asked for
// or not, and why a stream was stopped early. It returns the object without these.
// https://github.com/groq/groq-python/blob/main/src/groq/types/chat/chat_completion_chunk.py
func (a *answer) readGroq(v sdk.JSON) (rest sdk.JSON) {
	for f := sdk.Object(v); f.Next(); {
		switch v := f.Value(); {
		case IsNothing(v):
		case string(f.Key()) == "usage":
			if a.usage == nil {
				a.usage = v
			}
		case string(f.Key()) == "error":
			if a.failure == nil && !v.Empty() {
				a.failure = v
			}
		default:
			rest = AppendField(rest, f.Key(), v)
		}
	}
	if len(rest) > 0 {
		rest = append(rest, '}')
	}
	return rest
}

// emitUsage states a usage object. Some servers count cached tokens and reasoning tokens under
// names of their own, which become OpenAI's: DeepSeek
// (https://api-docs.deepseek.com/guides/kv_cache), Moonshot
// (https://platform.moonshot.ai/docs/api/chat) and SGLang
// (https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/entrypoints/openai/protocol.py).
func (d *Dialect) emitUsage(usage sdk.JSON, out *sdk.Out) {
	if len(usage) == 0 {
		return
	}
	var (
		room                [512]byte // for nearly every usage
		cached, reasoning   sdk.JSON
		prompted, completed bool // there are details of the prompt, and of the completion
		dropped             bool // some of it is not passed on
	)
	b := room[:0]
	r := sdk.NewReader(usage)
	for fields := r.Object(); r.Next(fields); {
		v := r.Value()
		if d.drops(r.Key(), v) {
			dropped = true
			continue
		}
		b = AppendField(b, r.Key(), v)
		switch string(r.Key()) {
		case "prompt_cache_hit_tokens", "cached_tokens":
			cached = v
		case "reasoning_tokens":
			reasoning = v
		case "prompt_tokens_details":
			prompted = true
		case "completion_tokens_details":
			completed = true
		}
	}
	moved := cached.Kind() == sdk.KindNumber && !prompted || reasoning.Kind() == sdk.KindNumber && !completed
	switch {
	case len(b) == 0:
		return
	case !dropped && !moved && len(b)+len("}") == len(usage): // it is already what would be written
		out.Usage(usage)
		return
	}
	if cached.Kind() == sdk.KindNumber && !prompted {
		b = append(append(append(b, `,"prompt_tokens_details":{"cached_tokens":`...), cached...), '}')
	}
	if reasoning.Kind() == sdk.KindNumber && !completed {
		b = append(append(append(b, `,"completion_tokens_details":{"reasoning_tokens":`...), reasoning...), '}')
	}
	out.Usage(append(b, '}'))
}

// drops reports whether a field of the usage is not passed on.
func (d *Dialect) drops(key []byte, v sdk.JSON) bool { return IsNothing(v) || has(d.PrivateUsage, key) }

// has reports whether a name is among names.
func has(names []string, name []byte) bool {
	for _, one := range names {
		if string(name) == one {
			return true
		}
	}
	return false
}

// choice is one element of "choices".
type choice struct {
	index    int
	message  message  // or the delta
	usage    sdk.JSON // of Moonshot, in a stream
	logprobs sdk.JSON
	finish   sdk.JSON
	native   sdk.JSON // the finish reason in the words of the model's own provider
	failure  sdk.JSON // "error"
	text     sdk.JSON // of a completion
	extra    []byte   // an object of unknown fields, without its closing bracket
}

// read reads the choice that r is before. After an error, r is somewhere in it.
func (c *choice) read(r *sdk.Reader, as form) error {
	if k := r.Kind(); k != sdk.KindObject && k != sdk.KindNull {
		return errMalformed
	}
	isDelta := false
	for fields := r.Object(); r.Next(fields); {
		switch string(r.Key()) {
		case "delta":
			// Perplexity sends the message so far beside each delta:
			// https://docs.perplexity.ai/api-reference/chat-completions-post
			read, err := c.message.read(r)
			if err != nil {
				return err
			}
			isDelta = isDelta || read
			continue
		case "message":
			if !isDelta {
				if _, err := c.message.read(r); err != nil {
					return err
				}
			}
			continue
		}
		v := r.Value()
		if IsNothing(v) {
			continue
		}
		switch key := r.Key(); string(key) {
		case "index":
			n, ok := v.Int()
			if !ok || n < 0 || n >= abi.MaxChoices {
				return errMalformed
			}
			c.index = int(n)
		case "usage":
			c.usage = v
		case "finish_reason":
			c.finish = v
		case "logprobs":
			c.logprobs = v
		case "error":
			if !v.Empty() {
				c.failure = v
			}
		case "native_finish_reason":
			c.native = v
		case "text":
			if as == texts {
				c.text = v
				break
			}
			c.extra = AppendField(c.extra, key, v)
		default:
			c.extra = AppendField(c.extra, key, v)
		}
	}
	return nil
}

// failed returns the error of a choice that ended with one. If no object explains it, the
// finish reason is the only hint.
func (d *Dialect) failed(c *choice, head sdk.Head) error {
	if c.failure != nil {
		return d.Failure(head, c.failure)
	}
	switch inside, _ := c.finish.Inside(); string(inside) {
	case "error", // OpenRouter, Mistral, vLLM
		"abort",                        // vLLM, when it shuts down
		"network_error",                // Z.ai: https://docs.z.ai/api-reference/llm/chat-completion
		"insufficient_system_resource": // DeepSeek: https://api-docs.deepseek.com/api/create-chat-completion
		if word, _ := c.native.Str(); word != "" {
			return d.BrokenOff(word)
		}
		return d.BrokenOff(string(inside))
	}
	return nil
}

// reason returns the reason for FINISH, or "" if the choice goes on. Servers have other words
// besides OpenAI's, such as "eos" and "stop_sequence". They mean a good end, except for those
// that failed knows.
func (c *choice) reason() string {
	inside, ok := c.finish.Inside()
	if !ok {
		return ""
	}
	switch string(inside) {
	case "length",
		"model_length",                  // Mistral: https://docs.mistral.ai/api
		"model_context_window_exceeded", // Z.ai
		"max_tokens":                    // servers with Anthropic's words
		return abi.FinishLength
	case "tool_calls":
		return abi.FinishToolCalls
	case "content_filter", "sensitive": // the latter is Z.ai's
		return abi.FinishContentFilter
	case "function_call":
		return abi.FinishFunctionCall
	}
	return abi.FinishStop
}

// isPlain reports whether the choice has only a message.
func (c *choice) isPlain() bool {
	return c.finish == nil && c.native == nil && c.logprobs == nil && c.usage == nil && len(c.extra) == 0
}

// emitEnd states what comes after a choice's message.
func (c *choice) emitEnd(out *sdk.Out) {
	if tokens := c.logprobs.Get("content"); tokens.Kind() == sdk.KindArray && !IsNothing(tokens) {
		out.Logprobs(c.index, tokens)
	}
	if inside, ok := c.native.Inside(); ok {
		out.StopReasonJSON(c.index, inside)
	}
	if len(c.extra) > 0 {
		out.ChoiceExtra(c.index, append(c.extra, '}'))
	}
}

// IsNothing reports whether a value from an iterator means the same as its absence.
func IsNothing(v sdk.JSON) bool {
	if len(v) == 0 {
		return true
	}
	switch v[0] {
	case 'n':
		return true
	case '"', '[', '{':
		return len(v) == 2
	}
	return false
}

// AppendField appends a field to an object that has no closing bracket yet. If dst is empty,
// it begins an object.
func AppendField(dst []byte, key []byte, value sdk.JSON) []byte {
	switch {
	case len(dst) > 0:
		dst = append(dst, ',')
	case cap(dst) == 0: // there is rarely a second one
		dst = append(make([]byte, 0, len(key)+len(value)+len(`{"":}`)), '{')
	default:
		dst = append(dst, '{')
	}
	if text := written(key, value); text != nil {
		return append(append(dst, '"'), text...)
	}
	dst = sdk.AppendQuote(dst, string(key))
	dst = append(dst, ':')
	return append(dst, value...)
}

// written returns the text from the beginning of a key to the end of its value, if they were read
// from one text in which nothing but a quote and a colon is between them; else nil.
func written(key []byte, value sdk.JSON) []byte {
	from := len(key) + len(`":`)
	if len(value) == 0 || cap(key)-from < len(value) {
		return nil
	}
	text := key[:from+len(value)]
	if &text[from] != &value[0] || text[len(key)] != '"' {
		return nil
	}
	return text
}
