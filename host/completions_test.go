package host_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// completionGateway serves a model of each adapter, which all ask up.
func completionGateway(t testing.TB, up *mock.Upstream) *gateway {
	t.Helper()
	return newGateway(t, completionYAML(up.URL))
}

// completionYAML is the configuration of completionGateway.
func completionYAML(url string) string {
	return fmt.Sprintf(`
providers:
  ol: {plugin: ollama, base_url: "%[1]s"}
  oa: {plugin: openai, base_url: "%[1]s/v1", api_key: k}
  mi: {plugin: openai, base_url: "%[1]s/v1", api_key: k, options: {completions_path: /fim/completions}}
  or: {plugin: openrouter, base_url: "%[1]s/api/v1", api_key: k}
  ge: {plugin: gemini, base_url: "%[1]s/v1beta", api_key: k}
  an: {plugin: anthropic, base_url: "%[1]s", api_key: k}
  de: {plugin: demo}
model_mapping:
  ollama: {provider: ol, model: coder}
  template: {provider: ol, model: coder, options: {completions: template}}
  openai: {provider: oa, model: coder}
  mistral: {provider: mi, model: coder}
  router: {provider: or, model: coder}
  gemini: {provider: ge, model: gemini}
  claude: {provider: an, model: claude}
  demo: {provider: de, model: demo}
  several:
    targets:
      - {provider: an, model: claude}
      - {provider: oa, model: coder}
      - {provider: ol, model: coder}
auth:
  enabled: true
  api_keys: [{name: a, key: key-a}]
`, url)
}

const (
	generated = `{"response":" b","done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":1}`
	usage31   = `"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}`
)

