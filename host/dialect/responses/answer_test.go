package responses

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/fault"
)

// The bytes of a stream: two lines for each event, no other end mark than the last event.
func TestAStreamByteForByte(t *testing.T) {
	a := requestInfo{echo: echo{instructions: []byte(`"Be brief"`)}}
	object := func(status, completedAt, output, usage string) string {
		return `{"id":"resp_ABCDEFGHIJKLMNOPQRSTUVWXYZ","object":"response","created_at":1700000000,"completed_at":` + completedAt + `,"status":"` + status +
			`","background":false,"error":null,"incomplete_details":null,"instructions":"Be brief","max_output_tokens":null,"max_tool_calls":null,"model":"fast","output":[` + output +
			`],"parallel_tool_calls":true,"previous_response_id":null,"prompt_cache_key":null,"prompt_cache_retention":null,"reasoning":{"effort":null,"summary":null},` +
			`"safety_identifier":null,"service_tier":"default","store":false,"temperature":1.0,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_logprobs":0,"top_p":1.0,` +
			`"truncation":"disabled","usage":` + usage + `,"user":null,"metadata":{}}`
	}
	const (
		at   = `"item_id":"msg_ABCDEFGHIJKLMNOPQRSTUVWXYZ_0","output_index":0`
		done = `{"id":"msg_ABCDEFGHIJKLMNOPQRSTUVWXYZ_0","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hello","annotations":[],"logprobs":[]}]}`
	)
	var want strings.Builder
	for n, e := range [][2]string{
		{"response.created", `"response":` + object("in_progress", "null", "", "null")},
		{"response.in_progress", `"response":` + object("in_progress", "null", "", "null")},
		{"response.output_item.added", `"output_index":0,"item":{"id":"msg_ABCDEFGHIJKLMNOPQRSTUVWXYZ_0","type":"message","status":"in_progress","role":"assistant","content":[]}`},
		{"response.content_part.added", at + `,"content_index":0,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}`},
		{"response.output_text.delta", at + `,"content_index":0,"delta":"Hel","logprobs":[]`},
		{"response.output_text.delta", at + `,"content_index":0,"delta":"lo","logprobs":[]`},
		{"response.output_text.done", at + `,"content_index":0,"text":"Hello","logprobs":[]`},
		{"response.content_part.done", at + `,"content_index":0,"part":{"type":"output_text","text":"Hello","annotations":[],"logprobs":[]}`},
		{"response.output_item.done", `"output_index":0,"item":` + done},
		{"response.completed", `"response":` + object("completed", "1700000000", done, `{"input_tokens":3,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":5}`)},
	} {
		number, _ := json.Marshal(n)
		want.WriteString("event: " + e[0] + "\ndata: {\"type\":\"" + e[0] + `","sequence_number":` + string(number) + "," + e[1] + "}\n\n")
	}
	got, err := streamed(a, calls{emit(text("Hel")), emit(text("lo")), stop, emit(usageOf(`{"prompt_tokens":3,"completion_tokens":2}`))})
	if err != nil || got != want.String() {
		t.Errorf("%v\ngot\n%s\nwant\n%s", err, got, want.String())
	}
}

// Numbers have no gaps, however many digits they have.
func TestManyTexts(t *testing.T) {
	in := make(calls, 2200)
	for i := range in {
		in[i] = emit(text("a "))
	}
	got, err := streamed(requestInfo{}, append(in, stop))
	if err != nil {
		t.Fatal(err)
	}
	last, err := check(got)
	if err != nil {
		t.Fatal(err)
	}
	if said := last["output"].([]any)[0].(jsonObject)["content"].([]any)[0].(jsonObject)["text"]; said != strings.Repeat("a ", len(in)) {
		t.Errorf("the text is %.40q…", said)
	}
}

