package host_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// vectors is an upstream for embeddings.
type vectors struct{ *mock.Upstream }

func startVectors(t testing.TB, answer func(path, body string) (status int, answer string)) vectors {
	t.Helper()
	v := vectors{mock.Start(t, nil)}
	v.answers(answer)
	return v
}

// answers has it answer with what f makes of a request's path and body.
func (v vectors) answers(f func(path, body string) (status int, answer string)) {
	v.Answer(func(x *mock.Exchange) {
		status, answer := f(x.URI, x.Body)
		mock.Whole(status, "application/json", answer)(x)
	})
}

// takeAsked returns the bodies of the requests so far, and forgets them.
func (v vectors) takeAsked() (asked []string) {
	for _, r := range v.Requests() {
		asked = append(asked, r.Body)
	}
	v.Forget()
	return asked
}

// embeddingGateway serves a model of each adapter that makes embeddings, which all ask up.
func embeddingGateway(t testing.TB, up vectors) *gateway {
	t.Helper()
	return newGateway(t, fmt.Sprintf(`
providers:
  ol: {plugin: ollama, base_url: "%[1]s"}
  oa: {plugin: openai, base_url: "%[1]s/v1", api_key: k}
  or: {plugin: openrouter, base_url: "%[1]s/api/v1", api_key: k}
  ge: {plugin: gemini, base_url: "%[1]s/v1beta", api_key: k}
  an: {plugin: anthropic, base_url: "%[1]s", api_key: k}
  de: {plugin: demo}
model_mapping:
  ollama: {provider: ol, model: nomic}
  openai: {provider: oa, model: nomic}
  router: {provider: or, model: nomic}
  gemini: {provider: ge, model: gemini-embedding-001}
  claude: {provider: an, model: claude}
  demo: {provider: de, model: demo}
  secret: {provider: de, model: demo}
  several:
    targets:
      - {provider: an, model: claude}
      - {provider: oa, model: nomic}
      - {provider: ol, model: nomic}
auth:
  enabled: true
  api_keys: [{name: a, key: key-a, models: [ollama, openai, router, gemini, claude, demo, several]}, {name: b, key: key-b, models: [claude]}]
`, up.URL))
}

func (g *gateway) embed(t testing.TB, body string) (status int, answer string) {
	t.Helper()
	res, answer := g.postTo(t, "/v1/embeddings", "key-a", body)
	return res.StatusCode, answer
}

