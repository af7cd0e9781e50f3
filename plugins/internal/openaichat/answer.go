package openaichat

import (
	"slices"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// answer is the top level of a chunk or of a whole answer. What is null or
// empty upstream is absent here.
type answer struct {
	failure sdk.JSON // "error"
	choices sdk.JSON
	usage   sdk.JSON
}

// read reads body and appends to dst an object of the fields it doesn't know.
// The gateway names id, object, created and model itself: the model that
// answered may be a fallback or a dated name, but clients look for the alias
// they asked for. OpenAI's obfuscation is random padding against those who
// measure packets; the gateway's packets are others:
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
				a.failure = body // of vLLM and Mistral: https://github.com/vllm-project/vllm/issues/12886
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

// readGroq reads what Groq keeps apart: the usage of a stream, whether asked for
// or not, and why one was stopped early. It gives the object without them.
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

// emitUsage passes a usage object on. Some servers count cached tokens and those
// of reasoning under names of their own, which become OpenAI's: DeepSeek
// (https://api-docs.deepseek.com/guides/kv_cache), Moonshot
// (https://platform.moonshot.ai/docs/api/chat) and SGLang
// (https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/entrypoints/openai/protocol.py).
func (d *Dialect) emitUsage(usage sdk.JSON, out *sdk.Out) {
	var (
		b                   []byte
		cached, reasoning   sdk.JSON
		prompted, completed bool // there are details of the prompt, of the completion
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
	native   sdk.JSON // the finish reason in the words of the model's provider
	failure  sdk.JSON // "error"
	extra    []byte   // an object of the fields it doesn't know, without its closing bracket
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

// failed gives the error of a choice that ended with one. There may be no
// object that explains it; the finish reason is the only hint then.
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

// reason gives the reason to FINISH with, "" if the choice goes on. Besides
// OpenAI's, servers have words of their own, such as "eos" and "stop_sequence":
// what failed knows are the ones that end badly.
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

// isPlain reports whether there is nothing but a message.
func (c *choice) isPlain() bool {
	return c.finish == nil && c.native == nil && c.logprobs == nil && c.usage == nil && len(c.extra) == 0
}

// emitEnd states what follows a choice's message.
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

// message is a message or a delta.
type message struct {
	content   sdk.JSON
	reasoning sdk.JSON // text
	details   sdk.JSON // the same reasoning, typed: an array
	refusal   sdk.JSON
	calls     sdk.JSON
	extra     []byte // an object of the fields it doesn't know, without its closing bracket
}

func (m *message) read(raw sdk.JSON) error {
	it := sdk.Object(raw)
	for it.Next() {
		v := it.Value()
		if IsNothing(v) {
			continue
		}
		switch string(it.Key()) {
		case "content":
			m.content = v
		case "role":
		case "reasoning":
			m.reasoning = v
		case "reasoning_content":
			if m.reasoning == nil {
				m.reasoning = v
			}
		case "refusal":
			m.refusal = v
		case "function_call":
			// Of the time before tools. Some servers send one without a name and
			// arguments beside the calls, which clients take for a call.
			if !isStub(v) {
				m.extra = AppendField(m.extra, it.Key(), v)
			}
		case "tool_calls":
			m.calls = v
		case "reasoning_details":
			// Clients send them back unmodified in the next turn:
			// https://openrouter.ai/docs/use-cases/reasoning-tokens
			m.details = v
		default:
			m.extra = AppendField(m.extra, it.Key(), v)
		}
	}
	if it.Err() != nil {
		return errMalformed
	}
	return nil
}

// isStub reports whether all fields of an object say nothing.
func isStub(v sdk.JSON) bool {
	for f := sdk.Object(v); f.Next(); {
		if !IsNothing(f.Value()) {
			return false
		}
	}
	return v.Kind() == sdk.KindObject
}

// isPlain reports whether there is nothing but text.
func (m *message) isPlain() bool {
	return m.content.Kind() == sdk.KindString && m.reasoning == nil && m.refusal == nil &&
		m.calls == nil && m.details == nil && len(m.extra) == 0
}

// emit states all but the tool calls.
func (m *message) emit(choice int, out *sdk.Out) error {
	if inside, ok := m.reasoning.RawStr(); ok {
		out.ReasoningJSON(choice, inside)
	} else if m.details != nil {
		m.emitDetails(choice, out)
	}
	if inside, ok := m.content.RawStr(); ok {
		out.TextJSON(choice, inside)
	} else if m.content != nil {
		if err := emitParts(choice, m.content, out); err != nil {
			return err
		}
	}
	if inside, ok := m.refusal.RawStr(); ok {
		out.RefusalJSON(choice, inside)
	}
	for it := sdk.Array(m.details); it.Next(); {
		if detail := it.Value(); detail.Kind() == sdk.KindObject {
			out.ReasoningDetail(choice, detail)
		}
	}
	if len(m.extra) > 0 {
		out.DeltaExtra(choice, append(m.extra, '}'))
	}
	return nil
}

// emitDetails takes the reasoning's text from its typed form. The encrypted and
// the signatures have none.
func (m *message) emitDetails(choice int, out *sdk.Out) {
	for it := sdk.Array(m.details); it.Next(); {
		var text, summary sdk.JSON
		for f := sdk.Object(it.Value()); f.Next(); {
			switch string(f.Key()) {
			case "text":
				text = f.Value()
			case "summary":
				summary = f.Value()
			}
		}
		if inside, ok := text.RawStr(); ok {
			out.ReasoningJSON(choice, inside)
		} else if inside, ok := summary.RawStr(); ok {
			out.ReasoningJSON(choice, inside)
		}
	}
}

// emitParts states content that is a part, a string among parts, or an array of
// these. A part of a type without a meaning here is an error, for an answer must
// not lose what it says.
func emitParts(choice int, content sdk.JSON, out *sdk.Out) error {
	switch content.Kind() {
	case sdk.KindString:
		inside, _ := content.RawStr()
		out.TextJSON(choice, inside)
		return nil
	case sdk.KindObject:
		return emitPart(choice, content, out)
	case sdk.KindArray:
	default:
		return errMalformed
	}
	it := sdk.Array(content)
	for it.Next() {
		v := it.Value()
		if IsNothing(v) {
			continue
		}
		if v.Kind() == sdk.KindArray {
			return errMalformed
		}
		if err := emitParts(choice, v, out); err != nil {
			return err
		}
	}
	if it.Err() != nil {
		return errMalformed
	}
	return nil
}

// emitPart states one part. Mistral's reasoning models think in parts of their
// own, which hold parts of text (https://docs.mistral.ai/capabilities/reasoning);
// others have parts of the Responses API there, whose reasoning has its text in
// content or summary, or in text; and images come as they are sent.
func emitPart(choice int, part sdk.JSON, out *sdk.Out) error {
	kind, _ := part.Get("type").Str()
	switch kind {
	case "text", "output_text":
		if inside, ok := part.Get("text").RawStr(); ok {
			out.TextJSON(choice, inside)
		}
	case "refusal":
		if inside, ok := part.Get("refusal").RawStr(); ok {
			out.RefusalJSON(choice, inside)
		}
	case "thinking", "reasoning", "reasoning_text", "summary_text":
		for _, key := range [...]string{"thinking", "reasoning", "text", "content", "summary"} {
			if v := part.Get(key); len(v) > 0 && !IsNothing(v) {
				emitThoughts(choice, v, out)
				break
			}
		}
	case "image_url":
		b := append(append([]byte(`{"images":[`), part...), "]}"...)
		out.DeltaExtra(choice, b)
	default:
		return errPart
	}
	return nil
}

// emitThoughts states reasoning that is a text or an array of parts with one.
func emitThoughts(choice int, v sdk.JSON, out *sdk.Out) {
	if inside, ok := v.RawStr(); ok {
		out.ReasoningJSON(choice, inside)
		return
	}
	for it := sdk.Array(v); it.Next(); {
		text := it.Value()
		if text.Kind() == sdk.KindObject {
			text = text.Get("text")
		}
		if inside, ok := text.RawStr(); ok {
			out.ReasoningJSON(choice, inside)
		}
	}
}

// toolCall is one element of "tool_calls", or a part of one in a stream.
type toolCall struct {
	index     int  // as stated, else -1 at first
	counted   bool // the index is the server's own
	id        sdk.JSON
	name      sdk.JSON
	arguments sdk.JSON
	signature sdk.JSON
	extra     []byte // an object of the fields it doesn't know, without its closing bracket
}

func (c *toolCall) read(raw sdk.JSON) error {
	c.index = -1
	it := sdk.Object(raw)
	for it.Next() {
		v := it.Value()
		if IsNothing(v) {
			continue
		}
		switch string(it.Key()) {
		case "index":
			n, ok := v.Int()
			if !ok || n < 0 || n > maxItem {
				return errMalformed
			}
			c.index, c.counted = int(n), true
		case "id":
			c.id = v
		case "type":
		case "function":
			for f := sdk.Object(v); f.Next(); {
				switch string(f.Key()) {
				case "name":
					c.name = f.Value()
				case "arguments":
					c.arguments = f.Value()
				}
			}
		default:
			// Clients send them back unmodified in the next turn. Google's OpenAI
			// layer has the signature of a thought there, and generation 3 of
			// Gemini refuses a call without it:
			// https://ai.google.dev/gemini-api/docs/thought-signatures
			if string(it.Key()) == "extra_content" {
				if c.signature = onlySignature(v); c.signature != nil {
					continue
				}
			}
			c.extra = AppendField(c.extra, it.Key(), v)
		}
	}
	if it.Err() != nil {
		return errMalformed
	}
	return nil
}

// onlySignature gives the signature in Google's extra_content, nil if there is
// none or anything else.
func onlySignature(content sdk.JSON) sdk.JSON {
	var signature sdk.JSON
	for google := sdk.Object(content); google.Next(); {
		if string(google.Key()) != "google" {
			return nil
		}
		for f := sdk.Object(google.Value()); f.Next(); {
			if string(f.Key()) != "thought_signature" || f.Value().Kind() != sdk.KindString {
				return nil
			}
			signature = f.Value()
		}
	}
	return signature
}

const maxItem = 1<<16 - 1 // what an emission can count

// emit states the call as number n of its choice. Ids may be missing or repeat;
// the gateway makes those unique.
func (c *toolCall) emit(choice, n int, out *sdk.Out) {
	if id, _ := c.id.Str(); id != "" {
		out.ToolID(choice, n, id)
	}
	if name, _ := c.name.Str(); name != "" {
		out.ToolName(choice, n, name)
	}
	if inside, ok := c.arguments.RawStr(); ok {
		out.ToolArgsJSON(choice, n, inside)
	} else if c.arguments.Kind() == sdk.KindObject {
		out.ToolArgs(choice, n, c.arguments)
	}
	if inside, ok := c.signature.RawStr(); ok {
		out.ToolSignatureJSON(choice, n, inside)
	}
	if len(c.extra) > 0 {
		out.ToolExtra(choice, n, append(c.extra, '}'))
	}
}

// hasArguments reports whether there is some of the arguments' text.
func (c *toolCall) hasArguments() bool {
	switch c.arguments.Kind() {
	case sdk.KindString:
		return len(c.arguments) > 2
	case sdk.KindObject:
		return true
	}
	return false
}

// IsNothing reports whether a value of an iterator says no more than its absence.
func IsNothing(v sdk.JSON) bool {
	switch v[0] {
	case 'n':
		return true
	case '"', '[', '{':
		return len(v) == 2
	}
	return false
}

// AppendField appends a field to an object that has no closing bracket yet; an
// empty dst begins one.
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