func TestUsageAndExtraFieldsOfTheLastObject(t *testing.T) {
	for name, tc := range map[string]struct {
		in   calls
		want string // some fields of the object
	}{
		"nobody counted":               {calls{emit(text("a"), finish("stop"))}, `{"provider":null,"service_tier":"default","usage":null}`},
		"a price is no count":          {calls{emit(text("a"), finish("stop"), usageOf(`{"cost":1}`))}, `{"provider":null,"service_tier":"default","usage":null}`},
		"a count that comes last":      {calls{emit(text("a"), finish("stop")), emit(usageOf(`{"prompt_tokens":1}`))}, `{"provider":null,"service_tier":"default","usage":{"input_tokens":1,"input_tokens_details":{"cache_write_tokens":0,"cached_tokens":0},"output_tokens":0,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":1}}`},
		"a count of what was too long": {calls{emit(text("a"), finish("length"), usageOf(`{"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":1}}`))}, `{"provider":null,"service_tier":"default","usage":{"input_tokens":0,"input_tokens_details":{"cache_write_tokens":0,"cached_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":2}}`},
		"fields of the adapter":        {calls{emit(text("a"), chunkExtra(`{"provider":"x","service_tier":"flex","status":"y"}`)), stop}, `{"provider":"x","service_tier":"flex","usage":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			stream, err := streamed(requestInfo{}, tc.in)
			if err != nil {
				t.Fatal(err)
			}
			last, err := check(stream)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := wholly(requestInfo{}, tc.in)
			if err != nil {
				t.Fatal(err)
			}
			for form, o := range map[string]jsonObject{"streamed": last, "whole": whole} {
				got, _ := json.Marshal(jsonObject{"provider": o["provider"], "service_tier": o["service_tier"], "usage": o["usage"]})
				if string(got) != tc.want {
					t.Errorf("%s: %s, want %s", form, got, tc.want)
				}
			}
		})
	}
}

// completed_at is when the answer was complete, and not when it began.
func TestCompletedAt(t *testing.T) {
	r := newResponse(requestInfo{}, testInfo)
	r.now = func() time.Time { return r.began.Add(90*time.Second + 999*time.Millisecond) }
	w := &whole{newAnswer(r)}
	if _, err := w.Apply(nil, emit(text("a"), finish("stop"))); err != nil {
		t.Fatal(err)
	}
	got, err := w.End(nil)
	if err != nil || !bytes.Contains(got, []byte(`"created_at":1700000000,"completed_at":1700000090,`)) {
		t.Errorf("%v: %s", err, got)
	}
}

// What breaks a stream, and what the client gets then. Nothing is said to be done that
// was not, above all no call.
func TestFailuresOfAStream(t *testing.T) {
	broke := &fault.Error{Kind: fault.Upstream, Code: "upstream_error", Text: "The provider broke."}
	for name, tc := range map[string]struct {
		in   calls
		err  *fault.Error // default: what the last call leads to
		want string       // the two last events
		done int          // items in the last one
	}{
		"in a text": {
			in: calls{emit(text("Hel")), emit(text("lo"))}, err: broke,
			want: `error {"code":"server_error","error":{"code":"server_error","message":"The provider broke.","param":null,"type":"server_error"},"message":"The provider broke.","param":null}
failed {"error":{"code":"server_error","message":"The provider broke."},"status":"failed"}`,
		},
		"in a text, after reasoning": {
			in: calls{emit(thought("Hm")), emit(text("lo"))}, err: broke, done: 1,
			want: `error {"code":"server_error","error":{"code":"server_error","message":"The provider broke.","param":null,"type":"server_error"},"message":"The provider broke.","param":null}
failed {"error":{"code":"server_error","message":"The provider broke."},"status":"failed"}`,
		},
		"after a whole call without a FINISH": {
			in: calls{look(0, `{}`)}, err: broke,
			want: `error {"code":"server_error","error":{"code":"server_error","message":"The provider broke.","param":null,"type":"server_error"},"message":"The provider broke.","param":null}
failed {"error":{"code":"server_error","message":"The provider broke."},"status":"failed"}`,
		},
		"after a whole call with a FINISH that is not final": {
			in: calls{look(0, `{}`), emit(finish("tool_calls")), emit(failure(`{"status":429,"type":"rate_limit_error","message":"Slow down.","retry_after_ms":1500,"param":"x"}`))},
			// The answer was complete, so this error does not count.
			want: `output_item.done {"item":{"arguments":"{}","call_id":"call_a","id":"fc_0","name":"lookup","status":"completed","type":"function_call"},"output_index":0}
completed {"status":"completed"}`,
			done: 1,
		},
		"of a provider that limits its clients": {
			in: calls{emit(text("a")), emit(failure(`{"status":429,"type":"rate_limit_error","message":"Slow down.","retry_after_ms":1500,"param":"x"}`))},
			want: `error {"code":"rate_limit_exceeded","error":{"code":"rate_limit_exceeded","message":"Slow down. Please try again in 1.5s.","param":"x","type":"rate_limit_error"},"message":"Slow down. Please try again in 1.5s.","param":"x"}
failed {"error":{"code":"rate_limit_exceeded","message":"Slow down. Please try again in 1.5s."},"status":"failed"}`,
		},
		"of a text that says what JSON must escape": {
			in: calls{emit(text("a"))}, err: &fault.Error{Kind: fault.Policy, Text: "\"a\"\n\u2028"},
			want: `error {"code":"invalid_prompt","error":{"code":"invalid_prompt","message":"\"a\"\n\u2028","param":null,"type":"invalid_request_error"},"message":"\"a\"\n\u2028","param":null}
failed {"error":{"code":"invalid_prompt","message":"\"a\"\n\u2028"},"status":"failed"}`,
		},
		"of an adapter that goes on after the end": {
			in: calls{emit(text("a"), finish("stop")), emit(usageOf(`{}`)), emit(text("b"))},
			want: `error {"code":"server_error","error":{"code":"server_error","message":"The provider went on after the end of its answer.","param":null,"type":"server_error"},"message":"The provider went on after the end of its answer.","param":null}
failed {"error":{"code":"server_error","message":"The provider went on after the end of its answer."},"status":"failed"}`,
		},
		"of an answer without a FINISH": {
			in: calls{look(0, `{}`), nil},
			want: `error {"code":"server_error","error":{"code":"server_error","message":"The provider ended its answer before it was complete.","param":null,"type":"server_error"},"message":"The provider ended its answer before it was complete.","param":null}
failed {"error":{"code":"server_error","message":"The provider ended its answer before it was complete."},"status":"failed"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(testAsked)
			var err error
			for _, ems := range tc.in {
				if c.buf, err = c.answer.Apply(c.buf, ems); err != nil {
					break
				}
				c.flush()
			}
			switch {
			case tc.err != nil:
				c.fail(tc.err)
			case err != nil:
				c.fail(err)
			default:
				if c.buf, err = c.answer.End(c.buf); err != nil {
					c.fail(err)
				}
				c.flush()
			}
			c.keepAlive() // after the end nothing is sent
			last, err := check(string(c.got))
			if err != nil {
				t.Fatal(err)
			}
			got := lines(t, string(c.got))
			if end := strings.Join(got[len(got)-2:], "\n"); end != tc.want {
				t.Errorf("got\n%s\nwant\n%s", end, tc.want)
			}
			if output := last["output"].([]any); len(output) != tc.done || last["usage"] != nil {
				t.Errorf("%d items, want %d, and usage %v", len(output), tc.done, last["usage"])
			}
		})
	}
}

