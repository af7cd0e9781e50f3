package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/sdk/abi"
)

// eventually waits until what get gives is want.
func eventually[T comparable](t testing.TB, what string, want T, get func() T) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		got := get()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// nothingHeld waits until everything that was held was given back.
func nothingHeld(t testing.TB, g *gateway, provider string) {
	t.Helper()
	eventually(t, "bytes held in all, of bodies, for the provider", [3]int64{}, func() [3]int64 { return g.host.Held(provider) })
}

// TestMemoryIsGivenBack has requests end in every way: nothing of them stays
// counted.
func TestMemoryIsGivenBack(t *testing.T) {
	up := startPuppetUpstream(t)
	up.let()
	long := strings.Repeat("x", 300<<10)
	chat := func(stream bool, user string) string {
		return fmt.Sprintf(`{"model":"m","stream":%v,"user":%q,"messages":[{"role":"user","content":%q}]}`, stream, user, long)
	}
	many := strings.Repeat(fmt.Sprintf("P%02x%08x%08x", abi.Text, 4096, 100<<10), 10) // a megabyte of NULs
	post := func(body string) func(t *testing.T, g *gateway) {
		return func(t *testing.T, g *gateway) { g.post(t, body) }
	}
	for name, end := range map[string]func(t *testing.T, g *gateway){
		"a stream":                       post(chat(true, "hi")),
		"a whole answer":                 post(askFor(atResponse, text("hi")+finish("stop"), false)),
		"a long whole answer":            post(askFor(atResponse, many+finish("stop"), false)),
		"a long stream":                  post(askFor(atEvent, many, true)),
		"an answer without upstream":     post(askFor(atRequest, many+finish("stop"), true)),
		"a tool call without a name":     post(askFor(atEvent, emit(abi.ToolArgs, 1, long[:1000]), true)),
		"a trap at the request":          post(askFor(atRequest, "T", true)),
		"a trap at an event":             post(askFor(atEvent, "T", true)),
		"a guest that takes all memory":  post(askFor(atEvent, "M", true)),
		"a guest that breaks the ABI":    post(askFor(atEvent, emit(abi.Kind(200), 0, "x"), true)),
		"a guest that emits too much":    post(askFor(atEvent, strings.Repeat(many, 3), true)),
		"no JSON":                        post("{" + long),
		"a model that does not exist":    post(`{"model":"none","messages":[{"role":"user","content":"` + long + `"}]}`),
		"a body that is cut off":         func(t *testing.T, g *gateway) { half(t, g, 200<<10).Close() },
		"a client that hangs up":         hangUp(chat(true, "hi")),
		"a client that hangs up at once": hangUp(chat(false, "hi")),
	} {
		t.Run(name, func(t *testing.T) {
			g := newPuppetGateway(t, puppetAt(t, up.URL))
			if strings.Contains(name, "hangs up") {
				up.hold()
				defer up.let()
			}
			end(t, g)
			nothingHeld(t, g, "puppet")
		})
	}
}

// half begins a request and sends n bytes of the 16 MiB it announces.
func half(t testing.TB, g *gateway, n int) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", g.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", 16<<20)
	io.WriteString(c, strings.Repeat(" ", n))
	return c
}

