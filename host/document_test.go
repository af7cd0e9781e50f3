package host_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// documented is a request that gets an answer of openapi.yaml.
type documented struct {
	answer  string // method and path of the document, status, content type, and which shape if there are several
	path    string // default: that of the document
	sends   string // the method; default: that of the document
	body    string
	headers []string // names and values; default: those of a client that may do everything
	at      *gateway // default: that of all models
	invalid bool     // the document allows no such request
	slow    bool     // the body never ends
}

// documentedModels is a configuration in which a model's name tells how its upstream
// answers: fine, or with an error's status.
const documentedModels = `
server: {max_body: 8KiB, read_timeout: %s}
cors: {enabled: true, allow_origins: ["https://app.example"]}
cache: {when: asked}
auth: {enabled: true, api_keys: [{name: all, key: all, limits: {requests: 1M/d, tokens: 999M/d}}, {name: few, key: few, models: [demo]}]}
providers:
  up: {plugin: anthropic, base_url: %q, api_key: k, native: false}
  em: {plugin: openai, base_url: %[2]q, api_key: k, native: true}
  unset: {plugin: openai, base_url: %[2]q, api_key: "${UNSET_KEY}", native: true}
model_mapping:
  demo: {provider: demo, model: demo}
  broken: {provider: demo, model: demo, options: {delay: 777ms}}
  unset: {provider: unset, model: m}
  embed-fine: {provider: em, model: fine}
  embed-fine-text: {provider: em, model: fine-text}
  embed-fails-404: {provider: em, model: fails-404}
  embed-fails-429: {provider: em, model: fails-429}
  embed-fails-500: {provider: em, model: fails-500}
  embed-fails-504: {provider: em, model: fails-504}
`

// keptFaults are the statuses with which a provider fails that keeps a response, and what the
// client gets.
var keptFaults = map[int]int{400: 400, 429: 429, 500: 502, 503: 503, 504: 504}

// documentedGateway serves models whose upstream answers as their names say.
func documentedGateway(t *testing.T, readTimeout string) *gateway {
	t.Helper()
	up := mock.Start(t, func(x *mock.Exchange) {
		var asked struct{ Model string }
		json.Unmarshal([]byte(x.Body), &asked)
		status, body := 200, ""
		if x.URI == strings.TrimPrefix(transcriptions, "/v1") {
			asked.Model, _, _ = strings.Cut(partsOf(t, x.Request)[0][len("model()="):], "\n")
		}
		fmt.Sscanf(asked.Model, "fails-%d", &status)
		for _, s := range passedStreams {
			if s.path == "/v1"+x.URI && strings.HasPrefix(s.events[0], "event:") && status == 200 && (strings.Contains(x.Body, `"stream":true`) || strings.Contains(x.Body, `"stream_format":"sse"`) || strings.Contains(x.Body, `name="stream"`)) {
				mock.SSE(s.events...)(x)
				return
			}
		}
		switch {
		case x.URI == "/responses" && strings.HasPrefix(asked.Model, "kept-"):
			body = ownWhole(asked.Model)
		case strings.HasPrefix(x.URI, "/responses/resp_kept-"):
			fmt.Sscanf(x.URI, "/responses/resp_kept-%d", &status)
			body = `{"error":{"message":"as asked"}}`
		case asked.Model == "fails-late":
			body = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"role\":\"assistant\",\"content\":[]}}\n\n" +
				"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n" +
				"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n" +
				"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
		case status == 404 && !strings.HasPrefix(x.URI, "/v1/"): // the adapter openai asks
			body = `{"error":{"message":"as asked","code":"model_not_found"}}`
		case x.URI == "/completions" && status == 200:
			body = `{"choices":[{"index":0,"text":"Hi","finish_reason":"stop"}]}`
		case x.URI == "/responses/compact" && status == 200:
			body = compaction
		case x.URI == "/embeddings":
			body = `{"data":[{"index":0,"embedding":[0.5,-0.25]}]}`
		case "/v1"+x.URI == speech && status == 200:
			mock.Whole(200, "audio/mpeg", "ID3")(x)
			return
		case asked.Model == "fine" && x.URI == strings.TrimPrefix(transcriptions, "/v1"):
			body = `{"text":"Hello"}`
		case asked.Model == "fine-text":
			mock.Whole(200, "text/plain", "Hello")(x)
			return
		case passedCases["/v1"+x.URI].answer != "":
			body = as(passedCases["/v1"+x.URI].answer, "dated-name")
		case status != 200:
			body = fmt.Sprintf(`{"type":"error","error":{"type":"%s","message":"as asked"}}`, map[int]string{404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}[status])
		case strings.HasSuffix(x.URI, "/count_tokens"):
			body = `{"input_tokens":3}`
		default:
			body = `{"id":"a","type":"message","role":"assistant","model":"m","content":[{"type":"thinking","thinking":"Hm.","signature":"c2ln"},{"type":"text","text":"Hi"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}`
		}
		mock.Whole(status, "application/json", body)(x)
	})
	yaml := fmt.Sprintf(documentedModels, readTimeout, up.URL)
	for _, model := range []string{"fine", "fails-late", "fails-404", "fails-429", "fails-500", "fails-504", "fails-529"} {
		yaml += fmt.Sprintf("  %s: {provider: up, model: %[1]s}\n", model)
	}
	for status := range keptFaults {
		yaml += fmt.Sprintf("  kept-%d: {provider: em, model: kept-%[1]d}\n", status)
	}
	started := testkit.Start(t, testkit.Options{Config: parse(t, yaml), Sleep: func(_ context.Context, d time.Duration) error {
		if d == 777*time.Millisecond {
			panic("as asked")
		}
		return nil
	}})
	if err := started.Ready(t); err != nil {
		t.Fatal(err)
	}
	return &gateway{started, started.Host, started.Log}
}