// An answer that has its FINISH is complete even if the connection breaks then.
func TestABrokenConnectionAfterTheFinish(t *testing.T) {
	c := newClient(testAsked)
	var err error
	for _, ems := range (calls{look(0, `{}`), emit(finish("tool_calls"))}) {
		if c.answer.Complete() {
			t.Error("complete without a FINISH")
		}
		if c.buf, err = c.answer.Apply(c.buf, ems); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(string(c.buf), "output_item.done") {
		t.Errorf("a call is done before the end: %s", c.buf)
	}
	if !c.answer.Complete() {
		t.Error("not complete with a FINISH")
	}
	if c.buf, err = c.answer.End(c.buf); err != nil {
		t.Fatal(err)
	}
	if last, err := check(string(c.buf)); err != nil || last["status"] != statusCompleted {
		t.Errorf("%v, %v", last, err)
	}
}

// Silence is broken by events: first the beginning of the stream, then short ones. They
// have no place between events that wait to be sent.
func TestKeepAlive(t *testing.T) {
	a := requestInfo{tools: testTools, echo: echo{instructions: []byte(`"` + strings.Repeat("x", 5000) + `"`), tools: []byte(`[{"type":"web_search"}]`)}}
	c := newClient(a)
	c.keepAlive()
	if n := strings.Count(string(c.got), "xxx"); n < 2*5000/3-2 {
		t.Errorf("the first events do not repeat what was sent")
	}
	begin := len(c.got)
	c.keepAlive()
	if alive := c.got[begin:]; len(alive) > 1200 || !bytes.Contains(alive, []byte(`"instructions":null`)) || !bytes.Contains(alive, []byte(`"tools":[]`)) {
		t.Errorf("a keep-alive of %d bytes: %.300s", len(alive), alive)
	}
	var err error
	if c.buf, err = c.answer.Apply(c.buf, emit(text("a"))); err != nil {
		t.Fatal(err)
	}
	waiting := len(c.got)
	c.keepAlive()
	if len(c.got) != waiting {
		t.Errorf("a keep-alive before events that wait: %s", c.got[waiting:])
	}
	c.flush()
	c.keepAlive()
	for _, ems := range (calls{emit(text("b")), emit(finish("stop"))}) {
		if c.buf, err = c.answer.Apply(c.buf, ems); err != nil {
			t.Fatal(err)
		}
		c.flush()
		c.keepAlive()
	}
	if c.buf, err = c.answer.End(c.buf); err != nil {
		t.Fatal(err)
	}
	c.flush()
	c.keepAlive()
	last, err := check(string(c.got))
	if err != nil || last["instructions"] == nil {
		t.Fatalf("%v, instructions %v", err, last["instructions"])
	}
	var names []string
	for _, line := range lines(t, string(c.got)) {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, name)
	}
	want := strings.Fields("created in_progress in_progress output_item.added content_part.added output_text.delta in_progress output_text.delta in_progress in_progress output_text.done content_part.done output_item.done completed")
	if !slices.Equal(names, want) {
		t.Errorf("got  %v\nwant %v", names, want)
	}
}