// hangUp sends a request and leaves when it is under way.
func hangUp(body string) func(t *testing.T, g *gateway) {
	return func(t *testing.T, g *gateway) {
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "POST", g.URL+"/v1/chat/completions", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		done := make(chan bool)
		go func() {
			defer close(done)
			if res, err := http.DefaultClient.Do(req); err == nil {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		}()
		eventually(t, "the request is held", true, func() bool { return g.host.Memory().Used() > 0 })
		time.Sleep(20 * time.Millisecond)
		cancel()
		<-done
	}
}

// TestMemoryOverReloads has bodies of two generations count together: what one
// holds the next can't grant again.
func TestMemoryOverReloads(t *testing.T) {
	yaml := "server: {max_memory: 256MiB, max_body: 16MiB, max_bodies: %s}\nmodel_mapping: {m: {provider: demo, model: m}}\n"
	g := newGateway(t, fmt.Sprintf(yaml, "16MiB"))
	first := half(t, g, 6<<20) // for which room is made in steps of four times
	defer first.Close()
	taken := g.host.Held("demo")[1]
	for taken < 12<<20 {
		time.Sleep(5 * time.Millisecond)
		taken = g.host.Held("demo")[1]
	}
	body := `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("x", 6<<20) + `"}]}`
	check := func(when string, want int) {
		t.Helper()
		if res, answer := g.post(t, body); res.StatusCode != want {
			t.Errorf("%s a second body got %d %.200s, want %d", when, res.StatusCode, answer, want)
		} else if want == 503 && (res.Header.Get("Retry-After") != "1" || !strings.Contains(answer, `"code":"busy"`)) {
			t.Errorf("%s a second body got %v %s, want busy and Retry-After: 1", when, res.Header, answer)
		}
	}
	check("at first", 503)
	if err := g.host.Swap(t.Context(), parse(t, fmt.Sprintf(yaml, "16MiB")), testkit.Module); err != nil {
		t.Fatal(err)
	}
	check("after a reload", 503)
	if err := g.host.Swap(t.Context(), parse(t, fmt.Sprintf(yaml, "64MiB")), testkit.Module); err != nil {
		t.Fatal(err)
	}
	check("after a reload that allows more", 200)
	first.Close()
	nothingHeld(t, g, "demo")
	check("with nothing held", 200)
}

// TestShareOfAProvider has a provider's answers grow beyond what it may hold: they
// fail, its upstream is not said to be ill, and others are served.
func TestShareOfAProvider(t *testing.T) {
	enough := make(chan struct{})
	up := mock.Start(t, mock.Steps(mock.NDJSON(line("begin ")+`{"message":{"content":"`+strings.Repeat("x", 6<<20)), mock.Wait(enough), mock.Send("\"}}\n"+lastLine)))
	g := newGateway(t, fmt.Sprintf(`
server: {max_memory: 64MiB, max_body: 1MiB}
providers: {ollama: {base_url: %q, limits: {share: 16MiB}}}
model_mapping: {m: {provider: ollama, model: m}, demo: {provider: demo, model: m}}
`, up.URL))
	answers := make(chan string)
	const streams = 8
	for range streams {
		go func() { // each needs 6 MiB and what a guest takes to read them
			_, answer := g.post(t, streamed)
			answers <- answer
		}()
	}
	grown := 0
	for range streams - 3 {
		answer := <-answers
		switch {
		case strings.Contains(answer, `"code":"out_of_memory"`) && strings.Contains(answer, "limits.share"):
			grown++
		case !strings.Contains(answer, `"code":"busy"`): // for want of an instance
			t.Errorf("a stream ended with %.600s, want out_of_memory and the way out", answer)
		}
	}
	if grown == 0 {
		t.Error("no answer grew beyond the share")
	}
	if _, answer := g.post(t, strings.Replace(wholly, `"m"`, `"demo"`, 1)); !strings.Contains(answer, `"finish_reason"`) {
		t.Errorf("another provider answers %s", answer)
	}
	if page := g.get(t, "/health"); strings.Contains(page, "got no answer") {
		t.Errorf("the upstream is said to be ill: %s", page)
	}
	close(enough)
	for range 3 {
		<-answers
	}
	nothingHeld(t, g, "ollama")
	up.Answer(mock.NDJSON(line("hello") + lastLine))
	if _, answer := g.post(t, streamed); !strings.Contains(answer, "hello") {
		t.Errorf("afterwards the provider answers %s", answer)
	}
	if strings.Contains(g.log.String(), "adapter paused") {
		t.Error("the adapter was blamed")
	}
}

// TestIsolatedStreamsAreBounded has streams that keep instances of their own use the
// provider's share up: the next request is asked to come again.
func TestIsolatedStreamsAreBounded(t *testing.T) {
	proceed := make(chan struct{})
	up := mock.Start(t, mock.Steps(mock.NDJSON(line("one ")), mock.Wait(proceed), mock.Send(line("two")+lastLine)))
	g := newGateway(t, fmt.Sprintf(`
server: {max_memory: 128MiB, max_body: 1MiB}
providers: {ollama: {base_url: %q, isolation: request, limits: {share: 24MiB}}}
model_mapping: {m: {provider: ollama, model: m}}
`, up.URL))
	answers := make(chan string)
	refused := false
	running := 0
	for range 40 {
		started := make(chan bool)
		go func() {
			res, err := http.Post(g.URL+"/v1/chat/completions", "application/json", strings.NewReader(streamed))
			if err != nil {
				t.Error(err)
				started <- false
				return
			}
			defer res.Body.Close()
			if res.StatusCode != 200 {
				answer, _ := io.ReadAll(res.Body)
				if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
					t.Errorf("refused by %d %v %s", res.StatusCode, res.Header, answer)
				}
				started <- false
				return
			}
			started <- true
			answer, _ := io.ReadAll(res.Body)
			answers <- string(answer)
		}()
		if refused = !<-started; refused {
			break
		}
		running++
	}
	if !refused || running == 0 {
		t.Fatalf("%d streams run at once, refused: %v", running, refused)
	}
	t.Logf("%d isolated streams in 24 MiB", running)
	close(proceed)
	for range running {
		if answer := <-answers; content(t, answer) != "one two" {
			t.Errorf("a stream got %s", answer)
		}
	}
	nothingHeld(t, g, "ollama")
}

