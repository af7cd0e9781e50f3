package host_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/redis"
)

// inFleet is the section of a fleet around a server.
func inFleet(r *redis.Server) string {
	return fmt.Sprintf("shared: {url: \"redis://%s\", secret: canary-secret-0123456789, timeout: 2s}\n", r.Address)
}

// TestACooldownReachesTheFleet: what one gateway was told by an upstream, the others know,
// also one that starts later, whatever their clocks say.
func TestACooldownReachesTheFleet(t *testing.T) {
	r := redis.Start(t)
	up := mock.Start(t, mock.Steps(mock.Header("Retry-After", "600"), mock.Whole(429, "application/json", `{"error":{"message":"slow down","code":"rate_limit_exceeded"}}`)))
	yaml := fmt.Sprintf("providers: {openai: {base_url: %q, api_key: k}}\nmodel_mapping: {m: {targets: [{provider: openai, model: small}]}}\n", up.URL) + inFleet(r)
	start := func(wrong time.Duration) *gateway {
		g := testkit.Start(t, testkit.Options{Config: parse(t, yaml), Now: func() time.Time { return time.Now().Add(wrong) }})
		if err := g.Ready(t); err != nil {
			t.Fatal(err)
		}
		return &gateway{g, g.Host, g.Log}
	}
	one, other := start(0), start(90*time.Second)
	if res, text := one.post(t, answerOfM); res.StatusCode != 429 {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	up.Forget()
	for name, g := range map[string]*gateway{"another": other, "a later one": start(-90 * time.Second)} {
		for end := time.Now().Add(time.Minute); g.host.Targets()[0].State != "cooling"; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s never learns of it", name)
			}
		}
		if s := g.host.Targets()[0]; s.Wait < 590*time.Second || s.Wait > 600*time.Second || s.Class != "rate" {
			t.Errorf("%s: %+v", name, s)
		}
		if res, text := g.post(t, answerOfM); res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", name, res.StatusCode, text)
		}
	}
	if got := up.Requests(); len(got) > 0 {
		t.Errorf("the upstream is asked %d times more", len(got))
	}
}

// TestALargeGatewayLearnsOfCooldowns starts a gateway with so many aliases that it could read
// what others have told before it knows its targets.
func TestALargeGatewayLearnsOfCooldowns(t *testing.T) {
	r := redis.Start(t)
	up := mock.Start(t, mock.Steps(mock.Header("Retry-After", "600"), mock.Status(429)))
	yaml := fmt.Sprintf("providers: {openai: {base_url: %q, api_key: k}}\nmodel_mapping: {m: {targets: [{provider: openai, model: small}]}}\n", up.URL) + inFleet(r)
	if res, text := newGateway(t, yaml).post(t, answerOfM); res.StatusCode != 429 {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	for end := time.Now().Add(time.Minute); r.Calls("publish") == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody is told")
		}
	}
	c := parse(t, yaml)
	for i := range 5_000 {
		more := c.Models[0]
		more.Alias = fmt.Sprint("m", i)
		c.Models = append(c.Models, more)
	}
	late, err := host.New(host.Options{Config: c, Module: testkit.Module, CacheDir: testkit.CacheDir})
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	for end := time.Now().Add(time.Minute); late.Targets()[0].State != "cooling"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never learns of it")
		}
	}
}

// TestResponsesAreKnownInTheFleet goes on with a conversation at another gateway.
func TestResponsesAreKnownInTheFleet(t *testing.T) {
	r := redis.Start(t)
	yaml := "model_mapping: {demo: {provider: demo, model: demo}}\nauth: {enabled: true, api_keys: [{name: a, key: key-a}, {name: b, key: key-b}]}\n" + inFleet(r)
	one, other := newGateway(t, yaml), newGateway(t, yaml)
	_, text := one.postTo(t, "/v1/responses", "key-a", `{"model":"demo","input":"canary-prompt `+strings.Repeat("long enough to be kept by itself ", 20)+`"}`)
	var first struct{ ID string }
	if err := json.Unmarshal([]byte(text), &first); err != nil || first.ID == "" {
		t.Fatal(text)
	}
	goOn := fmt.Sprintf(`{"model":"demo","input":"more","previous_response_id":%q}`, first.ID)
	if res, text := other.postTo(t, "/v1/responses", "key-a", goOn); res.StatusCode != 200 {
		t.Errorf("at another gateway: %d %s", res.StatusCode, text)
	}
	if res, text := other.postTo(t, "/v1/responses", "key-b", goOn); res.StatusCode != 400 {
		t.Errorf("with another key: %d %s", res.StatusCode, text)
	}
	if dump := string(r.Dump()); strings.Contains(dump, "canary") || strings.Contains(dump, first.ID) || !strings.Contains(dump, "{kai}:v:") {
		t.Error("the store has it in the clear, or not at all")
	}
	ask := func(g *gateway, method string) int {
		req, err := http.NewRequest(method, g.URL+"/v1/responses/"+first.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer key-a")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := ask(other, "GET"); got != 200 {
		t.Errorf("GET: %d", got)
	}
	if got := ask(other, "DELETE"); got != 200 {
		t.Errorf("DELETE: %d", got)
	}
	if got := ask(one, "GET"); got != 404 {
		t.Errorf("GET of what was deleted elsewhere: %d", got)
	}
}

// TestWhatAProviderKeepsIsKnownInTheFleet: a container that one gateway's client was told
// may be named at another gateway, by the same client.
func TestWhatAProviderKeepsIsKnownInTheFleet(t *testing.T) {
	r := redis.Start(t)
	up := mock.Start(t, mock.JSON(fmt.Sprintf(nativeWhole, `,"container":{"id":"container_1"}`)))
	yaml := fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}, {name: b, key: key-b}]}
