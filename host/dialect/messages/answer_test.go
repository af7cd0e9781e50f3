package messages_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

// sealedText returns what is in a signature of Kai's, as JSON on one line.
func sealedText(t *testing.T, signature string) string {
	t.Helper()
	c, ours, err := seal.Open(signature, new(seal.MaxOpen))
	if !ours || err != nil {
		t.Fatalf("%q is not sealed by Kai: %v", signature, err)
	}
	parts := []string{}
	for _, d := range c.Details {
		parts = append(parts, string(d))
	}
	calls := ""
	for id, extra := range c.Calls {
		calls += id + "=" + string(extra)
	}
	return strings.Join(parts, ",") + "|" + string(c.Message) + "|" + calls
}

// contentOf returns the blocks of a whole answer, with what is sealed in the open.
func contentOf(t *testing.T, whole string) string {
	t.Helper()
	answer, ok := decoded(whole).(object)
	if !ok {
		t.Fatalf("the answer is %s", whole)
	}
	for _, b := range answer["content"].([]any) {
		block := b.(object)
		forgetMinted(block)
		if s, _ := block["signature"].(string); len(s) > len(seal.Prefix) && strings.HasPrefix(s, seal.Prefix) {
			block["signature"] = sealedText(t, s)
		}
	}
	return compact(answer["content"])
}

const (
	claudeText = `{"type":"reasoning.text","text":%q,"format":"anthropic-claude-v1","index":%d}`
	claudeSign = `{"type":"reasoning.text","text":"","signature":%q,"format":"anthropic-claude-v1","index":%d}`
)

func thinks(text string, index int) []abi.Emission {
	return call(reasoning(text), detail(fmt.Sprintf(claudeText, text, index)))
}

func signs(signature string, index int) []abi.Emission {
	return call(detail(fmt.Sprintf(claudeSign, signature, index)))
}

