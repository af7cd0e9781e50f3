package responses

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/fault"
)

// TestRequest: what the gateway learns of a request.
func TestRequest(t *testing.T) {
	r, err := parsed(Options{}, `{"model":"m","stream":true,"input":"Hi"}`)
	if err != nil {
		t.Fatal(err)
	}
	if r.Model != "m" || !r.Stream || r.Wish != "" || r.Size < int64(len(`{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}`)) {
		t.Errorf("the request is %+v", r)
	}
	if _, err := parsed(Options{}, "\ufeff{\"input\":\"Hi\"}"); err != nil {
		t.Errorf("with a byte order mark: %v", err)
	}
}

// TestNothingOfTheBodyIsKept: the client's body can be released while the answer is made.
func TestNothingOfTheBodyIsKept(t *testing.T) {
	m, _ := newMemory(1 << 20)
	body := []byte(`{"model":"mm","instructions":"i","tools":[{"type":"namespace","name":"nn","tools":[{"type":"custom","name":"ff"}]}],"tool_choice":"auto",
		"input":[{"role":"user","content":"Hi"},{"type":"custom_tool_call","call_id":"c","namespace":"nn","name":"ff","input":"x"},{"type":"custom_tool_call_output","call_id":"c","output":"y"}]}`)
	r, err := translated(Options{Store: m}, "", body)
	if err != nil {
		t.Fatal(err)
	}
	before := string(r.Body.Body("up"))
	for i := range body {
		body[i] = 'x'
	}
	if after := string(r.Body.Body("up")); after != before || r.Model != "mm" {
		t.Errorf("without the client's body the chat completion is %s", after)
	}
	a := r.Whole(testInfo)
	if _, err := a.Apply(nil, emit(toolName(0, "nn__ff"), toolArgs(0, `{"input":"z"}`), finish("tool_calls"))); err != nil {
		t.Fatal(err)
	}
	b, err := a.End(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"instructions":"i"`, `"type":"custom_tool_call"`, `"name":"ff"`, `"namespace":"nn"`, `"input":"z"`, `"tool_choice":"auto"`} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("the answer has no %s: %s", want, b)
		}
	}
	found, err := Find(context.Background(), m, "", "resp_"+testInfo.ID)
	if err != nil || !bytes.Equal(found, b) {
		t.Errorf("what is remembered is %s, %v", found, err)
	}
	if got := chatBody(t, Options{Store: sharing{m}}, `{"previous_response_id":"resp_`+testInfo.ID+`"}`); !strings.Contains(got, `"messages":[{"role":"user","content":"Hi"}`) {
		t.Errorf("what continues it is %s", got)
	}
}

// sharing lets everybody see what belongs to nobody.
type sharing struct{ Store }

func (s sharing) Get(ctx context.Context, _ string, keys []string) ([][]byte, error) {
	return s.Store.Get(ctx, "", keys)
}

// TestLongContent goes by reference, wherever it stood, and its bytes do not change.
func TestLongContent(t *testing.T) {
	image := "data:image/png;base64," + strings.Repeat("iVBORw0KGgoA", 400_000)
	words := strings.Repeat(`A \"line\"\n\u00e9 é `, 1000) + "."
	body := `{"model":"m","instructions":"` + words + `","input":[{"role":"user","content":[{"type":"input_image","image_url":"` + image + `"},{"type":"input_text","text":"` + words + `"}]},` +
		`{"role":"assistant","content":"` + words + `"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},` +
		`{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"` + words + `"},{"type":"input_image","image_url":"` + image + `"}]}]}`
	r, err := parsed(Options{}, body)
	if err != nil {
		t.Fatal(err)
	}
	short, refs := r.Body.Short("m")
	if len(short) > 2000 {
		t.Errorf("the short form has %d bytes", len(short))
	}
	whole, e := refs.Expand(short)
	if e != nil {
		t.Fatal(e)
	}
	want := `{"model":"m","messages":[{"role":"system","content":"` + words + `"},` +
		`{"role":"user","content":[{"type":"image_url","image_url":{"url":"` + image + `"}},{"type":"text","text":"` + words + `"}]},` +
		`{"role":"assistant","content":"` + words + `","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},` +
		`{"role":"tool","tool_call_id":"c","content":"` + words + `"},` +
		`{"role":"user","content":[{"type":"text","text":"[attachments of the result of call c]"},{"type":"image_url","image_url":{"url":"` + image + `"}}]}]}`
	if string(whole) != want {
		t.Errorf("the chat completion differs: %d bytes, want %d", len(whole), len(want))
	}
	if limit := int64(len(want) + len(want)/4 + 100_000); r.Size > limit {
		t.Errorf("the request keeps %d bytes, want at most %d", r.Size, limit)
	}
}

// TestSealedContentIsBounded: what is small when it is sealed can't fill the memory, or
// keep a processor busy with what is then thrown away.
func TestSealedContentIsBounded(t *testing.T) {
	var useless bytes.Buffer
	w, _ := flate.NewWriter(&useless, flate.BestCompression)
	_, _ = w.Write([]byte(`{"x":"` + strings.Repeat("a", seal.MaxOpen-100) + `"}`))
	_ = w.Close()
	for name, bomb := range map[string]string{
		"kept":        seal.Seal(seal.Content{Details: raws(`{"text":"` + strings.Repeat("a", seal.MaxOpen-100) + `"}`)}),
		"thrown away": seal.Prefix + base64.RawURLEncoding.EncodeToString(useless.Bytes()),
	} {
		for _, kind := range []string{"reasoning", "compaction"} {
			item := `{"type":"` + kind + `","summary":[],"encrypted_content":"` + bomb + `"}`
			if _, err := parsed(Options{}, `{"input":[{"role":"assistant","content":"x"},`+item+`]}`); err != nil {
				t.Errorf("%s, %s: one is refused: %v", name, kind, err)
			}
			_, err := parsed(Options{}, `{"input":[`+strings.Repeat(item+",", 100)+item+`]}`)
			if err == nil || !strings.HasSuffix(err.Param, ".encrypted_content") || err.Kind != fault.Invalid {
				t.Errorf("%s, %s: the error of many is %v", name, kind, err)
			}
		}
	}
}

// TestHugeRequests: reading a request takes memory in proportion to it, whatever it is
// made of.
func TestHugeRequests(t *testing.T) {
	repeat := func(one string) string {
		n := 1 << 20 / (len(one) + 1)
		return `{"input":[` + strings.Repeat(one+",", n) + one + `]}`
	}
	for name, body := range map[string]string{
		"messages":     repeat(`{"role":"user","content":""}`),
		"assistants":   repeat(`{"role":"assistant","content":"a"}`),
		"developers":   repeat(`{"role":"developer","content":"a"}`),
		"calls":        repeat(`{"type":"function_call","call_id":"c","name":"f","arguments":""}`),
		"broken calls": repeat(`{"type":"function_call","call_id":"c","name":"f","arguments":"\\"}`),
		"references":   repeat(`{"id":"rs_"}`),
		"reasoning":    repeat(`{"type":"reasoning"}`),
		"traces":       repeat(`{"type":"mcp_list_tools"}`),
		"parts":        strings.Replace(repeat(`{"type":"input_text","text":""}`), `[`, `[{"role":"user","content":[`, 1)[:1<<20] + `"}]}]}`,
		"tools":        strings.Replace(repeat(`{"type":"web_search"}`), "input", "tools", 1),
		"deep tools":   `{"input":"x","tools":[` + strings.Repeat(`{"type":"namespace","name":"n","tools":[`, 200),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := parsed(Options{}, body)
			runtime.ReadMemStats(&after)
			if took, limit := after.TotalAlloc-before.TotalAlloc, uint64(30*len(body)+4<<20); took > limit {
				t.Errorf("reading %d bytes took %d, want at most %d (%v)", len(body), took, limit, err)
			}
			if err == nil && r.Size > int64(5*len(body)) {
				t.Errorf("of %d bytes %d are kept", len(body), r.Size)
			}
		})
	}
}

