package host_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// natives are the adapters whose upstreams speak an API of clients: the APIs, and what their
// section of the configuration says of them.
var natives = map[string]struct {
	apis    []string
	section string
}{
	"anthropic":  {[]string{"/v1/messages"}, ""},
	"openai":     {[]string{"/v1/responses"}, ", native: true"},
	"ollama":     {[]string{"/v1/messages", "/v1/responses"}, ", options: {messages: true, responses: true}"},
	"openrouter": {[]string{"/v1/messages", "/v1/responses"}, ", options: {messages: true, responses: true}"},
}

// eachNative runs a test for each of them and each of its APIs: more follows in the provider's
// section. The alias is m, of one attempt, and the keys are key-a and key-b.
func eachNative(t *testing.T, more string, test func(t *testing.T, path string, g *gateway, up *mock.Upstream)) {
	t.Helper()
	for _, adapter := range slices.Sorted(maps.Keys(natives)) {
		for _, path := range natives[adapter].apis {
			t.Run(adapter+path, func(t *testing.T) {
				up := mock.Start(t, nil)
				g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}, {name: b, key: key-b}]}
providers: {up: {plugin: %s, base_url: %q, api_key: k%s%s}}
model_mapping: {m: {targets: [{provider: up, model: the-model}], routing: {attempts: 1}}}
`, adapter, up.URL, natives[adapter].section, more))
				test(t, path, g, up)
			})
		}
	}
}

// asksNatively sends a request of an API of clients with more fields.
func (g *gateway) asksNatively(t *testing.T, path, key, more string) (status int, answer string) {
	t.Helper()
	body := fmt.Sprintf(ownAsk, more)
	if path == "/v1/messages" {
		body = fmt.Sprintf(nativeAsk, more)
	}
	return g.send(t, "POST", path, body, "Authorization: Bearer "+key)
}

// recordedStreams returns streams of an API that were recorded, by their files' names.
func recordedStreams(t *testing.T, path string) map[string]string {
	t.Helper()
	streams := map[string]string{}
	pattern := map[string]string{"/v1/messages": "../testdata/transcripts/ollama/native-messages*-stream.txtar", "/v1/responses": "../testdata/recorded/responses/*.sse"}[path]
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) < 2 {
		t.Fatalf("%d streams of %s: %v", len(files), path, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if path == "/v1/messages" {
			tr, err := transcript.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			data = tr.Responses()[0].Body
		}
		streams[filepath.Base(file)] = string(bytes.TrimSpace(data)) + "\n\n"
	}
	return streams
}

// novel are events, blocks and items that no API has, for behind any event but the last.
var novel = map[string]string{
	"/v1/messages": "event: novel_event\ndata: {\"type\":\"novel_event\", \"n\":1.50,\"u\":\"\\u00e9\\/\\ud83d\" ,\"model\":\"kept\"}\n\n" +
		"event: mcp_status\ndata: {\"type\":\"mcp_status\",\"error\":{\"type\":\"down\",\"message\":\"no\"},\"a\":{\"model\":\"%s\"}}\n\n" +
		"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":90,\"content_block\":{\"type\":\"novel_block\",\"data\":{\"x\":null}}}\n\n" +
		"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":90,\"delta\":{\"type\":\"novel_delta\",\"x\":[1e2]},\"model\":\"%[1]s\"}\n\n" +
		"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":90}\n\n" +
		"event: novel_list\ndata: [1,  2]\n\nevent: novel_text\ndata: \"x\"\n\n",
	"/v1/responses": "event: response.novel\ndata: {\"type\":\"response.novel\", \"n\":1.50,\"u\":\"\\u00e9\\/\\ud83d\" ,\"model\":\"kept\"}\n\n" +
		"event: response.mcp_list_tools.failed\ndata: {\"type\":\"response.mcp_list_tools.failed\",\"error\":{\"code\":1},\"a\":{\"model\":\"%s\"}}\n\n" +
		"event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":90,\"item\":{\"id\":\"n_1\",\"type\":\"novel_item\",\"data\":{\"x\":null}}}\n\n" +
		"event: response.novel.delta\ndata: {\"type\":\"response.novel.delta\",\"delta\":{\"x\":[1e2]},\"model\":\"%[1]s\"}\n\n" +
		"event: response.list\ndata: [1,  2]\n\nevent: response.text\ndata: \"x\"\n\n",
}

// itsModel finds the model in a recorded stream.
var itsModel = regexp.MustCompile(`"model": ?"([^"]+)"`)