// TestContent holds what becomes of emissions in the whole answer, and that the stream
// accumulates to the same.
func TestContent(t *testing.T) {
	done := call(finish("stop"))
	const google = `{"extra_content":{"google":{"thought_signature":"SIG"}}}`
	for name, tc := range map[string]struct {
		about conversation
		in    calls
		want  string // the content
		stop  string // default: end_turn
	}{
		"a text": {in: calls{call(text("Hel")), call(text("lo")), done}, want: `[{"text":"Hello","type":"text"}]`},
		"text as the inside of a literal": {
			in:   calls{call(raw(text(`"`[:0] + `say \"hi\"\n`))), call(text("\"quoted\"\n")), done},
			want: `[{"text":"say \"hi\"\n\"quoted\"\n","type":"text"}]`,
		},
		"half a character waits for its other half": {
			in:   calls{call(text("a")), call(raw(text(`\ud83d`))), call(raw(text(`\ude00`))), done},
			want: `[{"text":"a😀","type":"text"}]`,
		},
		"every change of kind is another block": {
			in: calls{
				call(reasoning("r1")), call(text("t1")), call(reasoning("r2")), call(text("t2")), call(callName(0, "f"), callID(0, "c"), callArgs(0, "{}")), call(text("t3")), done,
			},
			want: `[{"signature":"kai1.","thinking":"r1","type":"thinking"},{"text":"t1","type":"text"},{"signature":"kai1.","thinking":"r2","type":"thinking"},{"text":"t2","type":"text"},` +
				`{"id":"c","input":{},"name":"f","type":"tool_use"},{"text":"t3","type":"text"}]`,
			stop: "tool_use",
		},
		"a refusal is text of its own": {
			in:   calls{call(text("No. ")), call(on(abi.Refusal, "I won't.")), call(finish("content_filter"))},
			want: `[{"text":"No. ","type":"text"},{"text":"I won't.","type":"text"}]`,
			stop: "refusal",
		},
		"nothing":                      {in: calls{done}, want: `[]`},
		"log probabilities and images": {in: calls{call(text("a"), on(abi.Logprobs, "[]"), on(abi.DeltaExtra, `{"images":[{}]}`), on(abi.ChoiceExtra, `{"x":1}`), on(abi.ChunkExtra, `{"y":1}`), on(abi.Citation, `{}`)), done}, want: `[{"text":"a","type":"text"}]`},
		"a second choice is nobody's": {
			in:   calls{call(text("a"), abi.Emission{Kind: abi.Text, At: abi.At(1, 0), Data: []byte("b")}), call(finish("stop"), abi.Emission{Kind: abi.Finish, At: abi.At(1, 0), Data: []byte("length")})},
			want: `[{"text":"a","type":"text"}]`,
		},

		"a call in pieces": {
			in:   calls{call(callID(0, "call_x"), callName(0, "get_weather")), call(callArgs(0, `{"ci`)), call(raw(callArgs(0, `ty\":\"Paris\"}`))), done},
			want: `[{"id":"call_x","input":{"city":"Paris"},"name":"get_weather","type":"tool_use"}]`, stop: "tool_use",
		},
		"a call without arguments":     {in: calls{call(callID(0, "c"), callName(0, "f")), done}, want: `[{"id":"c","input":{},"name":"f","type":"tool_use"}]`, stop: "tool_use"},
		"a call with blank arguments":  {in: calls{call(callID(0, "c"), callName(0, "f"), callArgs(0, " \n")), done}, want: `[{"id":"c","input":{},"name":"f","type":"tool_use"}]`, stop: "tool_use"},
		"arguments that are broken":    {in: calls{call(callID(0, "c"), callName(0, "f"), callArgs(0, `{"a":`)), done}, want: `[{"id":"c","input":{"_invalid_arguments":"{\"a\":"},"name":"f","type":"tool_use"}]`, stop: "tool_use"},
		"arguments that are no object": {in: calls{call(callID(0, "c"), callName(0, "f"), callArgs(0, `[1]`)), done}, want: `[{"id":"c","input":{"_invalid_arguments":"[1]"},"name":"f","type":"tool_use"}]`, stop: "tool_use"},
		"arguments that are cut":       {in: calls{call(callID(0, "c"), callName(0, "f"), callArgs(0, `{"a":"b`)), call(finish("length"))}, want: `[{"id":"c","input":{"_invalid_arguments":"{\"a\":\"b"},"name":"f","type":"tool_use"}]`, stop: "max_tokens"},
		"an id of the history":         {about: conversation{ids: map[string]bool{"call_0": true}}, in: calls{call(callID(0, "call_0"), callName(0, "f"), callArgs(0, "{}")), done}, want: `[{"id":"minted","input":{},"name":"f","type":"tool_use"}]`, stop: "tool_use"},
		"an id that is unique":         {about: conversation{ids: map[string]bool{"call_0": true}}, in: calls{call(callID(0, "call_1"), callName(0, "f"), callArgs(0, "{}")), done}, want: `[{"id":"call_1","input":{},"name":"f","type":"tool_use"}]`, stop: "tool_use"},
		"an id twice in the answer":    {in: calls{call(callID(0, "c"), callName(0, "f"), callArgs(0, "{}"), callID(1, "c"), callName(1, "g"), callArgs(1, "{}")), done}, want: `[{"id":"c","input":{},"name":"f","type":"tool_use"},{"id":"minted","input":{},"name":"g","type":"tool_use"}]`, stop: "tool_use"},
		"a name that was shortened":    {about: conversation{names: map[string]string{"short": "the_long_one"}}, in: calls{call(callID(0, "c"), callName(0, "short"), callArgs(0, "{}")), done}, want: `[{"id":"c","input":{},"name":"the_long_one","type":"tool_use"}]`, stop: "tool_use"},
		"calls whose pieces take turns": {
			in: calls{
				call(callID(0, "a"), callName(0, "f"), callArgs(0, `{"x":`), callID(1, "b"), callName(1, "g"), callArgs(1, `{"y"`)),
				call(callArgs(0, `"}"`)), call(callArgs(1, `:[]`)), call(callArgs(0, `}`)), call(callArgs(1, `}`)), done,
			},
			want: `[{"id":"a","input":{"x":"}"},"name":"f","type":"tool_use"},{"id":"b","input":{"y":[]},"name":"g","type":"tool_use"}]`, stop: "tool_use",
		},
		"text while a call is incomplete": {
			in:   calls{call(callID(0, "a"), callName(0, "f"), callArgs(0, `{"x":`)), call(text("so ")), call(text("far")), call(callArgs(0, `1}`)), call(reasoning("hm")), done},
			want: `[{"id":"a","input":{"x":1},"name":"f","type":"tool_use"},{"text":"so far","type":"text"},{"signature":"kai1.","thinking":"hm","type":"thinking"}]`, stop: "tool_use",
		},
		"white space behind the end of arguments": {
			in:   calls{call(callID(0, "a"), callName(0, "f"), callArgs(0, `{}`)), call(text("t")), call(callArgs(0, "\n ")), done},
			want: `[{"id":"a","input":{},"name":"f","type":"tool_use"},{"text":"t","type":"text"}]`, stop: "tool_use",
		},

		"Claude's signature stays as it is": {
			in:   calls{thinks("Look ", 0), thinks("first.", 0), signs("EqS", 0), call(text("Hi")), done},
			want: `[{"signature":"EqS","thinking":"Look first.","type":"thinking"},{"text":"Hi","type":"text"}]`,
		},
		"Claude thinks between calls": {
			in: calls{
				thinks("a", 0), signs("S0", 0), call(callID(0, "c"), callName(0, "f"), callArgs(0, "{}")), thinks("b", 2), signs("S2", 2), call(text("t")), done,
			},
			want: `[{"signature":"S0","thinking":"a","type":"thinking"},{"id":"c","input":{},"name":"f","type":"tool_use"},{"signature":"S2","thinking":"b","type":"thinking"},{"text":"t","type":"text"}]`, stop: "tool_use",
		},
		"two signed thoughts, one after the other": {
			in:   calls{thinks("a", 0), signs("S0", 0), thinks("b", 1), signs("S1", 1), call(text("t")), done},
			want: `[{"signature":"{\"type\":\"reasoning.text\",\"text\":\"a\",\"signature\":\"S0\",\"format\":\"anthropic-claude-v1\",\"index\":0},{\"type\":\"reasoning.text\",\"text\":\"b\",\"signature\":\"S1\",\"format\":\"anthropic-claude-v1\",\"index\":1}||","thinking":"ab","type":"thinking"},{"text":"t","type":"text"}]`,
		},
		"a thought of Claude's that is not shown": {
			in:   calls{signs("S0", 0), call(text("t")), done},
			want: `[{"signature":"S0","thinking":"","type":"thinking"},{"text":"t","type":"text"}]`,
		},
		"a thought that Claude keeps to itself": {
			in:   calls{thinks("a", 0), signs("S0", 0), call(detail(`{"type":"reasoning.encrypted","data":"DATA","format":"anthropic-claude-v1","index":1}`)), call(text("t")), done},
			want: `[{"signature":"S0","thinking":"a","type":"thinking"},{"data":"DATA","type":"redacted_thinking"},{"text":"t","type":"text"}]`,
		},
		"Claude whole, by OpenRouter": {
			in: calls{call(reasoning("a"), text("t"), detail(`{"type":"reasoning.text","text":"a","signature":"S0","format":"anthropic-claude-v1","index":0}`),
				callID(0, "c"), callName(0, "f"), callArgs(0, "{}"), finish("tool_calls"))},
			want: `[{"signature":"S0","thinking":"a","type":"thinking"},{"text":"t","type":"text"},{"id":"c","input":{},"name":"f","type":"tool_use"}]`, stop: "tool_use",
		},
		"a signature of another text": {
			in:   calls{call(reasoning("summary"), detail(`{"type":"reasoning.text","text":"all of it","signature":"S0","format":"anthropic-claude-v1","index":0}`)), call(text("t")), done},
			want: `[{"signature":"{\"type\":\"reasoning.text\",\"text\":\"all of it\",\"signature\":\"S0\",\"format\":\"anthropic-claude-v1\",\"index\":0}||","thinking":"summary","type":"thinking"},{"text":"t","type":"text"}]`,
		},
		"a signature that comes too late": {
			in: calls{thinks("a", 0), call(text("t")), signs("S0", 0), done},
			want: `[{"signature":"{\"type\":\"reasoning.text\",\"format\":\"anthropic-claude-v1\",\"index\":0}||","thinking":"a","type":"thinking"},{"text":"t","type":"text"},` +
				`{"signature":"{\"type\":\"reasoning.text\",\"text\":\"\",\"signature\":\"S0\",\"format\":\"anthropic-claude-v1\",\"index\":0}||","thinking":"","type":"thinking"}]`,
		},
		"details of others are sealed, without the text that is there": {
			in: calls{
				call(reasoning("Com"), detail(`{"type":"reasoning.text","text":"Com","format":"google-gemini-v1","index":0}`)),
				call(reasoning("pare"), detail(`{"type":"reasoning.text","text":"pare","format":"google-gemini-v1","index":0}`)),
				call(detail(`{"type":"reasoning.encrypted","data":"E","format":"google-gemini-v1","index":1,"id":"x"}`)), call(text("t")), done,
			},
			want: `[{"signature":"{\"type\":\"reasoning.text\",\"format\":\"google-gemini-v1\",\"index\":0},{\"type\":\"reasoning.encrypted\",\"data\":\"E\",\"format\":\"google-gemini-v1\",\"index\":1,\"id\":\"x\"}||","thinking":"Compare","type":"thinking"},{"text":"t","type":"text"}]`,
		},
		"details of adapters that know no other way": {
			in:   calls{call(reasoning("a"), on(abi.DeltaExtra, `{"reasoning_details":[{"type":"reasoning.summary","summary":"a","id":"r"},null]}`)), done},
			want: `[{"signature":"{\"type\":\"reasoning.summary\",\"summary\":\"a\",\"id\":\"r\"}||","thinking":"a","type":"thinking"}]`,
		},
		"a call's signature travels before the call": {
			in:   calls{call(text("t")), call(callID(0, "c"), callName(0, "f"), callArgs(0, "{}"), callSignature(0, "SIG")), done},
			want: `[{"text":"t","type":"text"},{"signature":"||c=` + strings.ReplaceAll(google, `"`, `\"`) + `","thinking":"","type":"thinking"},{"id":"c","input":{},"name":"f","type":"tool_use"}]`, stop: "tool_use",
		},
		"the signature of the second of two calls": {
			in: calls{call(callID(0, "a"), callName(0, "f"), callArgs(0, "{}"), callID(1, "b"), callName(1, "g"), callArgs(1, "{}"), callSignature(1, "SIG")), done},
			want: `[{"id":"a","input":{},"name":"f","type":"tool_use"},{"signature":"||b=` + strings.ReplaceAll(google, `"`, `\"`) + `","thinking":"","type":"thinking"},` +
				`{"id":"b","input":{},"name":"g","type":"tool_use"}]`, stop: "tool_use",
		},
		"a thought right before the call carries its signature": {
			in:   calls{call(reasoning("a")), call(callID(0, "c"), callName(0, "f"), callArgs(0, "{}"), ofCall(abi.ToolExtra, 0, `{"x":1,"extra_content":{"google":{"thought_signature":"SIG"}}}`)), done},
			want: `[{"signature":"||c=` + strings.ReplaceAll(google, `"`, `\"`) + `","thinking":"a","type":"thinking"},{"id":"c","input":{},"name":"f","type":"tool_use"}]`, stop: "tool_use",
		},
		"a thought of Claude's carries nothing else": {
			in: calls{append(append(thinks("a", 0), signs("S0", 0)...), callID(0, "c"), callName(0, "f"), callArgs(0, "{}"), callSignature(0, "SIG")), done},
			want: `[{"signature":"S0","thinking":"a","type":"thinking"},{"signature":"||c=` + strings.ReplaceAll(google, `"`, `\"`) + `","thinking":"","type":"thinking"},` +
				`{"id":"c","input":{},"name":"f","type":"tool_use"}]`, stop: "tool_use",
		},
		"a call's signature that comes too late": {
			in:   calls{call(callID(0, "c"), callName(0, "f"), callArgs(0, "{}")), call(callSignature(0, "SIG")), done},
			want: `[{"id":"c","input":{},"name":"f","type":"tool_use"},{"signature":"||c=` + strings.ReplaceAll(google, `"`, `\"`) + `","thinking":"","type":"thinking"}]`, stop: "tool_use",
		},
		"a message's signature comes at the end": {
			in:   calls{call(text("a")), call(on(abi.Signature, "SIG")), call(text("b")), done},
			want: `[{"text":"ab","type":"text"},{"signature":"|` + strings.ReplaceAll(google, `"`, `\"`) + `|","thinking":"","type":"thinking"}]`,
		},
		"extra fields that don't travel": {
			in:   calls{call(callID(0, "c"), callName(0, "f"), callArgs(0, "{}"), ofCall(abi.ToolExtra, 0, `{"x":1,"extra_content":"no object"}`), on(abi.DeltaExtra, `{"annotations":[]}`)), done},
			want: `[{"id":"c","input":{},"name":"f","type":"tool_use"}]`, stop: "tool_use",
		},
	} {
		t.Run(name, func(t *testing.T) {
			whole, err := tc.about.whole(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := contentOf(t, whole); got != tc.want {
				t.Errorf("the content is\n%s\nwant\n%s", got, tc.want)
			}
			stop := tc.stop
			if stop == "" {
				stop = "end_turn"
			}
			if got := decoded(whole).(object)["stop_reason"]; got != stop {
				t.Errorf("stop_reason is %v, want %s", got, stop)
			}
			events, err := tc.about.stream(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			same(t, events, whole)
		})
	}
}

// TestWholeAnswer holds its form to the byte.
func TestWholeAnswer(t *testing.T) {
	got, err := conversation{}.whole(calls{
		call(reasoning("Look first.")), call(text("Let me check.")), call(callID(0, "call_x1y2z3w4"), callName(0, "get_weather"), callArgs(0, `{"city":"Paris"}`)),
		call(usage(`{"prompt_tokens":21,"completion_tokens":37}`), finish("tool_calls")),
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"msg_4KU7","type":"message","role":"assistant","model":"granite-local","content":[` +
		`{"type":"thinking","thinking":"Look first.","signature":"kai1."},{"type":"text","text":"Let me check."},` +
		`{"type":"tool_use","id":"call_x1y2z3w4","name":"get_weather","input":{"city":"Paris"}}],"stop_reason":"tool_use","stop_sequence":null,` +
		`"usage":{"input_tokens":21,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":37}}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestEvents holds a stream to the byte.
func TestEvents(t *testing.T) {
	got, err := conversation{}.stream(calls{
		call(reasoning("Look first.")), call(callID(0, "call_x1y2z3w4"), callName(0, "get_weather")), call(callArgs(0, `{"city":"Paris"}`)),
		call(usage(`{"prompt_tokens":21,"completion_tokens":37}`), finish("tool_calls")),
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `event: message_start
data: {"type":"message_start","message":{"id":"msg_4KU7","type":"message","role":"assistant","model":"granite-local","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"output_tokens":0}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Look first."}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"kai1."}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"call_x1y2z3w4","name":"get_weather","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"city\":\"Paris\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":21,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":37}}

event: message_stop
data: {"type":"message_stop"}

`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPlainStream(t *testing.T) {
	got, err := conversation{}.stream(calls{call(text("Hel")), call(text("lo")), call(text("!")), call(finish("stop"))})
	if err != nil {
		t.Fatal(err)
	}
	const want = `event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"!"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":0}}

event: message_stop
data: {"type":"message_stop"}

`
	if !strings.HasSuffix(got, want) || strings.Count(got, "event: ") != 8 {
		t.Errorf("got\n%s\nwant message_start and then\n%s", got, want)
	}
}

// TestStreamWithoutAnything has three events.
func TestStreamWithoutAnything(t *testing.T) {
	got, err := conversation{}.stream(calls{call(finish("stop"))})
	all, err2 := eventsOf(got)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	var names []string
	for _, e := range all {
		names = append(names, e.name)
	}
	if want := []string{"message_start", "message_delta", "message_stop"}; !slices.Equal(names, want) {
		t.Errorf("the events are %v, want %v", names, want)
	}
}

// TestParallelCallsWaitForTheirTurn looks at the events after each adapter call: of two
// calls the second shows nothing before the first is complete.
func TestParallelCallsWaitForTheirTurn(t *testing.T) {
	a := newStreamAnswer()
	for i, step := range []struct {
		ems  []abi.Emission
		want string // parts of what is shown
	}{
		{call(callID(0, "a"), callName(0, "f"), callArgs(0, `{"x":"`)), `"index":0,"content_block":{"type":"tool_use","id":"a"` + "\n" + `{\"x\":\"`},
		{call(callID(1, "b"), callName(1, "g"), callArgs(1, `{"y":1}`)), ""},
		{call(callArgs(0, `\"}`)), `\\\"}`},
		{call(callArgs(0, `"`)), `\"`},
		{call(callArgs(0, `}`)), `}` + "\n" + `"content_block_stop","index":0` + "\n" + `"index":1,"content_block":{"type":"tool_use","id":"b"` + "\n" + `{\"y\":1}`},
		{call(finish("tool_calls")), ""},
	} {
		got, err := a.Apply(nil, step.ems)
		if err != nil {
			t.Fatal(err)
		}
		rest := string(got)
		for _, part := range strings.Split(step.want, "\n") {
			_, after, ok := strings.Cut(rest, part)
			if !ok {
				t.Errorf("after call %d %q is not among\n%s", i+1, part, got)
			}
			rest = after
		}
		if step.want == "" && len(got) > 0 {
			t.Errorf("after call %d there is\n%s", i+1, got)
		}
	}
}

// TestArgumentsAfterTheirEnd: a client may have run the tool.
func TestArgumentsAfterTheirEnd(t *testing.T) {
	in := calls{call(callID(0, "a"), callName(0, "f"), callArgs(0, `{}`)), call(text("t")), call(callArgs(0, `{"x":1}`)), call(finish("stop"))}
	for name, answer := range map[string]func(calls) (string, error){"whole": conversation{}.whole, "streamed": conversation{}.stream} {
		if got, err := answer(in); err == nil || fault.KindOf(err) != fault.Upstream {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}

func TestStopReasons(t *testing.T) {
	called := call(callID(0, "c"), callName(0, "f"), callArgs(0, "{}"))
	for name, tc := range map[string]struct {
		in   []abi.Emission
		said []abi.Emission
		want string
	}{
		"the model is done":               {call(finish("stop")), call(text("t")), `"stop_reason":"end_turn","stop_sequence":null`},
		"a stop sequence":                 {call(native("stop_sequence"), finish("stop")), call(text("t")), `"stop_reason":"stop_sequence","stop_sequence":null`},
		"another word for it":             {call(native("completed"), finish("stop")), call(text("t")), `"stop_reason":"end_turn","stop_sequence":null`},
		"a call":                          {call(finish("tool_calls")), called, `"stop_reason":"tool_use","stop_sequence":null`},
		"a call, of the time before":      {call(finish("function_call")), called, `"stop_reason":"tool_use","stop_sequence":null`},
		"a call that is called a stop":    {call(finish("stop")), called, `"stop_reason":"tool_use","stop_sequence":null`},
		"calls that never came":           {call(finish("tool_calls")), call(text("t")), `"stop_reason":"end_turn","stop_sequence":null`},
		"too long":                        {call(finish("length")), call(text("t")), `"stop_reason":"max_tokens","stop_sequence":null`},
		"too long for the window":         {call(native("model_context_window_exceeded"), finish("length")), call(text("t")), `"stop_reason":"model_context_window_exceeded","stop_sequence":null`},
		"a pause of tools that are gone":  {call(native("pause_turn"), finish("length")), call(text("t")), `"stop_reason":"max_tokens","stop_sequence":null`},
		"a call that was cut":             {call(finish("length")), called, `"stop_reason":"max_tokens","stop_sequence":null`},
		"a filter":                        {call(native("SAFETY"), finish("content_filter")), call(text("t")), `"stop_reason":"refusal","stop_sequence":null,"stop_details":{"type":"refusal","category":null,"explanation":null}`},
		"a filter that explains itself":   {call(native("refusal"), finish("content_filter")), call(on(abi.Refusal, `Not "that".`)), `"stop_reason":"refusal","stop_sequence":null,"stop_details":{"type":"refusal","category":null,"explanation":"Not \"that\"."}`},
		"a word that is too long to mean": {call(native(strings.Repeat("stop_sequence", 9)), finish("stop")), call(text("t")), `"stop_reason":"end_turn","stop_sequence":null`},
	} {
		t.Run(name, func(t *testing.T) {
			in := calls{tc.said, tc.in}
			whole, err := conversation{}.whole(in)
			if err != nil || !strings.Contains(whole, "],"+tc.want+`,"usage":`) {
				t.Errorf("%v, the answer is %s, want %s", err, whole, tc.want)
			}
			events, err := conversation{}.stream(in)
			if err != nil || !strings.Contains(events, `"delta":{`+tc.want+`},"usage"`) {
				t.Errorf("%v, the events are %s, want %s", err, events, tc.want)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for name, tc := range map[string]struct {
		stated        string
		whole, stream string // the counts
	}{
		"none":        {"", `{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}`, `{"output_tokens":0}`},
		"two numbers": {`{"prompt_tokens":3,"completion_tokens":2}`, `{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2}`, ""},
		"a cache": {
			`{"prompt_tokens":1000,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":600,"cache_write_tokens":100}}`,
			`{"input_tokens":300,"cache_creation_input_tokens":100,"cache_read_input_tokens":600,"output_tokens":2}`, "",
		},
		"all of it from the cache":   {`{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":10}}`, `{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":10,"output_tokens":0}`, ""},
		"more in the cache than was": {`{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":11}}`, `{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":11,"output_tokens":0}`, ""},
		"thinking":                   {`{"prompt_tokens":1,"completion_tokens":9,"completion_tokens_details":{"reasoning_tokens":4}}`, `{"input_tokens":1,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}`, ""},
		"the answer alone":           {`{"completion_tokens":9}`, `{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":9}`, `{"output_tokens":9}`},
	} {
		t.Run(name, func(t *testing.T) {
			in := calls{call(text("t"), finish("stop"))}
			if tc.stated != "" {
				in = append(in, call(usage(tc.stated)))
			}
			whole, err := conversation{}.whole(in)
			if err != nil || !strings.HasSuffix(whole, `,"usage":`+tc.whole+"}") {
				t.Errorf("%v, the answer is %s, want %s", err, whole, tc.whole)
			}
			want := tc.stream
			if want == "" {
				want = tc.whole
			}
			events, err := conversation{}.stream(in)
			if err != nil || !strings.Contains(events, `},"usage":`+want+"}\n\nevent: message_stop\n") {
				t.Errorf("%v, the events are %s, want %s", err, events, want)
			}
		})
	}
}

// TestCutAnswers: what has no FINISH, or lost something behind it, is no success.
func TestCutAnswers(t *testing.T) {
	for name, in := range map[string]calls{
		"nothing":                      nil,
		"text":                         {call(text("t"))},
		"a call":                       {call(callID(0, "c"), callName(0, "f"), callArgs(0, "{}"))},
		"a call whose arguments lack":  {call(callID(0, "c"), callName(0, "f"), callArgs(0, `{"a`))},
		"a reason, and then more text": {call(text("t"), finish("stop")), call(text("u"))},
	} {
		a := newStreamAnswer()
		for _, ems := range in {
			if _, err := a.Apply(nil, ems); err != nil {
				t.Fatal(err)
			}
		}
		if a.Complete() {
			t.Errorf("%s: it would be a success", name)
		}
	}
	for name, answer := range map[string]func(calls) (string, error){"whole": conversation{}.whole, "streamed": conversation{}.stream} {
		got, err := answer(calls{call(text("t"))})
		if fault.KindOf(err) != fault.Upstream || strings.Contains(got, "end_turn") {
			t.Errorf("%s: an answer without its end is %s, %v", name, got, err)
		}
	}
}

// TestFailure ends a stream that has begun.
func TestFailure(t *testing.T) {
	s := newStream()
	got := string(s.KeepAlive(nil))
	dst, err := s.Begin().Apply(nil, call(text("t")))
	if err != nil {
		t.Fatal(err)
	}
	got += string(dst) + string(s.KeepAlive(nil)) + string(s.Fail(nil, &fault.Error{Kind: fault.Busy, Code: "overloaded", Text: "too \"busy\"\n"}))
	answer, failed, err := accumulate(got)
	if err != nil || answer == nil {
		t.Fatalf("%v in\n%s", err, got)
	}
	if want := `{"error":{"message":"too \"busy\"\n","type":"overloaded_error"},"request_id":"req_9","type":"error"}`; compact(failed) != want {
		t.Errorf("the event is %s, want %s", compact(failed), want)
	}
	if !strings.HasPrefix(got, "event: ping\ndata: {\"type\":\"ping\"}\n\nevent: message_start\n") || strings.Contains(got, "message_stop") {
		t.Errorf("the stream is\n%s", got)
	}
}

// TestNothingIsShownOfAFailedCall: the emissions of a call count together or not at all.
func TestNothingIsShownOfAFailedCall(t *testing.T) {
	a := newStreamAnswer()
	got, err := a.Apply([]byte("x"), call(text("t"), on(abi.Error, `{"status":429,"message":"m"}`), usage(`{"prompt_tokens":7}`)))
	if string(got) != "x" || fault.KindOf(err) != fault.Rate || a.Usage().Prompt != 7 {
		t.Errorf("got %q, %v, %d tokens", got, err, a.Usage().Prompt)
	}
}

// TestDeepArguments cost no recursion: what no parser takes is no object.
func TestDeepArguments(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	in := calls{call(callID(0, "c"), callName(0, "f"), callArgs(0, deep)), call(finish("stop"))}
	whole, err := conversation{}.whole(in)
	if err != nil || !strings.Contains(whole, `"input":{"_invalid_arguments":"{\"a\":`) || !json.Valid([]byte(whole)) {
		t.Errorf("%v, the answer begins %.300s", err, whole)
	}
	if events, err := (conversation{}).stream(in); err != nil || strings.Count(events, `{\"a\":`) != 100_000 {
		t.Errorf("%v, the events begin %.300s", err, events)
	}
}