// FuzzParse: whatever a client sends is refused with a place or becomes a chat completion
// that is valid by itself.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"input":"Hi"}`))
	f.Add([]byte(`{"instructions":"i","input":[{"role":"developer","content":"a"},{"type":"item_reference","id":"msg_1"},{"id":"rs_2"},{"type":"compaction_trigger"}],"previous_response_id":"resp_1"}`))
	f.Add([]byte(`{"tools":[{"type":"custom","name":"x","format":{"definition":"d"}},{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]},"input":[{"type":"shell_call","call_id":"c","action":{"commands":["ls"]}},{"type":"shell_call_output","call_id":"c","output":[{}]},{"type":"apply_patch_call","call_id":"d"},{"type":"tool_search_call","call_id":"e","execution":"client"},{"type":"tool_search_output","call_id":"e","tools":[{"type":"function","name":"g"}]}]}`))
	for _, body := range recordings(f) {
		f.Add([]byte(body))
	}
	m, _ := newMemory(1 << 20)
	put(f, m, "alice", itemKey("msg_1"), `{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"a"}]}`,
		responseKey("resp_1"), `{"previous":"","input":[{"role":"user","content":"b"}],"output":["msg_1"],"response":{}}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := translated(Options{Store: m}, "alice", bytes.Clone(body))
		if err != nil {
			var e *fault.Error
			if !errors.As(err, &e) || r != nil {
				t.Fatalf("the error of %q is %T, and the request %v", body, err, r)
			}
			if e.Kind == fault.Internal || e.Text == "" || e.Param != "" && !strings.HasPrefix(e.Text, e.Param+":") {
				t.Errorf("the error of %q is %+v", body, e)
			}
			return
		}
		checkMarks(t, Options{Store: m}, body)
		completion := r.Body.Body("up")
		var read struct {
			Messages []struct{ Role string }
		}
		if err := json.Unmarshal(completion, &read); err != nil || len(read.Messages) == 0 {
			t.Fatalf("%q becomes %q: %v", body, completion, err)
		}
		if _, err := chat.ParseRequest(bytes.Clone(completion)); err != nil {
			t.Errorf("%q becomes %q, which is refused: %v", body, completion, err)
		}
	})
}

// checkMarks holds what was marked of a chat completion while it was written against what
// is found in it by reading it.
func checkMarks(t testing.TB, o Options, body []byte) {
	t.Helper()
	x := translation{owned: owned{o.Store, "alice"}, room: 1 << 30}
	if err := x.reading.read(bytes.Clone(body)); err != nil {
		return
	}
	x.conversation = conversation{reading: &x.reading, tools: &x.tools, room: 1 << 30}
	if x.fields.check() != nil || x.err != nil || x.readInput() != nil || x.readHistory(t.Context()) != nil {
		return
	}
	items, err := x.resolve(t.Context())
	if err != nil || x.readTools(items) != nil {
		return
	}
	out, err := x.write(items, len(body))
	if err != nil || x.conversation.halves {
		return
	}
	read, readErr := chat.ParseRequest(bytes.Clone(out))
	written, writtenErr := chat.ParseMarked(bytes.Clone(out), &x.conversation.marks)
	if fmt.Sprint(readErr) != fmt.Sprint(writtenErr) {
		t.Fatalf("read, %s gives %v, and by its marks %v", out, readErr, writtenErr)
	}
	if readErr != nil {
		return
	}
	short, refs := read.Short("up")
	marked, markedRefs := written.Short("up")
	expanded, _ := refs.Expand(short)
	markedExpanded, _ := markedRefs.Expand(marked)
	if !bytes.Equal(read.Body("up"), written.Body("up")) || len(short) != len(marked) || !bytes.Equal(expanded, markedExpanded) ||
		read.Model != written.Model || read.Stream != written.Stream || read.Size() != written.Size() ||
		read.Tokens() != written.Tokens() || read.Conversation() != written.Conversation() || read.User() != written.User() ||
		!bytes.Equal(read.Without("reasoning_effort").Body("up"), written.Without("reasoning_effort").Body("up")) ||
		read.Asks([]string{"models", "prompt_cache_options"}, nil) != written.Asks([]string{"models", "prompt_cache_options"}, nil) {
		t.Errorf("read, %s is\n%s\n%s\nand by its marks\n%s\n%s", out, read.Body("up"), short, written.Body("up"), marked)
	}
}

// TestMarks: whatever a chat completion is written of, its marks are where they would be
// found.
func TestMarks(t *testing.T) {
	long := strings.Repeat(`long \"text\" `, 200)
	image := "data:image/jpg;base64," + strings.Repeat("iVBORw0KGgoA", 200)
	for name, body := range map[string]string{
		"long texts":         `{"instructions":"` + long + `","input":[{"role":"user","content":"` + long + `"},{"role":"assistant","content":"` + long + `"},{"role":"developer","content":"` + long + `"},{"type":"agent_message","content":[{"type":"input_text","text":"` + long + `  "}]}]}`,
		"parts":              `{"input":[{"role":"user","content":[{"type":"input_text","text":"` + long + `"},{"type":"input_image","image_url":"` + image + `"},{"type":"input_file","file_data":"` + image + `"},{"type":"input_audio","input_audio":{"format":"wav","data":"` + image + `","x":{"data":1}}},{"type":"input_audio","input_audio":{}}]}]}`,
		"one part":           `{"input":[{"role":"user","content":[{"type":"input_text","text":"` + long + `"}]},{"role":"user","content":[{"type":"input_image","image_url":"` + image + `"}]}]}`,
		"results":            `{"input":[{"type":"function_call","call_id":"c","name":"f","arguments":"` + long + `"},{"type":"function_call_output","call_id":"c","output":"` + long + `"},{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"` + long + `"},{"type":"input_image","image_url":"` + image + `"}]}]}`,
		"ids used again":     `{"input":[{"type":"function_call","call_id":"c","name":"f","arguments":""},{"type":"function_call_output","call_id":"c","output":"1"},{"role":"user","content":"x"},{"type":"function_call","call_id":"c","name":"f","arguments":""},{"type":"function_call","call_id":"","name":"f","arguments":""},{"type":"function_call_output","call_id":"c","output":"2"},{"type":"function_call_output","call_id":"","output":"3"}]}`,
		"shells":             `{"input":[{"type":"shell_call","call_id":"c","action":{}},{"type":"shell_call_output","call_id":"c","output":[{"stdout":"` + long + `"}]},{"type":"apply_patch_call","call_id":"d","operation":{"diff":"` + long + `"}},{"type":"apply_patch_call_output","call_id":"d","status":"failed","output":"` + long + `"}]}`,
		"a search":           `{"input":[{"type":"tool_search_call","call_id":"c","execution":"client","arguments":{}},{"type":"tool_search_output","call_id":"c","tools":[{"type":"function","name":"` + strings.Repeat("f", 2000) + `"}]}]}`,
		"an empty stop":      `{"model":"m","stream":true,"stop":[""],"prompt_cache_options":{"a":[1]},"input":"Hi"}`,
		"a wrong stop":       `{"stop":[1],"input":"Hi"}`,
		"no message":         `{"input":[{"type":"mcp_list_tools"}]}`,
		"tools beside it":    `{"tools":[{"type":"function","name":"f","description":"` + long + `"}],"tool_choice":"auto","text":{"format":{"type":"json_object"}},"temperature":1,"reasoning":{"effort":"low"},"user":"u","input":"` + long + `"}`,
		"a wrong setting":    `{"temperature":7,"input":"Hi"}`,
		"a whole compaction": `{"input":[{"role":"user","content":"` + long + `"},{"type":"compaction_trigger"}]}`,
	} {
		t.Run(name, func(t *testing.T) { checkMarks(t, Options{}, []byte(body)) })
	}
	for _, body := range recordings(t) {
		checkMarks(t, Options{}, []byte(body))
	}
}

