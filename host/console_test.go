package host_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/admin"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/plugins"
)

const consoleYAML = `
admin: {token: the-operators-token, console: true}
pricing: {currency: EUR}
cache: {}
limits: {concurrent: 2000}
auth:
  enabled: true
  groups: {team: {limits: {tokens: 10M/d}}}
  api_keys:
    - {name: app, key: the-app-key, group: team, limits: {requests: [50/s, 30k/h], concurrent: 40}}
    - {name: ci, key: the-ci-key, models: [fast, granite-local], limits: {tokens: 2M/h}}
    - {name: batch, key: the-batch-key, models: [smart], budget: {month: 200}, group: team}
    - {name: intern, key: the-interns-key, models: [smart], budget: {day: 0.10}, expires: 2999-01-01T00:00:00Z}
    - {name: saver, key: the-savers-key, models: [smart, granite-local], budget: {day: 0.008, then: granite-local}}
providers:
  openai: {plugin: openai, base_url: "UP/fast", api_key: sk-12345678}
  claude: {plugin: openai, base_url: "UP/smart", api_key: sk-12345678}
  broken: {plugin: openai, base_url: "UP/broken", api_key: sk-12345678}
  locked: {plugin: openai, base_url: "UP/locked", api_key: "${THE_KEY_THAT_NOBODY_HAS_SET}"}
model_mapping:
  fast: {provider: openai, model: gpt-5-mini, price: {input: 2.5, output: 10}, limits: {requests: 100/s}}
  smart:
    targets:
      - {provider: claude, model: opus, weight: 3}
      - {provider: openai, model: gpt-5, weight: 1}
      - {alias: granite-local, tier: 2}
    routing: {attempts: 3, sticky: user}
    price: {input: 15, output: 75}
  granite-local: {provider: demo, model: granite, price: free}
  <img src=x onerror=alert(1)>: {provider: openai, model: <script>alert(2)</script>}
  broken: {provider: broken, model: none}
  locked: {provider: locked, model: none}
  openai/*: {provider: openai, model: "*"}
default_model: fast
`

// world is what the console is shown: a gateway, what happens to it, and its clients.
type world struct {
	g      *gateway
	broken atomic.Bool // the account of smart's first target is used up
	start  time.Time

	mu      sync.Mutex
	yaml    string
	address string
	server  *http.Server
	admin   *admin.Server

	hangs sync.RWMutex // is written while the admin listener answers nobody, and hangs up on nobody
}

// stuck waits before each piece of an answer while the listener hangs.
type stuck struct {
	http.ResponseWriter
	w *world
}

func (s stuck) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s stuck) Write(b []byte) (int, error) {
	s.w.hangs.RLock()
	defer s.w.hangs.RUnlock()
	return s.ResponseWriter.Write(b)
}

// quick is how long the hour before the test takes.
const quick = 20 * time.Second

// now is a clock on which the hour before the test passes quickly, so that there is
// something to see.
func (w *world) now() time.Time {
	real := time.Now()
	if took := real.Sub(w.start); took < quick {
		return w.start.Add(quick - (quick-took)*time.Duration(time.Hour/quick))
	}
	return real
}

