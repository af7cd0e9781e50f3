package host_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/race"
	"github.com/kai-gateway/kai/sdk/abi"
)

// puppetWith is puppetAt with more settings of the provider.
func puppetWith(t testing.TB, url, settings string) string {
	t.Helper()
	return strings.Replace(puppetAt(t, url), "log: debug", "log: debug, "+settings, 1)
}

// newPuppetGateway serves the puppet.
func newPuppetGateway(t testing.TB, yaml string) *gateway {
	t.Helper()
	g, err := newHostileGateway(t, yaml)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestEachLimitOfAProvider sets one limit after the other in the configuration
// and does what is over it, and just that, which the defaults allow. Streams of the same
// provider go on beside it.
func TestEachLimitOfAProvider(t *testing.T) {
	u := startPuppetUpstream(t)
	want := startBystanders(t, newPuppetGateway(t, puppetAt(t, u.URL)), u).end()
	done := text("x") + finish("stop")
	for name, tc := range map[string]struct {
		limit, script, client, log string
	}{
		"memory":        {"memory: 128KiB", done + strings.Repeat(" ", 100_000), "failed", "kai_buffer("},
		"fuel":          {"fuel: 1000000", strings.Repeat("V000010000000f000", 30) + done, "failed", "out of fuel"},
		"input":         {"input: 8KiB", done + strings.Repeat(" ", 9<<10), "limits.input", "at most 8192"},
		"output":        {"output: 1KiB", strings.Repeat(lie(abi.ToolArgs, 64<<10, 60_000), 4), "failed", "TOOL_ARGS: more than"},
		"stream_output": {"stream_output: 50KB", lie(abi.Text, 0, 60_000) + finish("stop"), "limits.stream_output", "limits.stream_output"},
		"state":         {"state: 10", emit(abi.State, 0, "eleven byte") + done, "failed", "STATE: 11 bytes; at most 10 are kept"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "output" { // of a call that is refused for nothing else
				tc.script = emit(abi.ToolName, 0, "f") + tc.script + finish("tool_calls")
			}
			free := newPuppetGateway(t, puppetAt(t, u.URL))
			if res, answer := free.post(t, askFor(atRequest, tc.script, false)); res.StatusCode != 200 {
				t.Errorf("with the default: %d %.500s; log: %.2000s", res.StatusCode, answer, free.log)
			}
			g := newPuppetGateway(t, puppetWith(t, u.URL, "limits: {"+tc.limit+"}"))
			others := startBystanders(t, g, u)
			res, answer := g.post(t, askFor(atRequest, tc.script, false))
			if message, _ := errorMessage(answer); res.StatusCode < 400 || !strings.Contains(message, tc.client) {
				t.Errorf("with %s: %d %.500s, want an error with %q", tc.limit, res.StatusCode, answer, tc.client)
			}
			if !strings.Contains(g.log.String(), tc.log) {
				t.Errorf("the log lacks %q: %.2000s", tc.log, g.log)
			}
			if got := others.end(); got != want {
				t.Errorf("other streams got\n%.2000q, want\n%.2000q", got, want)
			}
		})
	}
	t.Run("log_lines", func(t *testing.T) {
		g := newPuppetGateway(t, puppetWith(t, u.URL, "limits: {log_lines: 3}"))
		begin := time.Now()
		g.post(t, askFor(atRequest, strings.Repeat("O61;", 100)+done, false))
		seconds := 2 + int(time.Since(begin)/time.Second) // which it may have touched
		if n := strings.Count(g.log.String(), `"msg":"adapter"`); n < 3 || n > 3*seconds {
			t.Errorf("%d lines were logged within %d seconds, want 3 in each", n, seconds)
		}
	})
}

// TestInstancesOfAProvider counts the linear memories that are there when nothing
// runs.
func TestInstancesOfAProvider(t *testing.T) {
	u := startPuppetUpstream(t)
	rounds := 10
	if race.Enabled {
		rounds = 2 // the long inputs take ten times as long: make check runs all rounds without the race detector
	}
	for name, tc := range map[string]struct {
		limits string
		most   int
		input  int
	}{
		"as many as server.workers":                   {"", 3, 100},
		"as many as limits.instances":                 {"instances: 1, ", 1, 100},
		"none that is larger than limits.kept_memory": {"kept_memory: 1MiB, ", 0, 2 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			memory := openGuestMemory(t)
			yaml := puppetWith(t, u.URL, fmt.Sprintf("limits: {%smemory: %d}", tc.limits, guestLimit))
			g := newPuppetGateway(t, strings.Replace(yaml, "server: {", "server: {workers: 3, ", 1))
			before := len(memory.accessible(t))
			var clients sync.WaitGroup
			for range 20 {
				clients.Go(func() {
					for range rounds {
						g.post(t, askFor(atRequest, text("x")+finish("stop")+strings.Repeat(" ", tc.input), false))
					}
				})
			}
			clients.Wait()
			if n := len(memory.accessible(t)); before != 1 || n > tc.most || n == 0 && tc.most > 0 {
				t.Errorf("%d instances in the end, %d when it was loaded; want at most %d, and 1", n, before, tc.most)
			}
		})
	}
}

