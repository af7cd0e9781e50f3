package host_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/race"
	"github.com/kai-gateway/kai/sdk/abi"
)

// guest gives a module of host/wasm/testdata/hostile, whose .wat says what it does.
func guest(t testing.TB, name string) []byte {
	t.Helper()
	module, err := os.ReadFile("wasm/testdata/hostile/" + name + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// get reads a page of the gateway.
func (g *gateway) get(t testing.TB, path string) string {
	t.Helper()
	res, err := http.Get(g.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// write puts a module into a file of its own.
func write(t testing.TB, module []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "adapter.wasm")
	if err := os.WriteFile(path, module, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Commands of the puppet, see its .wat.

func emit(kind abi.Kind, at int32, payload string) string {
	return fmt.Sprintf("E%02x%08x%s;", byte(kind), uint32(at), hex.EncodeToString([]byte(payload)))
}

func lie(kind abi.Kind, ptr, n uint32) string {
	return fmt.Sprintf("P%02x%08x%08x", byte(kind), ptr, n)
}

func text(s string) string   { return emit(abi.Text, 0, s) }
func finish(s string) string { return emit(abi.Finish, 0, s) }

func search(s string) string {
	inverse := []byte(s)
	for i := range inverse {
		inverse[i] ^= 255
	}
	return "C" + hex.EncodeToString(inverse) + ";"
}

// Where the puppet gets its commands: with the client's request, the upstream's
// whole answer, or an event.
const (
	atRequest  = "@"
	atResponse = "r!"
	atEvent    = "e!"
)

// askFor is a client's request that has the puppet obey a script.
func askFor(at, script string, stream bool) string {
	body, _ := json.Marshal(map[string]any{
		"model": "m", "stream": stream, "user": at + script, "messages": []any{map[string]string{"role": "user", "content": "hi"}},
	})
	return string(body)
}

// puppetUpstream passes the commands for the puppet on. Other streams, held, wait
// in the middle until they are let.
type puppetUpstream struct {
	*mock.Upstream
	pull atomic.Pointer[chan struct{}]
}

const honestEvents = 20

func startPuppetUpstream(t testing.TB) *puppetUpstream {
	t.Helper()
	u := &puppetUpstream{}
	u.let()
	u.Upstream = mock.Start(t, func(x *mock.Exchange) {
		var asked struct{ User string }
		json.Unmarshal([]byte(x.Body), &asked)
		switch {
		case strings.HasPrefix(asked.User, atResponse):
			mock.JSON(fmt.Sprintf(`{"x":"@%s"}`, asked.User[2:]))(x)
		case strings.HasPrefix(asked.User, atEvent):
			mock.SSE(fmt.Sprintf("data: before \n\ndata: @%s\n\ndata: behind\n\n", asked.User[2:]))(x)
		default:
			x.Head(200, "text/event-stream")
			for i := range honestEvents {
				x.Send(fmt.Sprintf("data: %s:%d \n\n", asked.User, i))
				if i == honestEvents/2 {
					x.Wait(*u.pull.Load())
				}
			}
		}
	})
	return u
}

// hold has honest streams wait from now on; let lets them go on.
func (u *puppetUpstream) hold() {
	c := make(chan struct{})
	u.pull.Store(&c)
}

func (u *puppetUpstream) let() {
	c := make(chan struct{})
	if held := u.pull.Load(); held != nil {
		c = *held
	} else {
		u.pull.Store(&c)
	}
	select {
	case <-c:
	default:
		close(c)
	}
}

func puppetPath(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("wasm/testdata/hostile/puppet.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func puppetAt(t testing.TB, url string) string {
	t.Helper()
	return fmt.Sprintf(`
providers:
  puppet: {plugin: %q, base_url: %q, api_key: %q, log: debug}
model_mapping: {m: {provider: puppet, model: m}}
server: {stream_head_wait: 300ms}
`, puppetPath(t), url+"/base", canary)
}

// canary is the key of every provider here: it may be nowhere but in requests to
// the upstream.
const canary = "canary-7Hq/9+ZkX2mW5vB8nR4tY6"

// bystanders are honest streams of the provider that is attacked. One half of
// their events comes before the attack and the other after it.
type bystanders struct {
	g      *gateway
	u      *puppetUpstream
	done   sync.WaitGroup
	others [3]string
}

func startBystanders(t testing.TB, g *gateway, u *puppetUpstream) *bystanders {
	t.Helper()
	u.hold()
	b := &bystanders{g: g, u: u}
	var begun sync.WaitGroup
	for i := range b.others {
		begun.Add(1)
		b.done.Go(func() {
			begin := sync.OnceFunc(begun.Done)
			defer begin()
			res, err := http.Post(g.URL+"/v1/chat/completions", "application/json", strings.NewReader(askFor(fmt.Sprintf("honest-%d", i), "", true)))
			if err != nil {
				b.others[i] = err.Error()
				return
			}
			defer res.Body.Close()
			in := bufio.NewReader(res.Body)
			var got strings.Builder
			for held := fmt.Sprintf(":%d ", honestEvents/2); !strings.Contains(got.String(), held) && err == nil; {
				var line string
				line, err = in.ReadString('\n')
				got.WriteString(line)
			}
			begin()
			rest, err := io.ReadAll(in)
			b.others[i] = fmt.Sprint(got.String(), string(rest), err)
		})
	}
	begun.Wait()
	return b
}

var answerID = regexp.MustCompile(`chatcmpl-[A-Z2-7]{26}`)

// end gives the bytes that each of them got, apart from the random id and from the
// comments that a stream gets while it is held for long.
func (b *bystanders) end() [3]string {
	b.u.let()
	b.done.Wait()
	for i := range b.others {
		b.others[i] = strings.ReplaceAll(answerID.ReplaceAllString(b.others[i], "ID"), ": keep-alive\n\n", "")
	}
	return b.others
}

// resident is the memory of this process that the kernel backs and that is in
// use: some of what Go has free it keeps, whoever asks for it back.
func resident(t testing.TB) int64 {
	t.Helper()
	debug.FreeOSMemory()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc on this machine")
	}
	var all, pages int64
	fmt.Sscan(string(data), &all, &pages)
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	return pages*int64(os.Getpagesize()) - int64(heap.HeapIdle-heap.HeapReleased)
}

// checkMemory waits until no more than a tenth more memory is held than before.
func checkMemory(t testing.TB, before int64) {
	t.Helper()
	if race.Enabled {
		return
	}
	deadline := time.Now().Add(time.Minute)
	for {
		now := resident(t)
		if now <= before+before/10 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d MiB of memory, %d before", now>>20, before>>20)
			return
		}
		time.Sleep(20 * time.Millisecond) // polling: the kernel and the collector tell no one
	}
}

// checkQuiet looks for what no client may see: addresses, keys, and words out of
// the sandbox.
func checkQuiet(t testing.TB, g *gateway, u *puppetUpstream, answer string) {
	t.Helper()
	for _, word := range []string{canary, canary[7:], strings.TrimPrefix(u.URL, "http://"), "127.0.0.1", "wasm", "puppet.w", "stack", "unreachable", "/testdata/"} {
		if strings.Contains(answer, word) {
			t.Errorf("the client sees %q: %.500s", word, answer)
		}
	}
	if log := g.log.String(); strings.Contains(log, canary) || strings.ContainsAny(log, "\x1b\x00\r") {
		t.Errorf("the log holds the key or control characters: %.2000q", log)
	}
}

// TestHostileCalls attacks with everything an adapter can do while it runs,
// through a whole gateway: the gateway stays up, other streams of the same provider get
// the bytes they always get, memory stays, and the client learns what it
// needs and no more.
func TestHostileCalls(t *testing.T) {
	u := startPuppetUpstream(t)
	g, err := newHostileGateway(t, puppetAt(t, u.URL))
	if err != nil {
		t.Fatal(err)
	}
	want := startBystanders(t, g, u).end()
	for i, answer := range want {
		if !strings.HasSuffix(answer, "data: [DONE]\n\n<nil>") || strings.Count(answer, fmt.Sprintf("honest-%d:", i)) != honestEvents {
			t.Fatalf("an honest stream: %.1000q", answer)
		}
	}
	g.post(t, askFor(atEvent, "R", true)) // what the first attack of a kind leaves behind for ever

	const broke = "The adapter of provider 'puppet' failed; Kai's log says why."
	long := strings.Repeat("x", 20000)
	flood := strings.Repeat(emit(abi.Text, 0, ""), 2000)
	for name, tc := range map[string]struct {
		script string
		at     []string // default: all three
		client string   // in the client's error; "" is an answer
		log    string
		text   string // of an answer
	}{
		"a trap":                    {script: "T", client: broke, log: "unreachable"},
		"an endless loop":           {script: "L", client: broke, log: "ran out of "},
		"memory.fill for ever":      {script: "F", client: broke, log: "ran out of "},
		"memory.grow for ever":      {script: "M", client: broke, log: "ran out of "},
		"deep recursion":            {script: "R", client: broke, log: "stack overflow"},
		"random bytes without end":  {script: strings.Repeat("V000010000000f000", 2000), client: broke, log: "ran out of "},
		"random bytes over the end": {script: "V00001000ffffffff" + text("x") + finish("stop"), text: "x"},
		"a status that is none":     {script: "S00000007", client: broke, log: "returned status 7"},
		"a negative status":         {script: "Sfffffffe", client: broke, log: "returned status -2"},

		"a length to the end of the address space":  {script: lie(abi.Text, 0, 0xffffffff), client: broke, log: "outside of memory"},
		"an address at the end of it":               {script: lie(abi.Text, 0xffffffff, 1), client: broke, log: "outside of memory"},
		"an address and length that wrap around":    {script: lie(abi.Text, 0xfffffff0, 0x20), client: broke, log: "outside of memory"},
		"a length one over the memory":              {script: lie(abi.Text, 0, 0x7fffffff), client: broke, log: "outside of memory"},
		"a state of all its memory":                 {script: lie(abi.State, 0, 0x20000), client: broke, log: "STATE: 131072 bytes"},
		"usage out of the middle of nowhere":        {script: lie(abi.Usage, 0xdeadbeef, 0xdead), client: broke, log: "outside of memory"},
		"a payload of nothing at the end of memory": {script: lie(abi.Text, 0x20000, 0) + text("x") + finish("stop"), text: "x"},

		"a body before its request":     {script: emit(abi.Body, 0, "x"), client: broke, log: "BODY"},
		"a wait for ever":               {script: emit(abi.Wait, 0x7fffffff, "") + emit(abi.Request, 7, "GET /\n"), client: broke, log: "refused"},
		"two requests":                  {script: emit(abi.Request, 0, "GET /\n") + emit(abi.Request, 0, "GET /\n"), client: broke, log: "REQUEST"},
		"a manifest":                    {script: emit(abi.Manifest, 0, "{}"), client: broke, log: "MANIFEST is not allowed here"},
		"a result":                      {script: emit(abi.Result, 0, "{}"), client: broke, log: "RESULT is not allowed here"},
		"two finish reasons":            {script: text("x") + finish("length") + finish("stop"), text: "x"},
		"text behind the finish":        {script: text("x") + finish("stop") + text("y"), text: "xy"},
		"a finish amid a nameless tool": {script: emit(abi.ToolArgs, 0, "{}") + finish("stop"), client: "without naming it", log: "nam"},
		"a tool of two names":           {script: emit(abi.ToolName, 0, "f") + emit(abi.ToolName, 0, "g"), client: broke, log: "TOOL_NAME: a second one"},
		"a choice never closed":         {script: text("x") + emit(abi.Text, 5<<16, "y") + finish("stop"), at: []string{atRequest, atResponse}, client: "ended"},
		"an empty answer":               {script: ".", at: []string{atRequest, atResponse}, client: "ended"},
		"the 129th choice":              {script: emit(abi.Text, 128<<16, "x"), client: broke, log: "choice 128"},
		"a kind that is none":           {script: emit(99, 0, "x"), client: broke, log: "kind 99"},
		"ten thousand emissions":        {script: strings.Repeat(flood, 5), at: []string{atEvent}, text: "before behind"},

		"text that is no UTF-8":         {script: text("\xff\xc0\xaf") + finish("stop"), text: "\ufffd"},
		"a tool's name of controls":     {script: emit(abi.ToolName, 0, "\x00\x1b[31m\u202e") + finish("stop"), text: ""},
		"text that ends the event":      {script: text("\r\n\r\ndata: [DONE]\n\n") + finish("stop"), text: "\r\n\r\ndata: [DONE]\n\n"},
		"raw text that ends the string": {script: emit(abi.Text|abi.Raw, 0, `"}]}`), client: broke, log: "inside of a JSON string"},
		"raw text with a line end":      {script: emit(abi.Text|abi.Raw, 0, "a\n\ndata: [DONE]\n\n"), client: broke, log: "inside of a JSON string"},
		"usage that is no JSON":         {script: emit(abi.Usage, 0, `{"a":`), client: broke, log: "USAGE"},
		"usage nested without end":      {script: emit(abi.Usage, 0, strings.Repeat(`{"a":`, 5000)+"1"+strings.Repeat("}", 5000)), client: "adapter"},
		"usage of numbers without end":  {script: text("x") + emit(abi.Usage, 0, `{"prompt_tokens":1e999,"completion_tokens":-5,"total_tokens":"many"}`) + finish("stop"), text: "*"},
		"an extra that replaces fields": {script: text("x") + emit(abi.ChunkExtra, 0, `{"id":"mine","model":"`+long+`","choices":[],"error":{}}`) + finish("stop"), text: "x"},
		"an extra with line ends":       {script: text("x") + emit(abi.DeltaExtra, 0, "{\"a\":\n\n\"b\"\r\n}") + finish("stop"), text: "x"},
		"an error that is no JSON":      {script: emit(abi.Error, 0, "no"), client: broke, log: "ERROR"},
		"an error of a strange status":  {script: emit(abi.Error, 0, `{"status":-1,"message":""}`), client: "without a message"},
		"an error of controls":          {script: emit(abi.Error, 0, `{"status":200,"type":"\n","code":"\u0000","message":"\u001b[31m\r\n\r\nred\u202e"}`), client: "red"},
		"a log from nowhere":            {script: "Gfffffff0000000ff" + "Gffffffffffffffff" + "G0001ffff00001000" + text("x") + finish("stop"), text: "x"},
		"standard error of controls":    {script: "W" + hex.EncodeToString([]byte("\x1b[31mred\r\n{\"level\":\"ERROR\"}\x00\xff")) + ";T", client: broke, log: `"msg":"adapter standard error"`},
		"standard error without end":    {script: strings.Repeat("W"+hex.EncodeToString([]byte(long[:2000]))+";", 10) + text("x") + finish("stop"), text: "x"},
		"logprobs that are no JSON":     {script: emit(abi.Logprobs, 0, "[{]"), client: broke, log: "LOGPROBS"},
		"extras that are no JSON":       {script: emit(abi.ChoiceExtra, 0, `{"a":1}{`), client: broke, log: "CHOICE_EXTRA"},
		"extras that are no UTF-8":      {script: text("x") + emit(abi.DeltaExtra, 0, "{\"a\":\"\xff\xc0\"}") + finish("stop"), text: "x"},
		"a log of controls":             {script: "O" + hex.EncodeToString([]byte("\x1b[31mred\r\n{\"level\":\"ERROR\"}\x00\u202e\xff")) + ";" + text("x") + finish("stop"), text: "x"},
		"a flood of log lines":          {script: strings.Repeat("O61;", 10000) + text("x") + finish("stop"), text: "x"},
		"random text":                   {script: "Z" + finish("stop"), text: "*"},
	} {
		at := tc.at
		if at == nil {
			at = []string{atRequest, atResponse, atEvent}
		}
		if race.Enabled {
			at = at[len(at)-1:] // each takes ten times as long
		}
		for _, at := range at {
			t.Run(name+" "+map[string]string{atRequest: "in kai_request", atResponse: "in kai_response", atEvent: "in kai_event"}[at], func(t *testing.T) {
				g.log.Reset() // or their growth would count
				u.Forget()
				before := resident(t)
				others := startBystanders(t, g, u)
				res, answer := g.post(t, askFor(at, tc.script, false))
				_, events := g.post(t, askFor(at, tc.script, true))
				if got := others.end(); got != want {
					t.Errorf("other streams got\n%.2000q, want\n%.2000q", got, want)
				}
				for how, answer := range map[string]string{"whole": answer, "streamed": events} {
					if tc.client != "" {
						message, ok := errorMessage(answer)
						if !ok || !strings.Contains(message, tc.client) {
							t.Errorf("%s: the client sees %.500q, want an error with %q", how, answer, tc.client)
						}
						if strings.Contains(answer, "[DONE]") {
							t.Errorf("%s: an error ends like an answer: %.500q", how, answer)
						}
					} else {
						want := tc.text
						if at == atEvent {
							want = "before " + strings.TrimPrefix(want, "before ")
						}
						if got := content(t, answer); tc.text != "*" && !strings.HasPrefix(got, strings.TrimSuffix(want, "behind")) {
							t.Errorf("%s: text %.200q of %.500q, want %.200q", how, got, answer, want)
						}
					}
					if how == "streamed" && strings.ContainsAny(answer, "\r\x1b\x00") {
						t.Errorf("streamed: control characters in %.500q", answer)
					}
					checkQuiet(t, g, u, answer)
				}
				if tc.client != "" && res.StatusCode < 400 {
					t.Errorf("status %d for an error", res.StatusCode)
				}
				if log := g.log.String(); !strings.Contains(log, tc.log) {
					t.Errorf("the log lacks %q: %.2000s", tc.log, log)
				}
				if h := g.get(t, "/health"); !strings.Contains(h, `"status":"healthy"`) {
					t.Errorf("/health: %s", h)
				}
				checkMemory(t, before)
			})
		}
	}
}

// errorMessage finds the error in an answer, whole or streamed.
func errorMessage(answer string) (string, bool) {
	i := strings.Index(answer, `{"error":`)
	if i < 0 {
		return "", false
	}
	var e struct {
		Error struct{ Message string }
	}
	err := json.NewDecoder(strings.NewReader(answer[i:])).Decode(&e)
	return e.Error.Message, err == nil
}

// TestHostileRequests has the puppet ask for upstream requests that lead
// elsewhere or carry what isn't an adapter's to say. None is sent.
func TestHostileRequests(t *testing.T) {
	u := startPuppetUpstream(t)
	g, err := newHostileGateway(t, puppetAt(t, u.URL))
	if err != nil {
		t.Fatal(err)
	}
	var heads []string
	for _, target := range []string{
		"", "/../etc", "/a/../../b", "/..", "/.", "/%2e%2e/b", "/%2E./b", "/%252e%252e/b", "/..;x/b", "/..%00/b", "/%c0%ae%c0%ae/b",
		"//169.254.169.254/latest", "/\\169.254.169.254/", "\\evil", "/a//b", "/a%2f..%2fb", "/a%2Fb", "/a%5cb", "/%252f", "@evil.example/", ":80@evil.example/",
		".evil.example/", ":1/x", "evil.example/x", "http://169.254.169.254/latest/meta-data", "https://evil.example/", "file:///etc/passwd", "//evil.example",
		"/a#b", "/a b", "/a\tb", "/a\x00b", "/a?b=c d", "/a?b=\x7f", "/a?b;c", "/a%", "/a%zz", "/ä", "/a HTTP/1.1", "*", "?a=b",
	} {
		heads = append(heads, "POST "+target+"\n")
	}
	for _, line := range []string{
		"authorization: Bearer {}", "authorization: {}", "Authorization: x", "authorization : x", " authorization: x", "host: evil.example", "content-length: 1000000",
		"transfer-encoding: chunked", "connection: upgrade", "upgrade: websocket", "proxy-authorization: Basic x", "x-forwarded-for: 127.0.0.1", "forwarded: for=x",
		"cookie: a=b", "expect: 100-continue", "te: trailers", "trailer: x", "origin: http://x", "http2-settings: x", "accept-encoding: br", "via: x",
		"x: a\rhost: evil", "x: a\r\nhost: evil.example", "x: a\x00b", "x: a\x7f", "x\r: a", ": a", "x", "x:\x0b", "x: a\nx: b", "ä: b", "x y: z",
	} {
		heads = append(heads, "POST /x\n"+line+"\n")
	}
	for _, method := range []string{"CONNECT", "TRACE", "OPTIONS", "HEAD", "post", "POST\r", "", " POST", "POST\t", "GET / HTTP/1.1\r\nHost: evil\r\n\r\nPOST"} {
		heads = append(heads, method+" /x\n")
	}
	heads = append(heads, "POST /x\n"+strings.Repeat("x: "+strings.Repeat("y", 900)+"\n", 40), "\n", "POST")
	many := "POST /x\n"
	for i := range 65 {
		many += fmt.Sprintf("x-%d: y\n", i)
	}
	heads = append(heads, many)

	want := startBystanders(t, g, u).end()
	before := resident(t)
	others := startBystanders(t, g, u)
	sent := len(u.Requests())
	for _, head := range heads {
		for _, stream := range []bool{false, true} {
			logged := len(g.log.String())
			res, answer := g.post(t, askFor(atRequest, emit(abi.Request, 0, head), stream))
			message, ok := errorMessage(answer)
			if res.StatusCode != 502 || !ok || message != "The adapter of provider 'puppet' asked for an upstream request that is not allowed" {
				t.Errorf("%q: status %d, %.300q", head, res.StatusCode, answer)
			}
			if log := g.log.String()[logged:]; !strings.Contains(log, `"err":"The adapter of provider 'puppet' asked for`) {
				t.Errorf("%q: the log does not say what was wrong: %s", head, log)
			}
			checkQuiet(t, g, u, answer)
		}
	}
	if n := len(u.Requests()) - sent; n > 0 {
		t.Errorf("%d of these requests were sent", n)
	}
	if got := others.end(); got != want {
		t.Errorf("other streams got\n%.2000q, want\n%.2000q", got, want)
	}
	checkMemory(t, before)

	// What looks like a template is text, and the key stands where the manifest says.
	_, answer := g.post(t, askFor(atRequest, emit(abi.Request, 0, "POST /a@b/c:d\nx-template: {} {{api_key}} ${KEY} %s\n")+emit(abi.Body, 0, "{}"), false))
	h := u.Last().Header
	if got := h.Get("X-Template"); got != "{} {{api_key}} ${KEY} %s" {
		t.Errorf("a header that looks like a template arrived as %q: %s", got, answer)
	}
	if got := h.Get("Authorization"); got != "Bearer "+canary {
		t.Errorf("authorization: %q", got)
	}
}

// TestHostileModules has every module that must not load, once beside a good one
// in the same gateway: that one serves, and /health and the client learn which
// provider is at fault and no more. And once as what should replace the adapter of
// a provider in the middle of its streams: they don't notice.
func TestHostileModules(t *testing.T) {
	u := startPuppetUpstream(t)
	running, err := newHostileGateway(t, puppetAt(t, u.URL))
	if err != nil {
		t.Fatal(err)
	}
	want := startBystanders(t, running, u).end()
	puppet := guest(t, "puppet")
	manifest := func(json string) []byte {
		module, err := fuel.WithCustomSection(puppet, abi.ManifestSection, []byte(json))
		if err != nil {
			t.Fatal(err)
		}
		return module
	}
	transcript := func(text string) []byte {
		module, err := fuel.WithCustomSection(puppet, abi.TranscriptSection, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return module
	}
	doing := func(script string) []byte {
		return transcript("It obeys.\n-- client-request.json --\n" + askFor(atRequest, script, false) + "\n-- emissions --\nTEXT 0 \"y\"\n")
	}
	profile := func(extra string) []byte {
		return manifest(`{"name":"x","version":"1","adapters":[{"provider":"x","ops":["chat"],` + extra + `}]}`)
	}
	auth := func(secret, header, format string) []byte {
		b, _ := json.Marshal(map[string]string{"secret": secret, "header": header, "format": format})
		return profile(`"auth":` + string(b))
	}
	// Cases of which another stays with the race detector. They take seconds in the guest
	// alone, where it has nothing to watch.
	alike := []string{
		"deep recursion in kai_abi_v1", "deep recursion in kai_manifest", "deep recursion in kai_configure", "deep recursion in _initialize",
		"a start that never returns", "an _initialize without end",
	}
	for name, tc := range map[string]struct {
		module []byte
		says   string
	}{
		"deep recursion in kai_abi_v1":    {guest(t, "deep-handshake"), "stack overflow"},
		"deep recursion in kai_manifest":  {guest(t, "deep-manifest"), "stack overflow"},
		"deep recursion in kai_buffer":    {guest(t, "deep-buffer"), "stack overflow"},
		"deep recursion in kai_configure": {guest(t, "deep-configure"), "stack overflow"},
		"deep recursion in _initialize":   {guest(t, "deep-initialize"), "stack overflow"},
		"deep recursion at the start":     {guest(t, "deep-start"), "start function"},
		"a kai_abi_v1 without end":        {guest(t, "loop-handshake"), "ran out of "},
		"a kai_manifest without end":      {guest(t, "loop-manifest"), "ran out of "},
		"a kai_buffer without end":        {guest(t, "loop-buffer"), "ran out of "},
		"a kai_configure without end":     {guest(t, "loop-configure"), "ran out of "},
		"a start that never returns":      {guest(t, "start-loop"), "start function"},
		"an _initialize without end":      {guest(t, "initialize-loop"), "ran out of "}, // fuel, or on a slow processor time
		"a buffer outside of memory":      {guest(t, "buffer-outside"), "kai_buffer(16384) gave"},
		"a buffer at an odd place":        {guest(t, "buffer-odd"), "kai_buffer(16384) gave"},
		"a table of all the memory":       {guest(t, "table-huge"), "table"},
		"all the memory":                  {guest(t, "memory-huge"), "memory"},
		"imports of everything":           {guest(t, "imports-everything"), "kai_v1.fetch, which Kai does not have"},
		"the host's memory":               {guest(t, "imports-memory"), "memory"},
		"the host's table":                {guest(t, "imports-table"), "table"},
		"the fuel as an import":           {guest(t, "imports-global"), "global"},
		"the fuel by its number":          {guest(t, "names-fuel"), "global"},
		"the fuel by its name":            {guest(t, "exports-fuel"), "kai_fuel"},
		"no WebAssembly":                  {[]byte("#!/bin/sh\nrm -rf /\n"), ""},
		"nothing":                         {nil, ""},
		"half a module":                   {puppet[:len(puppet)/2], ""},
		"a module of 17 MiB":              {append(puppet[:len(puppet):len(puppet)], make([]byte, 17<<20)...), "the limit is"},
		"a manifest of more than 64 KiB":  {profile(`"license":"` + strings.Repeat("x", 64<<10) + `"`), "at most 65536"},
		"a manifest of a megabyte":        {guest(t, "manifest-huge"), "at most 65536"},
		"two manifests":                   {guest(t, "manifest-twice"), "emitted 2 manifests"},
		"manifests without end":           {guest(t, "manifest-flood"), "ran out of "},
		"no manifest":                     {guest(t, "no-manifest"), "emitted 0 manifests"},
		"a manifest that is no UTF-8":     {manifest("{\"name\":\"\xff\"}"), "manifest"},
		"a manifest nested for ever":      {manifest(strings.Repeat("[", 60<<10)), "manifest"},
		"a manifest that is no object":    {manifest(`"x"`), "manifest"},
		"a manifest of other types":       {manifest(`{"name":1,"version":[],"adapters":{}}`), "manifest"},
		"a manifest of two adapters":      {manifest(`{"name":"x","version":"1","adapters":[{"provider":"x","ops":["chat"]},{"provider":"y","ops":["chat"]}]}`), "exactly one"},
		"a manifest of no operations":     {manifest(`{"name":"x","version":"1","adapters":[{"provider":"x"}]}`), "ops"},
		"a transcript of another adapter": {doing(text("x")), "it doesn't do what the transcript in it says"},
		"a transcript of a trap":          {doing("T"), "unreachable"},
		"a transcript without end":        {doing("L"), "ran out of "},
		"a transcript of deep recursion":  {doing("R"), "stack overflow"},
		"a transcript of 17 MiB of text":  {doing(strings.Repeat(lie(abi.Text, 0, 60_000), 290)), "transcript"},
		"a transcript of over 64 KiB":     {transcript(strings.Repeat("x", abi.MaxTranscript+1)), "at most 65536"},
		"a transcript that is none":       {transcript("\x00\xff"), "transcript"},
		"the key in host":                 {auth("api_key", "host", "{}"), "host"},
		"the key in content-length":       {auth("api_key", "content-length", "{}"), "content-length"},
		"the key in connection":           {auth("api_key", "connection", "{}"), "connection"},
		"the key in a proxy's header":     {auth("api_key", "proxy-authorization", "{}"), "proxy-authorization"},
		"the key in no header":            {auth("api_key", "é\u0000", "{}"), "header"},
		"the key twice":                   {auth("api_key", "authorization", "{} {}"), "one {}"},
		"the key in a second line":        {auth("api_key", "authorization", "x\r\nhost: evil\r\nx: {}"), "format"},
		"the key behind a control":        {auth("api_key", "authorization", "\x00{}"), "format"},
		"another secret":                  {auth("OPENAI_API_KEY", "authorization", "{}"), "api_key"},
	} {
		t.Run(name, func(t *testing.T) {
			if race.Enabled && slices.Contains(alike, name) {
				t.Skip("make check runs it without the race detector")
			}
			before := resident(t)
			path := write(t, tc.module)
			replaceAmidStreams(t, running, u, path, tc.says, want)
			yaml := puppetAt(t, u.URL)
			yaml = strings.Replace(yaml, "model_mapping: {", fmt.Sprintf("  bad: {plugin: %q, base_url: %q, api_key: %q}\nmodel_mapping: {bad: {provider: bad, model: m}, ", path, u.URL, canary), 1)
			if _, err := testkit.Parse(yaml); err != nil {
				// The program reads what it can without running it, and says where.
				if !strings.Contains(err.Error(), "test.yaml:4:") || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), canary) {
					t.Errorf("the configuration is refused with %v, want its line and %q", err, tc.says)
				}
				return
			}
			g, err := newHostileGateway(t, yaml)
			if err == nil || !strings.Contains(err.Error(), "test.yaml:4:") || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("error = %.500v, want its line and %q", err, tc.says)
			}
			if res, answer := g.post(t, askFor("", "honest", true)); res.StatusCode != 200 || !strings.HasSuffix(answer, "data: [DONE]\n\n") {
				t.Errorf("another provider's stream: %d %.300q", res.StatusCode, answer)
			}
			res, answer := g.post(t, strings.Replace(askFor("", "hi", false), `"model":"m"`, `"model":"bad"`, 1))
			if message, _ := errorMessage(answer); res.StatusCode != 503 || message != "The adapter of provider 'bad' could not be loaded; Kai's log says why." {
				t.Errorf("status %d, %.300q", res.StatusCode, answer)
			}
			health := g.get(t, "/health")
			if !strings.Contains(health, `"status":"degraded"`) || !strings.Contains(health, "Could not be loaded; the log says why") {
				t.Errorf("/health: %s", health)
			}
			checkQuiet(t, g, u, answer)
			checkMemory(t, before)
		})
	}
}

// replaceAmidStreams has a module that must not load take the place of the
// puppet's, while streams of that run. want is what they get.
func replaceAmidStreams(t *testing.T, g *gateway, u *puppetUpstream, path, says string, want [3]string) {
	t.Helper()
	others := startBystanders(t, g, u)
	yaml := puppetAt(t, u.URL)
	c, err := testkit.Parse(strings.Replace(yaml, puppetPath(t), path, 1))
	if err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err = g.host.Swap(ctx, c, testkit.Module); err != nil && !strings.Contains(g.get(t, "/health"), "the one before keeps serving") {
			t.Errorf("/health does not tell: %s", g.get(t, "/health"))
		}
	}
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("it took the place of a good one: error = %v, want one with %q", err, says)
	}
	if got := others.end(); got != want {
		t.Errorf("other streams got\n%.2000q, want\n%.2000q", got, want)
	}
	if _, answer := g.post(t, askFor("", "after", true)); !strings.HasSuffix(answer, "data: [DONE]\n\n") {
		t.Errorf("a stream of the same provider afterwards: %.500q", answer)
	}
}