func (w *world) answer(x *mock.Exchange) {
	switch {
	case strings.HasSuffix(x.URI, "/embeddings"):
		mock.Whole(403, "application/json", `{"error":{"message":"You may not do that.","type":"permission_error"}}`)(x)
		return
	case strings.HasPrefix(x.URI, "/broken"):
		mock.Whole(500, "application/json", `{"error":{"message":"no"}}`)(x)
		return
	case strings.HasPrefix(x.URI, "/smart") && w.broken.Load():
		mock.Whole(402, "application/json", `{"error":{"message":"pay first","code":"insufficient_quota"}}`)(x)
		return
	case len(x.Body)%29 == 0:
		mock.Whole(503, "application/json", `{"error":{"message":"busy"}}`)(x)
		return
	}
	usage := fmt.Sprintf(`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, 40+len(x.Body), 20+len(x.Body)%70, 60+len(x.Body)+len(x.Body)%70)
	if !strings.Contains(x.Body, `"stream":true`) {
		x.Pause(time.Duration(len(x.Body)%5) * time.Millisecond)
		mock.JSON(`{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello!"},"finish_reason":"stop"}],` + usage + `}`)(x)
		return
	}
	chunk := func(delta, rest string) string {
		return `data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":` + delta + rest + "}]}\n\n"
	}
	x.Head(200, "text/event-stream")
	x.Pause(time.Duration(1+len(x.Body)%4) * time.Millisecond)
	if strings.Contains(x.Body, "get_weather") {
		x.Send(chunk(`{"role":"assistant","reasoning_content":"The user wants the weather in Oslo, for which there is a tool."}`, ""))
		for _, word := range strings.SplitAfter("Let me look that up for you: the tool knows what it is like in Oslo.", " ") {
			x.Pause(20 * time.Millisecond)
			x.Send(chunk(fmt.Sprintf(`{"content":%q}`, word), ""))
		}
		x.Send(chunk(`{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_weather","arguments":""}}]}`, ""),
			chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":\"Oslo\"}"}}]}`, ""), chunk(`{}`, `,"finish_reason":"tool_calls"`))
	} else {
		x.Send(chunk(`{"role":"assistant","content":"Hello"}`, ""))
		x.Pause(time.Duration(len(x.Body)%6) * time.Millisecond)
		x.Send(chunk(`{"content":"!"}`, ""), chunk(`{}`, `,"finish_reason":"stop"`))
	}
	x.Send(`data: {"id":"x","object":"chat.completion.chunk","choices":[],`+usage+"}\n\n", "data: [DONE]\n\n")
}

// clients ask until ctx ends.
func (w *world) clients(ctx context.Context, t *testing.T) {
	asks := []struct{ key, model string }{
		{"app", "fast"}, {"app", "smart"}, {"batch", "smart"}, {"ci", "fast"}, {"app", "fast"}, {"ci", "granite-local"}, {"app", "<img src=x onerror=alert(1)>"}, {"batch", "smart"},
		{"app", "openai/gpt-5-nano"}, {"app", "fast"}, {"ci", "smart"},
	}
	for i := 0; ctx.Err() == nil; i++ {
		a := asks[i%len(asks)]
		if i%97 == 96 {
			a.model = "<script>alert(3)</script>"
		}
		kept := "" // what makes the answer one that is kept
		if i%5 == 0 {
			kept = `"temperature":0,`
		}
		body := fmt.Sprintf(`{"model":%q,%s"stream":%t,"messages":[{"role":"user","content":%q}]}`, a.model, kept, i%4 != 3, strings.Repeat("a", i*7%160))
		r, _ := http.NewRequestWithContext(ctx, "POST", w.g.URL+"/v1/chat/completions", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer the-"+a.key+"-key")
		if res, err := http.DefaultClient.Do(r); err == nil {
			for buf := make([]byte, 4096); err == nil; {
				_, err = res.Body.Read(buf)
			}
			res.Body.Close()
		}
		pause := time.Duration(12+i/12%9*4) * time.Millisecond // waves
		if time.Since(w.start) > quick {
			pause = 2 * time.Second
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (w *world) parse() (*config.Config, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return config.Parse("console.yaml", []byte(w.yaml), config.Options{
		Shipped: plugins.Names(), OptionsSchema: testkit.Schema, LookupEnv: func(string) (string, bool) { return "", false },
	})
}

func (w *world) reload(ctx context.Context) error {
	c, err := w.parse()
	if err != nil {
		w.g.host.Refuse(err)
		return err
	}
	return w.g.host.Swap(ctx, c, testkit.Module)
}

// up serves the admin listener, at the address where it was before.
func (w *world) up() error {
	at := w.address
	if at == "" {
		at = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	w.address = l.Addr().String()
	w.admin = w.g.host.Admin(true, w.reload)
	w.server = &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.admin.ServeHTTP(stuck{rw, w}, r) })}
	go w.server.Serve(l)
	return nil
}

func (w *world) down() {
	w.admin.Stop()
	w.server.Close()
}

// ask sends a chat for smart with a key.
func (w *world) ask(ctx context.Context, key string) (status int, err error) {
	return w.send(ctx, key, "/v1/chat/completions", `{"model":"smart","max_tokens":90,"messages":[{"role":"user","content":"Hello!"}]}`)
}

func (w *world) send(ctx context.Context, key, path, body string) (status int, err error) {
	r, _ := http.NewRequestWithContext(ctx, "POST", w.g.URL+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// control does what the browser's script asks for.
func (w *world) control(rw http.ResponseWriter, r *http.Request) {
	var err error
	switch strings.TrimPrefix(r.URL.Path, "/") {
	case "break":
		w.broken.Store(true)
	case "embed": // which the provider doesn't let smart's first targets do
		_, err = w.send(r.Context(), "the-batch-key", "/v1/embeddings", `{"model":"smart","input":"Hello!"}`)
	case "mend":
		w.broken.Store(false)
	case "spend": // one request of the key with the small budget
		_, err = w.ask(r.Context(), "the-interns-key")
	case "spare": // requests of the key that has a free alias when its budget is spent
		for range 3 {
			if _, err = w.ask(r.Context(), "the-savers-key"); err != nil {
				break
			}
		}
	case "fill":
		for status := 0; status != http.StatusTooManyRequests && err == nil; {
			status, err = w.ask(r.Context(), "the-interns-key")
		}
	case "misspell":
		w.mu.Lock()
		w.yaml = strings.Replace(w.yaml, "fast: {provider:", "fast: {providr:", 1)
		w.mu.Unlock()
	case "correct":
		w.mu.Lock()
		w.yaml = strings.Replace(w.yaml, "providr:", "provider:", 1)
		w.mu.Unlock()
	case "unaudit":
		w.mu.Lock()
		w.yaml, _, _ = strings.Cut(w.yaml, "audit:")
		w.mu.Unlock()
		err = w.reload(r.Context())
	case "hang":
		w.hangs.Lock()
	case "wake":
		w.hangs.Unlock()
	case "down":
		w.down()
	case "up":
		err = w.up()
	default:
		err = fmt.Errorf("there is no %s", r.URL.Path)
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
	}
}

// TestConsoleInABrowser drives every page of the console in Chromium, under load. "make
// test-console" installs what it needs. KAI_UPDATE=1 takes the pictures of docs/console.md,
// and KAI_PICTURES names a directory for all others: dark, and 360 pixels wide.
func TestConsoleInABrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium on this machine: Debian's package of that name has it")
	}
	if _, err := os.Stat("consoletest/node_modules/playwright-core"); err != nil {
		t.Skip("no playwright-core: \"make test-console\" installs it")
	}
	w := &world{start: time.Now()}
	up := mock.Start(t, w.answer)
	w.yaml = strings.ReplaceAll(consoleYAML, "UP", up.URL) + fmt.Sprintf("audit: {file: %q}\n", filepath.Join(t.TempDir(), "audit.jsonl"))
	c, err := w.parse()
	if err != nil {
		t.Fatal(err)
	}
	started := testkit.Start(t, testkit.Options{Config: c, Now: w.now, Sleep: func(ctx context.Context, d time.Duration) error { return ctx.Err() }})
	w.g = &gateway{started, started.Host, started.Log}
	if err := started.Ready(t); err != nil {
		t.Fatal(err)
	}
	w.start = time.Now()
	if err := w.up(); err != nil {
		t.Fatal(err)
	}
	defer w.down()
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() { w.clients(ctx, t) })
	}
	defer clients.Wait()
	defer stop()
	time.Sleep(quick) // the hour goes by; nothing is waited for

	control := httptest.NewServer(http.HandlerFunc(w.control))
	defer control.Close()
	pictures, more := filepath.Join(t.TempDir(), "pictures"), os.Getenv("KAI_PICTURES")
	if more == "" {
		more = pictures
	}
	if os.Getenv("KAI_UPDATE") != "" {
		pictures = "../docs/console"
	}
	limited, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	script := exec.CommandContext(limited, "node", "consoletest/console.mjs", "http://"+w.address+"/", control.URL, chromium, pictures, more, w.g.URL+"/")
	if out, err := script.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "done\n") {
		t.Errorf("the browser: %v\n%s", err, out)
	}
}
