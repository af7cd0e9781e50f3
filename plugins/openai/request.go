package openai

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/openaichat"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Request passes the body on. It decodes none of it, and copies the fields that the options
// don't change as they are.
func (*adapter) Request(r *sdk.Request, s *openaichat.State, out *sdk.Out) error {
	o := readOptions(r.Options)
	to, passes := passed[r.Op]
	if r.Op == abi.Transcriptions { // what has no body sends the client's form
		out.Send(sdk.Upstream{Path: o.path(to.path), Framing: to.framing(r.Stream), Headers: o.headers})
		return nil
	}
	if r.Op == abi.Responses || r.Op == abi.CountResponses || r.Op == abi.CompactResponses {
		return passOn(r, &o, out)
	}
	if r.Op == abi.Stored {
		return askKept(r, &o, out)
	}
	e := edit{settings: &o, stream: r.Stream && !passes, floats: r.Op == abi.Embeddings && !o.knowsBase64(r.Body), mistral: r.Op == abi.Completions && o.asMistral()}
	body, err := e.run(r.Body)
	if err != nil {
		return err
	}
	if r.Op == abi.Count {
		return count(&o, r.Body, body, out)
	}
	up := sdk.Upstream{Path: o.path("/chat/completions"), Framing: abi.Whole, Headers: o.headers, Body: body}
	if r.Op == abi.Completions {
		if up.Path = o.completions; up.Path == "" {
			up.Path = o.path("/completions")
		}
	} else if r.Op == abi.Embeddings {
		up.Path = o.path("/embeddings")
	} else if passes {
		up.Path, up.Framing = o.path(to.path), to.framing(r.Stream)
		if up.Body, err = to.prepare(r, &o, body, s); err != nil {
			return err
		}
	}
	if r.Stream {
		up.Framing = abi.SSE
	}
	out.Send(up)
	return nil
}

// settings are the options of one request.
type settings struct {
	headers     []string
	maxTokens   string // the name for the limit of tokens; "": the client's
	noUsage     bool   // stream_options are not sent
	reasoning   string // "" or "keep", "drop", or the name to send it under
	systemRole  bool   // the role developer becomes system
	drop        sdk.JSON
	body        sdk.JSON
	completions string // where completions are; "": at the usual place
	counter     string // "llama.cpp" or vLLM; "": there is none
	tei         bool   // rerank has the form of Text Embeddings Inference
	editHistory bool   // messages may have to be changed
}

func readOptions(options sdk.JSON) settings {
	var o settings
	for f := sdk.Object(options); f.Next(); {
		v := f.Value()
		text, _ := v.Str()
		switch string(f.Key()) {
		case "organization":
			o.headers = append(o.headers, "openai-organization: "+text)
		case "project":
			o.headers = append(o.headers, "openai-project: "+text)
		case "max_tokens_field":
			o.maxTokens = text
		case "stream_usage":
			usage, ok := v.Bool()
			o.noUsage = ok && !usage
		case "reasoning_history":
			o.reasoning = text
		case "developer_role":
			o.systemRole = text == "system"
		case "drop":
			o.drop = v
		case "body":
			o.body = v
		case "count_tokens":
			o.counter = text
		case "completions_path":
			o.completions = text
		case "rerank":
			o.tei = text == "tei"
		}
	}
	if o.reasoning == "keep" {
		o.reasoning = ""
	}
	o.editHistory = o.systemRole || o.reasoning != ""
	return o
}

// drops reports whether a field is never sent, however a client spells it.
func (o *settings) drops(key []byte) bool {
	for it := sdk.Array(o.drop); it.Next(); {
		if name, _ := it.Value().Str(); bytes.EqualFold([]byte(name), key) {
			return true
		}
	}
	return false
}

// asMistral reports whether completions are Mistral's, by where they are:
// https://docs.mistral.ai/api/endpoint/fim
func (o *settings) asMistral() bool { return strings.HasSuffix(o.completions, "/fim/completions") }

// edit makes the upstream's body from the client's.
type edit struct {
	*settings
	stream  bool
	mistral bool   // the seed has the name that it has at Mistral
	floats  bool   // the server is asked for numbers and never for base64
	out     []byte // an object without its closing bracket; empty before its first field
	changed bool   // out differs from the client's body
}

func (e *edit) run(body sdk.JSON) ([]byte, error) {
	e.out = make([]byte, 0, len(body)+256)
	var limit, older, streamOptions sdk.JSON
	it := sdk.Object(body)
	for it.Next() {
		key, v := it.Key(), it.Value()
		if e.drops(key) {
			e.changed = true
			continue
		}
		switch string(key) {
		case "max_completion_tokens", "max_tokens":
			if e.maxTokens == "" {
				break
			}
			if string(key) == "max_completion_tokens" {
				limit = v
			} else {
				older = v
			}
			continue
		case "stream_options":
			streamOptions = v
			continue
		case "messages":
			if !e.editHistory {
				break
			}
			e.changed = true
			e.key("messages")
			e.messages(v)
			continue
		case "encoding_format":
			if format, _ := v.Str(); e.floats && format != "float" && v.Kind() != sdk.KindNull {
				e.changed = true
				v = sdk.JSON(`"float"`)
			}
		case "tools":
			if err := checkTools(v); err != nil {
				return nil, err
			}
		case "seed":
			if e.mistral && body.Get("random_seed") == nil {
				e.changed = true
				key = []byte("random_seed")
			}
		}
		e.field(key, v)
	}
	if it.Err() != nil {
		return nil, &sdk.Error{Status: 400, Type: sdk.InvalidRequest, Message: "The request is not valid JSON."}
	}
	e.limit(limit, older)
	e.effort(body)
	e.usage(streamOptions)
	for f := sdk.Object(e.body); f.Next(); {
		if body.Get(string(f.Key())) == nil && !e.drops(f.Key()) {
			e.changed = true
			e.field(f.Key(), f.Value())
		}
	}
	if !e.changed {
		return body, nil
	}
	if len(e.out) == 0 {
		return []byte("{}"), nil
	}
	return append(e.out, '}'), nil
}