func TestCompletions(t *testing.T) {
	up := mock.Start(t, nil)
	g := completionGateway(t, up)
	oneChoice := func(text, finish string) string {
		return `{"index":0,"text":"` + text + `","logprobs":null,"finish_reason":"` + finish + `"}`
	}
	list := func(choices string) string {
		return `{"object":"text_completion","choices":[` + choices + `],` + usage31
	}
	for name, tc := range map[string]struct {
		asked    string // by the client
		upstream string // its answer
		refuses  int    // the status of that; 0: 200
		path     string // that was asked
		sent     string // upstream; "": nothing
		choices  string // of the answer
		status   int    // 0: 200
		says     string // an error
	}{
		"cmp-plain: a text goes raw to Ollama": {
			asked: `{"model":"ollama","prompt":"a","max_tokens":3}`, upstream: generated, path: "/api/generate",
			sent: `{"model":"coder","prompt":"a","raw":true,"stream":false,"think":false,"options":{"num_predict":3}}`, choices: oneChoice(" b", "stop"),
		},
		"through the template, if it is configured": {
			asked: `{"model":"template","prompt":"a","max_tokens":3}`, upstream: generated,
			sent: `{"model":"coder","prompt":"a","stream":false,"think":false,"options":{"num_predict":3}}`, choices: oneChoice(" b", "stop"),
		},
		"cmp-default-max: 16 tokens without max_tokens": {
			asked: `{"model":"ollama","prompt":"a"}`, upstream: generated,
			sent: `{"model":"coder","prompt":"a","raw":true,"stream":false,"think":false,"options":{"num_predict":16}}`, choices: oneChoice(" b", "stop"),
		},
		"16 tokens with a max_tokens of null": {
			asked: `{"model":"openai","prompt":"a","max_tokens":null}`, upstream: list(oneChoice(" b", "stop")),
			sent: `{"model":"coder","prompt":"a","max_tokens":16}`, choices: oneChoice(" b", "stop"),
		},
		"a max_tokens of 0 needs echo": {asked: `{"model":"ollama","prompt":"a","max_tokens":0}`, status: 400, says: `"param":"max_tokens"`},
		"a max_tokens of 0 never reaches Ollama": {
			asked: `{"model":"ollama","prompt":"a","max_tokens":0,"echo":true}`, status: 400, says: `"param":"echo"`,
		},
		"a server that fills no gaps": {
			asked: `{"model":"openai","prompt":"a","suffix":"c"}`, upstream: `{"error":{"message":"suffix is not currently supported","type":"BadRequestError","param":null,"code":400}}`, refuses: 400,
			sent: `{"model":"coder","max_tokens":16,"prompt":"a","suffix":"c"}`, path: "/v1/completions", status: 400, says: `"param":"suffix","code":"unsupported_parameter"`,
		},
		"cmp-suffix: Ollama's template puts prompt and suffix together": {
			asked: `{"model":"ollama","prompt":"a","suffix":"c"}`, upstream: generated,
			sent: `{"model":"coder","prompt":"a","suffix":"c","stream":false,"think":false,"options":{"num_predict":16}}`, choices: oneChoice(" b", "stop"),
		},
		"an empty prompt is a line end for Ollama": {
			asked: `{"model":"ollama","prompt":"","suffix":"c"}`, upstream: generated,
			sent: `{"model":"coder","prompt":"\n","suffix":"c","stream":false,"think":false,"options":{"num_predict":16}}`, choices: oneChoice(" b", "stop"),
		},
		"a model that can't fill in": {
			asked: `{"model":"ollama","prompt":"a","suffix":"c"}`, upstream: `{"error":"registry.ollama.ai/library/coder:latest does not support insert"}`, refuses: 400,
			sent:   `{"model":"coder","prompt":"a","suffix":"c","stream":false,"think":false,"options":{"num_predict":16}}`,
			status: 400, says: `"param":"suffix","code":"unsupported_parameter"`,
		},
		"fields that ask for nothing are left out": {
			asked: `{"model":"openai","echo":false,"suffix":"", "best_of":1,"prompt":"a","suffix2":1,"n":1}`, upstream: list(oneChoice(" b", "stop")), path: "/v1/completions",
			sent: `{"model":"coder","max_tokens":16,"prompt":"a","suffix2":1,"n":1}`, choices: oneChoice(" b", "stop"),
		},
		"and at the end, too": {
			asked: `{"model":"openai","prompt":"a","max_tokens":2,"best_of":null,"suffix":null,"echo":null}`, upstream: list(oneChoice(" b", "stop")),
			sent: `{"model":"coder","prompt":"a","max_tokens":2}`, choices: oneChoice(" b", "stop"),
		},
		"fields that Kai doesn't know pass": {
			asked: `{"model":"openai","prompt":"a","max_tokens":2,"top_k":4,"guided_json":{"a":1}}`, upstream: list(oneChoice(" b", "stop")),
			sent: `{"model":"coder","prompt":"a","max_tokens":2,"top_k":4,"guided_json":{"a":1}}`, choices: oneChoice(" b", "stop"),
		},
		"cmp-array: a server that takes several prompts gets them together": {
			asked: `{"model":"openai","prompt":["a","b"],"n":2,"max_tokens":2}`,
			upstream: list(`{"index":0,"text":"0","finish_reason":"stop"},{"index":1,"text":"1","finish_reason":"stop"},` +
				`{"index":2,"text":"2","finish_reason":"length"},{"index":3,"text":"3","finish_reason":"stop"}`),
			sent: `{"model":"coder","prompt":["a","b"],"n":2,"max_tokens":2}`,
			choices: `{"index":0,"text":"0","logprobs":null,"finish_reason":"stop"},{"index":1,"text":"1","logprobs":null,"finish_reason":"stop"},` +
				`{"index":2,"text":"2","logprobs":null,"finish_reason":"length"},{"index":3,"text":"3","logprobs":null,"finish_reason":"stop"}`,
		},
		"a list of one is that one": {
			asked: `{"model":"openai","prompt":[ "a" ],"max_tokens":2}`, upstream: list(oneChoice(" b", "stop")),
			sent: `{"model":"coder","prompt":"a","max_tokens":2}`, choices: oneChoice(" b", "stop"),
		},
		"fewer choices than prompts": {
			asked: `{"model":"openai","prompt":["a","b"],"max_tokens":2}`, upstream: list(oneChoice(" b", "stop")),
			sent: `{"model":"coder","prompt":["a","b"],"max_tokens":2}`, status: 502, says: "fewer choices",
		},
		"more choices than were asked for": {
			asked: `{"model":"openai","prompt":"a","max_tokens":2}`, upstream: list(oneChoice("b", "stop") + `,{"index":1,"text":"c","finish_reason":"stop"}`),
			sent: `{"model":"coder","prompt":"a","max_tokens":2}`, status: 502, says: "more choices",
		},
		"tokens for a server that takes them": {
			asked: `{"model":"openai","prompt":[[1,2],[3]],"max_tokens":2}`, upstream: list(`{"index":0,"text":"0","finish_reason":"stop"},{"index":1,"text":"1","finish_reason":"stop"}`),
			sent:    `{"model":"coder","prompt":[[1,2],[3]],"max_tokens":2}`,
			choices: `{"index":0,"text":"0","logprobs":null,"finish_reason":"stop"},{"index":1,"text":"1","logprobs":null,"finish_reason":"stop"}`,
		},
		"tokens for Ollama": {asked: `{"model":"ollama","prompt":[1,2]}`, status: 400, says: `"param":"prompt"`},
		"cmp-echo: the prompt stands before its completion": {
			asked: `{"model":"ollama","prompt":"a \"q\"","echo":true}`, upstream: generated,
			sent: `{"model":"coder","prompt":"a \"q\"","raw":true,"stream":false,"think":false,"options":{"num_predict":16}}`, choices: oneChoice(`a \"q\" b`, "stop"),
		},
		"echo with logprobs at Ollama": {asked: `{"model":"ollama","prompt":"a","echo":true,"logprobs":1}`, status: 400, says: `"param":"echo"`},
		"cmp-lm-eval: echo and logprobs of tokens are the server's": {
			asked:    `{"model":"openai","prompt":[1,2],"max_tokens":1,"echo":true,"logprobs":1,"temperature":0,"seed":1234}`,
			upstream: list(`{"index":0,"text":"ab c","logprobs":{"tokens":["a","b"," c"],"token_logprobs":[null,-0.5,-0.25],"top_logprobs":[null,{"b":-0.5},{" c":-0.25," d":-3}],"text_offset":[0,1,2]},"finish_reason":"length"}`),
			sent:     `{"model":"coder","prompt":[1,2],"max_tokens":1,"echo":true,"logprobs":1,"temperature":0,"seed":1234}`,
			choices:  `{"index":0,"text":"ab c","logprobs":{"tokens":["a","b"," c"],"token_logprobs":[null,-0.5,-0.25],"top_logprobs":[null,{"b":-0.5},{" c":-0.25," d":-3}],"text_offset":[0,1,2]},"finish_reason":"length"}`,
		},
		"echo alone, without a token more": {
			asked: `{"model":"openai","prompt":"a","max_tokens":0,"echo":true,"logprobs":0}`, upstream: list(oneChoice("a", "length")),
			sent: `{"model":"coder","prompt":"a","max_tokens":0,"echo":true,"logprobs":0}`, choices: oneChoice("a", "length"),
		},
		"cmp-logprobs: offsets count characters": {
			asked: `{"model":"ollama","prompt":"a","logprobs":2}`,
			upstream: `{"response":"😀 é!","logprobs":[{"token":"😀","logprob":-0.5,"bytes":[240,159,152,128],"top_logprobs":[{"token":"😀","logprob":-0.5},{"token":"x","logprob":-2}]},` +
				`{"token":" é","logprob":-1,"top_logprobs":[{"token":"y","logprob":-0.1}]},{"token":"!","logprob":-3}],"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":1}`,
			sent:    `{"model":"coder","prompt":"a","raw":true,"stream":false,"think":false,"logprobs":true,"top_logprobs":2,"options":{"num_predict":16}}`,
			choices: `{"index":0,"text":"😀 é!","logprobs":{"tokens":["😀"," é","!"],"token_logprobs":[-0.5,-1,-3],"top_logprobs":[{"😀":-0.5,"x":-2},{"y":-0.1," é":-1},{"!":-3}],"text_offset":[0,1,3]},"finish_reason":"stop"}`,
		},
		"cmp-length": {
			asked: `{"model":"ollama","prompt":"a","stop":"x"}`, upstream: strings.Replace(generated, `"stop"`, `"length"`, 1),
			sent: `{"model":"coder","prompt":"a","raw":true,"stream":false,"think":false,"options":{"num_predict":16,"stop":["x"]}}`, choices: oneChoice(" b", "length"),
		},
		"cmp-no-op: gemini": {asked: `{"model":"gemini","prompt":"a"}`, status: 400, says: "/v1/chat/completions"},
		"anthropic":         {asked: `{"model":"claude","prompt":"a"}`, status: 400, says: `"param":"model","code":"unsupported_operation"`},
		"targets without completions are skipped": {
			asked: `{"model":"several","prompt":"a"}`, upstream: list(oneChoice(" b", "stop")), path: "/v1/completions",
			sent: `{"model":"coder","max_tokens":16,"prompt":"a"}`, choices: oneChoice(" b", "stop"),
		},
		"OpenRouter": {
			asked: `{"model":"router","prompt":"a"}`, upstream: list(`{"index":0,"text":" b","finish_reason":"stop","native_finish_reason":"stop"}`), path: "/api/v1/completions",
			sent: `{"model":"coder","max_tokens":16,"prompt":"a"}`, choices: oneChoice(" b", "stop"),
		},
		"a server with completions elsewhere, in the form of chats": {
			asked: `{"model":"mistral","prompt":"a","suffix":"c"}`, upstream: list(`{"index":0,"message":{"role":"assistant","content":" b"},"finish_reason":"stop"}`), path: "/v1/fim/completions",
			sent: `{"model":"coder","max_tokens":16,"prompt":"a","suffix":"c"}`, choices: oneChoice(" b", "stop"),
		},
		"cmp-continue: more stops than OpenAI takes get its own answer": {
			asked: `{"model":"openai","prompt":"a","stop":["1","2","3","4","5","6","7","8"]}`, upstream: `{"error":{"message":"too many stops","param":"stop","type":"invalid_request_error"}}`, refuses: 400,
			sent: `{"model":"coder","max_tokens":16,"prompt":"a","stop":["1","2","3","4","5","6","7","8"]}`, status: 400, says: `"param":"stop"`,
		},
		"n at Ollama":             {asked: `{"model":"ollama","prompt":"a","n":2}`, status: 400, says: `"param":"n"`},
		"best_of at Ollama":       {asked: `{"model":"ollama","prompt":"a","best_of":2}`, status: 400, says: `"param":"best_of"`},
		"best_of below n":         {asked: `{"model":"openai","prompt":"a","n":3,"best_of":2}`, status: 400, says: `"param":"best_of"`},
		"best_of streamed":        {asked: `{"model":"openai","prompt":"a","best_of":2,"stream":true}`, status: 400, says: `"param":"best_of"`},
		"no prompt":               {asked: `{"model":"openai"}`, status: 400, says: `"param":"prompt"`},
		"a prompt of null":        {asked: `{"model":"openai","prompt":null}`, status: 400, says: `"param":"prompt"`},
		"an empty list":           {asked: `{"model":"openai","prompt":[]}`, status: 400, says: `"param":"prompt"`},
		"a mixed list":            {asked: `{"model":"openai","prompt":["a",1]}`, status: 400, says: `"param":"prompt[1]"`},
		"an empty list of tokens": {asked: `{"model":"openai","prompt":[[1],[]]}`, status: 400, says: `"param":"prompt[1]"`},
		"too many logprobs":       {asked: `{"model":"openai","prompt":"a","logprobs":6}`, status: 400, says: `"param":"logprobs"`},
	} {
		t.Run(name, func(t *testing.T) {
			up.Answer(mock.Whole(max(200, tc.refuses), "application/json", tc.upstream))
			up.Forget()
			res, answer := g.postTo(t, "/v1/completions", "key-a", tc.asked)
			if res.StatusCode != max(200, tc.status) {
				t.Fatalf("status %d: %s", res.StatusCode, answer)
			}
			sent := ""
			if len(up.Requests()) > 0 {
				sent = up.Last().Body
				if tc.path != "" && up.Last().URI != tc.path {
					t.Errorf("asked %s", up.Last().URI)
				}
			}
			if sent != tc.sent {
				t.Errorf("upstream got\n%s; want\n%s", sent, tc.sent)
			}
			if tc.status != 0 {
				if !strings.Contains(answer, tc.says) {
					t.Errorf("%s doesn't say %s", answer, tc.says)
				}
				return
			}
			if !strings.Contains(answer, `"choices":[`+tc.choices+`],`) && !(name == "OpenRouter" && strings.Contains(answer, `" b"`)) {
				t.Errorf("got %s; want choices\n%s", answer, tc.choices)
			}
			if !strings.HasPrefix(answer, `{"id":"cmpl-`) || !strings.Contains(answer, `"object":"text_completion"`) || !strings.HasSuffix(answer, usage31) {
				t.Errorf("got %s", answer)
			}
		})
	}
}

