package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

const completions = "/v1/completions"

// openCompletion is the head of an answer in OpenAI's form, up to its choices.
const openCompletion = `{"id":"x","object":"text_completion","created":1,"model":"coder","choices":[`

// completionForms are how an upstream answers a completion of "a" with "b c".
var completionForms = map[string]struct {
	model, contentType, body string
	stream                   bool
	ends                     int // bytes from the end of the body that may be missing
}{
	"Ollama, whole": {model: "ollama", contentType: "application/json", body: `{"response":"b c","done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}`},
	"Ollama, streamed": {
		model: "ollama", contentType: "application/x-ndjson", stream: true,
		body: `{"response":"b","done":false}` + "\n" + `{"response":" c","done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}` + "\n",
	},
	"OpenAI, whole": {
		model: "openai", contentType: "application/json",
		body: openCompletion + `{"index":0,"text":"b c","logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`,
	},
	"OpenAI, streamed": {
		model: "openai", contentType: "text/event-stream", stream: true, ends: len("data: [DONE]\n\n"), // the reason for the end is enough
		body: "data: " + openCompletion + `{"index":0,"text":"b","logprobs":null,"finish_reason":null}]}` + "\n\n" +
			"data: " + openCompletion + `{"index":0,"text":" c","logprobs":null,"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
	},
	"Mistral, streamed": {
		model: "mistral", contentType: "text/event-stream", stream: true, ends: len("data: [DONE]\n\n"),
		body: `data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"b"},"finish_reason":null}]}` + "\n\n" +
			`data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" c"},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
	},
}

// completed returns the text of an answer that is complete.
func completed(answer string, stream bool) (text string, ok bool) {
	datas := []string{answer}
	if stream {
		rest, done := strings.CutSuffix(answer, "data: [DONE]\n\n")
		if !done {
			return "", false
		}
		datas = strings.Split(strings.TrimSuffix(rest, "\n\n"), "\n\n")
	}
	for _, data := range datas {
		var a struct {
			Object  string
			Choices []struct {
				Text   string
				Finish string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(data, "data: ")), &a); err != nil || a.Object != "text_completion" {
			return "", false
		}
		for _, c := range a.Choices {
			text += c.Text
			ok = ok || c.Finish != ""
		}
	}
	return text, ok
}

// TestCompletionsAreWholeOrAnError cuts each form of an answer at every byte.
func TestCompletionsAreWholeOrAnError(t *testing.T) {
	up := mock.Start(t, nil)
	g := completionGateway(t, up)
	for name, form := range completionForms {
		t.Run(name, func(t *testing.T) {
			head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", form.contentType, len(form.body))
			asked := fmt.Sprintf(`{"model":%q,"prompt":"a","stream":%v}`, form.model, form.stream)
			for cut := range len(form.body) + 1 {
				up.Answer(mock.Raw(head + form.body[:cut]))
				_, answer := g.postTo(t, completions, "key-a", asked)
				text, ok := completed(answer, form.stream)
				switch want := cut >= len(form.body)-form.ends; {
				case ok != want:
					t.Errorf("cut at %d of %d: complete = %v, want %v: %s", cut, len(form.body), ok, want, answer)
				case ok && text != "b c":
					t.Errorf("cut at %d: the text is %q", cut, text)
				case !ok && (!strings.Contains(answer, `{"error":`) || strings.Contains(answer, "[DONE]")):
					t.Errorf("cut at %d: no error in %s", cut, answer)
				}
			}
		})
	}
}

func TestCompletionsUpstreamFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(form string, ok mock.Answer) mock.Answer
		status int
		code   string
		silent bool // the upstream is waited for in vain
	}{
		"reset before the head":   {answer: always(mock.Reset), status: 502, code: "upstream_error"},
		"closed before the head":  {answer: always(mock.Cut), status: 502, code: "upstream_error"},
		"garbage instead of HTTP": {answer: always(mock.Raw("\x00\x01garbage\r\n\r\n")), status: 502, code: "upstream_error"},
		"garbage instead of JSON": {answer: always(mock.Whole(200, "application/json", "}{")), status: 502, code: "upstream_error"},
		"null":                    {answer: always(mock.JSON("null")), status: 502, code: "upstream_error"},
		"an empty object":         {answer: always(mock.JSON("{}")), status: 502, code: "upstream_error"},
		"nothing":                 {answer: always(mock.JSON("")), status: 502, code: "upstream_error"},
		"a web page":              {answer: always(mock.Whole(200, "text/html", "<html>")), status: 502, code: "upstream_error"},
		"a redirect":              {answer: always(mock.Steps(mock.Header("Location", "http://127.0.0.1/"), mock.Status(302))), status: 502, code: "upstream_error"},
		"busy":                    {answer: always(mock.Whole(503, "application/json", `{"error":"busy"}`)), status: 503, code: "upstream_error"},
		"a rate limit":            {answer: always(mock.Whole(429, "application/json", `{"error":"slow down"}`)), status: 429, code: "rate_limit_error"},
		"an error with 200":       {answer: always(mock.JSON(`{"error":"boom"}`)), status: 502, code: "upstream_error"},
		"silence before the head": {answer: always(mock.Hang), status: 504, code: "upstream_timeout", silent: true},
		"one byte in a write": {
			answer: func(form string, ok mock.Answer) mock.Answer {
				f := completionForms[form]
				return mock.Raw(mock.Bytes("HTTP/1.1 200 OK\r\nContent-Type: " + f.contentType + "\r\nConnection: close\r\n\r\n" + f.body)...)
			},
			status: 200,
		},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, nil)
			yaml := completionYAML(up.URL)
			if tc.silent {
				yaml = strings.ReplaceAll(yaml, "{plugin: o", "{timeouts: {first_byte: 500ms, idle: 500ms}, plugin: o")
			}
			g := newGateway(t, yaml)
			g.post(t, `{`) // so that what the first request makes is there
			for form, f := range completionForms {
				if tc.silent && f.stream || tc.code != "" && form != "Ollama, streamed" && form != "OpenAI, whole" {
					continue // a silent stream's head is sent before, and the others fail in the same way
				}
				up.Answer(tc.answer(form, mock.Whole(200, f.contentType, f.body)))
				res, answer := g.postTo(t, completions, "key-a", fmt.Sprintf(`{"model":%q,"prompt":"a","stream":%v}`, f.model, f.stream))
				text, ok := completed(answer, f.stream)
				if res.StatusCode != tc.status || ok != (tc.code == "") || ok && text != "b c" || !ok && !strings.Contains(answer, `"`+tc.code+`"`) {
					t.Errorf("%s: the client got %d %s, want %d %s", form, res.StatusCode, answer, tc.status, tc.code)
				}
				if strings.Contains(answer, "127.0.0.1") {
					t.Errorf("%s: the error tells the upstream's address: %s", form, answer)
				}
			}
		})
	}
}

func always(answer mock.Answer) func(string, mock.Answer) mock.Answer {
	return func(string, mock.Answer) mock.Answer { return answer }
}

func TestHangUpEndsCompletions(t *testing.T) {
	for name, tc := range map[string]struct {
		path, asked string
		begin       mock.Answer
	}{
		"whole, before the head":  {completions, `{"model":"openai","prompt":"a"}`, mock.Steps()},
		"whole, in its middle":    {completions, `{"model":"openai","prompt":"a"}`, mock.Stream("application/json", openCompletion)},
		"streamed, in its middle": {completions, `{"model":"ollama","prompt":"a","stream":true}`, mock.NDJSON(`{"response":"b","done":false}` + "\n")},
		"the second of two prompts": {
			completions, `{"model":"ollama","prompt":["a","b"],"stream":true}`, func(x *mock.Exchange) {
				if strings.Contains(x.Body, `"prompt":"a"`) {
					mock.NDJSON(generated + "\n")(x)
					return
				}
				mock.NDJSON(`{"response":"b","done":false}` + "\n")(x)
			},
		},
		"FIM, in its middle": {"/v1/fim/completions", `{"model":"ollama","prompt":"a","suffix":"c","stream":true}`, mock.NDJSON(`{"response":"b","done":false}` + "\n")},
	} {
		t.Run(name, func(t *testing.T) {
			asked, gone := make(chan bool), make(chan bool, 1)
			up := mock.Start(t, func(x *mock.Exchange) {
				tc.begin(x)
				if strings.Contains(tc.asked, `["a","b"]`) && strings.Contains(x.Body, `"prompt":"a"`) {
					return // the first of them is answered
				}
				close(asked)
				x.Hang()
				gone <- true
			})
			g := completionGateway(t, up)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "POST", g.URL+tc.path, strings.NewReader(tc.asked))
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer key-a")
			hangUpOnceAsked(req, asked, cancel)
			wantGone(t, gone)
		})
	}
}