providers: {claude: {plugin: anthropic, base_url: %q, api_key: sk-upstream}}
model_mapping: {m: {provider: claude, model: claude-opus-4-8}}
`, up.URL) + inFleet(r)
	one, other := newGateway(t, yaml), newGateway(t, yaml)
	if res, text := one.postTo(t, "/v1/messages", "key-a", fmt.Sprintf(nativeAsk, "")); res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	names := fmt.Sprintf(nativeAsk, `,"container":"container_1"`)
	status := 0
	for end := time.Now().Add(time.Minute); status != 200 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		res, _ := other.postTo(t, "/v1/messages", "key-a", names)
		status = res.StatusCode
	}
	if status != 200 {
		t.Errorf("the same client at another gateway: %d", status)
	}
	if res, text := other.postTo(t, "/v1/messages", "key-b", names); res.StatusCode == 200 {
		t.Errorf("another client: %d %s", res.StatusCode, text)
	}
	if dump := string(r.Dump()); strings.Contains(dump, "container_1") {
		t.Error("an id is in the dump")
	}
}

// TestNobodyIsToldThatNothingIsThereWhileTheStoreIsAway: without the store, a gateway goes on with
// what it has told itself, and can't tell whether a client has been told something else.
func TestNobodyIsToldThatNothingIsThereWhileTheStoreIsAway(t *testing.T) {
	r := redis.Start(t)
	up := mock.Start(t, mock.JSON(fmt.Sprintf(ownObject, "1", "completed", `{"id":"ci_1","type":"code_interpreter_call","container_id":"kept_1","outputs":[]},`+fmt.Sprintf(ownMessage, "1"), ownUsage)))
	yaml := fmt.Sprintf(`
auth: {enabled: true, api_keys: [{name: a, key: key-a}, {name: b, key: key-b}, {name: c, key: key-c, provider_ids: true}]}
providers: {own: {plugin: openai, base_url: %q, api_key: sk-upstream, native: true}}
model_mapping: {m: {provider: own, model: gpt-x}}
`, up.URL) + inFleet(r)
	one, other := newGateway(t, yaml), newGateway(t, yaml)
	if status, answer := one.asks(t, "key-a", ""); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	doc := loadDocument(t, other)
	r.Kill()
	named := fmt.Sprintf(ownAsk, `,"tools":[{"type":"code_interpreter","container":"kept_1"}]`)
	chat := `{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file_1"}}]}]}`
	for name, tc := range map[string]struct {
		g                       *gateway
		key, method, path, body string
		want                    int
	}{
		"what it has told":                      {one, "key-a", "POST", "/v1/responses", named, 200},
		"what it has told another key":          {one, "key-b", "POST", "/v1/responses", named, 503},
		"what another gateway has told":         {other, "key-a", "POST", "/v1/responses", named, 503},
		"what is in no answer":                  {one, "key-a", "POST", "/v1/chat/completions", chat, 503},
		"a response of another gateway's":       {other, "key-a", "GET", "/v1/responses/resp_1", "", 503},
		"one to delete":                         {other, "key-a", "DELETE", "/v1/responses/resp_1", "", 503},
		"one to cancel":                         {other, "key-a", "POST", "/v1/responses/resp_1/cancel", "", 503},
		"what a key may name that may name all": {other, "key-c", "POST", "/v1/responses", named, 200},
		"nothing":                               {other, "key-b", "POST", "/v1/responses", fmt.Sprintf(ownAsk, ""), 200},
	} {
		req, err := http.NewRequest(tc.method, tc.g.URL+tc.path, strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+tc.key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != tc.want || tc.want == 503 && (res.Header.Get("Retry-After") != "1" || !strings.Contains(string(answer), "at the moment")) {
			t.Errorf("%s: %d, Retry-After %q, %s (%v)", name, res.StatusCode, res.Header.Get("Retry-After"), answer, err)
		}
		if route := strings.Replace(tc.path, "resp_1", "{id}", 1); tc.want == 503 {
			documented{
				answer: tc.method + " " + route + " 503 application/json", path: tc.path, body: tc.body, at: tc.g,
				headers: []string{"Content-Type", "application/json", "Authorization", "Bearer " + tc.key},
			}.hold(t, doc)
		}
	}
}
