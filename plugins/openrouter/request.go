package openrouter

import (
	"bytes"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Request passes the body on as it is. In front of it, it puts options for fields that the
// client has left out.
func (*adapter) Request(r *sdk.Request, s *state, out *sdk.Out) error {
	if r.Op.Native() {
		return passOn(r, out)
	}
	s.Effort = r.Body.Get("reasoning_effort").Kind() == sdk.KindString
	up := sdk.Upstream{Path: "/chat/completions", Framing: abi.Whole, Body: r.Body}
	if r.Stream {
		up.Framing = abi.SSE
	}
	o := readOptions(r.Options)
	if r.Op == abi.Completions {
		up.Path = "/completions"
	}
	if r.Op == abi.Embeddings { // https://openrouter.ai/docs/api/reference/embeddings
		up.Path = "/embeddings"
		o = o.forEmbeddings()
	}
	if o.any {
		up.Headers = o.headers
		up.Body = o.addMissing(r.Body)
	}
	out.Send(up)
	return nil
}

// bodyOptions are the options that are fields of the request.
var bodyOptions = [...]string{"models", "provider", "reasoning", "plugins"}

// settings are the options of one request.
type settings struct {
	any     bool
	headers []string
	fields  [len(bodyOptions)]sdk.JSON // absent: the option is not set
}

func readOptions(options sdk.JSON) settings {
	var o settings
	for f := sdk.Object(options); f.Next(); {
		o.any = true
		switch v := f.Value(); string(f.Key()) {
		// https://openrouter.ai/docs/app-attribution
		case "app_url":
			o.header("http-referer", v)
		case "app_title":
			o.header("x-openrouter-title", v)
		case "app_categories":
			o.header("x-openrouter-categories", v)
		default:
			for i, name := range bodyOptions {
				if name == string(f.Key()) {
					o.fields[i] = v
				}
			}
		}
	}
	return o
}

// without returns the options without one that is a field of the request.
func (o settings) without(option string) settings {
	for i, name := range bodyOptions {
		if name == option {
			o.fields[i] = nil
		}
	}
	return o
}

// forEmbeddings returns what of the options is not about chat: who asks, and which providers
// may be asked.
func (o settings) forEmbeddings() settings {
	for i, name := range bodyOptions {
		if name != "provider" {
			o.fields[i] = nil
		}
	}
	return o
}

// header adds a header line for a string or a list of strings.
func (o *settings) header(name string, v sdk.JSON) {
	line := append(make([]byte, 0, 128), name...)
	line = append(line, ": "...)
	start := len(line)
	line, _ = v.AppendStr(line)
	for it := sdk.Array(v); it.Next(); {
		if len(line) > start {
			line = append(line, ',')
		}
		line, _ = it.Value().AppendStr(line)
	}
	if len(line) > start {
		o.headers = append(o.headers, string(line))
	}
}

// addMissing returns the body with options for the fields that it doesn't have. A field that
// is null counts as there, so that a client can turn an option off.
func (o *settings) addMissing(body sdk.JSON) []byte {
	empty := true
	for f := sdk.Object(body); f.Next(); {
		empty = false
		for i, name := range bodyOptions {
			if settles(string(f.Key()), name) {
				o.fields[i] = nil
			}
		}
	}
	out := append(make([]byte, 0, len(body)+512), '{')
	for i, v := range o.fields {
		if len(v) > 0 {
			out = sdk.AppendQuote(out, bodyOptions[i])
			out = append(append(append(out, ':'), v...), ',')
		}
	}
	open := bytes.IndexByte(body, '{')
	if len(out) == 1 || open < 0 {
		return body
	}
	if empty {
		out = out[:len(out)-1] // no comma before the closing bracket
	}
	return append(out, body[open+1:]...)
}

// settles reports whether a client's field replaces an option. OpenRouter refuses reasoning
// and reasoning_effort that differ. include_reasoning is an older form of them:
// https://openrouter.ai/docs/use-cases/reasoning-tokens
func settles(field, option string) bool {
	return field == option ||
		option == "reasoning" && (field == "reasoning_effort" || field == "include_reasoning")
}