// TestExpandedBodiesAreCounted has an adapter put long content into its request
// four times: that counts before it is made.
func TestExpandedBodiesAreCounted(t *testing.T) {
	up := mock.Start(t, mock.SSE("data: x\n\n"))
	path, err := filepath.Abs("wasm/testdata/hostile/repeats.wasm")
	if err != nil {
		t.Fatal(err)
	}
	g := newPuppetGateway(t, fmt.Sprintf(`
server: {max_memory: 64MiB, max_body: 4MiB}
providers: {repeats: {plugin: %q, base_url: %q, limits: {share: 12MiB}}}
model_mapping: {m: {provider: repeats, model: m}}
`, path, up.URL))
	body := func(n int) string {
		return `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("x", n) + `"}]}`
	}
	_, answer := g.post(t, body(1<<20))
	if sent := len(up.Last().Body); sent < 4<<20 {
		t.Errorf("%d bytes were sent of 4 times 1 MiB: %s", sent, answer)
	}
	up.Forget()
	res, answer := g.post(t, body(4<<20-1000))
	if sent := len(up.Last().Body); res.StatusCode != 502 || !strings.Contains(answer, "out_of_memory") || sent != 0 {
		t.Errorf("4 times 4 MiB in 12 MiB: %d %.300s, %d bytes sent, want out_of_memory", res.StatusCode, answer, sent)
	}
	nothingHeld(t, g, "repeats")
}

// TestCompressedAnswersAreCounted has upstreams send answers that are large only
// when they are decompressed.
func TestCompressedAnswersAreCounted(t *testing.T) {
	up := mock.Start(t, mock.Steps(mock.Header("Content-Encoding", "gzip"), mock.JSON(gzipped(strings.Repeat(" ", 30<<20))[0])))
	g := newGateway(t, fmt.Sprintf(`
server: {max_memory: 64MiB, max_body: 8MiB}
providers: {ollama: {base_url: %q, limits: {share: 24MiB}}}
model_mapping: {m: {provider: ollama, model: m}}
`, up.URL))
	res, answer := g.post(t, wholly)
	if res.StatusCode != 502 || !strings.Contains(answer, "out_of_memory") {
		t.Errorf("30 MiB in 24 MiB: %d %s, want out_of_memory", res.StatusCode, answer)
	}
	nothingHeld(t, g, "ollama")
}

// TestRefusedForMemory holds everything that may be held: what comes then is
// refused with a status that says when to come again, and served afterwards.
func TestRefusedForMemory(t *testing.T) {
	g := newGateway(t, "server: {max_memory: 64MiB, max_body: 1MiB}\nmodel_mapping: {m: {provider: demo, model: m}}\n")
	all := g.host.Memory().Grant()
	if err := all.Hold(64<<20 - g.host.Memory().Used() - 10*memory.Grain); err != nil {
		t.Fatal(err)
	}
	body := `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("x", 900<<10) + `"}]}`
	res, answer := g.post(t, body)
	var e struct{ Error struct{ Code string } }
	if json.Unmarshal([]byte(answer), &e); res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" || e.Error.Code != "busy" {
		t.Errorf("with nothing left: %d %v %s, want 503 busy", res.StatusCode, res.Header, answer)
	}
	if !strings.Contains(g.log.String(), "server.max_memory") {
		t.Errorf("the log doesn't say which limit it is: %s", g.log)
	}
	all.Release()
	if res, answer := g.post(t, body); res.StatusCode != 200 {
		t.Errorf("afterwards: %d %s", res.StatusCode, answer)
	}
	nothingHeld(t, g, "demo")
}

// TestAFullShareLeadsToAnotherTarget: a request that has no room in the share of one provider
// is for the next target, and is asked to come again if there is none.
func TestAFullShareLeadsToAnotherTarget(t *testing.T) {
	release := make(chan struct{})
	narrow, wide := mock.Start(t, mock.Steps(mock.Wait(release), says("narrow"))), mock.Start(t, says("wide"))
	g := newGateway(t, fmt.Sprintf(`
server: {max_body: 5MiB}
providers: {narrow: {plugin: openai, base_url: %q, api_key: k, limits: {share: 10MiB}}, wide: {plugin: openai, base_url: %q, api_key: k}}
model_mapping: {m: {targets: [{provider: narrow, model: x}, {provider: wide, model: x, tier: 2}]}, alone: {targets: [{provider: narrow, model: x}]}}
`, narrow.URL, wide.URL))
	long := strings.Replace(answerOfM, `"x"`, `"`+strings.Repeat("a", 4<<20)+`"`, 1)
	var running sync.WaitGroup
	defer running.Wait()
	defer close(release)
	running.Go(func() {
		if res, text := g.post(t, strings.Replace(long, `"m"`, `"alone"`, 1)); res.StatusCode != 200 {
			t.Errorf("one that has room: %d %.300s", res.StatusCode, text)
		}
	})
	for end := time.Now().Add(time.Minute); len(narrow.Requests()) < 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the provider isn't asked")
		}
	}
	if res, text := g.post(t, long); res.StatusCode != 200 || textOf(text) != "wide" {
		t.Errorf("with another target: %d %.300s", res.StatusCode, text)
	}
	if res, text := g.post(t, strings.Replace(long, `"m"`, `"alone"`, 1)); res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" || !strings.Contains(text, "limits.share") {
		t.Errorf("without one: %d %.300s", res.StatusCode, text)
	}
}