// TestHostileOptions has a manifest whose description of options would keep
// the evaluator busy for minutes: the check of the configuration refuses it by
// name and line before it is evaluated.
func TestHostileOptions(t *testing.T) {
	for name, tc := range map[string]struct{ cue, says string }{
		"a product of disjunctions": {"a?: string\nb: (1|2|3|4) & (1|2|3|4) & (1|2|3|4)\n" + strings.Repeat("b: (1|2|3|4)\n", 20), "line 2: a disjunction"},
		"a product over references": {"a: 1|2|3|4\nb: {x: a, y: a, z: a}\n", "line 2: the reference a"},
		"a comprehension":           {"x: 1\nfor a in [1,2,3] {\"\\(a)\": a}", "line 2: "},
		"an import":                 {"import \"tool/exec\"\nrun: exec.Run", "line 1: "},
		"a number of 1e9 digits":    {"a: 1e999999999", "line 1: a number"},
		"brackets without end":      {strings.Repeat("[", 10000), "line 1: brackets"},
		"more than 16 KiB":          {strings.Repeat("a", 17<<10) + ": 1", "16 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			quoted, _ := json.Marshal(tc.cue)
			module, err := fuel.WithCustomSection(guest(t, "puppet"), abi.ManifestSection,
				[]byte(`{"name":"x","version":"1","adapters":[{"provider":"x","ops":["chat"],"options":`+string(quoted)+`}]}`))
			if err != nil {
				t.Fatal(err)
			}
			before := resident(t)
			begin := time.Now()
			_, err = testkit.Parse(fmt.Sprintf("providers:\n  p: {plugin: %q, base_url: \"http://localhost:1\", options: {b: 1}}\nmodel_mapping: {m: {provider: p, model: m}}\n", write(t, module)))
			if err == nil || !strings.Contains(err.Error(), "test.yaml:2:") || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error = %v, want the line of the configuration and %q", err, tc.says)
			}
			if d := time.Since(begin); d > time.Minute { // what is not refused takes hours
				t.Errorf("it took %v", d)
			}
			checkMemory(t, before)
		})
	}
}