// A finished response is remembered once, as its client got it; nothing else is.
func TestWhatIsRemembered(t *testing.T) {
	in := calls{emit(thought("Hm"), text("a")), look(0, `{}`), look(1, `{"x`), emit(finish("length"), usageOf(`{"prompt_tokens":1}`))}
	type remembered struct {
		id       string
		response []byte
		items    [][]byte
	}
	var kept []remembered
	a := requestInfo{tools: testTools, store: true, keep: func(id string, response []byte, items [][]byte) {
		r := remembered{id: id, response: bytes.Clone(response)}
		for _, it := range items {
			r.items = append(r.items, bytes.Clone(it))
		}
		kept = append(kept, r)
	}}
	checkKept := func(want jsonObject) {
		t.Helper()
		if len(kept) != 1 {
			t.Fatalf("remembered %d times", len(kept))
		}
		var response jsonObject
		if err := decode(kept[0].response, &response); err != nil {
			t.Fatal(err)
		}
		if normal(response) != normal(want) || kept[0].id != want["id"] || want["store"] != true {
			t.Errorf("remembered as %s: %s", kept[0].id, kept[0].response)
		}
		output := response["output"].([]any)
		if len(output) != len(kept[0].items) || len(output) != 3 {
			t.Errorf("%d items of %d", len(kept[0].items), len(output))
		}
		for i, raw := range kept[0].items {
			var it jsonObject
			if err := decode(raw, &it); err != nil || it["id"] != output[i].(jsonObject)["id"] {
				t.Errorf("item %d is %s: %v", i, raw, err)
			}
		}
		kept = nil
	}
	stream, err := streamed(a, in)
	if err != nil {
		t.Fatal(err)
	}
	last, err := check(stream)
	if err != nil {
		t.Fatal(err)
	}
	checkKept(last)
	whole, err := wholly(a, in)
	if err != nil {
		t.Fatal(err)
	}
	checkKept(whole)
	if _, err := streamed(a, in[:2]); err == nil || len(kept) > 0 {
		t.Errorf("a response that failed was remembered: %v, %v", kept, err)
	}
	if _, err := wholly(a, in[:2]); err == nil || len(kept) > 0 {
		t.Errorf("a whole response that failed was remembered: %v, %v", kept, err)
	}
}

