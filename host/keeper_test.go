package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// soundChat is an answer whose sound can be referred to, and a file that is cited in it.
const soundChat = `{"choices":[{"index":0,"message":{"role":"assistant","content":null,"audio":{"id":"audio_1","data":"AAAA","expires_at":1,"transcript":"Hi"},` +
	`"annotations":[{"type":"file_citation","file_id":"file-1"}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1}}`

var soundStream = []string{
	"data: " + `{"choices":[{"index":0,"delta":{"role":"assistant","audio":{"id":"audio_1","transcript":"Hi"}}}]}` + "\n\n",
	"data: " + `{"choices":[{"index":0,"delta":{"content":"Hi","annotations":[{"type":"file_citation","file_id":"file-1"}]}}]}` + "\n\n",
	"data: " + chatFinish + "\n\ndata: [DONE]\n\n",
}

// naming are fields of a chat completion that name something which providers keep, behind one
// with messages; in %s is the id.
var naming = map[string]string{
	"a file":                          `,"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"%s"}}]}]`,
	"a file, as others write it":      `,"messages":[{"role":"user","content":[{"type":"file","file_id":"%s"}]}]`,
	"an image":                        `,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"file_id":"%s"}}]}]`,
	"an image of another type":        `,"messages":[{"role":"user","content":[{"type":"image_file","image_file":{"file_id":"%s"}}]}]`,
	"files beside a message":          `,"messages":[{"role":"user","content":"a","attachments":[{"file_id":"%s"}]}]`,
	"a file with escapes in its name": `,"messages":[{"role":"user","content":[{"type":"file","file":{"fi\u006ce_id":"%s"}}]}]`,
	"the sound of an answer":          `,"messages":[{"role":"user","content":"a"},{"role":"assistant","audio":{"id":"%s"}},{"role":"user","content":"b"}]`,
	"a prediction":                    `,"messages":[{"role":"user","content":"a"}],"prediction":{"type":"content","content":[{"type":"text","text":"a","file_id":"%s"}]}`,
	"a container":                     `,"messages":[{"role":"user","content":"a"}],"container":"%s"`,
	"a container of a tool's":         `,"messages":[{"role":"user","content":"a"}],"tools":[{"type":"code_interpreter","container":{"id":"%s"}}]`,
	"a vector store":                  `,"messages":[{"role":"user","content":"a"}],"tools":[{"type":"file_search","vector_store_ids":["%s"]}]`,
	"a conversation":                  `,"messages":[{"role":"user","content":"a"}],"conversation":{"id":"%s"}`,
	"a response":                      `,"messages":[{"role":"user","content":"a"}],"previous_response_id":"%s"`,
	"something that Kai doesn't know": `,"messages":[{"role":"user","content":"a"}],"novel":[{"deep":{"file_ids":["x","%[1]s"],"file_id":"%[1]s"}}]`,
}

