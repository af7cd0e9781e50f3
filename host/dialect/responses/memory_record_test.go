package responses

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"

	"github.com/kai-gateway/kai/sdk/abi"
)

// answered sends a request and answers it with a text, and returns the chat completion,
// the id of the response, and that of its message.
func answered(t *testing.T, o Options, principal, id, body, answer string) (chat string) {
	t.Helper()
	r, err := translated(o, principal, []byte(body))
	if err != nil {
		t.Fatalf("%s is refused: %v", body, err)
	}
	a := r.Whole(dialect.Info{ID: id, Created: 1, Model: "m", Memory: &memory.Grant{}})
	for _, ems := range [][]abi.Emission{emit(thought("hm")), emit(text(answer)), emit(finish("stop"))} {
		if _, err := a.Apply(nil, ems); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.End(nil); err != nil {
		t.Fatal(err)
	}
	return string(r.Body.Body(r.Model))
}

// lastMessages cuts what is before the messages.
func lastMessages(body string) string { return body[strings.Index(body, `"messages":`):] }

// TestPreviousResponse: a request goes on where a response ended.
func TestPreviousResponse(t *testing.T) {
	m, _ := newMemory(1 << 20)
	o := Options{Store: m}
	long := strings.Repeat("a long text. ", 100)
	answered(t, o, "alice", "1", `{"instructions":"be brief","input":"`+long+`"}`, "one")
	answered(t, o, "alice", "2", `{"previous_response_id":"resp_1","input":[{"role":"user","content":"and?"}]}`, "two")
	got := answered(t, o, "alice", "3", `{"previous_response_id":"resp_2","instructions":"be long","input":"more"}`, "three")
	want := `"messages":[{"role":"system","content":"be long"},{"role":"user","content":"` + long + `"},` +
		`{"role":"assistant","content":"one","reasoning_content":"hm","reasoning":"hm"},{"role":"user","content":"and?"},` +
		`{"role":"assistant","content":"two","reasoning_content":"hm","reasoning":"hm"},{"role":"user","content":"more"}]}`
	if lastMessages(got) != want {
		t.Errorf("the messages are\n%s\nwant\n%s", lastMessages(got), want)
	}
	if got := answered(t, o, "alice", "4", `{"previous_response_id":"resp_1"}`, "x"); !strings.HasSuffix(got, `"content":"one","reasoning_content":"hm","reasoning":"hm"}]}`) {
		t.Errorf("without input the messages are %s", got)
	}
}

// TestWhatIsNotRemembered is refused in a way that clients with a fallback know.
func TestWhatIsNotRemembered(t *testing.T) {
	m, c := newMemory(1 << 20)
	o := Options{Store: m}
	answered(t, o, "alice", "1", `{"input":"Hi"}`, "one")
	answered(t, o, "alice", "2", `{"input":"Hi","store":false}`, "two")
	answered(t, o, "bob", "3", `{"input":"Hi"}`, "three")
	answered(t, o, "alice", "4", `{"previous_response_id":"resp_1","input":"and?"}`, "four")
	for name, id := range map[string]string{
		"made up": "resp_9", "with store false": "resp_2", "another key's": "resp_3", "very long": strings.Repeat("x", 1000), "an item": "msg_1_1",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parsed(o, `{"input":"Hi","previous_response_id":"`+id+`"}`)
			if err == nil || err.HTTPStatus() != 400 || err.Code != "previous_response_not_found" || err.Param != "previous_response_id" {
				t.Errorf("the error is %+v", err)
			}
			if _, e := Find(context.Background(), m, "alice", id); fault.KindOf(e) != fault.NotFound {
				t.Errorf("GET gives %v", e)
			}
			if _, e := Delete(context.Background(), m, "alice", id); fault.KindOf(e) != fault.NotFound {
				t.Errorf("DELETE gives %v", e)
			}
		})
	}
	if err := m.Delete(context.Background(), "alice", []string{responseKey("resp_1")}); err != nil {
		t.Fatal(err)
	}
	if _, err := parsed(o, `{"input":"Hi","previous_response_id":"resp_4"}`); err == nil || err.Code != "previous_response_not_found" {
		t.Errorf("with its beginning forgotten, the error is %v", err)
	}
	c.pass(2 * time.Hour)
	if _, err := parsed(o, `{"input":"Hi","previous_response_id":"resp_4"}`); err == nil || err.Code != "previous_response_not_found" {
		t.Errorf("after its time, the error is %v", err)
	}
}

