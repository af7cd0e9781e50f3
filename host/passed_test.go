package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// passedGateway serves models of the adapter that passes on what it gets, one of an adapter
// that doesn't, and one of both.
func passedGateway(t testing.TB, up *mock.Upstream) *gateway {
	t.Helper()
	return newGateway(t, fmt.Sprintf(`
providers:
  oa: {plugin: openai, base_url: "%[1]s/v1", api_key: sk-upstream-key}
  second: {plugin: openai, base_url: "%[1]s/second", api_key: k}
  an: {plugin: anthropic, base_url: "%[1]s", api_key: k}
model_mapping:
  mine: {provider: oa, model: theirs}
  claude: {provider: an, model: claude}
  several:
    targets:
      - {provider: an, model: claude}
      - {provider: oa, model: theirs, tier: 2}
      - {provider: second, model: other, tier: 3}
cors: {enabled: true, allow_origins: ["https://app.example"]}
auth:
  enabled: true
  api_keys: [{name: a, key: key-a, models: [mine, claude, several]}, {name: b, key: key-b, models: [claude]}, {name: c, key: key-c, provider_routing: true}]
`, up.URL))
}

// reranks are a request and an answer of rerank.
var reranks = passedCase{`{"model":"%s","query":"q","documents":["a","b"],"top_n":1}`, `{"results":[{"index":1,"relevance_score":0.5}],"model":"%s","usage":{"total_tokens":7}}`}

type passedCase struct{ asked, answer string }

// passedCases are a request and an answer of each endpoint, with %s for the model's name.
var passedCases = map[string]passedCase{
	"/v1/moderations":        {`{"model":"%s","input":["a"]}`, `{"id":"modr-1","model":"%s","results":[{"flagged":false}]}`},
	"/v1/rerank":             reranks,
	"/v2/rerank":             reranks,
	"/rerank":                reranks,
	"/v1/images/generations": {`{"model":"%s","prompt":"p"}`, `{"created":1,"model":"%s","data":[{"b64_json":"AA=="}],"usage":{"input_tokens":5,"output_tokens":2}}`},
}

const (
	speech = "/v1/audio/speech"
	images = "/v1/images/generations"
)

// speaks is a request for speech.
const speaks = `{"model":"%s","input":"Hello","voice":"alloy"}`

// passedTo is the path at the upstream for one here.
func passedTo(path string) string {
	if strings.HasSuffix(path, "/rerank") {
		return "/v1/rerank"
	}
	return path
}

// as puts a model's name into a request or an answer.
func as(text, model string) string { return strings.ReplaceAll(text, "%s", model) }

// TestPassed: a request reaches its provider with the upstream's name of the model and the
// provider's key, and the client gets the answer with its own name of the model.
func TestPassed(t *testing.T) {
	up := mock.Start(t, nil)
	g := passedGateway(t, up)
	for path, tc := range passedCases {
		t.Run(path, func(t *testing.T) {
			up.Forget()
			up.Answer(mock.JSON(as(tc.answer, "dated-name") + "\n"))
			res, answer := g.postTo(t, path, "key-a", as(tc.asked, "mine"))
			if want := as(tc.answer, "mine"); res.StatusCode != 200 || answer != want {
				t.Errorf("the client got %d %s, want %s", res.StatusCode, answer, want)
			}
			asked := up.Last()
			if asked.URI != passedTo(path) || asked.Body != as(tc.asked, "theirs") || asked.Header.Get("Authorization") != "Bearer sk-upstream-key" {
				t.Errorf("the upstream got %s %v", asked, asked.Header)
			}
		})
	}
	if log := g.log.String(); !strings.Contains(log, `"endpoint":"/v1/images/generations","key":"a","model":"mine","provider":"oa","upstream_model":"theirs"`) ||
		!strings.Contains(log, `"prompt_tokens":5,"completion_tokens":2`) || !strings.Contains(log, `"prompt_tokens":7`) {
		t.Errorf("the log is %s", log)
	}
}

// TestPassedIsRefused: what a client may not do, it may not do here either.
func TestPassedIsRefused(t *testing.T) {
	up := mock.Start(t, mock.JSON(`{}`))
	g := passedGateway(t, up)
	asks := map[string]string{speech: speaks}
	for path, tc := range passedCases {
		asks[path] = tc.asked
	}
	for path, asked := range asks {
		for name, c := range map[string]struct {
			key, asked string
			status     int
			says       string
		}{
			"a model that can't":              {"key-a", as(asked, "claude"), 400, "these can: mine, several"},
			"a model that can't, of this key": {"key-b", as(asked, "claude"), 400, "no model that is configured here and that this key may use can"},
			"a model that the key may not":    {"key-b", as(asked, "mine"), 403, "may not use the model 'mine'"},
			"a model that isn't there":        {"key-a", as(asked, "theirs"), 400, "Model 'theirs' not found"},
			"no key":                          {"", as(asked, "mine"), 401, "key"},
			"two models":                      {"key-a", strings.Replace(as(asked, "mine"), "{", `{"model":"x",`, 1), 400, "second field"},
			"a model in capitals":             {"key-a", strings.Replace(as(asked, "mine"), "{", `{"MODEL":"x",`, 1), 400, "some servers read"},
			"another model at the upstream":   {"key-a", strings.Replace(as(asked, "mine"), "{", `{"Fallbacks":["x"],`, 1), 403, "fallbacks"},
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				res, answer := g.postTo(t, path, c.key, c.asked)
				if res.StatusCode != c.status || !strings.Contains(answer, c.says) {
					t.Errorf("the client got %d %s, want a %d with %q", res.StatusCode, answer, c.status, c.says)
				}
			})
		}
	}
	if n := len(up.Requests()); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// TestPassedFailsOver: a target that can't is not asked, and one that fails is followed by the
