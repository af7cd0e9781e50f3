package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// taken reports whether the answer to a reload says that the configuration is used.
func taken(answer string) bool {
	first, _, _ := strings.Cut(answer, "\n")
	return first == "ok"
}

// reload puts a configuration in place and has it taken.
func (p *process) reload(yaml string) {
	p.t.Helper()
	p.write(p.file, yaml)
	port := strings.TrimSuffix(p.url[strings.LastIndexByte(p.url, ':')+1:], "/v1")
	socket := filepath.Join(p.runtime, "kai", port+".sock")
	if answer, err := ask(socket, "reload"); !taken(answer) || err != nil {
		p.t.Fatalf("reload: %q, %v, of\n%s", answer, err, yaml)
	}
}

// TestSettingsChangeByAReload changes one setting after the other in a gateway
// that runs, and probes it before and after.
func TestSettingsChangeByAReload(t *testing.T) {
	up := mock.Start(t, func(x *mock.Exchange) {
		if strings.Contains(x.URI, "/slow/") {
			x.Pause(300 * time.Millisecond)
		}
		if strings.HasSuffix(x.URI, "/api/chat") {
			mock.NDJSON(`{"message":{"content":"yes"},"done":true,"done_reason":"stop"}` + "\n")(x)
			return
		}
		mock.JSON(`{"choices":[{"index":0,"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]}`)(x)
	})
	puppet, err := filepath.Abs("../../host/wasm/testdata/hostile/puppet.wasm")
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("UP", up.URL, "PUPPET", puppet)

	const (
		models    = "model_mapping: {m: {provider: up, model: one}, n: {provider: up, model: other}}\n"
		provider  = "providers: {up: {plugin: openrouter, base_url: UP, api_key: first-key-of-up}}\n"
		plain     = provider + models
		ollama    = "providers: {up: {plugin: ollama, base_url: UP}}\nmodel_mapping: {m: {provider: up, model: one}}\n"
		slow      = "providers: {up: {plugin: openrouter, base_url: UP/slow, api_key: first-key-of-up}}\n" + models
		guest     = "providers: {up: {plugin: PUPPET, base_url: UP}}\n" + models
		behind    = "providers: {up: {plugin: openrouter, base_url: \"http://up.invalid\", api_key: first-key-of-up, proxy: "
		completed = "/chat/completions"
	)
	p := startBuilt(t, fill.Replace(plain))
	// send makes a request and gives the answer, or "waits" if there is none for so
	// long.
	send := func(patience time.Duration, method, path, body string, header ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		if method == "POST" {
			r.Header.Set("Content-Type", "application/json")
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			if ctx.Err() != nil {
				return "waits"
			}
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, _ := io.ReadAll(res.Body)
		return fmt.Sprintf("%d allow-origin=%s %s", res.StatusCode, res.Header.Get("Access-Control-Allow-Origin"), answer)
	}
	const long = longWait
	chat := func(model string) string {
		return `{` + model + `"messages":[{"role":"user","content":"@O6120626164206461793b;"}]}`
	}
	get := func(header ...string) func() string {
		return func() string { return send(long, "GET", "/models", "", header...) }
	}
	post := func(body string) func() string {
		return func() string { return send(long, "POST", completed, body) }
	}
	ask := post(chat(`"model":"m",`))
	upstream := func() string {
		ask()
		return up.Last().URI + " " + up.Last().Header.Get("Authorization") + " " + up.Last().Body
	}

	for name, tc := range map[string]struct {
		before, after         string
		probe                 func() string
		wantBefore, wantAfter string // parts of what the probe gives
	}{
		"cors.allow_origins": {
			plain + "cors: {allow_origins: [\"https://a.example\"]}", plain + "cors: {allow_origins: [\"https://b.example\"]}",
			get("Origin", "https://b.example"), "allow-origin= ", "allow-origin=https://b.example ",
		},
		"cors.enabled": {
			plain, plain + "cors: {enabled: false}", get("Origin", "https://b.example"), "allow-origin=* ", "allow-origin= ",
		},
		"auth.enabled": {
			plain, plain + "auth: {enabled: true, api_keys: [a-key-of-ours]}", get(), "200 ", "401 ",
		},
		"auth.api_keys": {
			plain + "auth: {enabled: true, api_keys: [a-key-of-ours]}", plain + "auth: {enabled: true, api_keys: [another-key]}",
			get("Authorization", "Bearer another-key"), "401 ", "200 ",
		},
		"auth.api_keys[].models": {
			plain + "auth: {enabled: true, api_keys: [{name: k, key: a-key-of-ours}]}",
			plain + "auth: {enabled: true, api_keys: [{name: k, key: a-key-of-ours, models: [n]}]}",
			func() string {
				return send(long, "POST", completed, chat(`"model":"m",`), "Authorization", "Bearer a-key-of-ours")
			}, "200 ", "403 ",
		},
		"default_model": {
			plain + "default_model: m", plain + "default_model: n", post(chat("")), `"model":"m"`, `"model":"n"`,
		},
		"model_mapping: an alias is gone": {
			plain, provider + "model_mapping: {n: {provider: up, model: other}}", ask, "200 ", "Model 'm' not found",
		},
		"model_mapping: another model": {
			plain, provider + "model_mapping: {m: {provider: up, model: two}}", upstream, `"model":"one"`, `"model":"two"`,
		},
		"model_mapping: options": {
			ollama, strings.Replace(ollama, "model: one", "model: one, options: {num_ctx: 4321}", 1), upstream, "/api/chat", `"num_ctx":4321`,
		},
		"providers: options": {
			ollama, strings.Replace(ollama, "base_url: UP", "base_url: UP, options: {num_ctx: 1234}", 1), upstream, "/api/chat", `"num_ctx":1234`,
		},
		"providers: plugin": {plain, ollama, upstream, completed, "/api/chat"},
		"providers: base_url": {
			plain, strings.Replace(plain, "base_url: UP", "base_url: UP/elsewhere", 1), upstream, completed, "/elsewhere" + completed,
		},
		"providers: api_key": {
			plain, strings.Replace(plain, "first", "second", 1), upstream, "Bearer first-key-of-up", "Bearer second-key-of-up",
		},
		"providers: timeouts.first_byte": {
			slow, strings.Replace(slow, "api_key", "timeouts: {first_byte: 20ms}, api_key", 1), ask, "200 ", "504 ",
		},
		"providers: proxy": {
			behind + "\"http://127.0.0.1:9\"}}\n" + models, behind + "\"UP\"}}\n" + models, ask, "502 ", "200 ",
		},
		"providers: limits.input": {
			plain, strings.Replace(plain, "api_key", "limits: {input: 10}, api_key", 1), ask, "200 ", `"error"`,
		},
		"server.max_body": {plain, plain + "server: {max_body: 50}", ask, "200 ", "413 "},
		"server.read_timeout": {
			plain, plain + "server: {read_timeout: 20ms}",
			func() string { return p.halfABody(t) }, "waits", "408 ",
		},
		"server.stream_head_wait": {
			slow, slow + "server: {stream_head_wait: 10ms}", post(chat(`"model":"m","stream":true,`)), "\ndata: [DONE]", ": keep-alive\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p.reload(fill.Replace(tc.before))
			if got := tc.probe(); !strings.Contains(got, tc.wantBefore) || tc.wantAfter != tc.wantBefore && strings.Contains(got, tc.wantAfter) {
				t.Errorf("before: %s, want %q in it", got, tc.wantBefore)
			}
			p.reload(fill.Replace(tc.after))
			if got := tc.probe(); !strings.Contains(got, tc.wantAfter) {
				t.Errorf("after: %s, want %q in it", got, tc.wantAfter)
			}
		})
	}

	t.Run("providers: log", func(t *testing.T) {
		const line = "a bad day;"
		p.reload(fill.Replace(strings.Replace(guest, "base_url", "log: \"off\", base_url", 1)))
		ask()
		if strings.Contains(p.text(), line) {
			t.Fatalf("before: the adapter's line is in the log")
		}
		p.reload(fill.Replace(guest))
		ask()
		eventually(t, "the adapter's line is in the log", func() bool { return strings.Contains(p.text(), line) })
	})
}

