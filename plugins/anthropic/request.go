package anthropic

import (
	"github.com/kai-gateway/kai/plugins/internal/passing"
	"github.com/kai-gateway/kai/plugins/internal/repair"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// query is what the adapter reads of a client's request.
type query struct {
	sdk.Chat
	thinking, topK, cacheControl sdk.JSON // Anthropic's own fields
}

func parse(body sdk.JSON) (q query, err error) {
	q.Chat, err = sdk.ParseChat(body, func(key string, v sdk.JSON) {
		switch key {
		case "thinking":
			q.thinking = v
		case "top_k":
			q.topK = v
		case "cache_control":
			q.cacheControl = v
		}
	})
	return q, err
}

// settings are the options of one request.
type settings struct {
	betas        sdk.JSON
	maxTokens    sdk.JSON
	thinking     sdk.JSON
	effort       sdk.JSON
	sampling     sdk.JSON
	cacheControl sdk.JSON
	client       sdk.JSON // headers of the client's
}

func readOptions(options sdk.JSON) settings {
	var o settings
	for f := sdk.Object(options); f.Next(); {
		switch v := f.Value(); string(f.Key()) {
		case "anthropic_beta":
			o.betas = v
		case "max_tokens":
			o.maxTokens = v
		case "thinking":
			o.thinking = v
		case "effort":
			o.effort = v
		case "sampling":
			o.sampling = v
		case "cache_control":
			o.cacheControl = v
		case "client_headers":
			o.client = v
		}
	}
	return o
}

// defaultMaxTokens is the limit of an answer if nobody set one. All models since Claude 4
// can write that much.
const defaultMaxTokens = 32000

// Request turns a chat completion into POST /v1/messages, and a request to count its
// tokens into POST /v1/messages/count_tokens, whose body has only what is counted:
// https://platform.claude.com/docs/en/build-with-claude/token-counting.
func (*adapter) Request(r *sdk.Request, s *state, out *sdk.Out) error {
	if r.Op == abi.CountMessages {
		out.Send(sdk.Upstream{Path: "/v1/messages/count_tokens", Framing: abi.Whole, Headers: headers(readOptions(r.Options)), Body: r.Body})
		return nil
	}
	if r.Op == abi.Messages {
		return passOn(r, s, out)
	}
	q, err := parse(r.Body)
	if err != nil {
		return refuse("", "The request is not valid JSON.")
	}
	if err := q.check(); err != nil {
		return err
	}
	o := readOptions(r.Options)
	name, _ := q.Model.Str()
	m := modelOf(name)
	if sampling, ok := o.sampling.Bool(); ok {
		m.sampling = sampling
	}
	limit := q.limit(o)
	counts := r.Op == abi.Count

	var w sdk.Writer
	w.Reset(make([]byte, 0, len(r.Body)+1024))
	w.Object()
	w.Key("model").Raw(q.Model)
	if !counts {
		w.Key("max_tokens").Int(limit)
		if r.Stream {
			w.Key("stream").Bool(true)
		}
	}
	signed, err := writeMessages(&w, &q)
	if err != nil {
		return err
	}
	forced, err := writeTools(&w, &q)
	if err != nil {
		return err
	}
	s.Effort = q.ReasoningEffort != nil
	t, err := q.thought(o, m)
	if err != nil {
		return err
	}
	if forced || t.form == withBudget && !signed {
		t.rest()
	}
	t.fit(limit)
	t.write(&w)
	if err := writeOutput(&w, t.effort, q.ResponseFormat); err != nil {
		return err
	}
	if m.sampling && !t.thinks() && !counts {
		q.writeSampling(&w)
	}
	if !counts {
		q.writeRest(&w, o)
	}
	w.End()

	up := sdk.Upstream{Path: "/v1/messages", Framing: abi.Whole, Headers: headers(o), Body: w.Bytes()}
	switch {
	case counts:
		up.Path = "/v1/messages/count_tokens"
	case r.Stream:
		up.Framing = abi.SSE
	}
	out.Send(up)
	return nil
}

// check refuses requests that would silently get a different answer than they ask for.
func (q *query) check() error {
	if n, ok := q.N.Int(); ok && n > 1 {
		return refuse("n", "Anthropic gives one answer to a request: n must be 1.")
	}
	if wanted, _ := q.Logprobs.Bool(); wanted {
		return refuse("logprobs", "Anthropic gives no log probabilities.")
	}
	if it := sdk.Array(q.Functions); it.Next() {
		return refuse("functions", "functions is out of date; send the same functions as tools.")
	}
	return nil
}

func headers(o settings) []string {
	lines := []string{passing.Version(o.client)}
	var betas []byte
	for it := sdk.Array(o.betas); it.Next(); {
		if len(betas) > 0 {
			betas = append(betas, ',')
		}
		betas, _ = it.Value().AppendStr(betas)
	}
	if client, _ := o.client.Get("anthropic-beta").Str(); client != "" {
		if len(betas) > 0 {
			betas = append(betas, ',')
		}
		betas = append(betas, client...)
	}
	if len(betas) > 0 {
		lines = append(lines, "anthropic-beta: "+string(betas))
	}
	return lines
}

// limit returns the limit of the answer in tokens, thinking included.
func (q *query) limit(o settings) int64 {
	for _, v := range [...]sdk.JSON{q.MaxCompletionTokens, q.MaxTokens, o.maxTokens} {
		if n, ok := v.Int(); ok {
			return n
		}
	}
	return defaultMaxTokens
}

// writeOutput writes output_config: the effort, and the schema of structured outputs,
// https://platform.claude.com/docs/en/build-with-claude/structured-outputs.
func writeOutput(w *sdk.Writer, effort string, format sdk.JSON) error {
	kind, _ := format.Get("type").Str()
	schema := schemaOf(format)
	switch {
	case format == nil, kind == "text", kind == "json_object", kind == "json_schema":
	default:
		return refuse("response_format.type", "Anthropic knows the response formats text, json_object and json_schema.")
	}
	if effort == "" && schema == nil {
		return nil
	}
	w.Key("output_config").Object()
	if effort != "" {
		w.Key("effort").String(effort)
	}
	if schema != nil {
		w.Key("format").Object()
		w.Key("type").String("json_schema")
		w.Key("schema").Raw(schema)
		w.End()
	}
	w.End()
	return nil
}

// schemaOf returns the schema that response_format asks for, if it has one.
func schemaOf(format sdk.JSON) sdk.JSON {
	if kind, _ := format.Get("type").Str(); kind != "json_schema" {
		return nil
	}
	if schema := format.Get("json_schema").Get("schema"); schema.Kind() == sdk.KindObject {
		return schema
	}
	return nil
}

// wantsAnyJSON reports whether response_format asks for JSON without a schema. Anthropic has
// no mode for that.
func wantsAnyJSON(format sdk.JSON) bool {
	kind, _ := format.Get("type").Str()
	return kind == "json_object" || kind == "json_schema" && schemaOf(format) == nil
}

// writeSampling writes sampling parameters that differ from the default, which is 1 in both
// APIs. Some models refuse temperature and top_p together, and Anthropic's temperature ends
// at 1: https://platform.claude.com/docs/en/api/openai-sdk.
func (q *query) writeSampling(w *sdk.Writer) {
	if t, ok := q.Temperature.Float(); ok && t < 1 {
		w.Key("temperature").Raw(q.Temperature)
	} else if p, ok := q.TopP.Float(); ok && p < 1 {
		w.Key("top_p").Raw(q.TopP)
	}
	if q.topK != nil {
		w.Key("top_k").Raw(q.topK)
	}
}

func (q *query) writeRest(w *sdk.Writer, o settings) {
	// Anthropic refuses stops that are only white space.
	if stops := repair.Stops(q.Stop, func(inside []byte) bool { return !repair.Blank(inside) }); stops != nil {
		w.Key("stop_sequences").Raw(stops)
	}
	user := q.SafetyIdentifier
	if user == nil {
		user = q.User
	}
	if user.Kind() == sdk.KindString {
		w.Key("metadata").Object()
		w.Key("user_id").Raw(user)
		w.End()
	}
	cache := q.cacheControl
	if cache == nil {
		cache = o.cacheControl
	}
	if cache != nil {
		w.Key("cache_control").Raw(cache)
	}
}