// textChunk is a chunk of a stream, after what all have.
func textChunk(index int, text, finish, rest string) string {
	if finish != "null" {
		finish = `"` + finish + `"`
	}
	return fmt.Sprintf(`{"index":%d,"text":"%s","logprobs":null,"finish_reason":%s}]%s}`+"\n\n", index, text, finish, rest)
}

var chunkHead = regexp.MustCompile(`data: \{"id":"[a-z]+-[A-Z2-7]{26}","object":"text_completion","created":[0-9]+,"model":"[a-z]+","choices":\[`)

func TestStreamedCompletions(t *testing.T) {
	const done = "data: [DONE]\n\n"
	up := mock.Start(t, nil)
	g := completionGateway(t, up)
	says := func(text string) string { return `{"response":"` + text + `","done":false}` + "\n" }
	for name, tc := range map[string]struct {
		asked   string
		answers []mock.Answer // one after the other
		want    string        // without what each chunk begins with
		failed  string        // how the last event begins; "": as want says
	}{
		"cmp-stream": {
			asked:   `{"model":"ollama","prompt":"a","stream":true}`,
			answers: []mock.Answer{mock.NDJSON(says(" b"), generated+"\n")},
			want:    textChunk(0, " b", "null", "") + textChunk(0, " b", "null", "") + textChunk(0, "", "stop", "") + done,
		},
		"cmp-usage": {
			asked:   `{"model":"ollama","prompt":"a","stream":true,"stream_options":{"include_usage":true}}`,
			answers: []mock.Answer{mock.NDJSON(generated + "\n")},
			want:    textChunk(0, " b", "null", `,"usage":null`) + textChunk(0, "", "stop", `,"usage":null`) + "],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}}\n\n" + done,
		},
		"cmp-array: several prompts one after the other, with echo": {
			asked:   `{"model":"ollama","prompt":["a","c"],"stream":true,"echo":true,"stream_options":{"include_usage":true}}`,
			answers: []mock.Answer{mock.NDJSON(generated + "\n"), mock.NDJSON(generated + "\n")},
			want: textChunk(0, "a b", "null", `,"usage":null`) + textChunk(0, "", "stop", `,"usage":null`) + textChunk(1, "c b", "null", `,"usage":null`) + textChunk(1, "", "stop", `,"usage":null`) +
				"],\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":2,\"total_tokens\":8}}\n\n" + done,
		},
		"the second of them fails": {
			asked:   `{"model":"ollama","prompt":["a","c"],"stream":true}`,
			answers: []mock.Answer{mock.NDJSON(generated + "\n"), mock.Whole(500, "application/json", `{"error":"boom"}`)},
			want:    textChunk(0, " b", "null", "") + textChunk(0, "", "stop", ""), failed: `data: {"error":`,
		},
		"cmp-midstream-error": {
			asked:   `{"model":"ollama","prompt":"a","stream":true}`,
			answers: []mock.Answer{mock.NDJSON(says(" b"), `{"error":"boom"}`+"\n")},
			want:    textChunk(0, " b", "null", ""), failed: `data: {"error":`,
		},
		"a stream that breaks off": {
			asked:   `{"model":"ollama","prompt":"a","stream":true}`,
			answers: []mock.Answer{mock.NDJSON(says(" b"))},
			want:    textChunk(0, " b", "null", ""), failed: `data: {"error":`,
		},
		"OpenAI's stream": {
			asked: `{"model":"openai","prompt":"a","stream":true}`,
			answers: []mock.Answer{mock.SSE(`data: {"id":"x","object":"text_completion","created":1,"model":"coder","choices":[{"index":0,"text":" b","logprobs":null,"finish_reason":null}],"usage":null}`+"\n\n",
				`data: {"id":"x","object":"text_completion","created":1,"model":"coder","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"length"}]}`+"\n\n", "data: [DONE]\n\n")},
			want: textChunk(0, " b", "null", "") + textChunk(0, "", "length", "") + done,
		},
		"the demo": {
			asked: `{"model":"demo","prompt":"a","stream":true,"max_tokens":1}`,
			want:  textChunk(0, " and", "null", "") + textChunk(0, "", "length", "") + done,
		},
	} {
		t.Run(name, func(t *testing.T) {
			up.Answer(mock.InTurn(tc.answers...))
			res, answer := g.postTo(t, "/v1/completions", "key-a", tc.asked)
			if res.StatusCode != 200 {
				t.Fatalf("status %d: %s", res.StatusCode, answer)
			}
			got := chunkHead.ReplaceAllString(answer, "")
			if tc.failed != "" {
				rest, ok := strings.CutPrefix(got, tc.want)
				if !ok || !strings.HasPrefix(rest, tc.failed) || strings.Contains(rest, "[DONE]") {
					t.Errorf("got\n%s; want\n%s and an error", got, tc.want)
				}
				return
			}
			if got != tc.want {
				t.Errorf("got\n%s; want\n%s", got, tc.want)
			}
		})
	}
}

