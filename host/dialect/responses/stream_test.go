package responses

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

// testTools has a tool of each kind.
var testTools = tools{
	"lookup":             {name: "lookup"},
	"mcp__words__define": {name: "define", namespace: "mcp__words"},
	"apply":              {kind: custom, name: "apply"},
	"mcp__sh__exec":      {kind: custom, name: "exec", namespace: "mcp__sh"},
	"tool_search":        {kind: toolSearch, name: "tool_search"},
	"local_shell":        {kind: localShell, name: "local_shell"},
	"shell":              {kind: shell, name: "shell"},
	"apply_patch":        {kind: applyPatch, name: "apply_patch"},
}

var (
	testInfo  = dialect.Info{ID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Created: 1700000000, Model: "fast"}
	testAsked = requestInfo{tools: testTools}
)

// streamed applies emissions to a stream and ends it. What fails ends it, too.
func streamed(a requestInfo, in calls) (string, error) {
	s := newStream(a, testInfo)
	answer := s.Begin()
	var dst []byte
	var err error
	for _, ems := range in {
		if dst, err = answer.Apply(dst, ems); err != nil {
			break
		}
	}
	if err == nil {
		dst, err = answer.End(dst)
	}
	answer.Sent(true)
	if e, ok := errors.AsType[*fault.Error](err); ok && len(dst) > 0 {
		dst = s.Fail(dst, e)
	}
	return string(dst), err
}

// wholly makes a whole answer of emissions, and checks it.
func wholly(a requestInfo, in calls) (o jsonObject, err error) {
	answer := newWhole(a, testInfo)
	for _, ems := range in {
		if dst, err := answer.Apply([]byte("x"), ems); err != nil || string(dst) != "x" {
			return nil, fmt.Errorf("Apply = %q, %w", dst, err)
		}
	}
	body, err := answer.End(nil)
	if err != nil {
		return nil, err
	}
	if err := checkJSON(body); err != nil {
		return nil, fmt.Errorf("%w in %s", err, body)
	}
	if err := decode(body, &o); err != nil {
		return nil, fmt.Errorf("%w in %s", err, body)
	}
	return o, checkObject(o)
}

// lines are the events of a stream without what all of them have, with ids such as msg_0,
// and with what is sealed opened. Of responses only the status and its reasons are left.
func lines(t *testing.T, stream string) (lines []string) {
	t.Helper()
	events, err := parse(strings.ReplaceAll(stream, "_"+testInfo.ID, ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		delete(e.data, "type")
		delete(e.data, "sequence_number")
		if o, ok := e.data["response"].(jsonObject); ok {
			e.data = jsonObject{"status": o["status"]}
			for _, key := range []string{"error", "incomplete_details"} {
				if o[key] != nil {
					e.data[key] = o[key]
				}
			}
		}
		if item, ok := e.data["item"].(jsonObject); ok && item["encrypted_content"] != nil {
			item["encrypted_content"] = opened(t, item["encrypted_content"].(string))
		}
		data, err := json.Marshal(e.data)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimPrefix(e.name, "response.")+" "+string(data))
	}
	return lines
}

// opened is what is sealed.
func opened(t *testing.T, sealed string) any {
	t.Helper()
	if summary, err := openSummary(sealed); err == nil && summary != nil {
		return string(summary)
	}
	c, ours, err := seal.Open(sealed, new(seal.MaxOpen))
	if err != nil || !ours {
		t.Fatalf("Open(%q) = %v, %v", sealed, ours, err)
	}
	all := jsonObject{}
	if c.Details != nil {
		all["rd"] = c.Details
	}
	if c.Message != nil {
		all["msg"] = c.Message
	}
	if c.Calls != nil {
		all["calls"] = c.Calls
	}
	return all
}

// What the model says, one adapter call after the other.
var (
	stop   = emit(finish("stop"))
	length = emit(finish("length"))
	look   = func(call int, args string) []abi.Emission {
		return emit(toolID(call, "call_"+string(rune('a'+call))), toolName(call, "lookup"), toolArgs(call, args))
	}
	thinking = func(text, signature string) abi.Emission {
		return detailed(`{"type":"reasoning.text","text":"` + text + `"` + signature + `,"format":"anthropic-claude-v1","index":0}`)
	}
	redacted = detailed(`{"type":"reasoning.encrypted","data":"R","format":"anthropic-claude-v1","index":1}`)
)