// TestFindAndDelete: a response is shown as its client got it, and forgotten with all that
// belongs to it.
func TestFindAndDelete(t *testing.T) {
	m, _ := newMemory(1 << 20)
	o := Options{Store: m}
	answered(t, o, "alice", "1", `{"input":"`+strings.Repeat("Hi ", 200)+`","metadata":{"a":"b"}}`, "one")
	answered(t, o, "alice", "2", `{"previous_response_id":"resp_1","input":"and?"}`, "two")
	b, err := Find(context.Background(), m, "alice", "resp_1")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"id":"resp_1"`, `"metadata":{"a":"b"}`, `"store":true`, `"text":"one"`, `"status":"completed"`} {
		if !strings.Contains(string(b), part) {
			t.Errorf("the response has no %s: %s", part, b)
		}
	}
	b, err = Delete(context.Background(), m, "alice", "resp_1")
	if err != nil || string(b) != `{"id":"resp_1","object":"response","deleted":true}` {
		t.Errorf("DELETE gives %s, %v", b, err)
	}
	if _, err := Delete(context.Background(), m, "alice", "resp_1"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("DELETE again gives %v", err)
	}
	if _, err := parsed(o, `{"input":"Hi","previous_response_id":"resp_2"}`); err == nil || err.Code != "previous_response_not_found" {
		t.Errorf("what continues it gives %v", err)
	}
	if _, err := Delete(context.Background(), m, "alice", "resp_2"); err != nil {
		t.Error(err)
	}
	if m.Used() != 0 {
		t.Errorf("%d bytes are left of what was deleted", m.Used())
	}
	for _, err := range []error{second(Find(context.Background(), nil, "alice", "resp_1")), second(Delete(context.Background(), nil, "alice", "resp_1"))} {
		if fault.KindOf(err) != fault.NotFound {
			t.Errorf("without memory the error is %v", err)
		}
	}
}

func second(_ []byte, err error) error { return err }

// TestReferences: items that were remembered stand in the place of references, as the AI
// SDK sends them in its default mode.
func TestReferences(t *testing.T) {
	m, c := newMemory(1 << 20)
	o := Options{Store: m}
	answered(t, o, "alice", "1", `{"input":"Hi"}`, "one")
	const request = `{"input":[{"role":"user","content":"Hi"},{"type":"item_reference","id":"rs_1_0"},{"type":"item_reference","id":"msg_1_1"},{"role":"user","content":"and?"}]}`
	got := answered(t, o, "alice", "2", request, "two")
	want := `"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"one","reasoning_content":"hm","reasoning":"hm"},{"role":"user","content":"and?"}]}`
	if lastMessages(got) != want {
		t.Errorf("the messages are\n%s\nwant\n%s", lastMessages(got), want)
	}
	got = answered(t, o, "alice", "3", `{"previous_response_id":"resp_2","input":"more"}`, "three")
	if !strings.Contains(got, `"content":"one","reasoning_content":"hm","reasoning":"hm"},{"role":"user","content":"and?"},{"role":"assistant","content":"two"`) {
		t.Errorf("after references the messages are %s", got)
	}
	got = chatBody(t, o, strings.Replace(request, "rs_1_0", "rs_other", 1))
	if !strings.Contains(got, `"Hi"},{"role":"assistant","content":"one"},{"role":"user","content":"and?"}`) {
		t.Errorf("without the reasoning the messages are %s", got)
	}
	refused := func(o Options, request, principal string) {
		t.Helper()
		_, err := translated(o, principal, []byte(request))
		var e *fault.Error
		if !errors.As(err, &e) || e.HTTPStatus() != 404 || e.Param != "input[2].id" || e.Type != "invalid_request_error" ||
			e.Text != "input[2].id: Item with id 'msg_1_1' not found. Kai keeps items only for a while; with store set to false the client sends them whole." {
			t.Errorf("for %s the error is %+v", principal, err)
		}
	}
	refused(o, request, "bob")
	refused(o, request, "")
	c.pass(2 * time.Hour)
	refused(o, request, "alice")
	answered(t, o, "alice", "1", `{"input":"Hi","store":false}`, "one")
	refused(o, request, "alice")
}

// TestForgottenReference: what a response refers to belongs to it.
func TestForgottenReference(t *testing.T) {
	m, _ := newMemory(1 << 20)
	o := Options{Store: m}
	answered(t, o, "alice", "1", `{"input":"Hi"}`, "one")
	answered(t, o, "alice", "2", `{"input":[{"type":"item_reference","id":"msg_1_1"},{"role":"user","content":"and?"}]}`, "two")
	if err := m.Delete(context.Background(), "alice", []string{itemKey("msg_1_1")}); err != nil {
		t.Fatal(err)
	}
	if _, err := parsed(o, `{"input":"Hi","previous_response_id":"resp_2"}`); err == nil || err.Code != "previous_response_not_found" {
		t.Errorf("the error is %v", err)
	}
}