// next.
func TestPassedFailsOver(t *testing.T) {
	for path, tc := range passedCases {
		t.Run(path, func(t *testing.T) {
			up := mock.Start(t, func(x *mock.Exchange) {
				if strings.HasPrefix(x.URI, "/v1/") {
					mock.Whole(503, "application/json", `{"error":{"message":"down"}}`)(x)
					return
				}
				mock.JSON(as(tc.answer, "dated-name"))(x)
			})
			g := passedGateway(t, up)
			res, answer := g.postTo(t, path, "key-a", as(tc.asked, "several"))
			if res.StatusCode != 200 || answer != as(tc.answer, "several") {
				t.Errorf("the client got %d %s", res.StatusCode, answer)
			}
			for _, asked := range up.Requests() {
				if strings.Contains(asked.Body, "claude") {
					t.Errorf("a target that can't was asked: %s", asked)
				}
			}
			if !strings.HasPrefix(up.Last().URI, "/second/") || !strings.Contains(up.Last().Body, `"other"`) {
				t.Errorf("the last one that was asked is %s", up.Last())
			}
		})
	}
}

// TestPassedIsWholeOrAnError cuts an answer at every byte.
func TestPassedIsWholeOrAnError(t *testing.T) {
	up := mock.Start(t, nil)
	g := passedGateway(t, up)
	for path, tc := range passedCases {
		t.Run(path, func(t *testing.T) {
			body := as(tc.answer, "theirs")
			head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body))
			for cut := range len(body) + 1 {
				up.Answer(mock.Raw(head + body[:cut]))
				res, answer := g.postTo(t, path, "key-a", as(tc.asked, "mine"))
				if want := map[bool]int{true: 200, false: 502}[cut == len(body)]; res.StatusCode != want {
					t.Errorf("cut at %d of %d: %d %s", cut, len(body), res.StatusCode, answer)
				}
			}
		})
	}
}

func TestPassedUpstreamFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		answer mock.Answer
		status int
	}{
		"reset before the head":       {mock.Reset, 502},
		"closed before the head":      {mock.Cut, 502},
		"garbage instead of HTTP":     {mock.Raw("\x00\x01garbage\r\n\r\n"), 502},
		"null":                        {mock.JSON("null"), 502},
		"nothing":                     {mock.JSON(""), 502},
		"an empty object":             {mock.JSON("{}"), 502},
		"half an object":              {mock.JSON(`{"results":[],"data":[`), 502},
		"an error with status 200":    {mock.JSON(`{"error":{"message":"down","type":"server_error"}}`), 502},
		"a web page":                  {mock.Whole(200, "text/html", "<html>"), 502},
		"events":                      {mock.SSE("data: {\"results\":[],\"data\":[]}\n\n"), 502},
		"the provider's key":          {mock.Whole(401, "application/json", `{"error":{"message":"Incorrect API key provided: sk-upstream-key"}}`), 502},
		"a rate limit":                {mock.Whole(429, "application/json", `{"error":{"message":"slow down"}}`), 429},
		"a time-out of the upstream":  {mock.Whole(504, "", ""), 504},
		"a path that it doesn't have": {mock.Whole(404, "text/plain", "404 page not found"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, tc.answer)
			g := passedGateway(t, up)
			for path, c := range passedCases {
				res, answer := g.postTo(t, path, "key-a", as(c.asked, "mine"))
				if res.StatusCode != tc.status || !strings.Contains(answer, `"error"`) || strings.Contains(answer, "sk-upstream-key") {
					t.Errorf("%s: the client got %d %s, want %d", path, res.StatusCode, answer, tc.status)
				}
			}
		})
	}
}

// TestLargeImages: pictures of an answer never enter the adapter, so it may have more of them
// than a call takes.
func TestLargeImages(t *testing.T) {
	picture := strings.Repeat("iVBORw0KGgo/+8==", 1<<20) // 16 MiB
	body := `{"created":1,"data":[{"b64_json":"` + picture + `"},{"b64_json":"` + picture + `"},{"b64_json":"` + picture + `"}]}`
	up := mock.Start(t, mock.JSON(body))
	memory := openGuestMemory(t)
	g := newGateway(t, fmt.Sprintf(`
providers: {oa: {plugin: openai, base_url: %q, limits: {memory: %d}}}
model_mapping: {m: {provider: oa, model: gpt-image-1}}
server: {port: 9100}
`, up.URL, guestLimit))
	res, answer := g.postTo(t, "/v1/images/generations", "", `{"model":"m","prompt":"p","n":3}`)
	if res.StatusCode != 200 || answer != body {
		t.Errorf("the client got %d and %d bytes, %.300s", res.StatusCode, len(answer), answer)
	}
	if held := len(memory.snapshot(t)); held > 8<<20 {
		t.Errorf("the adapter's instances have %d MiB", held>>20)
	}
}