// TestThoughtsAreNoCompletion: what a model thinks is never a part of the text, which editors
// would insert.
func TestThoughtsAreNoCompletion(t *testing.T) {
	up := mock.Start(t, nil)
	g := completionGateway(t, up)
	const ended = `"done":true,"done_reason":"length","prompt_eval_count":3,"eval_count":1}` + "\n"
	for name, tc := range map[string]struct {
		model  string
		answer mock.Answer
		sent   string // in the upstream's request
		want   string
	}{
		"cmp-thinking-model": {"ollama", mock.NDJSON(`{"response":"","thinking":"Hm","done":false}`+"\n", `{"response":" b",`+ended), `"think":false`, " b"},
		"nothing but thoughts": {
			"ollama", mock.NDJSON(`{"response":"","thinking":"Hm","done":false}`+"\n", `{"response":"",`+ended), `"think":false`, "",
		},
		"a server of OpenAI's form": {"openai", mock.SSE(
			"data: "+openCompletion+`{"index":0,"text":"","reasoning_content":"Hm","finish_reason":null}]}`+"\n\n",
			"data: "+openCompletion+`{"index":0,"text":" b","finish_reason":"length"}]}`+"\n\n", "data: [DONE]\n\n"), "", " b"},
		"a server of Mistral's form": {"mistral", mock.SSE(
			`data: {"choices":[{"index":0,"delta":{"content":"","reasoning_content":"Hm"}}]}`+"\n\n",
			`data: {"choices":[{"index":0,"delta":{"content":" b"},"finish_reason":"length"}]}`+"\n\n", "data: [DONE]\n\n"), "", " b"},
	} {
		t.Run(name, func(t *testing.T) {
			up.Answer(tc.answer)
			for _, path := range []string{completions, "/v1/fim/completions"} {
				_, answer := g.postTo(t, path, "key-a", fmt.Sprintf(`{"model":%q,"prompt":"a","stream":true}`, tc.model))
				got := completionText(t, answer)
				if path != completions {
					got = content(t, answer)
				}
				if got != tc.want || !strings.Contains(answer, `"finish_reason":"length"`) || !strings.HasSuffix(answer, "data: [DONE]\n\n") {
					t.Errorf("%s: the text is %q, want %q: %s", path, got, tc.want, answer)
				}
				if !strings.Contains(up.Last().Body, tc.sent) {
					t.Errorf("the upstream got %s", up.Last().Body)
				}
			}
		})
	}
}

// TestMistralsSeed: a seed has Mistral's name at Mistral, and OpenAI's everywhere else,
// whatever the client calls it.
func TestMistralsSeed(t *testing.T) {
	up := mock.Start(t, mock.JSON(`{"choices":[{"index":0,"message":{"role":"assistant","content":" b"},"finish_reason":"stop"}]}`))
	g := completionGateway(t, up)
	for path, seed := range map[string]string{completions: "seed", "/v1/fim/completions": "random_seed"} {
		for model, want := range map[string]string{"mistral": "random_seed", "openai": "seed"} {
			asked := fmt.Sprintf(`{"model":%q,"prompt":"a","max_tokens":9,"min_tokens":2,%q:7}`, model, seed)
			if res, answer := g.postTo(t, path, "key-a", asked); res.StatusCode != 200 {
				t.Errorf("%s: %d %s", asked, res.StatusCode, answer)
			}
			if got, want := up.Last().Body, fmt.Sprintf(`{"model":"coder","prompt":"a","max_tokens":9,"min_tokens":2,%q:7}`, want); got != want {
				t.Errorf("%s %s: the upstream got %s, want %s", path, asked, got, want)
			}
		}
	}
}