// TestConversationIsBounded: little can't be made much.
func TestConversationIsBounded(t *testing.T) {
	m, _ := newMemory(1 << 20)
	o := Options{Store: m, MaxBody: 10_000}
	answered(t, o, "alice", "1", `{"input":"`+strings.Repeat("x", 6000)+`"}`, "one")
	answered(t, o, "alice", "2", `{"input":"`+strings.Repeat("x", 6000)+`","previous_response_id":"resp_1"}`, "two")
	answered(t, o, "alice", "3", `{"input":"Hi"}`, strings.Repeat("y", 6000))
	for _, request := range []string{
		`{"input":"Hi","previous_response_id":"resp_2"}`,
		`{"input":[{"type":"item_reference","id":"msg_3_1"},{"type":"item_reference","id":"msg_3_1"}]}`,
	} {
		if _, err := parsed(o, request); err == nil || err.HTTPStatus() != 413 || err.Param == "" {
			t.Errorf("the error of %s is %v", request, err)
		}
	}
}

// TestInputIsRememberedOnce: clients that send the whole conversation with each request
// need not push everything else out of the memory.
func TestInputIsRememberedOnce(t *testing.T) {
	m, _ := newMemory(1 << 20)
	o := Options{Store: m}
	conversation := `{"role":"user","content":"` + strings.Repeat("x", 100_000) + `"}`
	for i := range 20 {
		answered(t, o, "alice", strings.Repeat("i", i+1), `{"input":[`+conversation+`]}`, "one")
		conversation += `,{"role":"assistant","content":"one"},{"role":"user","content":"and?"}`
	}
	if used := m.Used(); used > 250_000 {
		t.Errorf("20 requests with the same 100 KB take %d bytes", used)
	}
}

// failing is a store that can't be reached.
type failing struct{ Store }

func (failing) Get(context.Context, string, []string) ([][]byte, error) {
	return nil, errors.New("connection refused")
}

func (failing) Digest([]byte) string { return "0" }

func (failing) Put(context.Context, string, []Entry) error { return errors.New("connection refused") }

// TestFailingStore: nothing that is remembered is needed for most requests.
func TestFailingStore(t *testing.T) {
	o := Options{Store: failing{}}
	answered(t, o, "alice", "1", `{"input":"Hi"}`, "one")
	answered(t, o, "alice", "1", `{"input":"`+strings.Repeat("x", 1000)+`"}`, "one")
	for _, request := range []string{`{"input":[{"id":"msg_1"}]}`, `{"previous_response_id":"resp_1"}`} {
		_, err := parsed(o, request)
		if err == nil || err.Kind != fault.Full || strings.Contains(err.Text, "refused") {
			t.Errorf("the error of %s is %v", request, err)
		}
	}
	if _, err := Find(context.Background(), failing{}, "", "resp_1"); fault.KindOf(err) != fault.Full {
		t.Errorf("GET gives %v", err)
	}
}

// TestCompactionEndsTheChain: what was before a summary is not needed any more.
func TestCompactionEndsTheChain(t *testing.T) {
	m, _ := newMemory(1 << 20)
	o := Options{Store: m}
	answered(t, o, "alice", "1", `{"input":"Hi"}`, "one")
	got := answered(t, o, "alice", "2", `{"previous_response_id":"resp_1","tools":[{"type":"function","name":"f"}],"tool_choice":"auto","text":{"format":{"type":"json_object"}},"input":[{"type":"compaction_trigger"}]}`, "We greeted each other.")
	if strings.Contains(got, `"tools":`) || strings.Contains(got, `"tool_choice":`) || strings.Contains(got, `"response_format":`) || !strings.HasSuffix(got, compactionPrompt+`"}]}`) {
		t.Errorf("the request for a summary is %s", got)
	}
	got = answered(t, o, "alice", "3", `{"previous_response_id":"resp_2","input":"go on"}`, "three")
	if want := `"messages":[{"role":"user","content":"Summary of the conversation so far:\nWe greeted each other."},{"role":"user","content":"go on"}]}`; lastMessages(got) != want {
		t.Errorf("the messages are\n%s\nwant\n%s", lastMessages(got), want)
	}
}