func TestPromptsOneAfterTheOther(t *testing.T) {
	up := mock.Start(t, mock.JSON(generated))
	g := completionGateway(t, up)
	_, answer := g.postTo(t, "/v1/completions", "key-a", `{"model":"ollama","prompt":["a", "c" ,"d"],"echo":true}`)
	var sent []string
	for _, r := range up.Requests() {
		sent = append(sent, strings.TrimSuffix(strings.TrimPrefix(r.Body, `{"model":"coder","prompt":`), `,"raw":true,"stream":false,"think":false,"options":{"num_predict":16}}`))
	}
	if got := strings.Join(sent, " "); got != `"a" "c" "d"` {
		t.Errorf("upstream was asked for %s", got)
	}
	want := `"choices":[{"index":0,"text":"a b","logprobs":null,"finish_reason":"stop"},{"index":1,"text":"c b","logprobs":null,"finish_reason":"stop"},` +
		`{"index":2,"text":"d b","logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`
	if !strings.HasSuffix(answer, want) {
		t.Errorf("got %s; want\n%s", answer, want)
	}

	up.Answer(mock.InTurn(mock.JSON(generated), mock.Whole(400, "application/json", `{"error":"boom"}`)))
	if res, answer := g.postTo(t, "/v1/completions", "key-a", `{"model":"ollama","prompt":["a","c"]}`); res.StatusCode != 400 {
		t.Errorf("the second prompt failed: status %d, %s", res.StatusCode, answer)
	}
}

