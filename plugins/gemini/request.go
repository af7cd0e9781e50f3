package gemini

import (
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/repair"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// query is what the adapter reads of a client's request. Fields are absent when
// the client left them away or sent null.
type query struct {
	model                             string
	messages                          sdk.JSON
	maxTokens, maxCompletionTokens    sdk.JSON
	temperature, topP, topK           sdk.JSON
	seed, stop, n                     sdk.JSON
	presencePenalty, frequencyPenalty sdk.JSON
	logprobs, topLogprobs             sdk.JSON
	responseFormat, modalities        sdk.JSON
	tools, toolChoice, functions      sdk.JSON
	effort, reasoning                 sdk.JSON
}

func parse(body sdk.JSON) (query, error) {
	var q query
	it := sdk.Object(body)
	for it.Next() {
		v := it.Value()
		if v.Kind() == sdk.KindNull {
			continue
		}
		switch string(it.Key()) {
		case "model":
			q.model, _ = v.Str()
		case "messages":
			q.messages = v
		case "max_tokens":
			q.maxTokens = v
		case "max_completion_tokens":
			q.maxCompletionTokens = v
		case "temperature":
			q.temperature = v
		case "top_p":
			q.topP = v
		case "top_k":
			q.topK = v
		case "seed":
			q.seed = v
		case "stop":
			q.stop = v
		case "n":
			q.n = v
		case "presence_penalty":
			q.presencePenalty = v
		case "frequency_penalty":
			q.frequencyPenalty = v
		case "logprobs":
			q.logprobs = v
		case "top_logprobs":
			q.topLogprobs = v
		case "response_format":
			q.responseFormat = v
		case "modalities":
			q.modalities = v
		case "tools":
			q.tools = v
		case "tool_choice":
			q.toolChoice = v
		case "functions":
			q.functions = v
		case "reasoning_effort":
			q.effort = v
		case "reasoning":
			q.reasoning = v
		}
	}
	return q, it.Err()
}

// Request turns a chat completion into generateContent or its stream.
func (adapter) Request(r *sdk.Request, _ *state, out *sdk.Out) error {
	q, err := parse(r.Body)
	if err != nil {
		return refuse("", "The request is not valid JSON.")
	}
	var w sdk.Writer
	w.Reset(make([]byte, 0, len(r.Body)+512))
	w.Object()
	if err := writeMessages(&w, &q); err != nil {
		return err
	}
	if err := writeTools(&w, &q); err != nil {
		return err
	}
	if err := writeConfig(&w, &q, r.Options); err != nil {
		return err
	}
	if safety := r.Options.Get("safety_settings"); safety != nil {
		w.Key("safetySettings").Raw(safety)
	}
	w.End()
	up := sdk.Upstream{Path: modelPath(q.model) + ":generateContent", Framing: abi.Whole, Body: w.Bytes()}
	if r.Stream {
		up.Path, up.Framing = modelPath(q.model)+":streamGenerateContent?alt=sse", abi.SSE
	}
	out.Send(up)
	return nil
}

// modelPath gives the path of a model: "gemini-2.5-flash" and
// "models/gemini-2.5-flash" are the same, and there are "tunedModels/x".
func modelPath(model string) string {
	path := []byte("/models/")
	name := strings.TrimPrefix(model, "models/")
	if tuned, ok := strings.CutPrefix(model, "tunedModels/"); ok {
		path, name = []byte("/tunedModels/"), tuned
	}
	const hex = "0123456789ABCDEF"
	for _, c := range []byte(name) {
		switch {
		case c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'z', strings.IndexByte("-._~", c) >= 0:
			path = append(path, c)
		default:
			path = append(path, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(path)
}

// writeConfig writes generationConfig. What neither the client nor the options
// mention is left to the model.
func writeConfig(w *sdk.Writer, q *query, options sdk.JSON) error {
	open := false
	key := func(name string) *sdk.Writer {
		if !open {
			w.Key("generationConfig").Object()
			open = true
		}
		return w.Key(name)
	}
	limit := q.maxCompletionTokens
	if limit == nil {
		limit = q.maxTokens
	}
	for _, f := range [...]struct {
		name  string
		value sdk.JSON
	}{
		{"maxOutputTokens", limit},
		{"temperature", q.temperature},
		{"topP", q.topP},
		{"topK", q.topK},
		{"candidateCount", q.n},
		{"seed", q.seed},
		{"presencePenalty", q.presencePenalty},
		{"frequencyPenalty", q.frequencyPenalty},
	} {
		if f.value != nil {
			key(f.name).Raw(f.value)
		}
	}
	if stops := repair.Stops(q.stop, repair.IsStop); len(stops) > 0 {
		key("stopSequences").Array()
		for _, inside := range stops {
			w.RawString(inside)
		}
		w.End()
	}
	if wanted, _ := q.logprobs.Bool(); wanted {
		key("responseLogprobs").Bool(true)
		if q.topLogprobs != nil {
			w.Key("logprobs").Raw(q.topLogprobs)
		}
	}
	if err := writeFormat(key, q.responseFormat); err != nil {
		return err
	}
	writeModalities(key, w, q.modalities)
	if err := writeThinking(key, w, q, options); err != nil {
		return err
	}
	if open {
		w.End()
	}
	return nil
}

// writeFormat maps response_format. Schemas are JSON Schema on both sides:
// https://ai.google.dev/gemini-api/docs/structured-output
func writeFormat(key func(string) *sdk.Writer, format sdk.JSON) error {
	if format == nil {
		return nil
	}
	switch kind, _ := format.Get("type").Str(); kind {
	case "text":
	case "json_object":
		key("responseMimeType").String("application/json")
	case "json_schema":
		key("responseMimeType").String("application/json")
		if schema := format.Get("json_schema").Get("schema"); schema.Kind() == sdk.KindObject {
			key("responseJsonSchema").Raw(schema)
		}
	default:
		return refuse("response_format.type", "Gemini knows the response formats text, json_object and json_schema.")
	}
	return nil
}

// writeModalities maps modalities, whose names differ in case only. Text alone
// is what every model does unasked.
func writeModalities(key func(string) *sdk.Writer, w *sdk.Writer, modalities sdk.JSON) {
	var names []string
	for it := sdk.Array(modalities); it.Next(); {
		if name, _ := it.Value().Str(); name != "" {
			names = append(names, strings.ToUpper(name))
		}
	}
	if len(names) == 0 || len(names) == 1 && names[0] == "TEXT" {
		return
	}
	key("responseModalities").Array()
	for _, name := range names {
		w.String(name)
	}
	w.End()
}