// numbersOf returns the vectors of an answer in either form.
func numbersOf(t testing.TB, answer string) (all [][]float32) {
	t.Helper()
	var v struct {
		Data []struct {
			Index     int
			Embedding json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(answer), &v); err != nil {
		t.Fatalf("%.300s: %v", answer, err)
	}
	for i, d := range v.Data {
		if d.Index != i {
			t.Errorf("the index %d is at %d", d.Index, i)
		}
		var numbers []float32
		if d.Embedding[0] == '"' {
			b, err := base64.StdEncoding.DecodeString(string(d.Embedding[1 : len(d.Embedding)-1]))
			if err != nil {
				t.Fatal(err)
			}
			for ; len(b) > 0; b = b[4:] {
				numbers = append(numbers, math.Float32frombits(binary.LittleEndian.Uint32(b)))
			}
		} else if err := json.Unmarshal(d.Embedding, &numbers); err != nil {
			t.Fatal(err)
		}
		all = append(all, numbers)
	}
	return all
}

func TestEmbeddings(t *testing.T) {
	up := startVectors(t, nil)
	g := embeddingGateway(t, up)
	const list = `{"object":"list","data":[%s],"usage":{"prompt_tokens":7,"total_tokens":7}}`
	one := func(v string) string { return fmt.Sprintf(list, `{"object":"embedding","index":0,"embedding":`+v+`}`) }
	const head = `{"object":"list","model":%q,"data":[{"object":"embedding","index":0,"embedding":%s`
	for name, tc := range map[string]struct {
		asked    string // by the client
		upstream string // the answer
		status   int    // of the upstream; 0: 200
		sent     string // upstream; "": nothing
		want     string
		refused  int // the status that the client gets; 0: 200
	}{
		"a text to Ollama": {
			asked: `{"model":"ollama","input":"a"}`, upstream: `{"embeddings":[[0.6,0.8]],"prompt_eval_count":3}`,
			sent: `{"model":"nomic","input":"a","truncate":false}`,
			want: fmt.Sprintf(head, "ollama", `[0.6,0.8]}],"usage":{"prompt_tokens":3,"total_tokens":3}}`),
		},
		"two texts to Ollama": {
			asked: `{"model":"ollama","input":["a","b"]}`, upstream: `{"embeddings":[[0.6,0.8],[1,0]],"prompt_eval_count":14}`,
			sent: `{"model":"nomic","input":["a","b"],"truncate":false}`,
			want: fmt.Sprintf(head, "ollama", `[0.6,0.8]},{"object":"embedding","index":1,"embedding":[1,0]}],"usage":{"prompt_tokens":14,"total_tokens":14}}`),
		},
		"dimensions to Ollama": {
			asked: `{"model":"ollama","input":"a","dimensions":4}`, upstream: `{"embeddings":[[0.5,0.5,0.5,0.5]]}`,
			sent: `{"model":"nomic","input":"a","truncate":false,"dimensions":4}`,
			want: fmt.Sprintf(head, "ollama", `[0.5,0.5,0.5,0.5]}],"usage":{"prompt_tokens":0,"total_tokens":0}}`),
		},
		"dimensions to Gemini get the length 1": {
			asked: `{"model":"gemini","input":"a","dimensions":2}`, upstream: `{"embeddings":[{"values":[3,4]}]}`,
			sent: `{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"a"}]},"outputDimensionality":2}]}`,
			want: fmt.Sprintf(head, "gemini", `[0.6,0.8]}],"usage":{"prompt_tokens":0,"total_tokens":0}}`),
		},
		"base64 of an upstream that sends numbers": {
			asked: `{"model":"openai","input":"a","encoding_format":"base64"}`, upstream: one("[0.5,-0.25,1e-7]"),
			sent: `{"model":"nomic","input":"a","encoding_format":"float"}`,
			want: fmt.Sprintf(head, "openai", `"AAAAPwAAgL6Vv9Yz"}],"usage":{"prompt_tokens":7,"total_tokens":7}}`),
		},
		"numbers of an upstream that sends base64": {
			asked: `{"model":"router","input":"a","encoding_format":"float"}`, upstream: one(`"AAAAPwAAgL6Vv9Yz"`),
			sent: `{"model":"nomic","input":"a","encoding_format":"float"}`,
			want: fmt.Sprintf(head, "router", `[0.5,-0.25,1e-07]}],"usage":{"prompt_tokens":7,"total_tokens":7}}`),
		},
		"tokens to OpenAI": {
			asked: `{"model":"openai","input":[1,2]}`, upstream: one("[1]"), sent: `{"model":"nomic","input":[1,2]}`,
			want: fmt.Sprintf(head, "openai", `[1]}],"usage":{"prompt_tokens":7,"total_tokens":7}}`),
		},
		"lists of tokens to OpenAI": {
			asked: `{"model":"openai","input":[[1],[2]]}`, upstream: fmt.Sprintf(list, `{"index":0,"embedding":[1]},{"index":1,"embedding":[2]}`), sent: `{"model":"nomic","input":[[1],[2]]}`,
			want: fmt.Sprintf(head, "openai", `[1]},{"object":"embedding","index":1,"embedding":[2]}],"usage":{"prompt_tokens":7,"total_tokens":7}}`),
		},
		"fields that only some providers know": {
			asked:    `{"model":"openai","input":"a","user":"u1","input_type":"query","truncate":"END","task":{"x":[1]}}`,
			upstream: one("[1]"), sent: `{"model":"nomic","input":"a","user":"u1","input_type":"query","truncate":"END","task":{"x":[1]}}`,
			want: fmt.Sprintf(head, "openai", `[1]}],"usage":{"prompt_tokens":7,"total_tokens":7}}`),
		},
		"fields that Ollama doesn't know": {
			asked: `{"model":"ollama","input":"a","user":"u1","input_type":"query"}`, upstream: `{"embeddings":[[1]]}`,
			sent: `{"model":"nomic","input":"a","truncate":false}`,
			want: fmt.Sprintf(head, "ollama", `[1]}],"usage":{"prompt_tokens":0,"total_tokens":0}}`),
		},
		"tokens to Ollama": {
			asked: `{"model":"ollama","input":[[1],[2]]}`, refused: 400,
			want: `{"error":{"message":"This model takes text, not tokens; in LangChain set check_embedding_ctx_length=False.","type":"invalid_request_error","param":"input","code":null}}`,
		},
		"an input that is none": {
			asked: `{"model":"ollama","input":["a",""]}`, refused: 400,
			want: `{"error":{"message":"input[1]: must not be empty","type":"invalid_request_error","param":"input[1]","code":null}}`,
		},
		"another order": {
			asked: `{"model":"openai","input":["a","b"]}`, upstream: fmt.Sprintf(list, `{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}`), sent: `{"model":"nomic","input":["a","b"]}`,
			want: fmt.Sprintf(head, "openai", `[1]},{"object":"embedding","index":1,"embedding":[2]}],"usage":{"prompt_tokens":7,"total_tokens":7}}`),
		},
		"no indexes": {
			asked: `{"model":"router","input":["a","b"]}`, upstream: fmt.Sprintf(list, `{"embedding":[2]},{"embedding":[1]}`), sent: `{"model":"nomic","input":["a","b"]}`,
			want: fmt.Sprintf(head, "router", `[2]},{"object":"embedding","index":1,"embedding":[1]}],"usage":{"prompt_tokens":7,"total_tokens":7}}`),
		},
		"one vector for two texts": {
			asked: `{"model":"openai","input":["a","b"]}`, upstream: one("[1]"), sent: `{"model":"nomic","input":["a","b"]}`, refused: 502,
			want: `{"error":{"message":"The provider answered with 1 vectors to 2 inputs.","type":"server_error","param":null,"code":"upstream_error"}}`,
		},
		"different lengths": {
			asked: `{"model":"openai","input":["a","b"]}`, upstream: fmt.Sprintf(list, `{"embedding":[2]},{"embedding":[1,2]}`), sent: `{"model":"nomic","input":["a","b"]}`, refused: 502,
			want: `{"error":{"message":"The provider answered with vectors of different lengths.","type":"server_error","param":null,"code":"upstream_error"}}`,
		},
		"no vector": {
			asked: `{"model":"ollama","input":" "}`, upstream: `{"model":"nomic","embeddings":[]}`, sent: `{"model":"nomic","input":" ","truncate":false}`, refused: 502,
			want: `{"error":{"message":"The provider answered with 0 vectors to 1 inputs.","type":"server_error","param":null,"code":"upstream_error"}}`,
		},
		"too long for Ollama": {
			asked: `{"model":"ollama","input":"x"}`, status: 400, upstream: `{"error":"the input length exceeds the context length"}`,
			sent: `{"model":"nomic","input":"x","truncate":false}`, refused: 400,
			want: `{"error":{"message":"The input is longer than the model takes: the input length exceeds the context length.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}`,
		},
		"a model of Ollama's that can only chat": {
			asked: `{"model":"ollama","input":"x"}`, status: 501, upstream: "{\"error\":\"This server does not support embeddings. Start it with `--embeddings`\"}",
			sent: `{"model":"nomic","input":"x","truncate":false}`, refused: 400,
			want: `{"error":{"message":"This model can't make embeddings.","type":"invalid_request_error","param":"model","code":"unsupported_operation"}}`,
		},
		"a model without embeddings": {
			asked: `{"model":"claude","input":"x"}`, refused: 400,
			want: `{"error":{"message":"The model 'claude' can't make embeddings; these can: ollama, openai, router, gemini, demo, several","type":"invalid_request_error","param":"model","code":"unsupported_operation"}}`,
		},
		"a number too large": {
			asked: `{"model":"openai","input":"a"}`, upstream: one("[1e999]"), sent: `{"model":"nomic","input":"a"}`, refused: 502,
			want: `{"error":{"message":"The provider answered with something else than vectors of finite numbers.","type":"server_error","param":null,"code":"upstream_error"}}`,
		},
		"NaN": {
			asked: `{"model":"openai","input":"a"}`, upstream: one("[NaN]"), sent: `{"model":"nomic","input":"a"}`, refused: 502,
			want: `{"error":{"message":"The provider's answer is no list of embeddings.","type":"server_error","param":null,"code":"upstream_error"}}`,
		},
		"an array in a vector": {
			asked: `{"model":"openai","input":"a"}`, upstream: one("[1,[2]]"), sent: `{"model":"nomic","input":"a"}`, refused: 502,
			want: `{"error":{"message":"The provider answered with something else than vectors.","type":"server_error","param":null,"code":"upstream_error"}}`,
		},
		"a string in a vector": {
			asked: `{"model":"openai","input":"a"}`, upstream: one(`[1,"2"]`), sent: `{"model":"nomic","input":"a"}`, refused: 502,
			want: `{"error":{"message":"The provider answered with something else than vectors of finite numbers.","type":"server_error","param":null,"code":"upstream_error"}}`,
		},
		"a busy upstream": {
			asked: `{"model":"openai","input":"a"}`, status: 429, upstream: `{"error":{"message":"slow down"}}`, sent: `{"model":"nomic","input":"a"}`, refused: 429,
			want: `{"error":{"message":"The provider's rate limit is reached: slow down.","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}`,
		},
		"stream means nothing": {
			asked: `{"model":"openai","input":"a","stream":true}`, upstream: one("[1]"), sent: `{"model":"nomic","input":"a"}`,
			want: fmt.Sprintf(head, "openai", `[1]}],"usage":{"prompt_tokens":7,"total_tokens":7}}`),
		},
		"a choice of providers needs a key that may choose": {
			asked: `{"model":"router","input":"a","provider":{"order":["x"]}}`, refused: 403,
			want: `{"error":{"message":"provider: would choose models or providers at the upstream, which only keys with provider_routing may do. Leave it out, set it in the gateway's configuration, or use such a key.","type":"permission_error","param":"provider","code":null}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			up.takeAsked()
			up.answers(func(string, string) (int, string) { return max(200, tc.status), tc.upstream })
			status, got := g.embed(t, tc.asked)
			if status != max(200, tc.refused) || strings.TrimSpace(got) != tc.want {
				t.Errorf("%s\n got %d %s\nwant %d %s", tc.asked, status, got, max(200, tc.refused), tc.want)
			}
			if sent := strings.Join(up.takeAsked(), "\n"); sent != tc.sent {
				t.Errorf("upstream got %s, want %s", sent, tc.sent)
			}
		})
	}
}

// TestEmbeddingsOfAKeyThatMayNot: the error names nothing that the key may not use.
func TestEmbeddingsOfAKeyThatMayNot(t *testing.T) {
	g := embeddingGateway(t, startVectors(t, nil))
	_, got := g.postTo(t, "/v1/embeddings", "key-b", `{"model":"claude","input":"x"}`)
	if want := "no model that is configured here and that this key may use can."; !strings.Contains(got, want) {
		t.Errorf("the client got %s", got)
	}
}

// TestEmbeddingsFailOver: a target without embeddings is not asked, and one that fails is
// followed by the next.
func TestEmbeddingsFailOver(t *testing.T) {
	up := startVectors(t, func(path, _ string) (int, string) {
		if path == "/v1/embeddings" {
			return 500, `{"error":{"message":"down"}}`
		}
		return 200, `{"embeddings":[[0.6,0.8]],"prompt_eval_count":3}`
	})
	g := embeddingGateway(t, up)
	for range 6 {
		res, got := g.postTo(t, "/v1/embeddings", "key-a", `{"model":"several","input":"x"}`)
		if attempts := res.Header.Get("X-Kai-Attempts"); attempts > "2" {
			t.Errorf("two targets make embeddings, and there were %s attempts", attempts)
		}
		if res.StatusCode != 200 || !strings.Contains(got, `"model":"several"`) || len(numbersOf(t, got)) != 1 {
			t.Fatalf("the client got %d %s", res.StatusCode, got)
		}
	}
	for _, asked := range up.takeAsked() {
		if strings.Contains(asked, "claude") {
			t.Errorf("a target without embeddings was asked: %s", asked)
		}
	}
}

// TestEmbeddingsInParts: Gemini takes 100 texts at once. All vectors come in the order of the
// texts, and what fails in a later part fails the request.
func TestEmbeddingsInParts(t *testing.T) {
	up := startVectors(t, nil)
	g := embeddingGateway(t, up)
	fail := false
	up.answers(func(_, body string) (int, string) {
		var asked struct {
			Requests []struct {
				Content struct{ Parts []struct{ Text string } }
			}
		}
		if err := json.Unmarshal([]byte(body), &asked); err != nil {
			t.Error(err)
		}
		var list []string
		for _, r := range asked.Requests {
			text := r.Content.Parts[0].Text
			if fail && text == "210" {
				return 503, `{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}`
			}
			list = append(list, fmt.Sprintf(`{"values":[%s, 1]}`, strings.TrimRight(text, "x")))
		}
		return 200, `{"embeddings":[` + strings.Join(list, ",") + `],"usageMetadata":{"promptTokenCount":` + fmt.Sprint(len(list)) + `}}`
	})
	var texts []string
	for i := range 250 {
		text := fmt.Sprint(i + 1)
		if i%7 == 0 {
			text += strings.Repeat("x", 2000) // by reference
		}
		texts = append(texts, text)
	}
	input, _ := json.Marshal(texts)
	asked := fmt.Sprintf(`{"model":"gemini","input":%s}`, input)
	status, got := g.embed(t, asked)
	if n := len(up.takeAsked()); n != 3 || status != 200 {
		t.Fatalf("%d requests, status %d: %.300s", n, status, got)
	}
	all := numbersOf(t, got)
	for i, v := range all {
		if math.Abs(float64(v[0]/v[1])-float64(i+1)) > 0.01*float64(i+1) {
			t.Fatalf("vector %d is %v", i, v)
		}
	}
	if len(all) != 250 || !strings.HasSuffix(got, `"usage":{"prompt_tokens":250,"total_tokens":250}}`) {
		t.Errorf("%d vectors: %s", len(all), got[len(got)-80:])
	}
	fail = true
	if status, got := g.embed(t, asked); status != 503 {
		t.Errorf("a part failed, and the client got %d %.300s", status, got)
	}
}

// TestManyTokens: lists of tokens that are too much for an adapter at once are sent in parts,
// whose vectors come in order.
func TestManyTokens(t *testing.T) {
	up := startVectors(t, nil)
	g := embeddingGateway(t, up)
	up.answers(func(_, body string) (int, string) {
		var asked struct{ Input [][]int }
		if err := json.Unmarshal([]byte(body), &asked); err != nil {
			return 400, `{"error":{"message":"no JSON"}}`
		}
		var list []string
		for n, tokens := range asked.Input {
			list = append(list, fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":[%d]}`, n, tokens[0]))
		}
		return 200, fmt.Sprintf(`{"data":[%s],"usage":{"prompt_tokens":%d}}`, strings.Join(list, ","), len(list))
	})
	var input []string
	for n := range 7 {
		input = append(input, fmt.Sprintf("[%d%s]", n+1, strings.Repeat(",12345", 250_000)))
	}
	status, got := g.embed(t, `{"model":"openai","input":[`+strings.Join(input, ",")+`]}`)
	if status != 200 || !strings.Contains(got, `"usage":{"prompt_tokens":7,`) {
		t.Fatalf("the client got %d %.300s", status, got)
	}
	if all := numbersOf(t, got); !slices.EqualFunc(all, []float32{1, 2, 3, 4, 5, 6, 7}, func(v []float32, want float32) bool { return len(v) == 1 && v[0] == want }) {
		t.Errorf("the vectors are %v", all)
	}
	if asked := up.takeAsked(); len(asked) != 4 {
		t.Errorf("there were %d parts", len(asked))
	}
}

