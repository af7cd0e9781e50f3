package host_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

const demoOnly = "model_mapping: {demo: {provider: demo, model: demo}}\n"

// respond sends a request of the Responses API and decodes its answer.
func (g *gateway) respond(t testing.TB, key, body string) (status int, answer responses.Response, text string) {
	t.Helper()
	status, text = g.send(t, "POST", "/v1/responses", body, "Authorization: Bearer "+key)
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("%s got %d %s: %v", body, status, text, err)
	}
	return status, answer, text
}

// errorIn decodes an error in OpenAI's shape.
func errorIn(t testing.TB, text string) (e struct{ Message, Type, Param, Code string }) {
	t.Helper()
	var body struct {
		Error *struct{ Message, Type, Param, Code string }
	}
	if err := json.Unmarshal([]byte(text), &body); err != nil || body.Error == nil {
		t.Fatalf("%s is no error: %v", text, err)
	}
	return *body.Error
}

// TestOpenAIClientResponds: OpenAI's SDK understands whole answers and streams, and goes
// on where a response ended.
func TestOpenAIClientResponds(t *testing.T) {
	g := newGateway(t, demoOnly)
	c := newOpenAI(g)
	p := responses.ResponseNewParams{
		Model: "demo", Instructions: openai.String("Be brief."), MaxOutputTokens: openai.Int(100),
		Input:    responses.ResponseNewParamsInputUnion{OfString: openai.String("Hello!")},
		Metadata: shared.Metadata{"a": "b"},
	}
	whole, err := c.Responses.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(whole.OutputText(), "This is Kai") || whole.Status != "completed" || whole.Model != "demo" || whole.Metadata["a"] != "b" || whole.Usage.InputTokens <= 0 {
		t.Errorf("the response is %s", whole.RawJSON())
	}
	stream := c.Responses.NewStreaming(t.Context(), p)
	var text strings.Builder
	var last responses.ResponseStreamEventUnion
	for stream.Next() {
		last = stream.Current()
		if last.Type == "response.output_text.delta" {
			text.WriteString(last.Delta)
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if last.Type != "response.completed" || text.String() != whole.OutputText() || last.Response.OutputText() != whole.OutputText() {
		t.Errorf("the stream ended with %s and said %q", last.RawJSON(), text.String())
	}
	p.PreviousResponseID = openai.String(last.Response.ID)
	again, err := c.Responses.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if again.PreviousResponseID != last.Response.ID || again.Usage.InputTokens <= whole.Usage.InputTokens {
		t.Errorf("the response that continues it is %s", again.RawJSON())
	}
	found, err := c.Responses.Get(t.Context(), again.ID, responses.ResponseGetParams{})
	if err != nil || found.OutputText() != again.OutputText() {
		t.Errorf("what was remembered is %v, %v", found, err)
	}
	if err := c.Responses.Delete(t.Context(), again.ID); err != nil {
		t.Error(err)
	}
	if _, err := c.Responses.Get(t.Context(), again.ID, responses.ResponseGetParams{}); err == nil {
		t.Error("what was deleted is still there")
	}
}

// TestResponsesAreRemembered for the key that asked, over reloads, as long as the
// configuration says.
func TestResponsesAreRemembered(t *testing.T) {
	const keys = "auth: {enabled: true, api_keys: [{name: alice, key: alice-key}, {name: bob, key: bob-key}]}\n"
	g := newGateway(t, demoOnly+keys)
	_, first, text := g.respond(t, "alice-key", `{"model":"demo","input":"Hello!"}`)
	if !first.JSON.ID.Valid() || !strings.Contains(text, `"store":true`) {
		t.Fatalf("the response is %s", text)
	}
	get := func(key, id string) (int, string) {
		return g.send(t, "GET", "/v1/responses/"+id, "", "Authorization: Bearer "+key)
	}
	goOn := fmt.Sprintf(`{"model":"demo","input":"more","previous_response_id":%q}`, first.ID)
	refer := fmt.Sprintf(`{"model":"demo","input":[{"role":"user","content":"Hi"},{"type":"item_reference","id":%q},{"role":"user","content":"more"}]}`, first.Output[0].ID)
	check := func(when string, remembered bool) {
		t.Helper()
		status, shown := get("alice-key", first.ID)
		if remembered != (status == 200 && shown == text) {
			t.Errorf("%s, GET gives %d %s", when, status, shown)
		}
		if status, _, text := g.respond(t, "alice-key", goOn); remembered != (status == 200) || !remembered && errorIn(t, text).Code != "previous_response_not_found" {
			t.Errorf("%s, the response after it is %d %s", when, status, text)
		}
		if status, _, text := g.respond(t, "alice-key", refer); remembered != (status == 200) || !remembered && (status != 404 || errorIn(t, text).Param != "input[1].id") {
			t.Errorf("%s, a reference gives %d %s", when, status, text)
		}
	}
	check("at first", true)

	if status, text := get("bob-key", first.ID); status != 404 || errorIn(t, text).Type != "not_found_error" {
		t.Errorf("for bob GET gives %d %s", status, text)
	}
	if status, _, text := g.respond(t, "bob-key", goOn); status != 400 || errorIn(t, text).Code != "previous_response_not_found" {
		t.Errorf("for bob what continues it is %d %s", status, text)
	}
	if status, text := g.send(t, "DELETE", "/v1/responses/"+first.ID, "", "Authorization: Bearer bob-key"); status != 404 {
		t.Errorf("bob's DELETE gives %d %s", status, text)
	}
	if status, text := get("", first.ID); status != 401 {
		t.Errorf("without a key GET gives %d %s", status, text)
	}

	g.reload(t, demoOnly+keys+"default_model: demo\n", testkit.Module)
	check("after a reload", true)
	g.reload(t, demoOnly+keys+"responses: {memory: 0}\n", testkit.Module)
	check("without memory", false)
	if _, _, text := g.respond(t, "alice-key", `{"model":"demo","input":"Hello!"}`); !strings.Contains(text, `"store":false`) {
		t.Errorf("without memory the response is %s", text)
	}
	g.reload(t, demoOnly+keys, testkit.Module)
	check("with memory again", false)
	if _, own, text := g.respond(t, "alice-key", `{"model":"demo","input":"Hello!","store":false}`); !strings.Contains(text, `"store":false`) {
		t.Errorf("without store the response is %s", text)
	} else if status, text := get("alice-key", own.ID); status != 404 {
		t.Errorf("without store GET gives %d %s", status, text)
	}
}

// TestPathsOfResponses: those that Kai has not are unknown, and a WebSocket is refused in
// the one way after which Codex goes on at once.
func TestPathsOfResponses(t *testing.T) {
	g := newGateway(t, demoOnly)
	for request, want := range map[string]int{
		"GET /v1/responses":                    405,
		"DELETE /v1/responses":                 405,
		"GET /v1/responses/resp_1":             404,
		"DELETE /v1/responses/resp_1":          404,
		"GET /v1/responses/resp_1?stream=true": 400,
		"GET /v1/responses/resp_1/input_items": 404,
		"POST /v1/responses/resp_1/cancel":     404,
		"POST /v1/responses//cancel":           404,
		"POST /v1/responses/a/b/cancel":        404,
		"POST /v1/responses/compact":           400, // without a body
		"POST /v1/conversations":               404,
		"GET /v1/conversations/conv_1":         404,
	} {
		method, path, _ := strings.Cut(request, " ")
		status, text := g.send(t, method, path, "")
		if status != want || want == 404 && errorIn(t, text).Type != "not_found_error" {
			t.Errorf("%s got %d %s, want %d", request, status, text, want)
		}
	}
	if status, text := g.send(t, "GET", "/v1/responses", "", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"); status != 426 || errorIn(t, text).Message == "" {
		t.Errorf("a WebSocket gets %d %s, want 426", status, text)
	}
}

// upstreams is a configuration in which every shipped adapter that has an upstream has the
// same one, by its own name as an alias.
func upstreams(url string) string {
	yaml := "providers:\n"
	for _, plugin := range []string{"ollama", "openai", "anthropic", "gemini", "openrouter"} {
		yaml += fmt.Sprintf("  %s: {base_url: %q", plugin, url)
		if plugin != "ollama" {
			yaml += ", api_key: k"
		}
		yaml += "}\n"
	}
	yaml += "model_mapping:\n  demo: {provider: demo, model: demo}\n"
	for _, plugin := range []string{"ollama", "openai", "anthropic", "gemini", "openrouter"} {
		yaml += fmt.Sprintf("  %s: {provider: %[1]s, model: m}\n", plugin)
	}
	return yaml
}

// TestRecordedRequestsReachEveryProvider: no adapter refuses what Codex, the AI SDK and
// the Agents SDKs send.
func TestRecordedRequestsReachEveryProvider(t *testing.T) {
	up := mock.Start(t, mock.Status(418)) // no adapter says that
	g := newGateway(t, upstreams(up.URL))
	files, err := filepath.Glob("dialect/responses/testdata/requests/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("there are %d recordings: %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var recorded struct{ Body map[string]json.RawMessage }
		if err := json.Unmarshal(b, &recorded); err != nil {
			t.Fatal(err)
		}
		if recorded.Body["input"] == nil {
			recorded.Body["input"] = json.RawMessage(`"Say hi"`)
		}
		if strings.Contains(string(recorded.Body["input"]), `"item_reference"`) {
			continue // to what this gateway never said
		}
		for _, model := range []string{"ollama", "openai", "anthropic", "gemini", "openrouter", "demo"} {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json")+"/"+model, func(t *testing.T) {
				recorded.Body["model"] = json.RawMessage(`"` + model + `"`)
				recorded.Body["max_output_tokens"] = json.RawMessage(`3`)
				body, err := json.Marshal(recorded.Body)
				if err != nil {
					t.Fatal(err)
				}
				up.Forget()
				status, text := g.send(t, "POST", "/v1/responses", string(body))
				if asked := len(up.Requests()); model == "demo" && status != 200 || model != "demo" && asked == 0 {
					t.Errorf("it got %d %.500s, and the upstream %d requests", status, text, asked)
				}
			})
		}
	}
}

