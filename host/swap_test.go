package host_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/race"
	"github.com/kai-gateway/kai/sdk/abi"
)

// parse makes a configuration as newGateway does.
func parse(t testing.TB, yaml string) *config.Config {
	t.Helper()
	c, err := testkit.Parse(yaml)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// variant is a module that does the same and has another digest.
func variant(t testing.TB, plugin string, n int) func(string) ([]byte, error) {
	t.Helper()
	module, err := testkit.Module(plugin)
	if err != nil {
		t.Fatal(err)
	}
	other, err := fuel.WithCustomSection(module, "variant", fmt.Appendf(nil, "%d", n))
	if err != nil {
		t.Fatal(err)
	}
	return func(name string) ([]byte, error) {
		if name == plugin {
			return other, nil
		}
		return testkit.Module(name)
	}
}

// TestSwapsUnderLoad swaps configuration and adapter a thousand times while a
// thousand streams run: no request may fail, no byte may be lost, and nothing may
// be left behind.
func TestSwapsUnderLoad(t *testing.T) {
	swaps, atOnce := 1000, 1000
	if testing.Short() || race.Enabled {
		swaps, atOnce = 100, 100
	}
	const lines = 10
	up := mock.Start(t, func(x *mock.Exchange) {
		x.Head(200, "application/x-ndjson")
		id := question(x)
		for i := range lines {
			x.Send(line(fmt.Sprintf("%s:%d ", id, i)))
			if !x.Pause(200 * time.Millisecond) {
				return
			}
		}
		x.Send(lastLine)
	})
	served := fmt.Sprintf("providers: {ollama: {base_url: %q}}\nmodel_mapping: {m: {provider: ollama, model: m}}\n", up.URL)
	g := newGateway(t, served)
	configs := []*config.Config{parse(t, served), parse(t, served+"default_model: m\n")}
	modules := []func(string) ([]byte, error){variant(t, "ollama", 1), variant(t, "ollama", 2)}
	swap := func(n int) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := g.host.Swap(ctx, configs[n%2], modules[n%2]); err != nil {
			t.Errorf("swap %d: %v", n, err)
		}
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: atOnce}}
	var answers atomic.Int64
	stream := func(id string) {
		body := fmt.Sprintf(`{"model":"m","stream":true,"messages":[{"role":"user","content":%q}]}`, id)
		res, err := client.Post(g.URL+"/v1/chat/completions", "application/json", strings.NewReader(body))
		if err != nil {
			t.Errorf("%s: %v", id, err)
			return
		}
		answer, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !bytes.HasSuffix(answer, []byte("data: [DONE]\n\n")) {
			t.Errorf("%s ended with %v: %q", id, err, answer[max(0, len(answer)-300):])
			return
		}
		var want strings.Builder
		for k := range lines {
			fmt.Fprintf(&want, "%s:%d ", id, k)
		}
		if got := content(t, string(answer)); got != want.String() {
			t.Errorf("%s got %.300q", id, got)
		}
		answers.Add(1)
	}
	// load keeps the streams running while work does, one round of them at least.
	load := func(work func()) {
		var done atomic.Bool
		var streams sync.WaitGroup
		for i := range atOnce {
			streams.Go(func() {
				for n := 0; n == 0 || !done.Load(); n++ {
					stream(fmt.Sprintf("s%d.%d", i, n))
				}
			})
		}
		work()
		done.Store(true)
		streams.Wait()
		client.CloseIdleConnections()
		up.CloseClientConnections()
		up.Forget()
	}

	goroutines, files := runtime.NumGoroutine(), openFiles()
	load(func() { // what the streams alone leave to be used again
		swap(0) // both versions are compiled from here on
		swap(1)
	})
	settle(t, goroutines, files)
	memory := resident(t)
	load(func() {
		begin := time.Now()
		for n := range swaps {
			swap(n)
		}
		t.Logf("%d swaps in %v", swaps, time.Since(begin))
	})
	t.Logf("%d streams were served", answers.Load())
	settle(t, goroutines, files)
	checkMemory(t, memory)
}

