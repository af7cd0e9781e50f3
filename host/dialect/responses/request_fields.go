package responses

import (
	"bytes"
	"slices"
	"strings"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

// fields are the top-level fields of a request that Kai knows, without those that are
// null: these count as absent.
type fields map[string]sdk.JSON

// sameFields are those that mean the same in a chat completion. Adapters leave out what
// their provider does not have.
var sameFields = []string{
	"temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "stop", "seed", "top_k",
	"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "service_tier",
}

// ownFields are the others. Those that become nothing concern what Kai does not do, and can
// be left out without misleading anybody, such as a limit of calls of hosted tools. Chat
// completions have fields named store and metadata that mean something else.
var ownFields = []string{
	"background", "context_management", "conversation", "include", "input", "instructions", "max_output_tokens",
	"max_tool_calls", "metadata", "model", "moderation", "parallel_tool_calls", "previous_response_id", "prompt",
	"reasoning", "store", "stream", "stream_options", "text", "tool_choice", "tools", "top_logprobs", "truncation",
}

// rule is what the value of a field must be.
type rule struct {
	field string
	ok    func(sdk.JSON) bool
	must  string
}

const (
	mustBeString = "must be a string"
	mustBeBool   = "must be true or false"
	mustBeObject = "must be an object"
)

func isString(v sdk.JSON) bool { return v.Kind() == sdk.KindString }
func isBool(v sdk.JSON) bool   { return v.Kind() == sdk.KindBool }
func isMap(v sdk.JSON) bool    { return v.Kind() == sdk.KindObject }
func isList(v sdk.JSON) bool   { return v.Kind() == sdk.KindArray }
func isInt(v sdk.JSON) bool    { _, ok := v.Int(); return ok }

// oneOf returns a check for one of several words.
func oneOf(words ...string) func(sdk.JSON) bool {
	return func(v sdk.JSON) bool {
		s, ok := v.Str()
		return ok && slices.Contains(words, s)
	}
}

// rules are checked in this order. Fields that are missing here have the same name in a
// chat completion, and are checked there.
var rules = []rule{
	{"store", isBool, mustBeBool},
	{"instructions", isString, mustBeString},
	{"previous_response_id", isString, mustBeString},
	{"max_output_tokens", func(v sdk.JSON) bool { n, ok := v.Int(); return ok && n >= 1 }, "must be an integer of at least 1"},
	{"max_tool_calls", isInt, "must be an integer"},
	{"metadata", isMap, mustBeObject},
	{"parallel_tool_calls", isBool, mustBeBool},
	{"truncation", oneOf("auto", "disabled"), "must be one of auto, disabled"},
	{"include", isStrings, "must be an array of strings"},
	{"user", isString, mustBeString},
	{"safety_identifier", isString, mustBeString},
	{"prompt_cache_key", isString, mustBeString},
	{"prompt_cache_retention", isString, mustBeString},
	{"service_tier", isString, mustBeString},
	{"stream_options", isMap, mustBeObject},
	{"reasoning", isMap, `must be an object such as {"effort": "low"}`},
	{"text", isMap, `must be an object such as {"format": {"type": "text"}}`},
	{"tools", isList, "must be an array of tools"},
}

func isStrings(v sdk.JSON) bool {
	it := sdk.Array(v)
	for it.Next() {
		if !isString(it.Value()) {
			return false
		}
	}
	return it.Err() == nil
}

// refused are fields that would need a state that Kai does not have, or a promise that it
// can't keep.
var refused = []struct{ field, why string }{
	{"conversation", "not supported: Kai keeps no conversations; send all of it in input"},
	{"prompt", "not supported: Kai has no prompt templates; send instructions and input"},
	{"moderation", "not supported: Kai moderates nothing; leave it out"},
}

// check checks the fields of which nothing but the type matters.
func (f fields) check() *fault.Error {
	for _, r := range refused {
		if f[r.field] != nil {
			return unsupported(r.field, r.why)
		}
	}
	for _, r := range rules {
		if v := f[r.field]; v != nil && !r.ok(v) {
			return wrong(r.field, r.must)
		}
	}
	return nil
}

// checkAlways checks what must be right whoever answers. If nobody waits for a response,
// what it costs can't be counted.
func (f fields) checkAlways() *fault.Error {
	for _, r := range []rule{{"model", isString, mustBeString}, {"stream", isBool, mustBeBool}, {"background", isBool, mustBeBool}} {
		if v := f[r.field]; v != nil && !r.ok(v) {
			return wrong(r.field, r.must)
		}
	}
	if f.flag("background", false) {
		return unsupported("background", "not supported: Kai answers while the client waits; leave it out")
	}
	return nil
}

// flag returns the value of a field that is true or false.
func (f fields) flag(name string, absent bool) bool {
	if value, ok := f[name].Bool(); ok {
		return value
	}
	return absent
}

// appendSettings appends the fields of the chat completion that are neither its messages
// nor its tools, each after a comma. A compaction is plain text, whatever the client's
// answers are.
func (f fields) appendSettings(dst []byte, compact bool) ([]byte, *fault.Error) {
	field := func(name string, value sdk.JSON) {
		if value != nil {
			dst = append(append(append(dst, `,"`...), name...), `":`...)
			dst = append(dst, value...)
		}
	}
	field("model", f["model"])
	if f.flag("stream", false) {
		dst = append(dst, `,"stream":true`...)
	}
	field("max_completion_tokens", f["max_output_tokens"])
	for _, name := range sameFields {
		field(name, f[name])
	}
	effort, err := f.inside("reasoning", "effort", isString, mustBeString)
	if err != nil {
		return dst, err
	}
	field("reasoning_effort", effort)
	verbosity, err := f.inside("text", "verbosity", oneOf("low", "medium", "high"), "must be one of low, medium, high")
	if err != nil {
		return dst, err
	}
	field("verbosity", verbosity)
	format, err := f.inside("text", "format", isMap, `must be an object such as {"type": "text"}`)
	if err != nil {
		return dst, err
	}
	if !compact {
		if dst, err = appendFormat(dst, format); err != nil {
			return dst, err
		}
		dst = f.appendLogprobs(dst)
	}
	return dst, nil
}

// inside returns a field of an object; nil if it is absent.
func (f fields) inside(object, field string, ok func(sdk.JSON) bool, must string) (sdk.JSON, *fault.Error) {
	v := f[object].Get(field)
	switch {
	case v.Kind() == sdk.KindNull || v == nil:
		return nil, nil
	case !ok(v):
		return nil, wrong(object+"."+field, must)
	}
	return v, nil
}

// appendLogprobs appends what asks for logprobs.
func (f fields) appendLogprobs(dst []byte) []byte {
	wanted := false
	for it := body.ElementsOf(f["include"]); it.Next(); {
		name, _ := it.Value().Str()
		wanted = wanted || name == "message.output_text.logprobs"
	}
	top := f["top_logprobs"]
	if n, ok := top.Int(); top != nil && (n != 0 || !ok) {
		return append(append(dst, `,"logprobs":true,"top_logprobs":`...), top...)
	}
	if wanted {
		dst = append(dst, `,"logprobs":true`...)
	}
	return dst
}

// appendFormat appends the response_format for a text.format.
func appendFormat(dst []byte, format sdk.JSON) ([]byte, *fault.Error) {
	if format == nil {
		return dst, nil
	}
	var kind string
	var name, schema, strict, description sdk.JSON
	for it := body.FieldsOf(format); it.Next(); {
		v := it.Value()
		if v.Kind() == sdk.KindNull {
			continue
		}
		switch string(it.Key()) {
		case "type":
			kind, _ = v.Str()
		case "name":
			name = v
		case "schema":
			schema = v
		case "strict":
			strict = v
		case "description":
			description = v
		}
	}
	switch kind {
	case "text":
		return dst, nil
	case "json_object":
		return append(dst, `,"response_format":{"type":"json_object"}`...), nil
	case "json_schema":
	default:
		return dst, wrong("text.format.type", "must be one of text, json_object, json_schema")
	}
	switch {
	case !isString(name) || string(name) == `""`:
		return dst, wrong("text.format.name", "must be a string that is not empty")
	case !isMap(schema):
		return dst, wrong("text.format.schema", "must be an object, a JSON Schema")
	}
	dst = append(append(dst, `,"response_format":{"type":"json_schema","json_schema":{"name":`...), name...)
	if description != nil {
		dst = append(append(dst, `,"description":`...), description...)
	}
	dst = append(append(dst, `,"schema":`...), schema...)
	if strict != nil {
		dst = append(append(dst, `,"strict":`...), strict...)
	}
	return append(dst, "}}"...), nil
}

// oneLine returns a copy of a JSON value on one line; nil for nil.
func oneLine(v sdk.JSON) []byte {
	if v == nil {
		return nil
	}
	if bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\r') < 0 {
		return bytes.Clone(v)
	}
	return []byte(strings.NewReplacer("\n", "", "\r", "").Replace(string(v))) // JSON strings have neither
}