// TestEmbeddingsAreTheSameInBothForms: whatever client asks, of every adapter. openai-python,
// openai-node and LangChain ask for base64, the AI SDK for numbers.
func TestEmbeddingsAreTheSameInBothForms(t *testing.T) {
	numbers := make([]string, 1024)
	for i := range numbers {
		numbers[i] = fmt.Sprintf("%.9g", math.Sin(float64(i))/32)
	}
	v := "[" + strings.Join(numbers, ", ") + "]"
	up := startVectors(t, func(path, _ string) (int, string) {
		switch {
		case path == "/api/embed":
			return 200, `{"embeddings":[` + v + `,` + v + `]}`
		case strings.HasPrefix(path, "/v1beta/"):
			return 200, `{"embeddings":[{"values":` + v + `},{"values":` + v + `}]}`
		}
		return 200, `{"data":[{"embedding":` + v + `},{"embedding":` + v + `}]}`
	})
	g := embeddingGateway(t, up)
	for _, model := range []string{"ollama", "openai", "router", "gemini", "demo"} {
		t.Run(model, func(t *testing.T) {
			_, floats := g.embed(t, fmt.Sprintf(`{"model":%q,"input":["a","a"],"encoding_format":"float"}`, model))
			_, packed := g.embed(t, fmt.Sprintf(`{"model":%q,"input":["a","a"],"encoding_format":"base64"}`, model))
			want, got := numbersOf(t, floats), numbersOf(t, packed)
			if fmt.Sprint(want) != fmt.Sprint(got) || len(got) != 2 || fmt.Sprint(got[0]) != fmt.Sprint(got[1]) {
				t.Errorf("numbers: %.300s\nbase64: %.300s", floats, packed)
			}
		})
	}
}