func TestSwapRefusesWhatCannotServe(t *testing.T) {
	g := newGateway(t, "model_mapping: {m: {provider: demo, model: m}}")
	good := parse(t, "model_mapping: {other: {provider: demo, model: m}}")

	broken := func(string) ([]byte, error) { return []byte("\x00asm\x01\x00\x00\x00"), nil }
	if err := g.host.Swap(t.Context(), good, broken); err == nil || !strings.Contains(err.Error(), "test.yaml:1:35: providers.demo.plugin: not an adapter") {
		t.Errorf("error = %v, want one that names the place", err)
	}
	missing := func(string) ([]byte, error) { return nil, errors.New("no such file") }
	if err := g.host.Swap(t.Context(), good, missing); err == nil || !strings.Contains(err.Error(), "test.yaml:1:35: providers.demo.plugin: no such file") {
		t.Errorf("error = %v, want one that names the place", err)
	}
	lying := func(plugin string) ([]byte, error) {
		module, err := testkit.Module(plugin)
		if err != nil {
			return nil, err
		}
		return fuel.WithCustomSection(module, abi.TranscriptSection, []byte("-- client-request.json --\n{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}\n-- emissions --\nTEXT 0 \"never said\"\n"))
	}
	if err := g.host.Swap(t.Context(), good, lying); err == nil || !strings.Contains(err.Error(), `the transcript has "TEXT 0 \"never said\""`) {
		t.Errorf("error = %v, want one that tells what differs from the transcript in the module", err)
	}
	ask := `{"model":%q,"messages":[{"role":"user","content":"x"}]}`
	if res, answer := g.post(t, fmt.Sprintf(ask, "m")); res.StatusCode != 200 {
		t.Errorf("the old configuration does not serve any more: %d %s", res.StatusCode, answer)
	}
	health := func() string {
		res, err := http.Get(g.URL + "/health")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return string(b)
	}
	if h := health(); !strings.Contains(h, "was refused for test.yaml:1, the one before keeps serving; the log says why") || !strings.Contains(h, `"status":"degraded"`) {
		t.Errorf("/health does not tell: %s", h)
	}
	g.host.Refuse(&config.Problems{List: []config.Problem{{File: "etc/test.yaml", Message: "is empty"}}})
	if h := health(); !strings.Contains(h, "was refused for test.yaml, the one before") {
		t.Errorf("/health does not tell of a file as a whole: %s", h)
	}
	if err := g.host.Swap(t.Context(), good, testkit.Module); err != nil {
		t.Fatal(err)
	}
	if h := health(); !strings.Contains(h, "Configuration loaded successfully") {
		t.Errorf("/health does not tell that it is good again: %s", h)
	}
	if res, answer := g.post(t, fmt.Sprintf(ask, "m")); res.StatusCode != 400 {
		t.Errorf("the old alias is still served: %d %s", res.StatusCode, answer)
	}
	if res, answer := g.post(t, fmt.Sprintf(ask, "other")); res.StatusCode != 200 {
		t.Errorf("the new alias is not served: %d %s", res.StatusCode, answer)
	}
}

// TestOldConnectionsAreClosed replaces a provider while a stream runs: the
// connections that were idle are closed at once, and the stream's when it ends.
func TestOldConnectionsAreClosed(t *testing.T) {
	finish := make(chan struct{})
	up := mock.Start(t, func(x *mock.Exchange) {
		x.Head(200, "application/x-ndjson")
		x.Send(line("one "))
		if question(x) == "slow" {
			x.Wait(finish)
		}
		x.Send(lastLine)
	})
	yaml := fmt.Sprintf("providers: {ollama: {base_url: %q}}\nmodel_mapping: {m: {provider: ollama, model: m}}\n", up.URL)
	g := newGateway(t, yaml)
	began, ended := make(chan bool), make(chan string, 1)
	go func() {
		res, err := http.Post(g.URL+"/v1/chat/completions", "application/json", strings.NewReader(strings.Replace(streamed, "hi", "slow", 1)))
		if err != nil {
			t.Error(err)
		}
		close(began)
		answer, _ := io.ReadAll(res.Body)
		res.Body.Close()
		ended <- string(answer)
	}()
	<-began
	g.post(t, streamed)
	if n := up.Open(); n != 2 {
		t.Fatalf("%d connections are open, want the stream's and an idle one", n)
	}
	late, err := net.Dial("tcp", g.Listener.Addr().String()) // belongs to the old, and asks after it was replaced
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	fmt.Fprintf(late, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", len(streamed))
	eventually(t, "the late request is there", true, func() bool { return g.host.Held("ollama")[1] > 0 })
	changed := strings.Replace(yaml, "}}\n", ", timeouts: {idle: 7m}}}\n", 1)
	if err := g.host.Swap(t.Context(), parse(t, changed), testkit.Module); err != nil {
		t.Fatal(err)
	}
	eventually(t, "connections that are open beside a stream", 1, up.Open)
	io.WriteString(late, streamed[1:])
	if res, err := http.ReadResponse(bufio.NewReader(late), nil); err != nil || res.StatusCode != 200 {
		t.Errorf("the late request got %v, %v", res, err)
	} else if answer, _ := io.ReadAll(res.Body); !strings.Contains(string(answer), "[DONE]") {
		t.Errorf("the late request got %s", answer)
	}
	eventually(t, "connections that are open after a late request", 1, up.Open)
	if err := g.host.Swap(t.Context(), parse(t, yaml), testkit.Module); err != nil { // back to what is held by the stream alone
		t.Fatal(err)
	}
	close(finish)
	if answer := <-ended; content(t, answer) != "one " || !strings.Contains(answer, "[DONE]") {
		t.Errorf("the stream got %s", answer)
	}
	eventually(t, "connections that are open after it", 0, up.Open)
	before := up.Opened()
	g.post(t, streamed)
	g.post(t, streamed)
	if n := up.Opened() - before; n != 1 {
		t.Errorf("%d connections were opened for two requests, want one that is kept", n)
	}
}
