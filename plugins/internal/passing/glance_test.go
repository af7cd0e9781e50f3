package passing

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/kai-gateway/kai/plugins/internal/adaptertest"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// ends are events that end a response, as providers write them.
var ends = []string{
	`{"type":"response.completed","sequence_number":9,"response":{"id":"resp_1","object":"response","created_at":1786988078,"status":"completed","background":false,"error":null,"incomplete_details":null,"instructions":"Say \"usage\":{\"input_tokens\":1}","model":"gpt-4o-mini-2024-07-18","output":[{"id":"msg_1","type":"message","status":"completed","content":[{"type":"output_text","annotations":[],"text":"{\"usage\":9}\\"}],"role":"assistant"}],"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{"usage":{"type":"object","input_tokens":7}}}}],"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":4},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123},"user":null,"metadata":{"usage":"x"}}}`,
	`{"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": [], "usage": {"input_tokens": 1, "output_tokens": 2, "cost": 0.25}}}`,
	"{\n  \"type\": \"response.completed\",\n  \"response\": {\n    \"output\": [\n      {\"type\": \"reasoning\", \"summary\": []},\n      {\"name\": \"f\", \"type\": \"function_call\"}\n    ]\n  }\n}",
	`{"response":{"output":[{"type":"custom_tool_call","input":"{\"type\":\"message\"}"},[{"type":"function_call"}],"x",3],"usage":null}}`,
	`{"response":{"output":{"type":"function_call"},"usage":[1,2],"incomplete_details":"x","error":""}}`,
	`{"response":{"usage":{"input_tokens":{"a":1},"output_tokens":"2","total_tokens":-1,"input_tokens_details":[{"cached_tokens":1}],"cache_read_input_tokens":4}}}`,
	`{"response":{"output":[{"type":null},{"type":7},{"type":["function_call"]},{"type":{"type":"function_call"}}]}}`,
	`{"item":{"type":"message"},"response":{"output":[{"type":"function_call"}],"usage":{"output_tokens":5}}}`,
	`{"response":{"usage":{"input_tokens_details":{"reasoning_tokens":5},"output_tokens_details":{"cached_tokens":6,"cache_write_tokens":7}}}}`,
	`{"response":{"output":"x","incomplete_details":["reason"],"status":["incomplete"]}}`,
	`{"response":{"output":[[[[[[[[[[[[{"type":"function_call"}]]]]]]]]]]]],"usage":{"output_tokens":{"output_tokens":9},"total_tokens":8}}}`,
	`{"response":{"usage":{"input_tokens":0,"output_t00000_details":{"reasoning_tokens":5},"000000000000":0}}}`,
	`{"response":{}}`, `{"usage":{"input_tokens":5},"response":{"usage":{"output_tokens":6}}}`,
}

func TestAGlanceSeesWhatReadingSees(t *testing.T) {
	for _, event := range ends {
		if !sameAsRead(t, []byte(event)) {
			t.Errorf("a glance is not enough for %s", event)
		}
	}
}