// halfABody begins a request and sends no body. It gives the status line, or
// "waits".
func (p *process) halfABody(t *testing.T) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(p.url, "http://"), "/v1"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 40)
	n, err := io.ReadFull(c, b)
	if n == 0 && os.IsTimeout(err) {
		return "waits"
	}
	return string(bytes.TrimPrefix(b[:n], []byte("HTTP/1.1 ")))
}

func TestShutdownTimeoutChangesByAReload(t *testing.T) {
	url, _ := slowOllama(t)
	p := start(t, ollamaConfig(url, "server: {shutdown_timeout: 1h}"))
	rest := p.stream()
	p.reload(ollamaConfig(url, "server: {shutdown_timeout: 200ms}"))
	p.signal(syscall.SIGTERM)
	if got := <-rest; !strings.Contains(got, `"code":"shutting_down"`) {
		t.Errorf("the stream ended with %q, want an error event", got)
	}
	if code := p.wait(); code != exitDone {
		t.Errorf("exit code %d, want %d", code, exitDone)
	}
}

// TestChangedSecretIsPickedUp changes nothing but the file that holds a key.
func TestChangedSecretIsPickedUp(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("first-key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, demoConfig+"auth: {enabled: true, api_keys: [{file: "+key+"}]}\n")
	status := func(key string) int {
		r, _ := http.NewRequest("GET", p.url+"/models", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := status("first-key"); got != 200 {
		t.Fatalf("status %d", got)
	}
	p.write(key, "second-key\n")
	eventually(t, "the new key is taken", func() bool { return status("second-key") == 200 })
	if got := status("first-key"); got != 401 {
		t.Errorf("status %d with the old key", got)
	}
}