// TestRecordedStreamsPassAsTheyCame: into each stream that was recorded, what nobody knows yet is
// woven, events, blocks and fields. All of it arrives as it is, but for the name of the model.
func TestRecordedStreamsPassAsTheyCame(t *testing.T) {
	eachNative(t, "", func(t *testing.T, path string, g *gateway, up *mock.Upstream) {
		for file, stream := range recordedStreams(t, path) {
			model := itsModel.FindStringSubmatch(stream)[1]
			events := strings.SplitAfter(strings.TrimSuffix(stream, "\n\n"), "\n\n")
			var woven strings.Builder
			for n, event := range events {
				event = strings.TrimSpace(event)
				woven.WriteString(strings.TrimSuffix(event, "}") + `,"novel":{"deep":[1e2, "\/"]}}` + "\n\n")
				if n < len(events)-1 {
					fmt.Fprintf(&woven, novel[path], model)
				}
			}
			want := woven.String()
			for _, name := range []string{`"model": "`, `"model":"`} {
				want = strings.ReplaceAll(want, name+model+`"`, name+`m"`)
			}
			up.Answer(mock.SSE(woven.String()))
			if status, answer := g.asksNatively(t, path, "key-a", `,"stream":true`); status != 200 || answer != want {
				t.Errorf("%s: %d, after what is the same:\n%s\nwant\n%s", file, status, behindSame(answer, want), behindSame(want, answer))
			}
		}
	})
}

// TestEventsArriveAsTheyCame: an event without a name gets none but in Messages, and its lines id and retry arrive
// with it, whether several events come in one read or each in its own.
func TestEventsArriveAsTheyCame(t *testing.T) {
	eachNative(t, "", func(t *testing.T, path string, g *gateway, up *mock.Upstream) {
		streams := recordedStreams(t, path)
		withoutName := func(named, nameless string) string {
			if path == "/v1/messages" {
				return named // clients know it by its name alone
			}
			return nameless
		}
		for _, file := range slices.Sorted(maps.Keys(streams))[:1] {
			stream := streams[file]
			model := itsModel.FindStringSubmatch(stream)[1]
			var sent []string
			want := ""
			for n, event := range strings.SplitAfter(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
				event = strings.TrimSpace(event) + "\n\n"
				_, nameless, _ := strings.Cut(event, "\n")
				comes := event
				switch n % 8 {
				case 1, 2, 6:
					event, comes = nameless, withoutName(event, nameless)
				case 3:
					event, comes = "id: "+fmt.Sprint(n)+"\n"+event, "id: "+fmt.Sprint(n)+"\n"+event
				case 4:
					event, comes = ": a comment\nretry: 2500\nid:\n\nevent: empty\n\n"+nameless, "retry: 2500\nid:\n"+withoutName(event, nameless)
				case 5:
					event = "id: \x1b[2J\nretry: soon\nother: 1\n" + event
				}
				sent = append(sent, event)
				want += comes
			}
			for _, name := range []string{`"model": "`, `"model":"`} {
				want = strings.ReplaceAll(want, name+model+`"`, name+`m"`)
			}
			for how, answer := range map[string]mock.Answer{"at once": mock.SSE(strings.Join(sent, "")), "one by one": mock.SSE(sent...)} {
				up.Answer(answer)
				if status, answer := g.asksNatively(t, path, "key-a", `,"stream":true`); status != 200 || answer != want {
					t.Errorf("%s: %d, after what is the same:\n%s\nwant\n%s", how, status, behindSame(answer, want), behindSame(want, answer))
				}
			}
		}
	})
}

