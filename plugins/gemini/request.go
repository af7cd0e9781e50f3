package gemini

import (
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/repair"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// query is what the adapter reads of a client's request.
type query struct {
	sdk.Chat
	model string
	topK  sdk.JSON // Gemini's own field
}

func parse(body sdk.JSON) (q query, err error) {
	q.Chat, err = sdk.ParseChat(body, func(key string, v sdk.JSON) {
		if key == "top_k" {
			q.topK = v
		}
	})
	q.model, _ = q.Model.Str()
	return q, err
}

// Request turns a chat completion into generateContent or its stream. A request to count
// tokens becomes countTokens, https://ai.google.dev/api/tokens, which has the same content
// in generateContentRequest, without the settings for the answer. embed.go has embeddings.
func (adapter) Request(r *sdk.Request, s *state, out *sdk.Out) error {
	if r.Op == abi.Embeddings {
		return embed(r, out)
	}
	q, err := parse(r.Body)
	if err != nil {
		return refuse("", "The request is not valid JSON.")
	}
	var w sdk.Writer
	w.Reset(make([]byte, 0, len(r.Body)+512))
	w.Object()
	if r.Op == abi.Count {
		return count(&w, &q, out)
	}
	if err := writeMessages(&w, &q); err != nil {
		return err
	}
	if err := writeTools(&w, &q); err != nil {
		return err
	}
	s.Effort = q.ReasoningEffort != nil
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

// count sends countTokens. Google demands the model in the body, too.
func count(w *sdk.Writer, q *query, out *sdk.Out) error {
	w.Key("generateContentRequest").Object()
	w.Key("model").String(modelName(q.model))
	if err := writeMessages(w, q); err != nil {
		return err
	}
	if err := writeTools(w, q); err != nil {
		return err
	}
	w.End()
	w.End()
	out.Send(sdk.Upstream{Path: modelPath(q.model) + ":countTokens", Framing: abi.Whole, Body: w.Bytes()})
	return nil
}

// modelPath returns the path of a model. "gemini-2.5-flash" and "models/gemini-2.5-flash" are
// the same, and there are models such as "tunedModels/x".
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

// writeConfig writes generationConfig. The model decides what neither the client nor the
// options say.
func writeConfig(w *sdk.Writer, q *query, options sdk.JSON) error {
	open := false
	key := func(name string) *sdk.Writer {
		if !open {
			w.Key("generationConfig").Object()
			open = true
		}
		return w.Key(name)
	}
	for _, f := range [...]struct {
		name  string
		value sdk.JSON
	}{
		{"maxOutputTokens", q.Limit()},
		{"temperature", q.Temperature},
		{"topP", q.TopP},
		{"topK", q.topK},
		{"candidateCount", q.N},
		{"seed", q.Seed},
		{"presencePenalty", q.PresencePenalty},
		{"frequencyPenalty", q.FrequencyPenalty},
	} {
		if f.value != nil {
			key(f.name).Raw(f.value)
		}
	}
	if stops := repair.Stops(q.Stop, repair.IsStop); stops != nil {
		key("stopSequences").Raw(stops)
	}
	if wanted, _ := q.Logprobs.Bool(); wanted {
		key("responseLogprobs").Bool(true)
		if q.TopLogprobs != nil {
			w.Key("logprobs").Raw(q.TopLogprobs)
		}
	}
	if err := writeFormat(key, q.ResponseFormat); err != nil {
		return err
	}
	writeModalities(key, w, q.Modalities)
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

// writeModalities maps modalities, whose names differ only in case. Text alone is not
// written, because that is every model's default.
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