// TestAdaptersErrorsNameItems: the adapter knows messages, and the client its items.
func TestAdaptersErrorsNameItems(t *testing.T) {
	g := newGateway(t, upstreams("http://127.0.0.1:1"))
	status, text := g.send(t, "POST", "/v1/responses", `{"model":"ollama","instructions":"i","input":[{"role":"developer","content":"d"},
		{"type":"additional_tools","tools":[]},{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_file","file_url":"https://x/y.pdf"}]}]}`)
	e := errorIn(t, text)
	if status != 400 || !strings.HasPrefix(e.Param, "input[2].content[1]") || strings.Contains(e.Message, "messages[") {
		t.Errorf("the error is %d %s", status, text)
	}
}

// TestRateLimitOfResponses always says when to ask again.
func TestRateLimitOfResponses(t *testing.T) {
	up := mock.Start(t, mock.Whole(429, "text/plain", `{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}`))
	g := newGateway(t, upstreams(up.URL))
	for path, want := range map[string]string{"/v1/responses": "5", "/v1/chat/completions": ""} {
		for _, stream := range []string{"true", "false"} {
			body := `{"model":"openai","stream":` + stream + `,"input":"Hi","messages":[{"role":"user","content":"Hi"}]}`
			res, err := http.Post(g.URL+path, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if got := res.Header.Get("Retry-After"); res.StatusCode != 429 || got != want {
				t.Errorf("POST %s got %d, Retry-After %q, want 429 and %q", path, res.StatusCode, got, want)
			}
		}
	}
}

// TestSignaturesComeBack: what a provider signs goes to the client in encrypted_content,
// and from there unchanged to the provider, on the same message and call.
func TestSignaturesComeBack(t *testing.T) {
	const anthropic = `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[
		{"type":"thinking","thinking":"Look it up.","signature":"SIGNATURE"},{"type":"redacted_thinking","data":"REDACTED"},
		{"type":"text","text":"One moment."},{"type":"tool_use","id":"toolu_1","name":"look","input":{"a":1}}],
		"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}`
	const gemini = `{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"look","args":{"a":1}},"thoughtSignature":"SIGNATURE"}]},"finishReason":"STOP","index":0}],
		"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2}}`
	const openrouter = `{"id":"gen-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,"reasoning":"Look it up.",
		"reasoning_details":[{"type":"reasoning.text","text":"Look it up.","signature":"SIGNATURE"},{"type":"reasoning.encrypted","data":"REDACTED"}],
		"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look","arguments":"{\"a\":1}"}}]}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`
	answers := map[string]struct {
		answer string
		want   []string // in the second request
	}{
		"anthropic":  {anthropic, []string{`{"type":"thinking","thinking":"Look it up.","signature":"SIGNATURE"}`, `{"type":"redacted_thinking","data":"REDACTED"}`}},
		"gemini":     {gemini, []string{`"thoughtSignature":"SIGNATURE"`}},
		"openrouter": {openrouter, []string{`"signature":"SIGNATURE"`, `"data":"REDACTED"`}},
	}
	up := mock.Start(t, nil)
	g := newGateway(t, upstreams(up.URL))
	for model, tc := range answers {
		for _, how := range []string{"items", "references", "previous_response_id"} {
			t.Run(model+"/"+how, func(t *testing.T) {
				up.Answer(mock.JSON(tc.answer))
				const tools = `"tools":[{"type":"function","name":"look","parameters":{"type":"object"}}]`
				status, first, text := g.respond(t, "", `{"model":"`+model+`","input":"Hi",`+tools+`}`)
				if status != 200 {
					t.Fatalf("the first answer is %d %s", status, text)
				}
				var raw struct{ Output []json.RawMessage }
				if err := json.Unmarshal([]byte(text), &raw); err != nil {
					t.Fatal(err)
				}
				input, callID := []string{`{"role":"user","content":"Hi"}`}, ""
				for i, it := range first.Output {
					if it.Type == "function_call" {
						callID = it.CallID
					}
					switch how {
					case "items":
						input = append(input, string(raw.Output[i]))
					case "references":
						input = append(input, fmt.Sprintf(`{"type":"item_reference","id":%q}`, it.ID))
					}
				}
				if callID == "" {
					t.Fatalf("the first answer has no call: %s", text)
				}
				input = append(input, fmt.Sprintf(`{"type":"function_call_output","call_id":%q,"output":"found"}`, callID))
				body := `{"model":"` + model + `","input":[` + strings.Join(input, ",") + `],` + tools + `}`
				if how == "previous_response_id" {
					body = fmt.Sprintf(`{"model":%q,"previous_response_id":%q,"input":[%s],%s}`, model, first.ID, input[len(input)-1], tools)
				}
				if status, _, text := g.respond(t, "", body); status != 200 {
					t.Fatalf("the second answer is %d %s", status, text)
				}
				sent := up.Last().Body
				for _, want := range tc.want {
					if !strings.Contains(sent, want) {
						t.Errorf("the second request has no %s: %s", want, sent)
					}
				}
			})
		}
	}
}

// TestRememberedResponsesAreCounted: what is remembered is a part of the gateway's memory.
func TestRememberedResponsesAreCounted(t *testing.T) {
	g := newGateway(t, demoOnly)
	before := g.host.Held("demo")[0]
	for range 20 {
		body := `{"model":"demo","input":"` + strings.Repeat(fmt.Sprint(time.Now().UnixNano()), 5000) + `"}`
		if status, _, text := g.respond(t, "", body); status != 200 {
			t.Fatalf("got %d %.300s", status, text)
		}
	}
	if grown := g.host.Held("demo")[0] - before; grown < 1<<20 || grown > 4<<20 {
		t.Errorf("for 20 conversations of 95 KB %d bytes are held", grown)
	}
}

// TestTheInputOfARememberedResponseIsListed as OpenAI's SDK asks for it.
func TestTheInputOfARememberedResponseIsListed(t *testing.T) {
	g := newGateway(t, demoOnly)
	_, first, _ := g.respond(t, "", `{"model":"demo","input":[{"role":"user","content":"Hello!"},{"id":"msg_own","type":"message","role":"assistant","content":"Hi"},{"type":"message","role":"user","content":[{"type":"input_text","text":"more"}]}]}`)
	for query, want := range map[string]string{
		"?order=asc": `{"id":"item_ID_0","type":"message","role":"user","content":[{"type":"input_text","text":"Hello!"}]},` +
			`{"id":"msg_own","type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[]}]},` +
			`{"id":"item_ID_2","type":"message","role":"user","content":[{"type":"input_text","text":"more"}]}],"first_id":"item_ID_0","last_id":"item_ID_2","has_more":false}`,
		"":                             `"first_id":"item_ID_2","last_id":"item_ID_0","has_more":false}`,
		"?limit=1":                     `"first_id":"item_ID_2","last_id":"item_ID_2","has_more":true}`,
		"?order=asc&after=msg_own":     `"first_id":"item_ID_2","last_id":"item_ID_2","has_more":false}`,
		"?after=item_ID_0":             `"data":[],"first_id":null,"last_id":null,"has_more":false}`,
		"?limit=0":                     "from 1 to 100",
		"?order=up":                    "asc or desc",
		"?after=nothing":               "id of an item",
		"?order=asc&limit=2&include=x": `"last_id":"msg_own","has_more":true}`,
	} {
		bare := strings.TrimPrefix(first.ID, "resp_")
		_, text := g.send(t, "GET", "/v1/responses/"+first.ID+"/input_items"+strings.ReplaceAll(query, "ID", bare), "")
		if !strings.Contains(text, strings.ReplaceAll(want, "ID", bare)) {
			t.Errorf("%q is %s, want %s", query, text, want)
		}
	}
	c := newOpenAI(g)
	list, err := c.Responses.InputItems.List(t.Context(), first.ID, responses.InputItemListParams{})
	if err != nil || len(list.Data) != 3 || !strings.Contains(list.Data[0].RawJSON(), `"text":"more"`) {
		t.Errorf("OpenAI's SDK reads %v, %v", list, err)
	}
}

// TestTheListedInputIsCounted: a list that there is no memory for is refused, and served when
// there is; a smaller one is served in any case.
func TestTheListedInputIsCounted(t *testing.T) {
	g := newGateway(t, "server: {max_memory: 64MiB, max_body: 8MiB}\n"+demoOnly)
	item := `{"role":"user","content":"` + strings.Repeat("x", 200<<10) + `"}`
	_, first, text := g.respond(t, "", `{"model":"demo","input":[`+strings.Repeat(item+",", 19)+item+`]}`)
	list := func(limit int) (int, string) {
		return g.send(t, "GET", fmt.Sprintf("/v1/responses/%s/input_items?limit=%d", first.ID, limit), "")
	}
	if status, listed := list(20); status != 200 || len(listed) < 20*200<<10 {
		t.Fatalf("a list of %.300s is %d %.300s", text, status, listed)
	}
	held := func() int64 { return g.host.Held("demo")[0] }
	var before int64
	eventually(t, "only what is remembered is held", true, func() bool { before = held(); return before < 1<<20 })
	all := g.host.Memory().Grant()
	if err := all.Hold(64<<20 - held() - 1<<20); err != nil {
		t.Fatal(err)
	}
	status, refused := list(20)
	if status != 503 || errorIn(t, refused).Code != "busy" {
		t.Errorf("a list of 4 MiB in 1 MiB is %d %.300s", status, refused)
	}
	if status, listed := list(1); status != 200 || len(listed) < 200<<10 || len(listed) > 201<<10 {
		t.Errorf("a list of one item in 1 MiB is %d %.300s", status, listed)
	}
	all.Release()
	if status, _ := list(20); status != 200 {
		t.Errorf("with memory again the list is %d", status)
	}
	eventually(t, "bytes held afterwards", before, held)
}