func TestAGlanceIsNotEnough(t *testing.T) {
	for what, event := range map[string]string{
		"an error":                    `{"response":{"status":"failed","error":{"code":"server_error"}}}`,
		"a list of errors":            `{"response":{"status":"completed","error":["overloaded"]}}`,
		"a list of responses":         `{"response":[{"status":"completed"}]}`,
		"a response that is none":     `{"response":"completed"}`,
		"no response":                 `{"response":null}`,
		"a name with escapes":         `{"respons\u0065":{"status":"completed"}}`,
		"white space before a colon":  `{"response" :{"status":"completed"}}`,
		"an array":                    `[{"response":{"status":"completed"}}]`,
		"a string":                    `"response"`,
		"a number":                    `12`,
		"nothing":                     ``,
		"a zero":                      "{\"response\":{\"status\":\x00}",
		"an event that breaks off":    `{"response":{"status":"completed"}`,
		"a string that breaks off":    `{"response":{"status":"comple`,
		"more than an event":          `{"response":{"status":"completed"}}{}`,
		"a bracket too many":          `{"response":{"status":"completed"}}}`,
		"a string beside a string":    `{"response":{"status":"completed""x"}}`,
		"an escape at the end":        `{"response":{"status":"\`,
		"a short event that ends so ": `{"a":"b`,
	} {
		if g := (glance{}); g.read([]byte(event), ofEnd) {
			t.Errorf("%s: a glance is enough for %s", what, event)
		}
	}
}

func TestAGlanceAtWhatBegins(t *testing.T) {
	for event, want := range map[string]string{
		`{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_1","type":"message","content":[]}}`:          `"message"`,
		`{"type":"response.output_item.added","item":{"action":{"type":"search"},"type":"web_search_call"},"output_index":0}`: `"web_search_call"`,
		`{"type":"response.output_item.added","item":{"content":[{"type":"output_text"}]}}`:                                   ``,
	} {
		if got := typeOfBegun(sdk.JSON(event)); string(got) != want {
			t.Errorf("%s: %q, want %q", event, got, want)
		}
	}
	if got := typeOfBegun(sdk.JSON(`{"item" : {"type" : "message"}}`)); string(got) != `"message"` {
		t.Errorf("with white space: %q", got)
	}
}

func TestAGlanceAtAMessage(t *testing.T) {
	var g glance
	if !g.read([]byte(`{"type":"message_start","message":{"id":"msg_1","content":[],"stop_reason":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":3,"cache_read_input_tokens":4,"cache_creation":{"ephemeral_5m_input_tokens":3},"output_tokens":1,"output_tokens_details":{"thinking_tokens":2}}}}`), ofStart) {
		t.Fatal("a glance is not enough")
	}
	if got := string(bytes.Join([][]byte{g[input], g[written], g[cached], g[output], g[thought]}, []byte(" "))); got != "25 3 4 1 2" {
		t.Errorf("tokens are %s", got)
	}
	g = glance{}
	if !g.read([]byte(`{"type":"content_block_start","index":0,"content_block":{"input":{"type":"text"},"type":"tool_use"}}`), ofBlock) || string(g[begun]) != `"tool_use"` {
		t.Errorf("what begins is %q", g)
	}
	g = glance{}
	if !g.read([]byte(`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}}`), ofDelta) || string(g[reason]) != `"end_turn"` || string(g[output]) != "15" {
		t.Errorf("the end is %q", g)
	}
}

func TestWhatAnotherEventHasSaysNothing(t *testing.T) {
	const all = `"message":{"usage":{"input_tokens":1}},"content_block":{"type":"text"},"item":{"type":"message"},"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}`
	for _, tc := range []struct {
		kind string
		of   place
		want string
	}{
		{"message_start", ofStart, `1   `}, {"message_delta", ofDelta, ` 2 "end_turn" `},
		{"content_block_start", ofBlock, `   "text"`}, {"response.output_item.added", ofItem, `   "message"`},
	} {
		var g glance
		if !g.read([]byte(`{"type":"`+tc.kind+`",`+all), tc.of) {
			t.Fatalf("%s: a glance is not enough", tc.kind)
		}
		if got := string(bytes.Join([][]byte{g[input], g[output], g[reason], g[begun]}, []byte(" "))); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.kind, got, tc.want)
		}
	}
}

// TestWhatOnlyBeginsAsANumberIsNoCost: the gateway refuses such an event, and the adapter must state
// nothing that would make it the adapter's mistake.
func TestWhatOnlyBeginsAsANumberIsNoCost(t *testing.T) {
	for _, cost := range []string{`1x`, `0.5.1`, `-`, `01`, `1e`} {
		for op, event := range map[abi.Op]string{
			abi.Responses: `{"type":"response.completed","response":{"usage":{"output_tokens":7,"cost":` + cost + `}}}`,
			abi.Messages:  `{"type":"message_delta","usage":{"output_tokens":7,"cost":` + cost + `}}`,
		} {
			for _, e := range passed(t, op, event) {
				if e.Kind == abi.Usage && string(e.Data) != `{"completion_tokens":7}` {
					t.Errorf("%s: the usage is %s", event, e.Data)
				}
			}
		}
	}
}

