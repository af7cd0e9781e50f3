package ollama

import (
	"github.com/kai-gateway/kai/plugins/internal/repair"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Request turns a chat completion into POST /api/chat, a completion into POST /api/generate,
// and a request for embeddings into POST /api/embed.
func (*adapter) Request(r *sdk.Request, s *state, out *sdk.Out) error {
	if r.Op == abi.Embeddings {
		return embed(r, out)
	}
	if r.Op == abi.Completions {
		return complete(r, out)
	}
	if r.Op.Native() {
		return passOn(r, out)
	}
	var topK sdk.JSON // not OpenAI's
	q, err := sdk.ParseChat(r.Body, func(key string, v sdk.JSON) {
		if key == "top_k" {
			topK = v
		}
	})
	if err != nil {
		return refuse("", "The request is not valid JSON.")
	}
	if n, ok := q.N.Int(); ok && n > 1 {
		return refuse("n", "Ollama gives one answer to a request: n must be 1.")
	}
	var w sdk.Writer
	w.Reset(make([]byte, 0, len(r.Body)+512))
	w.Object()
	w.Key("model").Raw(q.Model)
	w.Key("stream").Bool(r.Stream) // Ollama streams by default
	if err := writeMessages(&w, q.Messages); err != nil {
		return err
	}
	if err := writeTools(&w, &q); err != nil {
		return err
	}
	if err := writeFormat(&w, q.ResponseFormat); err != nil {
		return err
	}
	if wanted, _ := q.Logprobs.Bool(); wanted {
		w.Key("logprobs").Bool(true)
		if q.TopLogprobs != nil {
			w.Key("top_logprobs").Raw(q.TopLogprobs)
		}
	}
	if s.Effort, err = writeThink(&w, &q, r.Options); err != nil {
		return err
	}
	writeOptions(&w, &q, topK, r.Options)
	w.End()

	framing := abi.Whole
	if r.Stream {
		framing = abi.NDJSON
	}
	out.Send(sdk.Upstream{Path: "/api/chat", Framing: framing, Body: w.Bytes()})
	return nil
}

// writeFormat maps response_format. Ollama takes "json", or just a JSON schema without
// OpenAI's name and strict.
func writeFormat(w *sdk.Writer, format sdk.JSON) error {
	if format == nil {
		return nil
	}
	switch kind, _ := format.Get("type").Str(); kind {
	case "text":
	case "json_object":
		w.Key("format").String("json")
	case "json_schema":
		schema := format.Get("json_schema").Get("schema")
		if schema.Kind() != sdk.KindObject {
			w.Key("format").String("json") // OpenAI's schema is optional
			break
		}
		w.Key("format").Raw(schema)
	default:
		return refuse("response_format.type", "Ollama knows the response formats text, json_object and json_schema.")
	}
	return nil
}

// writeThink maps reasoning_effort, or else reasoning.effort, or else the option think. It
// reports whether the client asked for thinking. If there is none of them, it writes nothing,
// and models that can think do so.
func writeThink(w *sdk.Writer, q *sdk.Chat, options sdk.JSON) (asked bool, err error) {
	effort, param := q.ReasoningEffort, "reasoning_effort"
	if effort == nil {
		effort, param = q.Reasoning.Get("effort"), "reasoning.effort"
	}
	if k := effort.Kind(); k == sdk.KindAbsent || k == sdk.KindNull {
		if think := options.Get("think"); think != nil {
			w.Key("think").Raw(think)
		}
		return false, nil
	}
	level, _ := effort.Str()
	switch level {
	case "none":
		w.Key("think").Bool(false)
		return false, nil
	case "minimal":
		level = "low"
	case "xhigh":
		level = "max"
	case "low", "medium", "high", "max":
	default:
		return false, refuse(param, "The effort must be none, minimal, low, medium, high or xhigh.")
	}
	w.Key("think").String(level)
	return true, nil
}

// writeOptions writes what the client asks for, and what the configuration sets for the rest.
// The model's own Modelfile decides what neither says.
func writeOptions(w *sdk.Writer, q *sdk.Chat, topK, options sdk.JSON) {
	stop := repair.Stops(q.Stop, repair.IsStop) // Ollama takes a list only
	asked := [...]struct {
		name  string
		value sdk.JSON
	}{
		{"num_predict", q.Limit()},
		{"temperature", q.Temperature},
		{"top_p", q.TopP},
		{"top_k", topK},
		{"seed", q.Seed},
		{"stop", stop},
		{"presence_penalty", q.PresencePenalty},
		{"frequency_penalty", q.FrequencyPenalty},
	}
	overridden := func(key []byte) bool {
		for i := range asked {
			if asked[i].name == string(key) {
				return asked[i].value != nil
			}
		}
		return false
	}
	for it := sdk.Object(options); it.Next(); {
		switch key := string(it.Key()); key {
		case "keep_alive", "truncate", "shift":
			w.Key(key).Raw(it.Value())
		}
	}
	open := false
	key := func(name string) *sdk.Writer {
		if !open {
			w.Key("options").Object()
			open = true
		}
		return w.Key(name)
	}
	for it := sdk.Object(options); it.Next(); {
		switch string(it.Key()) {
		case "keep_alive", "truncate", "shift", "think", "completions":
			continue
		}
		if !overridden(it.Key()) {
			key(string(it.Key())).Raw(it.Value())
		}
	}
	for _, a := range asked {
		if a.value != nil {
			key(a.name).Raw(a.value)
		}
	}
	if open {
		w.End()
	}
}