// TestChatsNameWhatIsTheCallers: of two callers of one upstream key, each may name what the
// answers to it have told, and what the other was told doesn't exist.
func TestChatsNameWhatIsTheCallers(t *testing.T) {
	for form, answer := range map[string]mock.Answer{"whole": mock.JSON(soundChat), "streamed": mock.SSE(strings.Join(soundStream, ""))} {
		t.Run(form, func(t *testing.T) {
			up := mock.Start(t, answer)
			g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}, {name: b, key: key-b}]}
providers: {up: {plugin: openai, base_url: %q, api_key: k}}
model_mapping: {m: {provider: up, model: x}}
`, up.URL))
			send := func(key, more string) (int, string) {
				up.Forget()
				return g.send(t, "POST", "/v1/chat/completions", `{"model":"m"`+more+fmt.Sprintf(`,"stream":%v}`, form == "streamed"), "Authorization: Bearer "+key)
			}
			named := func(what, id string) string { return fmt.Sprintf(strings.ReplaceAll(naming[what], `"x",`, ""), id) }
			for what := range naming {
				if status, answer := send("key-a", named(what, "file-1")); status != 404 || len(up.Requests()) > 0 || strings.Contains(answer, "file-1") {
					t.Errorf("%s, before it was made: %d %s", what, status, answer)
				}
			}
			if status, answer := send("key-a", `,"messages":[{"role":"user","content":"a"}]`); status != 200 {
				t.Fatalf("%d %s", status, answer)
			}
			_, missing := send("key-a", named("a file", "nothing"))
			for what := range naming {
				id := map[bool]string{true: "audio_1", false: "file-1"}[what == "the sound of an answer"]
				if status, answer := send("key-a", named(what, id)); status != 200 || !strings.Contains(up.Last().Body, id) {
					t.Errorf("%s of its own: %d %s", what, status, answer)
				}
				if status, answer := send("key-b", named(what, id)); status != 404 || answer != missing || len(up.Requests()) > 0 {
					t.Errorf("%s of another caller: %d %s", what, status, answer)
				}
			}
		})
	}
}

// TestWhatIsNoID: a caller's own texts, schemas and arguments may say anything.
func TestWhatIsNoID(t *testing.T) {
	up := mock.Start(t, mock.JSON(wholeChat))
	g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}]}
providers: {up: {plugin: openai, base_url: %q, api_key: k}}
model_mapping: {m: {provider: up, model: x}}
`, up.URL))
	for _, more := range []string{
		`"messages":[{"role":"user","content":"file_id"}],"metadata":{"file_id":"x"}`,
		`"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"file_id":"x","container":"y"}}}]`,
		`"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"file_id":"x"}}}`,
		`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","audio":null,"reasoning_details":[{"file_id":"x"}]},{"role":"user","content":"c"}]`,
		`"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://example.com/files/1.png"}}]}]`,
		`"messages":[{"role":"user","content":"a"}],"file_id":null,"container":{"type":"auto"}`,
	} {
		if status, answer := g.send(t, "POST", "/v1/chat/completions", `{"model":"m",`+more+`}`, "Authorization: Bearer key-a"); status != 200 {
			t.Errorf("%s: %d %s", more, status, answer)
		}
	}
}

// TestLinksToFilesOfAProvider are ids, too, in every API whose requests go there.
func TestLinksToFilesOfAProvider(t *testing.T) {
	up := mock.Start(t, mock.Status(500))
	g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}]}
providers: {up: {plugin: gemini, base_url: %q, api_key: k}}
model_mapping: {m: {provider: up, model: gemini-x}}
`, up.URL))
	for _, link := range []string{
		"ms://abc", `ms:\/\/abc`, "https://generativelanguage.googleapis.com/v1beta/files/abc", "HTTPS://GenerativeLanguage.googleapis.com/v1/files/abc",
	} {
		for part, send := range map[string]struct{ path, body string }{
			`{"type":"image_url","image_url":{"url":"%s"}}`:            {"/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":[%s]}]}`},
			`{"type":"image_url","image_url":"%s"}`:                    {"/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":[%s]}]}`},
			`{"type":"file","file":{"file_data":"%s"}}`:                {"/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":[%s]}]}`},
			`{"type":"image","source":{"type":"url","url":"%s"}}`:      {"/v1/messages", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[%s]}]}`},
			`{"type":"document","source":{"type":"url","url":"%s"}}`:   {"/v1/messages", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[%s]}]}`},
			`{"type":"input_image","image_url":"%s"}`:                  {"/v1/responses", `{"model":"m","input":[{"role":"user","content":[%s]}]}`},
			`{"type":"input_file","filename":"a.pdf","file_url":"%s"}`: {"/v1/responses", `{"model":"m","input":[{"role":"user","content":[%s]}]}`},
		} {
			body := fmt.Sprintf(send.body, fmt.Sprintf(part, link))
			if status, answer := g.send(t, "POST", send.path, body, "Authorization: Bearer key-a"); status != 404 || len(up.Requests()) > 0 {
				t.Errorf("%s: %d %s", body, status, answer)
			}
		}
	}
}

// TestDocumentsToRankAreTheClients, with whatever fields its own programs need.
func TestDocumentsToRankAreTheClients(t *testing.T) {
	up := mock.Start(t, mock.JSON(`{"results":[{"index":0,"relevance_score":1}]}`))
	g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}]}
