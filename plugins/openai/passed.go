package openai

import (
	"bytes"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/openaichat"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// endpoint is one whose requests and answers pass as they are.
type endpoint struct {
	path  string
	what  string // what it gives, for messages
	input string // the field with what may be too long
	has   string // the field of an answer that has what was asked for; "": the answer is bytes
	kind  sdk.Kind
	bytes bool // the answer may be bytes
}

// passed are the endpoints that clients know by the same form. Rerank is Cohere's and Jina's
// invention, which vLLM and others serve at the same place:
// https://docs.vllm.ai/en/latest/serving/openai_compatible_server/#re-rank-api
var passed = map[abi.Op]endpoint{
	abi.Moderations: {"/moderations", "moderations", "input", "results", sdk.KindArray, false},
	abi.Rerank:      {"/rerank", "rerank", "documents", "results", sdk.KindArray, false},
	abi.Images:      {"/images/generations", "images", "prompt", "data", sdk.KindArray, false},
	abi.Speech:      {"/audio/speech", "speech", "input", "", sdk.KindAbsent, true},

	abi.Transcriptions: {"/audio/transcriptions", "transcriptions", "file", "text", sdk.KindString, true},
}

// framing is how the answer is asked for.
func (p endpoint) framing(stream bool) abi.Framing {
	switch {
	case stream:
		return abi.SSE
	case p.bytes:
		return abi.Bytes
	}
	return abi.Whole
}

// prepare returns the body to send, and remembers what the answer is to be.
func (p endpoint) prepare(r *sdk.Request, o *settings, body []byte, s *openaichat.State) ([]byte, error) {
	switch r.Op {
	case abi.Rerank:
		if o.tei {
			return asTEI(body, s)
		}
		for it := sdk.Array(sdk.JSON(body).Get("documents")); it.Next(); {
			s.Came++
		}
	case abi.Images:
		n, _ := sdk.JSON(body).Get("n").Int()
		s.Wanted = max(1, n)
	}
	return body, nil
}

// answer passes a whole answer on, and states what it cost.
func (p endpoint) answer(r *sdk.Response, s *openaichat.State, out *sdk.Out) error {
	switch body := sdk.JSON(bytes.TrimSpace(r.Body)); {
	case r.Status < 200 || r.Status > 299:
		return p.failure(failure(r.Status, r.Head, r.Body))
	case body.Valid() == nil && !body.Get("error").Empty():
		return p.failure(failure(0, r.Head, body))
	case s.Ranks && body.Kind() == sdk.KindArray && body.Valid() == nil:
		return fromTEI(body, s, out)
	case body.Valid() != nil || p.has == "" || body.Get(p.has).Kind() != p.kind:
		return errortext.Upstream("The provider's answer is none to a request for " + p.what + ".")
	case r.Op == abi.Rerank && !ranked(body.Get("results"), s.Came):
		return noRanks()
	default:
		used(body, out)
		if r.Op == abi.Transcriptions {
			sound(body, out)
		}
		out.Result(body)
		return nil
	}
}

// event passes an event of a stream on, whatever it says, and states what the stream cost and
// when it is complete. These end a stream: https://platform.openai.com/docs/api-reference/images-streaming,
// https://platform.openai.com/docs/api-reference/audio/speech-audio-done-event and
// https://platform.openai.com/docs/api-reference/audio/transcript-text-done-event
func (p endpoint) event(e *sdk.Event, s *openaichat.State, out *sdk.Out) error {
	if e.Done || e.End {
		return nil
	}
	data := sdk.JSON(e.Data)
	var kind, failed, choices sdk.JSON
	fields := sdk.Object(data)
	for fields.Next() {
		switch string(fields.Key()) {
		case "type":
			kind = fields.Value()
		case "error":
			failed = fields.Value()
		case "choices":
			choices = fields.Value()
		}
	}
	switch {
	case data.Kind() != sdk.KindObject || fields.Err() != nil:
		return errortext.Upstream("The provider answered a request for " + p.what + " with events that are none.")
	case !failed.Empty() || string(e.Name) == "error":
		return p.failure(failure(0, nil, data))
	}
	switch word, _ := kind.Str(); word {
	case "image_generation.completed": // which says what this picture cost, and not those before it
		prompt, completion := tokens(data)
		if s.In, s.Out = s.In+prompt, s.Out+completion; s.In > 0 || s.Out > 0 {
			out.Tokens(s.In, s.Out)
		}
		out.Pass(true)
		if s.Came++; s.Came == s.Wanted {
			out.Finish(0, abi.FinishStop)
		}
	case "speech.audio.done", "transcript.text.done":
		used(data, out)
		sound(data, out)
		out.Pass(true)
		out.Finish(0, abi.FinishStop)
		out.End()
	case "image_generation.partial_image", "speech.audio.delta", "transcript.text.delta", "transcript.text.segment":
		out.Pass(true)
	default:
		used(data, out)
		chunk(choices, out)
	}
	return nil
}

// chunk passes on what is none of OpenAI's events, or a piece of vLLM's transcriptions, which
// has the form of chats: https://docs.vllm.ai/en/latest/serving/openai_compatible_server/#transcriptions-api
func chunk(choices sdk.JSON, out *sdk.Out) {
	var text, reason sdk.JSON
	for it := sdk.Array(choices); it.Next(); {
		text, reason = it.Value().Get("delta").Get("content"), it.Value().Get("finish_reason")
	}
	out.Pass(!text.Empty())
	switch word, _ := reason.Str(); word {
	case "":
	case "length":
		out.Finish(0, abi.FinishLength)
	default:
		out.Finish(0, abi.FinishStop)
	}
}

// used states how many tokens an answer cost, if it says so.
func used(body sdk.JSON, out *sdk.Out) {
	if prompt, completion := tokens(body); prompt > 0 || completion > 0 {
		out.Tokens(prompt, completion)
	}
}

// tokens returns how many tokens an answer says that it cost: as OpenAI's images and Jina's
// rerank do in usage, or Cohere in meta.
func tokens(body sdk.JSON) (prompt, completion int64) {
	counted := body.Get("usage")
	if counted.Kind() != sdk.KindObject {
		counted = body.Get("meta").Get("tokens")
	}
	number := func(names ...string) (n int64) {
		for _, name := range names {
			if n, ok := counted.Get(name).Int(); ok && n >= 0 {
				return n
			}
		}
		return 0
	}
	completion = number("output_tokens", "completion_tokens")
	prompt = number("input_tokens", "prompt_tokens")
	if prompt == 0 {
		prompt = max(0, number("total_tokens")-completion)
	}
	return prompt, completion
}

// sound states how many seconds of sound were heard, where a transcription is billed by them:
// in usage, or without one in the duration of a verbose answer.
func sound(body sdk.JSON, out *sdk.Out) {
	usage := body.Get("usage")
	seconds := usage.Get("seconds")
	if usage.Kind() != sdk.KindObject {
		seconds = body.Get("duration")
	}
	if seconds.Empty() {
		return
	}
	var w sdk.Writer
	w.Object()
	w.Key("seconds").Raw(seconds)
	w.End()
	out.Usage(w.Bytes())
}

// failure says of an error that is in terms of chat what it means here.
func (p endpoint) failure(err error) error {
	return errortext.Instead(err, p.input, "The field "+p.input+" is longer than the model takes", p.what)
}
