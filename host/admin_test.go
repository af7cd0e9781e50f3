package host_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/admin"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// withAdmin serves a gateway's admin listener.
func withAdmin(t *testing.T, g *gateway, reload func(context.Context) error) *httptest.Server {
	t.Helper()
	s := g.host.Admin(true, reload)
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Stop()
		server.Close()
	})
	return server
}

// adminAsks sends a request and returns the status and the answer.
func adminAsks(t *testing.T, method, url string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func adminState(t *testing.T, a *httptest.Server) (s admin.State) {
	t.Helper()
	status, body := adminAsks(t, "GET", a.URL+"/admin/v1/state")
	if err := json.Unmarshal([]byte(body), &s); status != 200 || err != nil {
		t.Fatalf("the state is %d %s (%v)", status, body, err)
	}
	return s
}

// TestTrapTheAdminListenerTellsSecrets has requests end in every way, with canaries as keys,
// addresses, prompts and answers, and reads every answer of the admin listener.
func TestTrapTheAdminListenerTellsSecrets(t *testing.T) {
	const canary = "canary-51d0"
	words := []mock.Answer{
		mock.JSON(`{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"` + canary + `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`),
	}
	for _, status := range []int{400, 401, 402, 403, 404, 413, 422, 429, 500, 503} {
		words = append(words, mock.Whole(status, "application/json", `{"error":{"message":"`+canary+`","code":"`+canary+`","type":"`+canary+`"}}`))
	}
	words = append(words, mock.Whole(200, "text/html", canary), mock.Cut, mock.SSE("data: "+canary+"\n\n"))
	up := mock.Start(t, mock.InTurn(words...))
	yaml := fmt.Sprintf(`
admin: {token: admin-%[1]s, console: true}
auth: {enabled: true, api_keys: [{name: app, key: client-%[1]s}]}
providers: {up: {plugin: openai, base_url: "%[2]s/%[1]s", api_key: sk-%[1]s}}
model_mapping:
  m: {targets: [{provider: up, model: m}, {provider: up, model: n, tier: 2}], routing: {attempts: 2}}
  <script>alert(1)</script>: {provider: demo, model: demo}
`, canary, up.URL)
	g := newGateway(t, yaml)
	a := withAdmin(t, g, func(ctx context.Context) error {
		_, err := testkit.Parse("providers: {up: {plugin: openai, base_url: \"ftp://" + canary + "\"}}\nmodel_mapping: {m: {provider: up, model: m}}\n")
		g.host.Refuse(err)
		return err
	})
	for range words {
		g.postAs(t, "client-"+canary, `{"model":"m","messages":[{"role":"user","content":"`+canary+`"}]}`)
	}
	g.postAs(t, "client-"+canary, `{"model":"m","stream":true,"messages":[{"role":"user","content":"`+canary+`"}]}`)
	g.postAs(t, "wrong-"+canary, `{"model":"m","messages":[]}`)
	bearer := []string{"Authorization", "Bearer admin-" + canary}
	status, reload := adminAsks(t, "POST", a.URL+"/admin/v1/reload", bearer...)
	if status != http.StatusConflict || !strings.Contains(reload, "providers.up.base_url") || !strings.Contains(reload, `{"error":{"message":"The configuration was refused`) {
		t.Errorf("a reload that is refused is %d %s", status, reload)
	}
	all := reload
	for _, path := range []string{"/", "/metrics", "/admin/v1/state", "/admin/v1/requests", "/admin/v1/series", "/admin/v1/series?model=m", "/admin/v1/nothing"} {
		_, body := adminAsks(t, "GET", a.URL+path, bearer...)
		all += body
	}
	address := strings.TrimPrefix(up.URL, "http://")
	for _, secret := range []string{canary, address, "127.0.0.1"} {
		if at := strings.Index(all, secret); at >= 0 {
			t.Errorf("the admin listener tells %q: …%s…", secret, all[max(0, at-100):at+len(secret)])
		}
	}
	for _, must := range []string{`"class":"auth"`, `"class":"quota"`, `"status":401`, `"key":"app"`, `"target":"up/n"`} {
		if !strings.Contains(all, must) {
			t.Errorf("the admin listener does not tell %s:\n%s", must, all)
		}
	}
}

// TestTheAdminListenerSaysInWhichOperationsATargetCools: all of them, while it answers as before,
// and none where it doesn't answer. Of names behind a *, it names those that cool though the target
// doesn't.
func TestTheAdminListenerSaysInWhichOperationsATargetCools(t *testing.T) {
	up := mock.Start(t, func(x *mock.Exchange) {
		if strings.Contains(x.URI, "chat") {
			says("well")(x)
			return
		}
		mock.Whole(403, "application/json", `{"error":{"message":"You may not do that.","type":"permission_error"}}`)(x)
	})
	g := newGateway(t, fmt.Sprintf(`
admin: {console: true}
providers: {up: {plugin: openai, base_url: %q, api_key: sk-12345678}}
model_mapping:
  m: {targets: [{provider: up, model: x}]}
  any/*: {targets: [{provider: up, model: "*"}]}
`, up.URL))
	a := withAdmin(t, g, nil)
	for _, step := range []struct{ path, body, state, only string }{
		{"/v1/chat/completions", answerOfM, "well", ""},
		{"/v1/images/generations", `{"model":"m","prompt":"p"}`, "cooling", "images"},
		{"/v1/embeddings", `{"model":"m","input":"a"}`, "cooling", "embeddings, images"},
		{"/v1/chat/completions", answerOfM, "cooling", "embeddings, images"},
	} {
		g.postTo(t, step.path, "", step.body)
		if s := adminState(t, a).Targets; len(s) != 2 || s[1].State != step.state || s[1].Only != step.only {
			t.Errorf("after %s it is %+v, want %s in %q", step.path, s, step.state, step.only)
		}
	}
	for _, model := range []string{"any/b", "any/a"} {
		g.postTo(t, "/v1/embeddings", "", `{"model":"`+model+`","input":"a"}`)
	}
	g.post(t, strings.Replace(answerOfM, `"m"`, `"any/well"`, 1))
	named := func() []string {
		t.Helper()
		s := adminState(t, a).Targets
		if len(s) != 2 || s[0].Name != "up/*" || s[0].State != "well" {
			t.Fatalf("the targets are %+v", s)
		}
		return s[0].But
	}
	if got := named(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("of the names behind *, %q cool", got)
	}
	if status, body := adminAsks(t, "POST", a.URL+"/admin/v1/targets/up/a/reset"); status != 200 || !slices.Equal(named(), []string{"b"}) {
		t.Errorf("after the reset of one (%d %s) %q cool", status, body, named())
	}
	up.Answer(mock.Whole(402, "application/json", `{"error":{"message":"pay","code":"insufficient_quota"}}`))
	g.post(t, answerOfM)
	if s := adminState(t, a).Targets; s[1].Class != "quota" || s[1].Only != "" || s[0].State != "cooling" || len(s[0].But) > 0 {
		t.Errorf("when the account is used up it is %+v", s)
	}
}

// TestWhatTheAdminListenerShows follows requests, a target that cools, a refused
// configuration and a swap.
func TestWhatTheAdminListenerShows(t *testing.T) {
	up := mock.Start(t, mock.Whole(402, "application/json", `{"error":{"message":"pay","code":"insufficient_quota"}}`))
	yaml := fmt.Sprintf(`
admin: {console: true}
providers: {up: {plugin: openai, base_url: %q, api_key: sk-12345678}}
model_mapping:
  smart: {targets: [{provider: up, model: a/b, weight: 3}, {provider: demo, model: demo, tier: 2}]}
  all/*: {provider: up, model: "*"}
`, up.URL)
	g := newGateway(t, yaml)
	a := withAdmin(t, g, func(context.Context) error { return errors.New("canary") })

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", a.URL+"/admin/v1/requests?live=1&status=ok", nil)
	live, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Body.Close()
	lines := bufio.NewScanner(live.Body)
	next := func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data
			}
		}
		t.Fatalf("the live answer ended: %v", lines.Err())
		return ""
	}
	if first := next(); first != "[]" {
		t.Errorf("before any request there is %s", first)
	}
	g.post(t, `{"model":"nobody","messages":[{"role":"user","content":"hi"}]}`)
	g.post(t, `{"model":"smart","messages":[{"role":"user","content":"hi"}]}`)
	var shown admin.Request
	if err := json.Unmarshal([]byte(next()), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Trail) != 2 || shown.Trail[0].Class != "quota" || !shown.Trail[0].Cooled || shown.Trail[1].Class != "" || shown.Model != "smart" || shown.Status != 200 || shown.Number != 2 {
		t.Errorf("the request that went on to a second target is %+v", shown)
	}

	s := adminState(t, a)
	if i := slices.IndexFunc(s.Targets, func(t admin.Target) bool { return t.Name == "up/a/b" }); i < 0 || s.Targets[i].State != "cooling" || s.Targets[i].Class != "quota" || s.Targets[i].WaitMS <= 0 {
		t.Errorf("the target that cools is %+v", s.Targets)
	}
	if m := s.Models[0]; m.Alias != "smart" || len(m.Entries) != 2 || m.Entries[0].Weight != 3 || m.Entries[1].Tier != 2 {
		t.Errorf("the first model is %+v", m)
	}
	if status, _ := adminAsks(t, "POST", a.URL+"/admin/v1/targets/up/no/such/reset"); status != 200 && status != 404 {
		t.Errorf("a target that nobody has is %d", status)
	}
	if status, body := adminAsks(t, "POST", a.URL+"/admin/v1/targets/up/a/b/reset"); status != 200 {
		t.Errorf("reset: %d %s", status, body)
	}
	s = adminState(t, a)
	if i := slices.IndexFunc(s.Targets, func(t admin.Target) bool { return t.State != "well" }); i >= 0 {
		t.Errorf("after the reset %+v", s.Targets[i])
	}
	if status, body := adminAsks(t, "POST", a.URL+"/admin/v1/reload"); status != 503 || strings.Contains(body, "canary") {
		t.Errorf("a reload that failed is %d %s", status, body)
	}
	var series admin.Series
	_, body := adminAsks(t, "GET", a.URL+"/admin/v1/series")
	if err := json.Unmarshal([]byte(body), &series); err != nil || len(series.At) != len(series.Requests) || sum(series.Requests) != 2 || sum(series.Refused) != 1 || sum(series.Output) == 0 {
		t.Errorf("the hour is %s (%v)", body, err)
	}

	if err := g.host.Swap(t.Context(), parse(t, yaml), variant(t, "demo", 1)); err != nil {
		t.Fatal(err)
	}
	s = adminState(t, a)
	if i := slices.IndexFunc(s.Providers, func(p admin.Provider) bool { return p.Name == "demo" }); s.Providers[i].Swaps != 1 || s.Providers[i].Calls.OK == 0 || s.Configuration.Generation != 2 {
		t.Errorf("after the swap %+v of generation %d", s.Providers[i], s.Configuration.Generation)
	}
	if err := g.host.Swap(t.Context(), parse(t, "model_mapping: {m: {provider: demo, model: m}}\n"), testkit.Module); err != nil {
		t.Fatal(err)
	}
	if status, body := adminAsks(t, "GET", a.URL+"/admin/v1/state"); status != 403 || !strings.Contains(body, "no admin section") {
		t.Errorf("without the section the listener answers %d %s", status, body)
	}
}