// TestRequestsAreIsolated has a guest look for what an earlier request left in its
// memory.
func TestRequestsAreIsolated(t *testing.T) {
	u := startPuppetUpstream(t)
	const word = "a-word-of-an-earlier-request"
	for name, tc := range map[string]struct{ settings, finds string }{
		"with isolation":    {"isolation: request", "clean"},
		"without isolation": {"limits: {instances: 1}", "found"}, // or the search is worth nothing
	} {
		t.Run(name, func(t *testing.T) {
			g := newPuppetGateway(t, puppetWith(t, u.URL, tc.settings))
			for range 3 {
				for _, stream := range []bool{true, false} {
					// Far behind in the input, where the next request's doesn't reach.
					g.post(t, askFor(atRequest, text("x")+finish("stop")+strings.Repeat(" ", 4000)+word, stream))
					_, answer := g.post(t, askFor(atRequest, search(word)+finish("stop"), stream))
					if got := content(t, answer); got != tc.finds {
						t.Errorf("the search: %q, want %q", got, tc.finds)
					}
				}
			}
		})
	}
}

// TestPauseOfAProvider breaks an adapter on one input after the other until it is
// paused, and waits until it serves again: at first for a second, then longer.
func TestPauseOfAProvider(t *testing.T) {
	u := startPuppetUpstream(t)
	g := newPuppetGateway(t, strings.Replace(puppetAt(t, u.URL), "model_mapping: {", "  other: {plugin: demo}\nmodel_mapping: {o: {provider: other, model: o}, ", 1))
	for range 20 { // one client's poison, which is nobody else's
		g.post(t, askFor(atRequest, "T", false))
	}
	if h := g.get(t, "/health"); strings.Contains(h, "paused") {
		t.Errorf("the same input again and again paused it: %s", h)
	}
	running := startBystanders(t, g, u)
	want := `"message":"The adapter of provider 'puppet' failed repeatedly and is paused; Kai's log says why.","type":"server_error","param":null,"code":"adapter_paused"`
	n := 0
	for pause := 1; pause <= 2; pause++ {
		var begin time.Time
		health := ""
		for breaks := 1; !strings.Contains(health, `"status":"paused"`); breaks++ {
			if n++; breaks > 5 {
				t.Fatal("not paused after five different inputs")
			}
			begin = time.Now()
			g.post(t, askFor(atRequest, fmt.Sprintf("T%d", n), false))
			health = g.get(t, "/health")
		}
		res, answer := g.post(t, askFor(atRequest, text("x")+finish("stop"), true))
		if time.Since(begin) > time.Duration(pause)*time.Second {
			t.Skip("this machine is too slow: the pause is over before it can be seen")
		}
		if wait := res.Header.Get("Retry-After"); res.StatusCode != 503 || !strings.Contains(answer, want) || wait < "1" || wait > fmt.Sprint(pause) {
			t.Errorf("pause %d: %d, Retry-After %q, %s", pause, res.StatusCode, wait, answer)
		}
		if !strings.Contains(health, "Failed repeatedly; the log says why") || !strings.Contains(health, `"status":"degraded"`) {
			t.Errorf("pause %d: /health: %s", pause, health)
		}
		if log := g.log.String(); !strings.Contains(log, `"msg":"adapter paused: it broke on different inputs in a row","provider":"puppet","pause":"`+fmt.Sprintf("%ds", pause)) {
			t.Errorf("pause %d is not in the log: %.3000s", pause, log)
		}
		if res, answer := g.post(t, strings.Replace(wholly, `"m"`, `"o"`, 1)); res.StatusCode != 200 {
			t.Errorf("pause %d: another provider: %d %s", pause, res.StatusCode, answer)
		}
		for strings.Contains(g.get(t, "/health"), `"status":"paused"`) {
			if time.Since(begin) > time.Minute {
				t.Fatal("the pause doesn't end")
			}
			time.Sleep(20 * time.Millisecond) // polling: a pause ends by itself
		}
	}
	if got := running.end(); strings.Count(strings.Join(got[:], ""), "data: [DONE]\n\n<nil>") != len(got) {
		t.Errorf("streams that began before: %.2000q", got)
	}
	for n := range 20 { // a call that worked has ended the row
		if res, answer := g.post(t, askFor(atRequest, text(fmt.Sprint(n))+finish("stop"), false)); res.StatusCode != 200 {
			t.Fatalf("after the pauses: %d %s", res.StatusCode, answer)
		}
	}
	if h := g.get(t, "/health"); !strings.Contains(h, `"status":"healthy"`) || strings.Contains(h, "paused") {
		t.Errorf("in the end: %s", h)
	}
}