// TestRecordedClients replays what Continue and lm-eval sent, with their headers, and reads
// the answers as they do.
func TestRecordedClients(t *testing.T) {
	file, err := os.ReadFile("testdata/completions-clients.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Requests []struct {
			Client, Path, Body string
			Headers            map[string]string
		}
	}
	if err := json.Unmarshal(file, &recorded); err != nil {
		t.Fatal(err)
	}
	const scored = `{"index":%d,"text":"a b c","logprobs":{"tokens":["a"," b"," c"],"token_logprobs":[null,-0.5,-0.25],"top_logprobs":[null,{" b":-0.5,"x":-3},{" c":-0.25,"x":-4}],"text_offset":[0,1,3]},"finish_reason":"length"}`
	up := mock.Start(t, func(x *mock.Exchange) {
		var asked struct {
			Prompt   json.RawMessage
			Stream   bool
			Logprobs *int
		}
		if err := json.Unmarshal([]byte(x.Body), &asked); err != nil {
			t.Error(err)
		}
		switch {
		case strings.Contains(x.URI, "fim"):
			mock.SSE(`data: {"choices":[{"index":0,"delta":{"role":"assistant","content":" b"}}]}`+"\n\n", `data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]}`+"\n\n", "data: [DONE]\n\n")(x)
		case asked.Stream:
			mock.SSE("data: "+openCompletion+`{"index":0,"text":" b","finish_reason":null}]}`+"\n\n", "data: "+openCompletion+`{"index":0,"text":"","finish_reason":"stop"}]}`+"\n\n", "data: [DONE]\n\n")(x)
		case asked.Logprobs != nil:
			var several [][]int
			if json.Unmarshal(asked.Prompt, &several) != nil {
				several = nil // it is one
			}
			choices := []string{fmt.Sprintf(scored, 0)}
			for i := 1; i < len(several); i++ {
				choices = append(choices, fmt.Sprintf(scored, i))
			}
			slices.Reverse(choices) // lm-eval sorts them, and may
			mock.JSON(openCompletion + strings.Join(choices, ",") + "]}")(x)
		default:
			choices := `{"index":0,"text":" 2","finish_reason":"stop"}`
			if asked.Prompt[0] == '[' {
				choices += `,{"index":1,"text":" 4","finish_reason":"stop"}`
			}
			mock.JSON(openCompletion + choices + "]}")(x)
		}
	})
	g := newGateway(t, strings.NewReplacer("model_mapping:\n", "model_mapping:\n  codestral: {provider: mi, model: codestral}\n  qwen2.5-coder: {provider: oa, model: qwen2.5-coder}\n  coder: {provider: oa, model: coder}\n",
		"key-a", "KEY").Replace(completionYAML(up.URL)))
	for _, r := range recorded.Requests {
		t.Run(r.Client, func(t *testing.T) {
			req, err := http.NewRequest("POST", g.URL+r.Path, strings.NewReader(r.Body))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range r.Headers {
				req.Header.Set(name, value)
			}
			res, err := g.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			answer := string(body)
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("%d %s (%v)", res.StatusCode, answer, err)
			}
			checkPromptCame(t, r.Body, up.Last().Body)
			switch {
			case strings.Contains(r.Path, "fim"):
				if got := content(t, answer); got != " b" {
					t.Errorf("the text is %q: %s", got, answer)
				}
			case strings.Contains(r.Body, `"stream":true`):
				if got := completionText(t, answer); got != " b" {
					t.Errorf("the text is %q: %s", got, answer)
				}
			case strings.Contains(r.Body, `"logprobs"`):
				checkLikelihoods(t, body)
			default:
				if !strings.Contains(answer, `"index":0,"text":" 2"`) || strings.Contains(r.Body, `2+2`) != strings.Contains(answer, `"index":1,"text":" 4"`) {
					t.Errorf("got %s", answer)
				}
			}
		})
	}
}

// checkPromptCame fails if an upstream got another prompt, other stops or another suffix than
// the client sent; a list of one is that one.
func checkPromptCame(t *testing.T, asked, sent string) {
	t.Helper()
	var a, b map[string]any
	if err := json.Unmarshal([]byte(asked), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(sent), &b); err != nil {
		t.Fatal(err)
	}
	if list, ok := a["prompt"].([]any); ok && len(list) == 1 {
		a["prompt"] = list[0]
	}
	for _, name := range []string{"prompt", "stop", "suffix", "max_tokens", "echo", "logprobs", "seed"} {
		if fmt.Sprint(a[name]) != fmt.Sprint(b[name]) {
			t.Errorf("the upstream got %s %v, want %v", name, b[name], a[name])
		}
	}
}

// checkLikelihoods reads an answer as lm-eval does, for contexts of one token: the likelihood
// of what follows, without the token that was made, and whether it is what the model would
// have said.
func checkLikelihoods(t *testing.T, answer []byte) {
	t.Helper()
	var a struct {
		Choices []struct {
			Index    int
			Logprobs struct {
				Token []*float64           `json:"token_logprobs"`
				Top   []map[string]float64 `json:"top_logprobs"`
			}
		}
	}
	if err := json.Unmarshal(answer, &a); err != nil || len(a.Choices) == 0 {
		t.Fatalf("%v: %s", err, answer)
	}
	for i, c := range a.Choices {
		l := c.Logprobs
		if c.Index != i || len(l.Token) != 3 || l.Token[0] != nil || *l.Token[1] != -0.5 || len(l.Top) != 3 || l.Top[0] != nil || l.Top[1][" b"] != -0.5 {
			t.Errorf("choice %d is %+v", i, c)
		}
	}
}