// FuzzFault: translating the terms of an error never fails, whatever a provider says.
func FuzzFault(f *testing.F) {
	f.Add("messages[0].content[1]", "messages[0].content[1]: no, nor tools[7].function.name")
	r, err := parsed(Options{}, `{"input":[{"type":"function_call","call_id":"c","name":"f","arguments":""}],"tools":[{"type":"function","name":"f"}]}`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, param, text string) {
		if got := r.Fault(&fault.Error{Param: param, Text: text}); got == nil || (param == "") != (got.Param == "") {
			t.Errorf("%q becomes %+v", param, got)
		}
	})
}

// conversation200KB is what Codex sends in the middle of its work: instructions, tools, and
// a hundred steps.
func conversation200KB(asChat bool) string {
	source := strings.Repeat(`func main() {\n\tfmt.Println(\"hello\")\n}\n`, 35)
	var tools, items []string
	for i := range 20 {
		tool := fmt.Sprintf(`"name":"tool_%d","description":"%s","parameters":{"type":"object","properties":{"cmd":{"type":"string"}}},"strict":false`, i, strings.Repeat("Does this and that. ", 20))
		if asChat {
			tool = `"function":{` + tool + `}`
		}
		tools = append(tools, `{"type":"function",`+tool+`}`)
	}
	instructions := strings.Repeat("You are a coding agent. ", 500)
	if asChat {
		items = append(items, `{"role":"system","content":"`+instructions+`"}`)
	} else {
		items = append(items, `{"type":"message","role":"developer","content":[{"type":"input_text","text":"`+instructions+`"}]}`)
	}
	for i := range 100 {
		if asChat {
			items = append(items,
				fmt.Sprintf(`{"role":"assistant","content":"Let me look.","tool_calls":[{"id":"call_%d","type":"function","function":{"name":"tool_1","arguments":"{\"cmd\":\"cat %d.go\"}"}}]}`, i, i),
				fmt.Sprintf(`{"role":"tool","tool_call_id":"call_%d","content":"%s"}`, i, source))
			continue
		}
		items = append(items,
			fmt.Sprintf(`{"type":"message","id":"msg_%d","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Let me look.","annotations":[]}]}`, i),
			fmt.Sprintf(`{"type":"function_call","id":"fc_%d","status":"completed","call_id":"call_%d","name":"tool_1","arguments":"{\"cmd\":\"cat %d.go\"}"}`, i, i, i),
			fmt.Sprintf(`{"type":"function_call_output","call_id":"call_%d","output":"%s"}`, i, source))
	}
	name := "input"
	if asChat {
		name = "messages"
	}
	return `{"model":"m","stream":true,"tools":[` + strings.Join(tools, ",") + `],"tool_choice":"auto","` + name + `":[` + strings.Join(items, ",") + `]}`
}

// BenchmarkParse compares reading a conversation of 200 KB with reading the same one as a
// chat completion.
func BenchmarkParse(b *testing.B) {
	m, _ := newMemory(64 << 20)
	for _, bm := range []struct {
		name  string
		body  string
		parse dialect.Parse
	}{
		{"chat", conversation200KB(true), chat.Parse},
		{"responses", conversation200KB(false), Parse(Options{})},
		{"responses, remembered", conversation200KB(false), Parse(Options{Store: m})},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.SetBytes(int64(len(bm.body)))
			b.ReportAllocs()
			body := []byte(bm.body)
			for b.Loop() {
				if _, err := bm.parse(context.Background(), body, dialect.Caller{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
