package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// answer is what a client makes of an answer: of its first choice, the deltas of
// a stream joined.
type answer struct {
	*wire
	text, reasoning string
	calls           []toolCall
	finish          *string
	done            bool
	err             any // the field error, unless it is null
	usage           map[string]any
	keys            map[string]bool // fields of the message that are not null

	faults []string // what no answer may have, whatever a case wants
}

type toolCall struct{ ID, Name, Arguments string }

func (a *answer) fault(format string, args ...any) {
	a.faults = append(a.faults, fmt.Sprintf(format, args...))
}

// understand reads an answer as a client does.
func understand(w *wire) *answer {
	a := &answer{wire: w, keys: map[string]bool{}}
	if w.broken != nil && !w.late {
		a.fault("the body broke off: %v", w.broken)
	}
	kind, _, _ := mime.ParseMediaType(w.headers.Get("Content-Type"))
	if kind == "text/event-stream" {
		for line := range bytes.Lines(w.body) {
			a.event(line, w.late || w.broken != nil)
		}
		return a
	}
	if len(bytes.TrimSpace(w.body)) == 0 {
		return a
	}
	v, err := readJSON(w.body)
	switch {
	case err == nil:
		a.value(v, "message")
	case strings.Contains(kind, "json"):
		a.fault("%v: %.80q", err, w.body)
	}
	return a
}

// event takes a line of a stream. Of a stream that was cut, a line may be cut too.
func (a *answer) event(line []byte, cut bool) {
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok || cut && !bytes.HasSuffix(line, []byte("\n")) {
		return
	}
	if a.done {
		a.fault("something follows [DONE]")
	}
	data = bytes.TrimSpace(data)
	if string(data) == "[DONE]" {
		a.done = true
		return
	}
	v, err := readJSON(data)
	if err != nil {
		a.fault("%v: %.80q", err, data)
		return
	}
	a.value(v, "delta")
}

// value takes an answer, or a chunk of one; name is "message" or "delta".
func (a *answer) value(v any, name string) {
	top := object(v)
	if top["error"] != nil {
		a.err = top["error"]
	}
	if usage := object(top["usage"]); len(usage) > 0 {
		a.usage = usage
	}
	indices := map[string]bool{}
	for _, v := range list(top["choices"]) {
		c := object(v)
		index := fmt.Sprint(c["index"])
		if indices[index] {
			a.fault("two choices of index %s", index)
		}
		indices[index] = true
		if c["index"] == 0.0 {
			a.choice(c, name)
		}
	}
}

// choice takes the first choice, or a chunk of it.
func (a *answer) choice(c map[string]any, name string) {
	m := object(c[name])
	says := false
	for key, v := range m {
		a.keys[key] = a.keys[key] || v != nil
		empty := v == nil || v == "" || key == "role"
		if l, ok := v.([]any); ok && len(l) == 0 {
			empty = true
		}
		says = says || !empty
	}
	reason, _ := c["finish_reason"].(string)
	if a.finish != nil && (says || reason != "") {
		a.fault("a choice goes on after its finish_reason")
	}
	a.text += text(m["content"])
	if r := text(m["reasoning_content"]); r != "" {
		a.reasoning += r
	} else {
		a.reasoning += text(m["reasoning"])
	}
	for n, v := range list(m["tool_calls"]) {
		a.call(object(v), n, name == "delta")
	}
	if reason != "" {
		a.finish = &reason
	}
}

// call takes the nth tool call of a list, or a part of one.
func (a *answer) call(c map[string]any, n int, part bool) {
	f := object(c["function"])
	id, name := text(c["id"]), text(f["name"])
	index := n
	if part {
		at, _ := c["index"].(float64)
		index = int(at)
	}
	switch {
	case index == len(a.calls):
		if id == "" || name == "" {
			a.fault("a tool call begins without id or name")
		}
		for _, other := range a.calls {
			if other.ID == id {
				a.fault("two tool calls with the id %q", id)
			}
		}
		a.calls = append(a.calls, toolCall{ID: id, Name: name})
	case index < 0 || index > len(a.calls):
		a.fault("tool call %d comes before tool call %d", index, len(a.calls))
		return
	default:
		a.calls[index].Name += name // as SDKs join it
		if id != "" && id != a.calls[index].ID {
			a.fault("the id of tool call %d changes", index)
		}
	}
	arguments, present := f["arguments"]
	if _, isText := arguments.(string); present && !isText {
		a.fault("arguments that are no text")
	}
	a.calls[index].Arguments += text(arguments)
}