// TestLargeEmbeddings: vectors never enter the adapter, so its memory stays what it is, and
// an answer that is larger than a call's input is no trouble.
func TestLargeEmbeddings(t *testing.T) {
	const most = 8 << 20 // what a call gets at most, and more than an instance has here
	var number bytes.Buffer
	for i := range 1024 {
		fmt.Fprintf(&number, ",%.9g", math.Sin(float64(i))/32)
	}
	v := "[" + number.String()[1:] + "]"
	answer := `{"embeddings":[` + strings.Repeat(v+",", 2047) + v + `],"prompt_eval_count":2048}`
	up := mock.Start(t, mock.JSON(answer))
	memory := openGuestMemory(t)
	g := newGateway(t, fmt.Sprintf(`
providers: {ol: {plugin: ollama, base_url: %q, limits: {memory: %d}}}
model_mapping: {m: {provider: ol, model: nomic}}
server: {port: 9100}
`, up.URL, guestLimit))
	asked := `{"model":"m","encoding_format":"base64","input":["` + strings.Repeat(`a","`, 2047) + `a"]}`
	begin := time.Now()
	res, got := g.embed(t, asked)
	t.Logf("%d MB of numbers took %v", len(answer)>>20, time.Since(begin))
	if res != 200 {
		t.Fatalf("the client got %d %.300s", res, got)
	}
	all := numbersOf(t, got)
	if len(all) != 2048 || len(all[2047]) != 1024 || all[2047][1] != all[0][1] {
		t.Errorf("%d vectors", len(all))
	}
	if held := len(memory.snapshot(t)); held > most {
		t.Errorf("the adapter's instances have %d MiB", held>>20)
	}
}