// TestEditorsRequests has the requests of Continue: FIM tokens in the prompt, or Mistral's form.
func TestEditorsRequests(t *testing.T) {
	up := mock.Start(t, mock.SSE(`data: {"choices":[{"index":0,"text":"x","finish_reason":"stop"}]}`+"\n\n", "data: [DONE]\n\n"))
	g := completionGateway(t, up)
	const asked = `{"model":"openai","prompt":"<|fim_prefix|>def f():\n<|fim_suffix|>\n<|fim_middle|>","max_tokens":256,"temperature":0.01,"stream":true,` +
		`"stop":["<|endoftext|>","<|fim_prefix|>","<|fim_middle|>","<|fim_suffix|>","<|fim_pad|>","<|repo_name|>","<|file_sep|>","\n\n"]}`
	if _, answer := g.postTo(t, "/v1/completions", "key-a", asked); !strings.Contains(answer, `"text":"x"`) {
		t.Error(answer)
	}
	want := strings.Replace(strings.TrimSuffix(asked, "}"), `"openai"`, `"coder"`, 1) + `,"stream_options":{"include_usage":true}}`
	if got := up.Last().Body; got != want {
		t.Errorf("upstream got %s; want %s", got, want)
	}

	up.Answer(mock.NDJSON(generated + "\n"))
	ask := func(key func(http.Header), body string) (int, string) {
		r, err := http.NewRequest("POST", g.URL+"/v1/fim/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		key(r.Header)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(answer)
	}
	both := func(h http.Header) { h.Set("Authorization", "Bearer key-a"); h.Set("X-Api-Key", "key-a") }
	for name, key := range map[string]func(http.Header){
		"bearer": func(h http.Header) { h.Set("Authorization", "Bearer key-a") }, "x-api-key": func(h http.Header) { h.Set("X-Api-Key", "key-a") }, "both": both,
	} {
		status, answer := ask(key, `{"model":"ollama","prompt":"a","suffix":"c","random_seed":7,"stop":["x"],"stream":true}`)
		if status != 200 || !strings.Contains(answer, `"object":"chat.completion.chunk"`) || !strings.Contains(answer, `"delta":{"content":" b"}`) || !strings.HasSuffix(answer, "data: [DONE]\n\n") {
			t.Errorf("%s: status %d, %s", name, status, answer)
		}
		if want := `{"model":"coder","prompt":"a","suffix":"c","stream":true,"think":false,"options":{"num_predict":256,"seed":7,"stop":["x"]}}`; up.Last().Body != want {
			t.Errorf("%s: upstream got %s; want %s", name, up.Last().Body, want)
		}
	}
	up.Answer(mock.JSON(generated))
	if status, answer := ask(both, `{"model":"ollama","prompt":"a"}`); status != 200 || !strings.Contains(answer, `"object":"chat.completion"`) || !strings.Contains(answer, `"content":" b"`) {
		t.Errorf("whole: status %d, %s", status, answer)
	}
	for _, broken := range []string{`{"model":"ollama","prompt":["a","b"]}`, `{"model":"ollama","prompt":[1]}`, `{"model":"ollama"}`} {
		if status, answer := ask(both, broken); status != 400 || !strings.Contains(answer, `"param":"prompt"`) {
			t.Errorf("%s: status %d, %s", broken, status, answer)
		}
	}
	if status, _ := ask(func(http.Header) {}, `{"model":"ollama","prompt":"a"}`); status != 401 {
		t.Errorf("without a key: status %d", status)
	}
}