// object, list and text give a decoded value of that kind, or nothing.
func object(v any) map[string]any { o, _ := v.(map[string]any); return o }
func list(v any) []any            { l, _ := v.([]any); return l }
func text(v any) string           { s, _ := v.(string); return s }

// readJSON decodes JSON and refuses what encoding/json mends silently.
func readJSON(b []byte) (any, error) {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("not JSON (%w)", err)
	}
	if !utf8.Valid(b) || loneSurrogate(b) {
		return nil, fmt.Errorf("half a character")
	}
	return v, nil
}

// loneSurrogate says whether JSON has an escape for half a character.
func loneSurrogate(b []byte) bool {
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		r := escaped(b[i:])
		switch {
		case utf16.IsSurrogate(r) && utf16.DecodeRune(r, escaped(b[i+6:])) == utf8.RuneError:
			return true
		case utf16.IsSurrogate(r):
			i += 11
		default:
			i++ // the escaped character
		}
	}
	return false
}

// escaped gives the code of the \u escape that b begins with, else 0.
func escaped(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// TestUnderstandFindsFaults holds the rules for every answer against answers that
// break them, since no case does once the gateway is right.
func TestUnderstandFindsFaults(t *testing.T) {
	whole := func(choices string) string { return `{"choices":[` + choices + `]}` }
	delta := func(delta, finish string) string {
		return `data: {"choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + "}]}\n\n"
	}
	call := func(more string) string { return delta(`{"tool_calls":[{`+more+`}]}`, "null") }
	for name, tc := range map[string]struct{ body, want string }{
		"a right answer":                {whole(`{"index":0,"message":{"content":"\ud83c\udf1e \\ud83c"},"finish_reason":"stop"}`), ""},
		"a right stream":                {delta(`{"role":"assistant","content":"a"}`, "null") + delta("{}", `"stop"`) + "data: [DONE]\n\n", ""},
		"no JSON":                       {`{"choices":`, "not JSON"},
		"an event that is no JSON":      {"data: nothing\n\n", "not JSON"},
		"a lone surrogate":              {whole(`{"index":0,"message":{"content":"\ud83c"}}`), "half a character"},
		"a surrogate before an escape":  {whole(`{"index":0,"message":{"content":"\ud83c\n"}}`), "half a character"},
		"two low surrogates":            {whole(`{"index":0,"message":{"content":"\udf1e\udf1e"}}`), "half a character"},
		"bytes that are no UTF-8":       {whole(`{"index":0,"message":{"content":"` + "\xf0\x9f" + `"}}`), "half a character"},
		"two finish reasons":            {delta("{}", `"stop"`) + delta("{}", `"stop"`), "goes on"},
		"text after the finish reason":  {delta("{}", `"stop"`) + delta(`{"content":"a"}`, "null"), "goes on"},
		"something after the end":       {"data: [DONE]\n\n" + delta("{}", "null"), "follows [DONE]"},
		"choices of one index":          {whole(`{"index":1},{"index":1}`), "two choices of index 1"},
		"calls that begin with the 2nd": {call(`"index":1,"id":"a","function":{"name":"f","arguments":""}`), "before tool call 0"},
		"a call without id":             {call(`"index":0,"function":{"name":"f","arguments":""}`), "without id or name"},
		"a call without name":           {call(`"index":0,"id":"a","function":{"arguments":""}`), "without id or name"},
		"calls of one id": {call(`"index":0,"id":"a","function":{"name":"f","arguments":""}`) +
			call(`"index":1,"id":"a","function":{"name":"f","arguments":""}`), `the id "a"`},
		"an id that changes": {call(`"index":0,"id":"a","function":{"name":"f","arguments":""}`) +
			call(`"index":0,"id":"b","function":{"arguments":""}`), "the id of tool call 0 changes"},
		"arguments that are an object": {call(`"index":0,"id":"a","function":{"name":"f","arguments":{}}`), "no text"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{status: 200, headers: map[string][]string{"Content-Type": {"application/json"}}, body: []byte(tc.body)}
			if strings.HasPrefix(tc.body, "data:") {
				w.headers.Set("Content-Type", "text/event-stream")
			}
			got := strings.Join(understand(w).faults, "; ")
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("understand(%s) finds %q, want %q", tc.body, got, tc.want)
			}
		})
	}
}