// TestStandardErrorIsForDebugging has a guest write a prompt to its standard error and
// trap: only a log at debug level may show it.
func TestStandardErrorIsForDebugging(t *testing.T) {
	u := startPuppetUpstream(t)
	c, err := testkit.Parse(puppetAt(t, u.URL))
	if err != nil {
		t.Fatal(err)
	}
	for level, want := range map[slog.Level]bool{slog.LevelDebug: true, slog.LevelInfo: false} {
		t.Run(level.String(), func(t *testing.T) {
			started := testkit.Start(t, testkit.Options{Config: c, Level: level})
			g, log := &gateway{started, started.Host, started.Log}, started.Log
			_, answer := g.post(t, askFor(atRequest, "W"+hex.EncodeToString([]byte("panic: what the client wrote"))+";T", false))
			shows := strings.Contains(log.String(), "panic: what the client wrote")
			if shows != want || !strings.Contains(log.String(), "adapter call failed") {
				t.Errorf("the log shows it: %t, want %t: %s", shows, want, log)
			}
			if all := answer + g.get(t, "/health"); strings.Contains(all, "panic") {
				t.Errorf("a client sees it: %s", all)
			}
		})
	}
}

// TestWhereTheKeyGoes sends requests of adapters whose manifest puts the key
// here, there and nowhere, with and without a key in the configuration.
func TestWhereTheKeyGoes(t *testing.T) {
	up := mock.Start(t, mock.JSON(`{}`))
	for name, tc := range map[string]struct {
		auth   string // of the manifest
		key    bool   // in the configuration
		header string // where it must be; "": nowhere
		value  string
	}{
		"a bearer's":            {`{"secret":"api_key","header":"authorization","format":"Bearer {}"}`, true, "Authorization", "Bearer " + canary},
		"a header of its own":   {`{"secret":"api_key","header":"x-goog-api-key","format":"{}"}`, true, "X-Goog-Api-Key", canary},
		"no place for it":       {`{}`, true, "", ""},
		"a place and no key":    {`{"secret":"api_key","header":"authorization","format":"Bearer {}"}`, false, "", ""},
		"neither place nor key": {`{}`, false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			// It also says that it lives elsewhere, which is none of its business.
			module, err := fuel.WithCustomSection(guest(t, "puppet"), abi.ManifestSection,
				[]byte(`{"name":"x","version":"1","adapters":[{"provider":"x","ops":["chat"],"default_base_url":"http://169.254.169.254/latest","options":"...","plain_content":true,"auth":`+tc.auth+`}]}`))
			if err != nil {
				t.Fatal(err)
			}
			yaml := strings.Replace(puppetAt(t, up.URL), puppetPath(t), write(t, module), 1)
			if !tc.key {
				yaml = strings.Replace(yaml, fmt.Sprintf(", api_key: %q", canary), "", 1)
			}
			g := newPuppetGateway(t, yaml)
			up.Forget()
			if res, answer := g.post(t, askFor("", "hi", false)); res.StatusCode != 200 {
				t.Fatalf("%d %s", res.StatusCode, answer)
			}
			asked := up.Last()
			if strings.Contains(asked.Body+asked.URI, canary) {
				t.Errorf("the key is in the request's path or body: %v", asked)
			}
			if url := "http://" + asked.Host + asked.URI; url != up.URL+"/base/chat" {
				t.Errorf("it went to %s, want %s", url, up.URL+"/base/chat")
			}
			got := asked.Header
			for header := range got {
				if value := got.Get(header); header == tc.header && value != tc.value || header != tc.header && strings.Contains(value, canary) {
					t.Errorf("%s: %q", header, value)
				}
			}
			if tc.header != "" && got.Get(tc.header) == "" {
				t.Errorf("no %s in %v", tc.header, got)
			}
			if tc.header == "" && got.Get("Authorization") != "" {
				t.Errorf("authorization: %q", got.Get("Authorization"))
			}
		})
	}
	t.Run("no base_url but the manifest's", func(t *testing.T) {
		module, err := fuel.WithCustomSection(guest(t, "puppet"), abi.ManifestSection,
			[]byte(`{"name":"x","version":"1","adapters":[{"provider":"x","ops":["chat"],"default_base_url":"http://169.254.169.254/latest"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		path, _ := json.Marshal(write(t, module))
		if _, err := testkit.Parse("providers: {p: {plugin: " + string(path) + "}}\nmodel_mapping: {m: {provider: p, model: m}}\n"); err == nil || !strings.Contains(err.Error(), "base_url") {
			t.Errorf("error = %v, want one that asks for base_url", err)
		}
	})
}

func TestHealthShowsNoPaths(t *testing.T) {
	u := startPuppetUpstream(t)
	g := newPuppetGateway(t, puppetAt(t, u.URL))
	if h := g.get(t, "/health"); strings.Contains(h, filepath.Dir(puppetPath(t))) || !strings.Contains(h, `"name":"puppet.wasm"`) {
		t.Errorf("/health tells where the adapter is: %s", h)
	}
}