// told are answers whose events are in testdata/events.txt.
var told = []struct {
	name string
	in   calls
}{
	{"text", calls{emit(text("Hel")), emit(text("lo")), emit(raw(text(`\n\u00e9`))), stop}},
	{"a refusal", calls{emit(refusal("I can")), emit(refusal("not.")), stop}},
	{"a refusal after a text is a message of its own", calls{emit(text("Well")), emit(refusal("no")), stop}},
	{"reasoning is done before the message opens", calls{emit(thought("Hm")), emit(thought("m.")), emit(text("Hi")), stop}},
	{"reasoning after a text is another item", calls{emit(text("a")), emit(thought("b")), emit(text("c")), stop}},
	{"reasoning with a signature, and a redacted part of it", calls{
		emit(thought("I should "), thinking("I should ", "")), emit(thought("look."), thinking("look.", "")), emit(thinking("", `,"signature":"SIG"`)), emit(redacted), emit(text("Hi")), stop,
	}},
	{"details in pieces of two blocks, of which one is a summary", calls{
		emit(detailed(`{"type":"reasoning.summary","summary":"a","index":0,"id":"x","format":null}`)), emit(detailed(`{"type":"reasoning.summary","summary":"b","index":0,"id":"x"}`)),
		emit(detailed(`{"type":"reasoning.summary","summary":"c","index":1,"id":"x"}`)), emit(detailed(`{"type":"reasoning.text","text":"d","index":1,"id":"x"}`)),
		emit(detailed(`{"type":"reasoning.text","index":1,"id":"x","signature":"S"}`)), emit(detailed(`{"type":"reasoning.text","text":"e","index":1,"id":"x"}`)), emit(text("Hi")), stop,
	}},
	{"details that nobody knows how to join", calls{
		emit(detailed(`{"type":"reasoning.text","text":"a","more":1}`)), emit(detailed(`{"type":"reasoning.text","text":"b","more":1}`)), emit(detailed(`{"text":"c"}`)), emit(detailed(`{"type":"reasoning.summary","text":"d"}`)), emit(text("Hi")), stop,
	}},
	{"only redacted reasoning", calls{emit(redacted), emit(text("Hi")), stop}},
	{"details that are stated after the text", calls{emit(thought("Hm"), text("Hi"), thinking("Hm", `,"signature":"SIG"`)), stop}},
	{"details that come when the reasoning is over", calls{emit(thought("Hm")), emit(text("Hi")), emit(thinking("Hm", `,"signature":"SIG"`)), stop}},
	{"details in an extra field", calls{emit(deltaExtra(`{"reasoning_details":[{"type":"reasoning.encrypted","data":"R"}],"images":["x"]}`)), emit(text("Hi")), stop}},
	{"the signature of a text", calls{emit(text("Hi")), emit(signature("S\"1")), emit(raw(signature(`S\u00e92`))), stop}},
	{"an extra field of the message that travels", calls{emit(text("Hi"), deltaExtra(`{"annotations":[1],"extra_content":{"g":{"s":1}}}`)), stop}},
	{"extra fields that do not travel", calls{emit(text("Hi"), deltaExtra(`{"annotations":[1],"extra_content":"x"}`), citation(`{"url":"x"}`), stopReason("end")), stop}},
	{"a call", calls{emit(toolID(0, "toolu_1"), toolName(0, "lookup")), emit(toolArgs(0, `{"a"`)), emit(toolArgs(0, `:1}`)), emit(finish("tool_calls"))}},
	{"a call without arguments", calls{emit(toolID(0, "a"), toolName(0, "lookup")), stop}},
	{"a call of a tool that nobody declared", calls{emit(toolID(0, "a"), toolName(0, "unknown"), toolArgs(0, `[1`)), stop}},
	{"a call of a tool with a namespace", calls{emit(toolID(0, "a"), toolName(0, "mcp__words__define"), toolArgs(0, `{}`)), stop}},
	{"parallel calls whose arguments mix", calls{look(0, `{"x"`), look(1, `{"y"`), emit(toolArgs(0, `:1}`)), emit(toolArgs(1, `:2}`)), emit(finish("tool_calls"))}},
	{"a custom tool", calls{emit(toolID(0, "a"), toolName(0, "apply"), toolArgs(0, `{"input":`)), emit(toolArgs(0, `"*** Begin\n\"b\""}`)), emit(finish("tool_calls"))}},
	{"a custom tool with a namespace and no input", calls{emit(toolID(0, "a"), toolName(0, "mcp__sh__exec"), toolArgs(0, `{"input":""}`)), stop}},
	{"a search for tools", calls{emit(toolID(0, "a"), toolName(0, "tool_search"), toolArgs(0, `{"query":"x"}`)), stop}},
	{"the tools that run in a shell", calls{
		emit(toolID(0, "a"), toolName(0, "local_shell"), toolArgs(0, `{"command":["ls"]}`)), emit(toolID(1, "b"), toolName(1, "shell"), toolArgs(1, `{"commands":["ls"]}`)),
		emit(toolID(2, "c"), toolName(2, "apply_patch"), toolArgs(2, `{"type":"create_file","path":"a","diff":"+x"}`)), stop,
	}},
	{"the signature of a call is before it", calls{
		emit(thought("Hm")), emit(text("Look.")), emit(toolID(0, "a"), toolName(0, "lookup"), toolSignature(0, "SIG"), toolArgs(0, `{}`)), emit(finish("tool_calls")),
	}},
	{"extra fields of a call, of which one travels", calls{
		emit(toolExtra(0, `{"x":1,"extra_content":{"google":{"thought_signature":"SIG"}}}`)), emit(toolID(0, "a"), toolName(0, "lookup"), toolArgs(0, `{}`)), emit(toolExtra(0, `{"y":1}`)), stop,
	}},
	{"the signature of a call that comes late is at the end", calls{look(0, `{}`), emit(toolSignature(0, "SIG")), stop}},
	{"the signature of a call that comes late is before the next one", calls{look(0, `{}`), emit(toolSignature(0, "SIG")), look(1, `{}`), stop}},
	{"a text after a call is another message", calls{emit(text("a")), look(0, `{}`), emit(text("b")), stop}},
	{"log probabilities go with the next text", calls{
		emit(text("a"), logprobs(`[{"token":"a"}]`)), emit(text("b")), emit(logprobs(`[{"token":"c"}]`)), emit(text("c")), emit(logprobs(` [ {"token":"d"} ] `)), stop,
	}},
	{"log probabilities without a text", calls{emit(logprobs(`[{"token":"a"}]`)), emit(refusal("no")), stop}},
	{"a model that says nothing", calls{stop}},
	{"a model that only thinks", calls{emit(thought("Hm")), stop}},
	{"a model that only thinks, in secret", calls{emit(redacted), stop}},
	{"too long in the text", calls{emit(thought("Hm")), emit(text("Hel")), length}},
	{"too long in the reasoning", calls{emit(thought("Hm")), length}},
	{"too long in the second call", calls{emit(text("a")), look(0, `{"x":1}`), look(1, `{"x`), length}},
	{"too long in the only call", calls{look(0, `{"x":[1,2]`), length}},
	{"too long in a custom tool", calls{emit(toolID(0, "a"), toolName(0, "apply"), toolArgs(0, `{"input":"*** Begin`)), length}},
	{"too long behind a custom tool", calls{emit(toolID(0, "a"), toolName(0, "apply"), toolArgs(0, `{"input":"x"}`)), length}},
	{"too long before the arguments of a call", calls{look(0, `{}`), emit(toolID(1, "b"), toolName(1, "lookup")), length}},
	{"too long before the arguments of a call, but for white space", calls{emit(toolID(0, "a"), toolName(0, "lookup"), raw(toolArgs(0, ` \n`))), length, emit(usageOf(`{}`))}},
	{"filtered in the text", calls{emit(text("Hel")), emit(finish("content_filter"))}},
	{"filtered before all", calls{emit(finish("content_filter"))}},
	{"other choices have no place", calls{emit(inChoice(1, text("x")), text("a"), inChoice(1, finish("length"))), emit(inChoice(1, thought("x"))), emit(inChoice(1, finish("stop")), finish("stop"))}},
	{"a FINISH is not final before the end", calls{emit(text("a"), finish("length")), emit(text("b")), stop, emit(usageOf(`{"prompt_tokens":1}`))}},
}

