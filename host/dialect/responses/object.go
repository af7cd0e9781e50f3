package responses

import (
	"strconv"
	"time"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"

	"github.com/kai-gateway/kai/sdk"
)

// response is what is known of a response before its answer. It does not change, except for
// passedID when the answer has failed.
type response struct {
	asked requestInfo
	info  dialect.Info
	began time.Time        // when info.Created was
	now   func() time.Time // the clock

	passedID string // the id by which the client knows it, of a provider's response that passed; "": it is Kai's
}

// newResponse returns a response that begins now.
func newResponse(a requestInfo, i dialect.Info) *response {
	return &response{asked: a, info: i, began: time.Now(), now: time.Now}
}

// id returns the response's id.
func (r *response) id() string {
	if r.passedID != "" {
		return r.passedID
	}
	return "resp_" + r.info.ID
}

// seconds returns the time in seconds since 1970.
func (r *response) seconds() int64 {
	return r.info.Created + int64(r.now().Sub(r.began)/time.Second)
}

// objectKeys are the fields of the response object, and those that SDKs add to it. No
// field of an adapter replaces one.
var objectKeys = []string{
	"id", "object", "created_at", "completed_at", "status", "background", "error", "incomplete_details", "instructions",
	"max_output_tokens", "max_tool_calls", "model", "output", "output_text", "output_parsed", "parallel_tool_calls",
	"previous_response_id", "conversation", "prompt", "prompt_cache_key", "prompt_cache_retention", "reasoning",
	"safety_identifier", "service_tier", "store", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p",
	"truncation", "usage", "user", "metadata",
}

// object is what one response object says. The zero value is a response in progress.
type object struct {
	status      string // "": in progress
	completedAt int64  // seconds since 1970; 0: it isn't completed
	failure     []byte // JSON; nil: none
	reason      string // why it is incomplete; "": it is not
	tier        string // service_tier; "": default
	items       []*outputItem
	usage       []byte        // JSON; nil: not known
	extra       *facts.Object // fields of the adapter; nil: none

	// short leaves out what the client sent, which may be large. What it sent is the same
	// in every object of a response.
	short bool
}

// appendObject appends a response object. Every field is always there.
//
//   - spans: where the output's items are in the result
func (r *response) appendObject(dst []byte, o object) (out []byte, spans [][2]int) {
	e := &r.asked.echo
	if o.short {
		e = &echo{}
	}
	dst = facts.AppendString(append(dst, `{"id":`...), r.id())
	dst = append(dst, `,"object":"response","created_at":`...)
	dst = strconv.AppendInt(dst, r.info.Created, 10)
	dst = append(dst, `,"completed_at":`...)
	if o.completedAt == 0 {
		dst = append(dst, "null"...)
	} else {
		dst = strconv.AppendInt(dst, o.completedAt, 10)
	}
	dst = append(dst, `,"status":"`...)
	if o.status == "" {
		o.status = statusInProgress
	}
	dst = append(dst, o.status...)
	dst = append(dst, `","background":false`...)
	dst = appendField(dst, "error", o.failure, "null")
	dst = append(dst, `,"incomplete_details":`...)
	if o.reason == "" {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, `{"reason":"`...)
		dst = append(dst, o.reason...)
		dst = append(dst, `"}`...)
	}
	dst = appendField(dst, "instructions", e.instructions, "null")
	dst = appendField(dst, "max_output_tokens", e.maxOutputTokens, "null")
	dst = appendField(dst, "max_tool_calls", e.maxToolCalls, "null")
	dst = append(dst, `,"model":`...)
	dst = facts.AppendString(dst, r.info.Model)
	dst = append(dst, `,"output":[`...)
	for i, it := range o.items {
		if i > 0 {
			dst = append(dst, ',')
		}
		from := len(dst)
		dst = it.appendDone(dst)
		spans = append(spans, [2]int{from, len(dst)})
	}
	dst = append(dst, ']')
	dst = appendField(dst, "parallel_tool_calls", e.parallelToolCalls, "true")
	dst = appendField(dst, "previous_response_id", e.previousResponseID, "null")
	dst = appendField(dst, "prompt_cache_key", e.promptCacheKey, "null")
	dst = appendField(dst, "prompt_cache_retention", e.promptCacheRetention, "null")
	dst = appendReasoning(dst, e.reasoning)
	dst = appendField(dst, "safety_identifier", e.safetyIdentifier, "null")
	dst = append(dst, `,"service_tier":`...)
	if o.tier == "" {
		o.tier = "default"
	}
	dst = facts.AppendString(dst, o.tier)
	dst = append(dst, `,"store":`...)
	dst = strconv.AppendBool(dst, r.asked.store)
	dst = appendField(dst, "temperature", e.temperature, "1.0")
	dst = appendText(dst, e.text)
	dst = appendField(dst, "tool_choice", e.toolChoice, `"auto"`)
	dst = appendField(dst, "tools", e.tools, "[]")
	dst = appendField(dst, "top_logprobs", e.topLogprobs, "0")
	dst = appendField(dst, "top_p", e.topP, "1.0")
	dst = appendField(dst, "truncation", e.truncation, `"disabled"`)
	dst = appendField(dst, "usage", o.usage, "null")
	dst = appendField(dst, "user", e.user, "null")
	dst = appendField(dst, "metadata", e.metadata, "{}")
	if o.extra != nil {
		dst = o.extra.AppendTo(dst)
	}
	return append(dst, '}'), spans
}