// The answer to a compaction is exactly one item, or a failure.
func TestCompaction(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 400<<10)
	for i := range noise {
		noise[i] = byte('0' + random.IntN(70))
	}
	for name, tc := range map[string]struct {
		in   calls
		want string // the events, or the error
	}{
		"a summary": {
			calls{emit(thought("Hm"), redacted), emit(text("All \"of")), emit(raw(text(`\nit`)), logprobs(`[1]`)), stop},
			`created {"status":"in_progress"}
in_progress {"status":"in_progress"}
output_item.added {"item":{"encrypted_content":"All \\\"of\\nit","id":"cmp_0","type":"compaction"},"output_index":0}
output_item.done {"item":{"encrypted_content":"All \\\"of\\nit","id":"cmp_0","type":"compaction"},"output_index":0}
completed {"status":"completed"}`,
		},
		"a summary, and calls and a refusal that are none": {
			calls{emit(text("All")), emit(refusal("no")), look(0, `{}`), emit(text(".")), stop},
			`created {"status":"in_progress"}
in_progress {"status":"in_progress"}
output_item.added {"item":{"encrypted_content":"All.","id":"cmp_0","type":"compaction"},"output_index":0}
output_item.done {"item":{"encrypted_content":"All.","id":"cmp_0","type":"compaction"},"output_index":0}
completed {"status":"completed"}`,
		},
		"a summary that breaks off": {
			calls{emit(text("All")), length},
			`created {"status":"in_progress"}
in_progress {"status":"in_progress"}
output_item.added {"item":{"encrypted_content":"All","id":"cmp_0","type":"compaction"},"output_index":0}
output_item.done {"item":{"encrypted_content":"All","id":"cmp_0","type":"compaction"},"output_index":0}
incomplete {"incomplete_details":{"reason":"max_output_tokens"},"status":"incomplete"}`,
		},
		"no summary":                       {calls{emit(refusal("no")), stop}, "The model wrote no summary of the conversation. The request may be repeated."},
		"a summary of white space":         {calls{emit(text(" \n")), stop}, "The model wrote no summary of the conversation. The request may be repeated."},
		"a summary that can't be carried":  {calls{emit(text(string(noise))), stop}, "The model's summary of the conversation is too long to be carried. The request may be repeated."},
		"a provider that failed before it": {calls{emit(failure(`{"message":"Broken."}`))}, "Broken."},
	} {
		t.Run(name, func(t *testing.T) {
			a := requestInfo{compact: true}
			stream, err := streamed(a, tc.in)
			whole, err2 := wholly(a, tc.in)
			if e, ok := errors.AsType[*fault.Error](err); ok {
				e2, _ := errors.AsType[*fault.Error](err2)
				if e.Text != tc.want || e2 == nil || e2.Text != tc.want {
					t.Errorf("the error is %v, and whole %v", err, err2)
				}
				return
			}
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			last, err := check(stream)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(lines(t, stream), "\n"); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			if normal(last) != normal(whole) {
				t.Errorf("whole it is %v", whole)
			}
			sealed := whole["output"].([]any)[0].(jsonObject)["encrypted_content"].([]any)
			if len(sealed) == 0 || len(whole["output"].([]any)) != 1 {
				t.Errorf("whole it is %v", whole)
			}
		})
	}
}

// What is too much to be carried is left out, and the item stays if it says anything.
func TestWhatIsTooMuchToBeSealed(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 400<<10)
	for i := range noise {
		noise[i] = byte('a' + random.IntN(26))
	}
	long := strings.Repeat("a long thought ", 400<<10/15*8) // that can be compressed
	for name, tc := range map[string]struct {
		in     calls
		output []string // the types of the items
		sealed bool
	}{
		"a redacted part":           {calls{emit(detailed(`{"type":"reasoning.encrypted","data":"` + string(noise) + `"}`)), emit(text("Hi")), stop}, []string{"message"}, false},
		"reasoning with its text":   {calls{emit(thought("Hm"), detailed(`{"type":"reasoning.encrypted","data":"`+string(noise)+`"}`)), emit(text("Hi")), stop}, []string{"reasoning", "message"}, false},
		"a long thought, in pieces": {calls{emit(thought("Hm"), thinking(long[:len(long)/2], "")), emit(thinking(long[len(long)/2:], `,"signature":"S"`)), emit(text("Hi")), stop}, []string{"reasoning", "message"}, true},
		"a thought that is longer":  {calls{emit(thought("Hm"), thinking(long, ""), thinking(long, "")), emit(text("Hi")), stop}, []string{"reasoning", "message"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			stream, err := streamed(requestInfo{}, tc.in)
			if err != nil {
				t.Fatal(err)
			}
			last, err := check(stream)
			if err != nil {
				t.Fatal(err)
			}
			var types []string
			sealed := false
			for _, it := range last["output"].([]any) {
				item := it.(jsonObject)
				types = append(types, item["type"].(string))
				if s, ok := item["encrypted_content"].(string); ok {
					sealed = true
					if c, ours, err := seal.Open(s, new(seal.MaxOpen)); err != nil || !ours || len(c.Details) != 1 || !strings.Contains(string(c.Details[0]), long) {
						t.Errorf("%d details, %v, %v", len(c.Details), ours, err)
					}
				}
			}
			if !slices.Equal(types, tc.output) || sealed != tc.sealed {
				t.Errorf("the items are %v, sealed %v", types, sealed)
			}
		})
	}
}