// TestCanary has an upstream that repeats its key in every way, and looks for it
// wherever it could come to light: the guest's whole memory as the guest itself
// sees it, what clients get, /health and the log at debug level.
func TestCanary(t *testing.T) {
	ways := map[string]string{
		"as it is": canary, "header": "Bearer " + canary, "base64": base64.StdEncoding.EncodeToString([]byte("Bearer " + canary)),
		"base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte(canary)), "query": url.QueryEscape(canary), "JSON": strings.ReplaceAll(canary, "/", `\/`),
	}
	for name, told := range ways {
		t.Run(name, func(t *testing.T) {
			find := search(told[2:20]) + search(canary[2:14]) + search(canary[9:]) // parts, so that the puppet isn't told the whole either
			ids := mock.Steps(mock.Header("X-Request-Id", told), mock.Header("X-Ratelimit-Key", "of "+told))
			up := mock.Start(t, nil)
			g, err := newHostileGateway(t, puppetAt(t, up.URL))
			if err != nil {
				t.Fatal(err)
			}
			var seen strings.Builder
			for way, answer := range map[string]mock.Answer{
				"events": mock.SSE(
					fmt.Sprintf("event: %s\ndata: {\"a\":\"%s\"}\n\n", told, told),
					fmt.Sprintf("data: @%s\n\ndata: %s\n\ndata: @%s\n\n", find, told, find)),
				"whole":   mock.JSON(fmt.Sprintf(`{"a":"%s"}`, told)),
				"refusal": mock.Whole(401, "text/plain", told),
				"page":    mock.Whole(200, "text/html; of="+told, ""),
				"coding":  mock.Steps(mock.Header("Content-Encoding", told), mock.Status(200)),
				"garbage": mock.Raw(told + "\r\n\r\n"),
			} {
				up.Answer(mock.Steps(ids, answer))
				for _, stream := range []bool{false, true} {
					res, answer := g.post(t, askFor("", way, stream))
					fmt.Fprintln(&seen, res.Header, answer)
					// What did the calls leave in the memory of any instance?
					for range 8 {
						_, found := g.post(t, askFor(atRequest, find+finish("stop"), false))
						if text := content(t, found); text != "cleancleanclean" {
							t.Fatalf("after %s: the guest's memory: %s", way, found)
						}
					}
				}
			}
			if n := strings.Count(seen.String(), "clean"); n < 2*6 {
				t.Errorf("the guest searched %d times: %s", n, seen.String())
			}
			seen.WriteString(g.get(t, "/health") + g.get(t, "/v1/models") + g.log.String())
			for _, part := range []string{told, canary[9:], told[2:20]} {
				if i := strings.Index(seen.String(), part); i >= 0 {
					t.Errorf("%q came to light: %.300q", part, seen.String()[max(0, i-150):])
				}
			}
			// The search finds what is there.
			_, found := g.post(t, askFor(atRequest, search("POST /chat")+finish("stop"), false))
			if text := content(t, found); text != "found" {
				t.Errorf("the search misses what is there: %s", found)
			}
		})
	}
}