func sum(all []int64) (n int64) {
	for _, a := range all {
		n += a
	}
	return n
}

// TestThePlaygroundIsAClient passes requests on to the API with the client's rights.
func TestThePlaygroundIsAClient(t *testing.T) {
	g := newGateway(t, `
admin: {console: true, token: the-token}
cors: {enabled: false}
auth: {enabled: true, api_keys: [{name: app, key: the-clients-key}]}
model_mapping: {m: {provider: demo, model: m}}
`)
	a := withAdmin(t, g, nil)
	post := func(headers ...string) (int, string) {
		t.Helper()
		r, _ := http.NewRequest("POST", a.URL+"/v1/chat/completions", strings.NewReader(`{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", a.URL)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	if status, body := post("X-Kai-Admin-Token", "the-token"); status != 401 {
		t.Errorf("without a client's key: %d %s", status, body)
	}
	if status, body := post("Authorization", "Bearer the-clients-key"); status != 401 {
		t.Errorf("without the token: %d %s", status, body)
	}
	if status, body := post("X-Kai-Admin-Token", "the-token", "Authorization", "Bearer the-clients-key"); status != 200 || !strings.Contains(body, "data: [DONE]") {
		t.Errorf("with both: %d %s", status, body)
	}
	if status, body := adminAsks(t, "POST", a.URL+"/admin/v1/reload", "Authorization", "Bearer the-token"); status != 404 {
		t.Errorf("a reload without files is %d %s", status, body)
	}
}

// TestWhoIsToldOfTheConsole opens GET / on a gateway that serves its admin listener.
func TestWhoIsToldOfTheConsole(t *testing.T) {
	g := newGateway(t, "admin: {console: true}\nmodel_mapping: {m: {provider: demo, model: m}}\n")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.host.ServeAdmin(ctx, l, nil) }()
	at := fmt.Sprintf("http://%s/admin/v1/state", l.Addr())
	if status, body := adminAsks(t, "GET", at); status != 200 {
		t.Errorf("the listener answers %d %s", status, body)
	}
	link := fmt.Sprintf("http://localhost:%d/", l.Addr().(*net.TCPAddr).Port)
	for name, told := range map[string]bool{"127.0.0.1:9000": true, "localhost": true, "[::1]:9000": true, "192.0.2.7:9000": false} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = name
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		g.host.Handler().ServeHTTP(w, r)
		if w.Code != 200 || strings.Contains(w.Body.String(), link) != told {
			t.Errorf("at %s the page is %d, and leads to the console: %t", name, w.Code, !told)
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) && err != nil {
		t.Errorf("the listener ended with %v", err)
	}
}