// behindSame returns what a has behind the beginning that it shares with b, and a little of that.
func behindSame(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[max(0, n-200):min(len(a), n+300)]
}

// TestTwoCallersAtEveryProvider: whoever keeps it, what one caller's answer told is nothing to
// another caller of the same key.
func TestTwoCallersAtEveryProvider(t *testing.T) {
	eachNative(t, "", func(t *testing.T, path string, g *gateway, up *mock.Upstream) {
		whole := strings.Replace(fmt.Sprintf(nativeWhole, `,"container":{"id":"kept_1"}`), `"content":[`, `"content":[`+madeBlocks[0]+`,`, 1)
		named := []string{`,"container":"kept_1"`, `,"novel":{"file_id":"file_1"}`}
		if path == "/v1/responses" {
			whole = fmt.Sprintf(ownObject, "1", "completed", `{"id":"ci_1","type":"code_interpreter_call","container_id":"kept_1","outputs":[{"file_id":"file_1"}]},`+fmt.Sprintf(ownMessage, "1"), ownUsage)
			named = []string{`,"tools":[{"type":"code_interpreter","container":"kept_1"}]`, `,"tools":[{"type":"novel","mask":{"file_id":"file_1"}}]`}
		}
		up.Answer(mock.JSON(whole))
		for _, more := range named {
			if status, answer := g.asksNatively(t, path, "key-a", more); status != 404 || len(up.Requests()) > 0 {
				t.Errorf("before it was made, %s: %d %s", more, status, answer)
			}
		}
		if status, answer := g.asksNatively(t, path, "key-a", ""); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
		for _, more := range named {
			if status, answer := g.asksNatively(t, path, "key-a", more); status != 200 || !strings.Contains(up.Last().Body, more) {
				t.Errorf("its owner, %s: %d %s", more, status, answer)
			}
			up.Forget()
			if status, answer := g.asksNatively(t, path, "key-b", more); status != 404 || len(up.Requests()) > 0 {
				t.Errorf("another caller, %s: %d %s", more, status, answer)
			}
		}
	})
}

// TestWhoAsksIsTheGatewaysMatter: what says who asks, and in which session, reaches no provider,
// and who the user is only Anthropic, in its own way.
func TestWhoAsksIsTheGatewaysMatter(t *testing.T) {
	eachNative(t, "", func(t *testing.T, path string, g *gateway, up *mock.Upstream) {
		up.Answer(mock.JSON(ownWhole("1")))
		more := `,"session_id":"canary","agent_id":"canary","user_profile_id":"canary","client_metadata":{"a":["canary"]},"safeguards":["canary"]`
		body := `{"model":"m","input":[{"role":"user","internal_chat_message_metadata_passthrough":{"turn":{"id":"canary"}},"content":"hi"}]` + more + `}`
		if path == "/v1/messages" {
			up.Answer(mock.JSON(fmt.Sprintf(nativeWhole, "")))
			if !strings.Contains(t.Name(), "anthropic") {
				more += `,"user":"canary","metadata":{"user_id":"canary"}`
			}
			body = fmt.Sprintf(nativeAsk, more)
		}
		status, answer := g.send(t, "POST", path, body, "Authorization: Bearer key-a", "X-Claude-Code-Session-Id: canary", "Session-Id: canary")
		if status != 200 || strings.Contains(up.Last().Body+fmt.Sprint(up.Last().Header)+g.log.String(), "canary") || !strings.Contains(up.Last().Body, "hi") {
			t.Errorf("%d %s: the provider got %v %s", status, answer, up.Last().Header, up.Last())
		}
	})
}