func (e *edit) field(key []byte, v sdk.JSON) { e.out = openaichat.AppendField(e.out, key, v) }

// key begins a field whose value is appended next.
func (e *edit) key(name string) { e.field([]byte(name), nil) }

// limit writes the limit of tokens under the configured name. OpenAI's reasoning models refuse
// max_tokens, and many other servers know only that. If a client sends both, the newer one
// counts.
func (e *edit) limit(newer, older sdk.JSON) {
	v := newer
	if v.Kind() == sdk.KindNull || v == nil {
		v = older
	}
	if v != nil {
		e.changed = true
		e.field([]byte(e.maxTokens), v)
	}
}

// effort writes that the model is not to think, where OpenAI would refuse the request
// otherwise: its models since 5.4 take no tools in chat completions while they think, and
// since 5.5 or so they think unless told not to:
// https://github.com/openai/openai-openapi/issues/541 (2026-05-18),
// https://github.com/BerriAI/litellm/pull/34569 (2026-07-24).
// A client that asks for thinking gets OpenAI's own answer.
func (e *edit) effort(body sdk.JSON) {
	const field = "reasoning_effort"
	if name, _ := body.Get("model").Str(); !cannotThinkWithTools(name) || body.Get("tools").Empty() || body.Get(field) != nil ||
		e.body.Get(field) != nil || e.drops([]byte(field)) {
		return
	}
	e.changed = true
	e.field([]byte(field), sdk.JSON(`"none"`))
}

// cannotThinkWithTools reports whether a model is one of OpenAI's that does only one of both
// in chat completions, by its name: gpt-5.4 and newer ones. (gpt-35-turbo is Azure's name
// for 3.5.)
func cannotThinkWithTools(model string) bool {
	rest, ok := strings.CutPrefix(model, "gpt-")
	number, kind, _ := strings.Cut(rest, "-")
	before, after, _ := strings.Cut(number, ".")
	major, err := strconv.Atoi(before)
	minor, _ := strconv.Atoi(after)
	return ok && err == nil && (major > 5 && major < 10 || major == 5 && minor >= 4) && !strings.HasPrefix(kind, "chat")
}

// usage writes stream_options so that the upstream sends its usage, whether the client wants
// to see it or not.
func (e *edit) usage(client sdk.JSON) {
	switch {
	case e.noUsage:
		e.changed = e.changed || client != nil
		return
	case !e.stream:
		if client != nil {
			e.field([]byte("stream_options"), client)
		}
		return
	}
	if asked, _ := client.Get("include_usage").Bool(); asked {
		e.field([]byte("stream_options"), client)
		return
	}
	if e.drops([]byte("stream_options")) {
		return
	}
	e.changed = true
	e.key("stream_options")
	e.out = append(e.out, `{"include_usage":true`...)
	for f := sdk.Object(client); f.Next(); {
		if string(f.Key()) != "include_usage" {
			e.out = openaichat.AppendField(e.out, f.Key(), f.Value())
		}
	}
	e.out = append(e.out, '}')
}

// messages writes the messages, with the roles and the thoughts that the options ask for.
// Clients get thoughts under two names, and send either of them back, or both.
func (e *edit) messages(v sdk.JSON) {
	if v.Kind() != sdk.KindArray {
		e.out = append(e.out, v...)
		return
	}
	e.out = append(e.out, '[')
	it := sdk.Array(v)
	for n := 0; it.Next(); n++ {
		if n > 0 {
			e.out = append(e.out, ',')
		}
		e.message(it.Value())
	}
	e.out = append(e.out, ']')
}

func (e *edit) message(raw sdk.JSON) {
	role, _ := raw.Get("role").Str()
	asSystem := e.systemRole && role == "developer"
	thoughts := e.reasoning != "" && role == "assistant"
	if !asSystem && !thoughts {
		e.out = append(e.out, raw...)
		return
	}
	var m []byte
	var thought sdk.JSON
	for f := sdk.Object(raw); f.Next(); {
		key, v := f.Key(), f.Value()
		switch string(key) {
		case "role":
			if asSystem {
				v = sdk.JSON(`"system"`)
			}
		case "reasoning", "reasoning_content":
			if thoughts {
				if v.Kind() == sdk.KindString {
					thought = v
				}
				continue
			}
		case "reasoning_details":
			if thoughts {
				continue
			}
		}
		m = openaichat.AppendField(m, key, v)
	}
	if thought != nil && e.reasoning != "drop" {
		m = openaichat.AppendField(m, []byte(e.reasoning), thought)
	}
	e.out = append(append(e.out, m...), '}')
}

// checkTools refuses OpenAI's custom tools. Their calls have plain text where all other calls
// have JSON, and the gateway has no form for that.
// https://platform.openai.com/docs/guides/function-calling#custom-tools
func checkTools(tools sdk.JSON) error {
	it := sdk.Array(tools)
	for n := 0; it.Next(); n++ {
		if kind, _ := it.Value().Get("type").RawStr(); string(kind) == "custom" {
			return &sdk.Error{
				Status: 400, Type: sdk.InvalidRequest, Param: "tools[" + strconv.Itoa(n) + "].type",
				Message: "Tools of type custom are not supported: declare a function with one parameter of type string instead.",
			}
		}
	}
	return nil
}