// neverLoaded is an adapter that goes on being compiled.
type neverLoaded struct{ host.Adapter }

func (neverLoaded) Status() (bool, error)      { return false, nil }
func (neverLoaded) Manifest() modfile.Manifest { return modfile.Manifest{} }
func (neverLoaded) Close()                     {}

// loadingGateway serves nothing but what needs no adapter.
func loadingGateway(t *testing.T) *gateway {
	t.Helper()
	h, err := host.New(host.Options{
		Config: parse(t, demoOnly), Module: testkit.Module,
		Adapter: func(config.Provider) host.Adapter { return neverLoaded{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{Gateway: &testkit.Gateway{Server: httptest.NewServer(h.Handler())}, host: h}
	t.Cleanup(func() {
		g.Server.Close()
		h.Close()
	})
	return g
}

// asks are the requests to the paths that ask a model; the model comes first.
var asks = []struct{ path, fields, stream, broken string }{
	{"/v1/chat/completions", `"messages":[{"role":"user","content":"Hello!"}]`, `,"stream":true`, `{"model":"demo"}`},
	{"/v1/responses", `"input":"Hello!"`, `,"stream":true`, `{"model":"demo"}`},
	{"/v1/messages", `"max_tokens":9000,"messages":[{"role":"user","content":"Hello!"}]`, `,"stream":true`, `{"model":"demo"}`},
	{"/v1/completions", `"prompt":"Hello!"`, `,"stream":true`, `{"model":"demo"}`},
	{"/v1/fim/completions", `"prompt":"Hello!"`, `,"stream":true`, `{"model":"demo"}`},
	{"/v1/embeddings", `"input":"Hello!"`, ``, `{"model":"demo"}`},
	{"/v1/rerank", `"query":"q","documents":["a","b"]`, ``, `{"model":"demo"}`},
	{"/v2/rerank", `"query":"q","documents":["a","b"]`, ``, `{"model":"demo"}`},
	{"/rerank", `"query":"q","documents":["a","b"]`, ``, `{"model":"demo"}`},
	{"/v1/moderations", `"input":"Hello!"`, ``, `{"model":"demo"}`},
	{"/v1/images/generations", `"prompt":"An otter"`, `,"stream":true`, `{"model":"demo"}`},
	{speech, `"input":"Hello!","voice":"alloy"`, `,"stream_format":"sse"`, `{"model":"demo"}`},
	{transcriptions, ``, `in a form`, "--b--\r\n"},
	{"/v1/responses/compact", `"input":"Hello!"`, ``, `{"model":1}`},
	{"/v1/responses/input_tokens", `"input":"Hello!"`, ``, `{"model":"demo"}`},
	{"/v1/messages/count_tokens", `"messages":[{"role":"user","content":"Hello!"}]`, ``, `{"model":"demo"}`},
}

// documentedAnswers are requests for every answer of the document.
func documentedAnswers(t *testing.T, g *gateway) []documented {
	impatient := documentedGateway(t, "50ms")
	wrong, few := []string{"Authorization", "Bearer wrong"}, []string{"Authorization", "Bearer few"}
	var all []documented
	for _, a := range asks {
		_, passed := passedCases[a.path]
		form := a.path == transcriptions
		passed = passed || a.path == speech || form || a.path == "/v1/responses/compact"
		embed := passed || a.path == "/v1/embeddings" || strings.HasSuffix(a.path, "/completions") && !strings.Contains(a.path, "chat") // asks the adapter that can
		post := func(answer, model string, d documented) {
			d.answer = "POST " + a.path + " " + answer
			if embed && strings.HasPrefix(model, "f") {
				model = "embed-" + model
			}
			d.body = cmp.Or(d.body, `{"model":"`+model+`",`+a.fields+"}")
			if form && !d.invalid {
				stream := ""
				if strings.Contains(answer, "event-stream") {
					stream = fieldOf("stream", "true")
				}
				d.body = transcribe(model, stream, "ID3"+strings.Repeat("x", strings.Count(d.body, "x")))
			}
			if d.headers == nil {
				d.headers = []string{"Authorization", "Bearer all"}
			}
			if !slices.Contains(d.headers, "Content-Type") {
				d.headers = append(slices.Clone(d.headers), "Content-Type", map[bool]string{true: formOf, false: "application/json"}[form])
			}
			all = append(all, d)
		}
		post("200 "+map[bool]string{true: "audio/mpeg", false: "application/json"}[a.path == speech], "fine", documented{})
		if !passed {
			post("200 application/json", "demo", documented{})
			for range 2 {
				post("200 application/json", "demo", documented{headers: []string{"Authorization", "Bearer all", "X-Kai-Cache", "use"}})
			}
		}
		if form {
			post("200 text/plain", "fine-text", documented{})
		}
		if a.stream != "" {
			for _, model := range []string{"demo", "fine", "fails-late"} {
				if embed && model != map[bool]string{true: "fine", false: "demo"}[passed] {
					continue // they are answered by an adapter that can only chat, and the demo only speaks text
				}
				post("200 text/event-stream", model, documented{body: `{"model":"` + map[bool]string{true: "embed-"}[passed] + model + `",` + a.fields + a.stream + "}"})
			}
		}
		post("400 application/json", "", documented{body: a.broken, invalid: true})
		post("401 application/json", "demo", documented{headers: wrong})
		post("403 application/json", "fine", documented{headers: few})
		post("404 application/json", "fails-404", documented{})
		post("408 application/json", "demo", documented{at: impatient, slow: true})
		post("413 application/json", "demo", documented{body: `{"model":"` + strings.Repeat("x", 9<<10) + `",` + a.fields + "}"})
		post("415 application/json", "demo", documented{headers: []string{"Authorization", "Bearer all", "Content-Type", "text/plain"}, invalid: true})
		post("429 application/json", "fails-429", documented{})
		post("502 application/json", "fails-500", documented{})
		post("504 application/json", "fails-504", documented{})
		post("503 application/json", "unset", documented{})
		if a.stream != "" && !passed {
			post("500 application/json", "broken", documented{})
		}
		if strings.HasPrefix(a.path, "/v1/messages") {
			post("404 application/json", "nothing", documented{})
			post("529 application/json", "fails-529", documented{})
		}
	}
	get := func(answer, path string, headers ...string) {
		if !slices.Contains(headers, "Authorization") && !slices.Contains(headers, "x-api-key") {
			headers = append(headers, "Authorization", "Bearer all")
		}
		all = append(all, documented{answer: answer, path: path, headers: headers})
	}
	remembered := func() string {
		_, r, text := g.respond(t, "all", `{"model":"demo","input":"Hello!"}`)
		if r.ID == "" {
			t.Fatal(text)
		}
		return "/v1/responses/" + r.ID
	}
	page := []string{"Origin", "https://example.com"}
	probe := []string{"Connection", "Upgrade", "Upgrade", "websocket"}
	get("GET /v1/responses 426 application/json", "", probe...)
	get("GET /v1/responses 401 application/json", "", append(probe, wrong...)...)
	get("GET /v1/responses 403 application/json", "", append(probe, page...)...)
	get("GET /v1/responses/{id} 200 application/json", remembered())
	get("GET /v1/responses/{id} 400 application/json", remembered()+"?stream=true")
	all[len(all)-1].invalid = true
	for _, method := range []string{"GET", "DELETE"} {
		get(method+" /v1/responses/{id} 401 application/json", "/v1/responses/resp_x", wrong...)
		get(method+" /v1/responses/{id} 403 application/json", "/v1/responses/resp_x", page...)
		get(method+" /v1/responses/{id} 404 application/json", "/v1/responses/resp_x")
	}
	get("DELETE /v1/responses/{id} 200 application/json", remembered())
	get("GET /v1/responses/{id}/input_items 200 application/json", remembered()+"/input_items")
	get("GET /v1/responses/{id}/input_items 400 application/json", remembered()+"/input_items?after=nothing")
	get("GET /v1/responses/{id}/input_items 401 application/json", "/v1/responses/resp_x/input_items", wrong...)
	get("GET /v1/responses/{id}/input_items 403 application/json", "/v1/responses/resp_x/input_items", page...)
	get("GET /v1/responses/{id}/input_items 404 application/json", "/v1/responses/resp_x/input_items")
	for status, want := range keptFaults {
		_, r, text := g.respond(t, "all", fmt.Sprintf(`{"model":"kept-%d","input":"Hello!"}`, status))
		if r.ID == "" {
			t.Fatal(text)
		}
		get(fmt.Sprintf("GET /v1/responses/{id} %d application/json", want), "/v1/responses/"+r.ID)
		get(fmt.Sprintf("GET /v1/responses/{id}/input_items %d application/json", want), "/v1/responses/"+r.ID+"/input_items")
		get(fmt.Sprintf("DELETE /v1/responses/{id} %d application/json", want), "/v1/responses/"+r.ID)
	}
	const cancel = "/v1/responses/resp_x/cancel"
	get("POST /v1/responses/{id}/cancel 400 application/json", remembered()+"/cancel")
	get("POST /v1/responses/{id}/cancel 401 application/json", cancel, wrong...)
	get("POST /v1/responses/{id}/cancel 403 application/json", cancel, page...)
	get("POST /v1/responses/{id}/cancel 404 application/json", cancel)

	version := []string{"anthropic-version", "2023-06-01"}
	get("GET /v1/models 200 application/json ModelList", "")
	get("GET /v1/models 200 application/json AnthropicModelList", "", append(version, "x-api-key", "all")...)
	get("GET /v1/models/{id} 200 application/json Model", "/v1/models/demo")
	get("GET /v1/models/{id} 200 application/json AnthropicModel", "/v1/models/demo", version...)
	for shape, headers := range map[string][]string{"Error": nil, "AnthropicError": version} {
		get("GET /v1/models 401 application/json "+shape, "", append(wrong, headers...)...)
		get("GET /v1/models 403 application/json "+shape, "", append(page, headers...)...)
		get("GET /v1/models/{id} 401 application/json "+shape, "/v1/models/x", append(wrong, headers...)...)
		get("GET /v1/models/{id} 403 application/json "+shape, "/v1/models/x", append(page, headers...)...)
		get("GET /v1/models/{id} 404 application/json "+shape, "/v1/models/x", headers...)
	}
	nothing := newGateway(t, "providers: {openai: {api_key: \"${UNSET_KEY}\"}}\nmodel_mapping: {m: {provider: openai, model: m}}\n")
	return append(all,
		documented{answer: "GET /health 200 application/json"},
		documented{answer: "GET /health 503 application/json", at: nothing},
		documented{answer: "GET /livez 200 application/json"},
		documented{answer: "GET /readyz 200 application/json"},
		documented{answer: "GET /readyz 503 application/json", at: loadingGateway(t)},
		documented{answer: "GET / 200 application/json"},
		documented{answer: "GET / 200 text/html", headers: []string{"Accept", "text/html"}},
		documented{answer: "GET /docs 200 text/html"},
		documented{answer: "GET /openapi.json 200 application/json"},
	)
}

// TestEveryDocumentedAnswer produces every answer of openapi.yaml with a whole gateway, and
// holds it against the document.
func TestEveryDocumentedAnswer(t *testing.T) {
	g := documentedGateway(t, "1m")
	doc := loadDocument(t, g)
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.FileBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/plain", openapi3filter.FileBodyDecoder)
	openapi3filter.RegisterBodyDecoder("audio/mpeg", openapi3filter.FileBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.FileBodyDecoder)
	t.Cleanup(func() {
		openapi3filter.UnregisterBodyDecoder("text/html")
		openapi3filter.UnregisterBodyDecoder("audio/mpeg")
		openapi3filter.UnregisterBodyDecoder("text/event-stream")
	})
	answers := documentedAnswers(t, g)

	// Both ways: nothing documented may be missing here, and nothing here may
	// be undocumented.
	produced := map[string]bool{}
	for _, a := range answers {
		produced[a.answer] = true
	}
	names := answersOf(doc)
	for name := range names {
		words := strings.Fields(name)
		if words[2] == "405" {
			headers := []string{"Authorization", "Bearer all"}
			if words[len(words)-1] == "AnthropicError" {
				headers = append(headers, "anthropic-version", "2023-06-01")
			}
			answers = append(answers, documented{answer: name, sends: "PATCH", path: strings.ReplaceAll(words[1], "{id}", "x"), headers: headers, invalid: true})
			produced[name] = true
		}
	}
	for name := range names {
		if !produced[name] && !slices.Contains(ownFaults, name) {
			t.Errorf("no test produces the documented answer %q", name)
		}
	}
	for _, a := range answers {
		t.Run(a.answer, func(t *testing.T) {
			if !names[a.answer] {
				t.Fatalf("openapi.yaml does not document %q", a.answer)
			}
			a.at = cmp.Or(a.at, g)
			a.hold(t, doc)
		})
	}
}

// ownFaults are the answers that TestEveryDocumentedAnswer doesn't produce: what can be made to break
// in the gateway itself can't count, passes nothing on, and takes no time to make embeddings. Panics of all paths are recovered
// in one place. A cancel needs a shared store that is away, which a test of the fleet has.
var ownFaults = []string{
	"POST /v1/responses/{id}/cancel 503 application/json",
	"POST /v1/messages/count_tokens 500 application/json", "POST /v1/responses/input_tokens 500 application/json", "POST /v1/responses/compact 500 application/json", "POST /v1/embeddings 500 application/json", "POST /v1/rerank 500 application/json",
	"POST /v2/rerank 500 application/json", "POST /rerank 500 application/json",
	"POST /v1/moderations 500 application/json", "POST /v1/images/generations 500 application/json",
	"POST /v1/audio/speech 500 application/json", "POST /v1/audio/transcriptions 500 application/json",
}

// answersOf returns the names of all answers that a document has.
func answersOf(doc *openapi3.T) map[string]bool {
	names := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				for contentType, media := range response.Value.Content {
					name := fmt.Sprintf("%s %s %s %s", method, path, status, contentType)
					for _, one := range media.Schema.Value.OneOf {
						names[name+" "+shapeName(one)] = true
					}
					if media.Schema.Value.OneOf == nil {
						names[name] = true
					}
				}
			}
		}
	}
	return names
}

func shapeName(s *openapi3.SchemaRef) string { return path.Base(s.Ref) }

// hold sends the request, and holds the answer against the document.
func (d documented) hold(t *testing.T, doc *openapi3.T) {
	words := strings.Fields(d.answer)
	method, route := words[0], words[1]
	address := cmp.Or(d.path, route)
	r, err := http.NewRequest(cmp.Or(d.sends, method), d.at.URL+address, strings.NewReader(d.body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(d.headers); i += 2 {
		r.Header.Set(d.headers[i], d.headers[i+1])
	}
	if d.slow {
		pr, pw := io.Pipe()
		defer pw.Close()
		r.Body, r.ContentLength = pr, -1
	}
	answer, err := d.at.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	contentType, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
	if got, want := fmt.Sprintf("%d %s", answer.StatusCode, contentType), words[2]+" "+words[3]; got != want {
		t.Fatalf("got the answer %q, want %q\n%s", got, want, body)
	}

	item := doc.Paths.Value(route)
	operation := item.GetOperation(method)
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: map[string]string{"id": path.Base(address)},
		Route:   &routers.Route{Spec: doc, Path: route, PathItem: item, Method: method, Operation: operation},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if !d.invalid && !d.slow {
		r.Body = io.NopCloser(strings.NewReader(d.body))
		if err := openapi3filter.ValidateRequest(t.Context(), input); err != nil {
			t.Errorf("the document allows no such request: %v", err)
		}
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input,
		Status:                 answer.StatusCode,
		Header:                 answer.Header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		t.Errorf("the document allows no such answer: %v\n%s", err, body)
	}
	response := operation.Responses.Status(answer.StatusCode).Value
	for _, header := range []string{"Retry-After", "X-Should-Retry", "Www-Authenticate", "Request-Id", "Allow", "Upgrade", "X-Kai-Cache", "Age", "X-Ratelimit-Limit-Requests", "X-Ratelimit-Reset-Tokens"} {
		if answer.Header.Get(header) != "" && response.Headers[strings.ToLower(header)] == nil {
			t.Errorf("the document does not tell of the answer's header %s", header)
		}
	}
	for _, one := range response.Content[contentType].Schema.Value.OneOf {
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatal(err)
		}
		if matches := one.Value.VisitJSON(v) == nil; matches != (shapeName(one) == words[4]) {
			t.Errorf("that the answer is a %s is %v: %s", shapeName(one), matches, body)
		}
	}
	if contentType == "text/event-stream" {
		validateEvents(t, doc, route, string(body))
	}
}

// eventSchemas are what the events of a stream are, and what an event is that fails.
var eventSchemas = map[string][2]string{
	"/v1/chat/completions": {"ChatCompletionChunk", "Error"},
	"/v1/completions":      {"Completion", "Error"},
	"/v1/fim/completions":  {"ChatCompletionChunk", "Error"},
	"/v1/responses":        {"ResponseEvent", "ResponseEvent"},
	"/v1/messages":         {"AnthropicEvent", "AnthropicError"},

	"/v1/images/generations": {"ImageEvent", "Error"},
	speech:                   {"SpeechEvent", "Error"},
	transcriptions:           {"TranscriptionEvent", "Error"},
}

// validateEvents holds each event of a stream against the document.
func validateEvents(t *testing.T, doc *openapi3.T, route, stream string) {
	for event := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		name, data, ok := strings.Cut(event, "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			t.Fatalf("event %q: %v", event, err)
		}
		if name != "" && name != fmt.Sprintf("event: %v\n", v["type"]) {
			t.Errorf("the name of the event is not its type: %q", event)
		}
		want := eventSchemas[route][0]
		if v["error"] != nil {
			want = eventSchemas[route][1]
		}
		if err := doc.Components.Schemas[want].Value.VisitJSON(v); err != nil {
			t.Errorf("the document allows no such event: %v\n%s", err, data)
		}
	}
}

// TestPathsRefuseOtherMethods: each path of the document takes the methods that stand there and no
// others, names them, and has a 405 for the rest.
func TestPathsRefuseOtherMethods(t *testing.T) {
	g := documentedGateway(t, "1m")
	for path, item := range loadDocument(t, g).Paths.Map() {
		takes := []string{"OPTIONS"}
		for method, operation := range item.Operations() {
			if operation.Responses.Value("405") == nil {
				t.Errorf("%s %s has no 405", method, path)
			}
			switch {
			case operation.OperationID == "probeWebSocket": // no method of the path, but for the answer
			case method == "GET":
				takes = append(takes, "GET", "HEAD")
			default:
				takes = append(takes, method)
			}
		}
		slices.Sort(takes)
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PURGE"} {
			if slices.Contains(takes, method) {
				continue
			}
			r, err := http.NewRequest(method, g.URL+strings.ReplaceAll(path, "{id}", "x"), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer all")
			res, err := g.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if allow := strings.Join(takes, ", "); res.StatusCode != 405 || res.Header.Get("Allow") != allow {
				t.Errorf("%s %s: %d, Allow %q; want 405 and %q", method, path, res.StatusCode, res.Header.Get("Allow"), allow)
			}
		}
	}
}

// TestDocumentHasEveryRoute compares the document with what GET / lists, which are all
// endpoints but the documentation itself. A key is needed where the document says so.
func TestDocumentHasEveryRoute(t *testing.T) {
	g := documentedGateway(t, "1m")
	var index struct{ Endpoints []string }
	if err := json.Unmarshal([]byte(g.get(t, "/")), &index); err != nil {
		t.Fatal(err)
	}
	var want []string
	for path, item := range loadDocument(t, g).Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.OperationID == "probeWebSocket" || operation.Tags[0] == "documentation" {
				continue // the one is no route, and the others are for people
			}
			want = append(want, method+" "+path)
			status, _ := g.send(t, method, path, "")
			if needsKey := operation.Responses.Value("401") != nil; needsKey != (status == 401) {
				t.Errorf("%s %s without a key gets %d; the document says that it needs one: %v", method, path, status, needsKey)
			}
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(index.Endpoints)); !slices.Equal(got, want) {
		t.Errorf("GET / lists %q, the document %q", got, want)
	}
}

func TestDocumentWorksBehindAPathPrefix(t *testing.T) {
	for _, server := range loadDocument(t, newGateway(t, demoOnly)).Servers {
		if u, err := url.Parse(server.URL); err != nil || u.IsAbs() || strings.HasPrefix(u.Path, "/") {
			t.Errorf("server %q of the document is not relative to the document", server.URL)
		}
	}
}

// loadDocument reads and checks the document as it is served.
func loadDocument(t *testing.T, g *gateway) *openapi3.T {
	t.Helper()
	_, text := g.send(t, "GET", "/openapi.json", "")
	doc, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return doc
}