// passer is an adapter that passes on what there is.
type passer struct{}

var to = Dialect{Name: "The server", Failure: func(abi.Op, sdk.Head, sdk.JSON) error { return &sdk.Error{Status: 502} }}

func (passer) Request(*sdk.Request, *Usage, *sdk.Out) error { return nil }
func (passer) Response(r *sdk.Response, u *Usage, out *sdk.Out) error {
	return to.Whole(r, u, out)
}
func (passer) Event(e *sdk.Event, u *Usage, out *sdk.Out) error { return to.Event(e, u, out) }

// passed returns what an adapter states of an event. It fails the test if that is nothing that an
// adapter may state.
func passed(t *testing.T, op abi.Op, event string) []abi.Emission {
	t.Helper()
	emitted, _, _ := adaptertest.Call(t, sdk.New(sdk.Manifest{Name: "passer", Version: "1", Provider: "passer"}, passer{}), sdk.Input{Event: &sdk.Event{Op: op, Data: sdk.JSON(event)}})
	return emitted
}

// sameAsRead holds a glance against what reads whatever JSON there may be. It reports whether the
// glance was enough.
func sameAsRead(t *testing.T, event []byte) bool {
	var g glance
	if !g.read(event, ofEnd) {
		return false
	}
	var read response
	if !read.readEvent(event) {
		t.Fatalf("a glance takes %q for an event", event)
	}
	if a, b := told(&g), told(&read.glance); a != b {
		t.Fatalf("a glance at %s says\n%s, and reading\n%s", event, a, b)
	}
	return true
}

// told returns what a response says in the end.
func told(g *glance) string {
	b := []byte(g.whyEnded())
	if !g[failure].Empty() {
		b = append(b, " failed"...)
	}
	for _, f := range []struct {
		name string
		v    sdk.JSON
	}{{"input", g[input]}, {"output", g[output]}, {"total", g[total]}, {"cached", g[cached]}, {"written", g[written]}, {"thought", g[thought]}} {
		b = count(append(b, ' '), f.name, f.v)
	}
	if g[cost].Kind() == sdk.KindNumber {
		b = append(b, g[cost]...)
	}
	return string(b)
}

func FuzzGlance(f *testing.F) {
	for _, event := range ends {
		f.Add([]byte(event))
	}
	f.Add([]byte(`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7,"cost":1x}}`))
	f.Add([]byte(`{"type":"response.completed","response":{"usage":{"cost":-}}}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		passed(t, abi.Responses, string(event))
		passed(t, abi.Messages, string(event))
		var g glance
		if !json.Valid(event) || !unambiguous(event) {
			g.read(event, ofEnd) // whatever it is, this ends
			return
		}
		sameAsRead(t, event)
	})
}

// unambiguous reports whether no object has a field twice.
func unambiguous(event []byte) bool {
	d := json.NewDecoder(bytes.NewReader(event))
	var open []map[string]bool
	isKey := false
	for {
		token, err := d.Token()
		if err != nil {
			return true
		}
		switch token {
		case json.Delim('{'):
			open, isKey = append(open, map[string]bool{}), true
			continue
		case json.Delim('['):
			open, isKey = append(open, nil), false
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		default:
			if isKey {
				fields := open[len(open)-1]
				if fields[token.(string)] {
					return false
				}
				fields[token.(string)], isKey = true, false
				continue
			}
		}
		isKey = len(open) > 0 && open[len(open)-1] != nil
	}
}