providers: {up: {plugin: openai, base_url: %q, api_key: k}}
model_mapping: {m: {provider: up, model: x}}
`, up.URL))
	const body = `{"model":"m","query":{"text":"q","file_id":"x"},"documents":[{"text":"a","file_id":"x","metadata":{"container":"y"}}]}`
	if status, answer := g.send(t, "POST", "/v1/rerank", body, "Authorization: Bearer key-a"); status != 200 || !strings.Contains(up.Last().Body, `"file_id":"x"`) {
		t.Errorf("%d %s", status, answer)
	}
}

// TestWhatIsKeptApart is all the caller's, and still no target has all of it: the refusal says so.
func TestWhatIsKeptApart(t *testing.T) {
	first, second := mock.Start(t, mock.JSON(soundChat)), mock.Start(t, mock.JSON(strings.ReplaceAll(soundChat, "file-1", "file-2")))
	g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}, {name: b, key: key-b}]}
providers: {first: {plugin: openai, base_url: %q, api_key: k}, second: {plugin: openai, base_url: %q, api_key: k}}
model_mapping: {m: {targets: [{provider: first, model: x}, {provider: second, model: y, tier: 2}]}}
`, first.URL, second.URL))
	send := func(key string, files ...string) (int, string) {
		parts := `{"type":"text","text":"a"}`
		for _, file := range files {
			parts += fmt.Sprintf(`,{"type":"file","file":{"file_id":%q}}`, file)
		}
		return g.send(t, "POST", "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":[`+parts+`]}]}`, "Authorization: Bearer "+key)
	}
	for _, answer := range []mock.Answer{mock.JSON(soundChat), fails(500, "")} {
		first.Answer(answer)
		if status, answer := send("key-a"); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
	}
	first.Forget()
	second.Forget()
	if status, answer := send("key-a", "file-1", "file-2"); status != 400 || !strings.Contains(answer, "different providers") || len(first.Requests())+len(second.Requests()) > 0 {
		t.Errorf("files of both: %d %s", status, answer)
	}
	for key, files := range map[string][]string{"key-a": {"file-1", "file-2", "file-3"}, "key-b": {"file-1", "file-2"}} {
		if status, answer := send(key, files...); status != 404 || !strings.Contains(answer, "does not exist") {
			t.Errorf("%s with files that are not all its own: %d %s", key, status, answer)
		}
	}
}

// TestNoOtherAPINamesWhatIsKept: what is passed on has no fields for ids, but what it has for the
// provider to read may not smuggle any in.
func TestNoOtherAPINamesWhatIsKept(t *testing.T) {
	up := mock.Start(t, mock.Status(500))
	g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}]}
providers: {up: {plugin: openai, base_url: %q, api_key: k}}
model_mapping: {m: {provider: up, model: x}}
`, up.URL))
	for path, fields := range map[string][]string{
		"/v1/completions":        {`"prompt":"a","file_id":"x"`, `"prompt":"a","novel":{"container":{"id":"x"}}`},
		"/v1/fim/completions":    {`"prompt":"a","novel":{"file_ids":["x"]}`},
		"/v1/embeddings":         {`"input":"a","novel":{"file_id":"x"}`, `"input":[{"image":{"file_id":"x"}}]`},
		"/v1/moderations":        {`"input":"a","file_id":"x"`, `"input":[{"type":"image_url","image_url":{"file_id":"x"}}]`},
		"/v1/rerank":             {`"query":"q","documents":["a"],"novel":{"file_id":"x"}`, `"query":"q","documents":["a"],"File_ID":"x"`},
		"/v1/images/generations": {`"prompt":"a","images":[{"file_id":"x"}]`},
		"/v1/audio/speech":       {`"input":"a","voice":"alloy","novel":{"file_id":"x"}`},
	} {
		for _, more := range fields {
			up.Forget()
			if status, answer := g.send(t, "POST", path, `{"model":"m",`+more+`}`, "Authorization: Bearer key-a"); status != 404 || len(up.Requests()) > 0 || !strings.Contains(answer, "does not exist") {
				t.Errorf("%s with %s: %d %s", path, more, status, answer)
			}
		}
	}
}