const eventsFile = "testdata/events.txt"

func TestEvents(t *testing.T) {
	file, err := os.ReadFile(eventsFile)
	if err != nil && os.Getenv("KAI_UPDATE") == "" {
		t.Fatal(err)
	}
	want := map[string]string{}
	for section := range strings.SplitSeq("\n"+string(file), "\n-- ") {
		name, events, _ := strings.Cut(section, " --\n")
		want[name] = strings.TrimSpace(events)
	}
	head, _, _ := strings.Cut(string(file), "-- ")
	updated := []byte(head)
	for _, tc := range told {
		t.Run(tc.name, func(t *testing.T) {
			stream, err := streamed(testAsked, tc.in)
			if err != nil {
				t.Fatal(err)
			}
			end, err := check(stream)
			if err != nil {
				t.Error(err)
			}
			whole, err := wholly(testAsked, tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(end, whole) {
				t.Errorf("the stream ends with\n%v\nthe whole answer is\n%v", end, whole)
			}
			got := strings.Join(lines(t, stream), "\n")
			updated = fmt.Appendf(updated, "-- %s --\n%s\n\n", tc.name, got)
			if os.Getenv("KAI_UPDATE") == "" && got != want[tc.name] {
				t.Errorf("got\n%s\nwant\n%s", got, want[tc.name])
			}
		})
	}
	if os.Getenv("KAI_UPDATE") != "" {
		if err := os.WriteFile(eventsFile, bytes.TrimSuffix(updated, []byte("\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if len(want)-1 != len(told) && os.Getenv("KAI_UPDATE") == "" {
		t.Errorf("%s has %d answers, the test %d", eventsFile, len(want)-1, len(told))
	}
}