// objectSize returns about how many bytes a response object has without its items, rather
// too many.
func (r *response) objectSize() int {
	e := &r.asked.echo
	n := 2048 + len(r.info.ID) + 2*len(r.info.Model)
	for _, field := range [...][]byte{
		e.instructions, e.metadata, e.previousResponseID, e.promptCacheKey, e.promptCacheRetention, e.reasoning,
		e.safetyIdentifier, e.text, e.toolChoice, e.tools, e.truncation, e.user,
	} {
		n += len(field)
	}
	return n
}

// appendField appends a field with what the client sent, or else another value.
func appendField(dst []byte, key string, value []byte, unset string) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, key...)
	dst = append(dst, `":`...)
	if value == nil {
		return append(dst, unset...)
	}
	return append(dst, value...)
}

// appendReasoning appends the field reasoning: what the client sent, and always an effort
// and a summary.
func appendReasoning(dst, sent []byte) []byte {
	effort, summary := []byte("null"), []byte("null")
	for it := sdk.Object(sent); it.Next(); {
		switch string(it.Key()) {
		case "effort":
			effort = it.Value()
		case "summary":
			summary = it.Value()
		}
	}
	dst = append(dst, `,"reasoning":{"effort":`...)
	dst = append(dst, effort...)
	dst = append(dst, `,"summary":`...)
	dst = append(dst, summary...)
	for it := sdk.Object(sent); it.Next(); {
		if key := string(it.Key()); key != "effort" && key != "summary" {
			dst = appendMember(dst, it.Key(), it.Value())
		}
	}
	return append(dst, '}')
}

// appendText appends the field text: what the client sent, and always a format.
func appendText(dst, sent []byte) []byte {
	format := sdk.JSON(`{"type":"text"}`)
	if v := sdk.JSON(sent).Get("format"); v.Kind() == sdk.KindObject {
		format = v
	}
	dst = append(dst, `,"text":{"format":`...)
	dst = append(dst, format...)
	for it := sdk.Object(sent); it.Next(); {
		if string(it.Key()) != "format" {
			dst = appendMember(dst, it.Key(), it.Value())
		}
	}
	return append(dst, '}')
}

// appendMember appends a comma and a field of an object.
func appendMember(dst, key, value []byte) []byte {
	dst = append(dst, ',')
	dst = facts.AppendString(dst, string(key))
	dst = append(dst, ':')
	return append(dst, value...)
}
