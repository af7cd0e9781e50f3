package openaichat

import (
	"slices"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// answer is the top level of a chunk or of a whole answer. Fields that are null or empty are
// absent here.
type answer struct {
	failure sdk.JSON // "error"
	choices sdk.JSON
	usage   sdk.JSON
}

// read reads body and appends to dst an object with the fields that it doesn't know. It drops
// id, object, created and model, which the gateway writes itself: the model that answered may
// be a fallback or a dated name, but clients look for the alias that they asked for. It drops
// OpenAI's obfuscation, too, which is random padding against people who measure packets. The
// gateway's packets are different ones:
// https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options
func (a *answer) read(d *Dialect, body sdk.JSON, dst []byte) ([]byte, error) {
	it := sdk.Object(body)
	for it.Next() {
		v := it.Value()
		if IsNothing(v) {
			continue
		}
		switch string(it.Key()) {
		case "choices":
			a.choices = v
		case "error":
			if !v.Empty() {
				a.failure = v
			}
		case "usage":
			a.usage = v
		case "object":
			if inside, _ := v.RawStr(); string(inside) == "error" && a.failure == nil {
				a.failure = body // vLLM and Mistral send this: https://github.com/vllm-project/vllm/issues/12886
			}
		case "id", "created", "model", "obfuscation":
		case "x_groq":
			if rest := a.readGroq(v); len(rest) > 0 {
				dst = AppendField(dst, it.Key(), rest)
			}
		default:
			if !slices.Contains(d.Private, string(it.Key())) {
				dst = AppendField(dst, it.Key(), v)
			}
		}
	}
	if it.Err() != nil {
		return nil, errMalformed
	}
	return dst, nil
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
	var (
		b                   []byte
		cached, reasoning   sdk.JSON
		prompted, completed bool // there are details of the prompt, and of the completion
	)
	for f := sdk.Object(usage); f.Next(); {
		v := f.Value()
		if IsNothing(v) {
			continue
		}
		switch string(f.Key()) {
		case "prompt_cache_hit_tokens", "cached_tokens":
			cached = v
		case "reasoning_tokens":
			reasoning = v
		case "prompt_tokens_details":
			prompted = true
		case "completion_tokens_details":
			completed = true
		}
		if !slices.Contains(d.PrivateUsage, string(f.Key())) {
			b = AppendField(b, f.Key(), v)
		}
	}
	if len(b) == 0 {
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

// choice is one element of "choices".
type choice struct {
	index    int
	message  sdk.JSON // or the delta
	usage    sdk.JSON // of Moonshot, in a stream
	logprobs sdk.JSON
	finish   sdk.JSON
	native   sdk.JSON // the finish reason in the words of the model's own provider
	failure  sdk.JSON // "error"
	text     sdk.JSON // of a completion
	extra    []byte   // an object of unknown fields, without its closing bracket

	isCompletion bool // of the operation completions
}

func (c *choice) read(raw sdk.JSON) error {
	it := sdk.Object(raw)
	var delta sdk.JSON
	for it.Next() {
		v := it.Value()
		if IsNothing(v) {
			continue
		}
		switch string(it.Key()) {
		case "index":
			n, ok := v.Int()
			if !ok || n < 0 || n >= abi.MaxChoices {
				return errMalformed
			}
			c.index = int(n)
		case "delta":
			delta = v
		case "message":
			c.message = v
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
			if c.isCompletion {
				c.text = v
				break
			}
			c.extra = AppendField(c.extra, it.Key(), v)
		default:
			c.extra = AppendField(c.extra, it.Key(), v)
		}
	}
	if it.Err() != nil {
		return errMalformed
	}
	if delta != nil {
		// Perplexity sends the message so far beside each delta:
		// https://docs.perplexity.ai/api-reference/chat-completions-post
		c.message = delta
	}
	return nil
}

// failed returns the error of a choice that ended with one. If no object explains it, the
// finish reason is the only hint.
func (d *Dialect) failed(c *choice, head sdk.Head) error {
	if c.failure != nil {
		return d.Failure(head, c.failure)
	}
	switch inside, _ := c.finish.RawStr(); string(inside) {
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
	inside, ok := c.finish.RawStr()
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
	if inside, ok := c.native.RawStr(); ok {
		out.StopReasonJSON(c.index, inside)
	}
	if len(c.extra) > 0 {
		out.ChoiceExtra(c.index, append(c.extra, '}'))
	}
}

// IsNothing reports whether a value from an iterator means the same as its absence.
func IsNothing(v sdk.JSON) bool {
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
	if len(dst) == 0 {
		dst = append(dst, '{')
	} else {
		dst = append(dst, ',')
	}
	dst = sdk.AppendQuote(dst, string(key))
	dst = append(dst, ':')
	return append(dst, value...)
}