// TestWhatIsNamedIsAskedWhereItIsKept, and nowhere else, whatever fails.
func TestWhatIsNamedIsAskedWhereItIsKept(t *testing.T) {
	first, second := mock.Start(t, fails(500, "")), mock.Start(t, mock.JSON(soundChat))
	g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}]}
providers: {first: {plugin: openai, base_url: %q, api_key: k}, second: {plugin: openai, base_url: %q, api_key: k}}
model_mapping: {m: {targets: [{provider: first, model: x}, {provider: second, model: y, tier: 2}]}}
`, first.URL, second.URL))
	send := func(content string) (int, string) {
		first.Forget()
		second.Forget()
		return g.send(t, "POST", "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":`+content+`}]}`, "Authorization: Bearer key-a")
	}
	const named = `[{"type":"file","file":{"file_id":"file-1"}}]`
	if status, answer := send(`"a"`); status != 200 || len(second.Requests()) != 1 {
		t.Fatalf("%d %s", status, answer)
	}
	first.Answer(mock.JSON(wholeChat))
	if status, answer := send(named); status != 200 || len(first.Requests()) > 0 || len(second.Requests()) != 1 {
		t.Errorf("%d %s: another target got %v", status, answer, first.Requests())
	}
	second.Answer(fails(500, ""))
	if status, answer := send(named); status == 200 || len(first.Requests()) > 0 {
		t.Errorf("%d %s: another target got %v", status, answer, first.Requests())
	}
}

// TestWithoutKeysThereIsOneCaller: on this machine, everything is that caller's; for a network, who
// asks could be anybody.
func TestWithoutKeysThereIsOneCaller(t *testing.T) {
	for host, mine := range map[string]bool{"127.0.0.1": true, "0.0.0.0": false} {
		t.Run(host, func(t *testing.T) {
			up := mock.Start(t, func(x *mock.Exchange) {
				if x.URI == "/responses" {
					mock.JSON(ownWhole("1"))(x)
					return
				}
				mock.JSON(wholeChat)(x)
			})
			g := newGateway(t, fmt.Sprintf(`
server: {host: %s}
auth: {enabled: false, allow_no_auth: true}
providers: {up: {plugin: openai, base_url: %q, api_key: k, native: true}}
model_mapping: {m: {provider: up, model: x}}
`, host, up.URL))
			for path, body := range map[string]string{
				"/v1/chat/completions": `{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]}`,
				"/v1/responses":        `{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}`,
			} {
				up.Forget()
				status, answer := g.send(t, "POST", path, body)
				if (status == 200) != mine || (len(up.Requests()) > 0) != mine || mine && !strings.Contains(up.Last().Body, `"file-1"`) {
					t.Errorf("%s: %d %s", path, status, answer)
				}
			}
		})
	}
}

// TestATrustedKeyNamesWhateverTheAccountKeeps: whoever made it, in every API.
func TestATrustedKeyNamesWhateverTheAccountKeeps(t *testing.T) {
	up := mock.Start(t, mock.JSON(wholeChat))
	own := mock.Start(t, mock.JSON(ownWhole("1")))
	g := newGateway(t, fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a, provider_ids: true}, {name: b, key: key-b}]}
providers: {up: {plugin: openai, base_url: %q, api_key: k}, own: {plugin: openai, base_url: %q, api_key: k, native: true}}
model_mapping: {m: {provider: up, model: x}, own: {provider: own, model: gpt-x}}
`, up.URL, own.URL))
	for _, tc := range []struct{ path, body string }{
		{"/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-of-the-account"}}]}]}`},
		{"/v1/responses", `{"model":"own","input":"hi","tools":[{"type":"file_search","vector_store_ids":["file-of-the-account"]}]}`},
		{"/v1/responses", `{"model":"own","input":"hi","previous_response_id":"file-of-the-account"}`},
	} {
		for key, want := range map[string]bool{"key-a": true, "key-b": false} {
			up.Forget()
			own.Forget()
			status, answer := g.send(t, "POST", tc.path, tc.body, "Authorization: Bearer "+key)
			if asked := len(up.Requests())+len(own.Requests()) == 1; asked != want || want != (status == 200) {
				t.Errorf("%s with %s: %d %s", tc.body, key, status, answer)
			}
		}
	}
}
