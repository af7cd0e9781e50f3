package host_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/race"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// echo is the key in every way that upstreams repeat it, fit for headers and the
// inside of JSON strings.
var echo = strings.Join([]string{
	canary, "Bearer " + canary,
	base64.StdEncoding.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte("Bearer " + canary)),
	base64.RawURLEncoding.EncodeToString([]byte("user:" + canary)),
	url.QueryEscape(canary), url.QueryEscape(url.QueryEscape(canary)), percented(canary),
	strings.ReplaceAll(canary, "/", `\/`), escaped(canary),
}, " ")

func percented(s string) (out string) {
	for _, c := range []byte(s) {
		out += fmt.Sprintf("%%%02x", c)
	}
	return out
}

func escaped(s string) (out string) {
	for _, c := range []byte(s) {
		out += fmt.Sprintf(`\u%04x`, c)
	}
	return out
}

// traces are parts of the key, as it is and encoded: where one of them is, it is.
var traces = func() (list [][]byte) {
	add := func(s string) { list = append(list, []byte(s)) }
	plain := canary[14:] // letters and digits, which most encoders leave alone
	add(canary[:10])
	add(plain[:8])
	add(plain[8:])
	add(percented(plain[:4]))
	add(escaped(plain[:4]))
	for before := range 3 {
		add(base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat(" ", before) + canary))[before+20 : before+32])
	}
	return list
}()

// trace gives the first part of the key in b with what is around it, "" if there
// is none.
func trace(b []byte) string {
	for _, part := range traces {
		if i := bytes.Index(b, part); i >= 0 {
			return fmt.Sprintf("%q in %q", part, b[max(0, i-60):min(len(b), i+60)])
		}
	}
	return ""
}

// TestCanaryTraces is for the tests below: none of the ways to tell the key goes
// unseen by them.
func TestCanaryTraces(t *testing.T) {
	for told := range strings.SplitSeq(echo, " ") {
		if told != "Bearer" && trace([]byte(told)) == "" {
			t.Errorf("%q leaves no trace", told)
		}
	}
}

// parrot is an upstream that answers as a transcript does, repeats the key
// wherever it can, and looks into the guest's memory meanwhile. It marks whatever
// the guest is given, so that a look shows that the guest had it, and sends an
// event when the one before is done with.
type parrot struct {
	t         *testing.T
	memory    *guestMemory
	header    string // where the key comes, "" if there is none
	asked     string // marks the client's request
	responses []transcript.Response
	answered  chan struct{} // closed when the client has its answer
	serving   sync.WaitGroup
	last      string // marks what was sent last

	requests, events, answers int // looked at, with the mark in memory
}

// look checks what the guest has after an export, and tells whether mark is there.
func (p *parrot) look(after, mark string) bool {
	p.t.Helper()
	return p.check(after, p.memory.snapshot(p.t), mark)
}

func (p *parrot) check(after string, memory []byte, mark string) bool {
	p.t.Helper()
	if found := trace(memory); found != "" {
		p.t.Errorf("the guest's memory after %s: %s", after, found)
	}
	return bytes.Contains(memory, []byte(mark))
}

func (p *parrot) answer(x *mock.Exchange) {
	p.serving.Add(1)
	defer p.serving.Done()
	if !p.look("kai_request", p.asked) {
		p.t.Error("the search misses the client's request in the guest's memory")
	}
	p.requests++
	headers := x.Header.Clone()
	if key := headers.Get(p.header); p.header != "" && key != canary && key != "Bearer "+canary {
		p.t.Errorf("%s: %q", p.header, key)
	}
	headers.Del(p.header)
	if found := trace(fmt.Append(nil, x.URI, headers, x.Body)); found != "" {
		p.t.Errorf("the key stands elsewhere in the request: %s", found)
	}
	if len(p.responses) == 0 {
		p.t.Error("the upstream got a request that the transcript doesn't have")
		return
	}
	res := p.responses[0]
	p.responses = p.responses[1:]
	setRecorded(x, res)
	x.Set("X-Request-Id", echo)
	x.Set("X-Ratelimit-Of", echo)
	x.Head(res.Status, res.Headers.Get("Content-Type")+"; of="+echo)
	list, events := pieces(res)
	for _, piece := range list {
		piece, marked := parroted(piece, rand.Text(), events)
		if marked != "" {
			p.last = marked
		}
		x.Send(string(piece))
		if events && marked != "" && p.given(x) {
			p.events++
		}
	}
	if res.Cut {
		x.Cut()
	}
}

// given waits until the guest was given what was sent last, and looks at its
// memory then: the export before is over.
func (p *parrot) given(x *mock.Exchange) bool {
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		if memory := p.memory.snapshot(p.t); bytes.Contains(memory, []byte(p.last)) {
			return p.check("kai_event", memory, p.last)
		}
		select {
		case <-p.answered:
			return false // before this event
		default:
		}
		if !x.Pause(time.Millisecond) { // polling: nobody tells what a guest is given
			return false
		}
	}
	p.t.Error("the search misses an event in the guest's memory")
	return false
}

var (
	eventEnd  = regexp.MustCompile(`\r?\n\r?\n`)
	objectAt  = regexp.MustCompile(`(?m)^(data: ?|\[?\s*)\{`)
	textField = regexp.MustCompile(`"(content|text|message|thinking|reasoning|reasoning_content|error|detail|raw)": ?"`)
)

// pieces cuts a body into what a guest is given at once, and tells whether those
// are events.
func pieces(res transcript.Response) (list [][]byte, events bool) {
	body := res.Body
	switch contentType := res.Headers.Get("Content-Type"); {
	case res.Status != 200:
	case strings.Contains(contentType, "event-stream"):
		for at := eventEnd.FindIndex(body); at != nil; at = eventEnd.FindIndex(body) {
			list = append(list, body[:at[1]])
			body = body[at[1]:]
		}
		return append(list, body), true
	case strings.Contains(contentType, "ndjson"):
		for line := range bytes.Lines(body) {
			list = append(list, line)
		}
		return list, true
	}
	return [][]byte{body}, false
}

// parroted puts a mark and the key into a body or event: as fields of their own,
// and at the beginning of every text. An event that is no JSON object stays as it
// is, without a mark.
func parroted(piece []byte, mark string, event bool) (with []byte, marked string) {
	at := objectAt.FindIndex(piece)
	if at == nil && event {
		return piece, ""
	}
	if at == nil {
		return fmt.Appendf(bytes.Clone(piece), " %s %s", mark, echo), mark
	}
	head, rest := piece[:at[1]], bytes.TrimLeft(piece[at[1]:], " \r\n\t")
	comma := ","
	if bytes.HasPrefix(rest, []byte("}")) {
		comma = ""
	}
	rest = textField.ReplaceAll(rest, []byte(`${0}`+echo+` `))
	return fmt.Appendf(nil, "%s\"kai_mark\":%q,\"kai_echo\":\"%s\"%s%s", head, mark, echo, comma, rest), mark
}

// withKey gives a shipped adapter as one that takes a key: Ollama's takes none, so
// it gets the manifest of one that does.
func withKey(t *testing.T, plugin string) (path, header string) {
	t.Helper()
	module, err := testkit.Module(plugin)
	if err != nil {
		t.Fatalf("%v (run \"make plugins\")", err)
	}
	m, _, err := modfile.ReadManifest(module)
	if err != nil {
		t.Fatal(err)
	}
	if m.Adapters[0].Auth.Header == "" {
		m.Adapters[0].Auth = modfile.Auth{Secret: "api_key", Header: "authorization", Format: "Bearer {}"}
		manifest, _ := json.Marshal(m)
		if module, err = fuel.WithCustomSection(module, abi.ManifestSection, manifest); err != nil {
			t.Fatal(err)
		}
	}
	return write(t, module), m.Adapters[0].Auth.Header
}

// keyed are the shipped adapters that talk to an upstream, each with options of
// which a guest must have the marked word after kai_configure.
var keyed = map[string]struct{ prefix, options string }{
	"anthropic":  {"", `{anthropic_beta: ["CONFIGURED_CANARY_MARK"]}`},
	"gemini":     {"/v1beta", `{safety_settings: [{category: "HARM_CATEGORY_CONFIGURED_CANARY_MARK", threshold: "OFF"}]}`},
	"ollama":     {"", `{stop: ["CONFIGURED_CANARY_MARK"]}`},
	"openai":     {"/v1", `{organization: "CONFIGURED_CANARY_MARK"}`},
	"openrouter": {"/api/v1", `{app_title: "CONFIGURED_CANARY_MARK"}`},
}

// aboutRequests are transcripts whose answer is all the same.
var aboutRequests = regexp.MustCompile(`^(request|refused|options)-`)

// keyedGateway serves one provider, up, with the canary as its key.
func keyedGateway(t *testing.T, path, baseURL, options string, models ...string) *gateway {
	t.Helper()
	var yaml strings.Builder
	fmt.Fprintf(&yaml, "providers: {up: {plugin: %q, base_url: %q, api_key: %q, log: debug, limits: {memory: %d, instances: 1}, options: %s}}\nmodel_mapping:\n",
		path, baseURL, canary, guestLimit, options)
	seen := map[string]bool{}
	for _, model := range models {
		if !seen[model] {
			seen[model] = true
			fmt.Fprintf(&yaml, "  %q: {provider: up, model: %q}\n", model, model)
		}
	}
	g, err := newHostileGateway(t, yaml.String())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestCanaryWhenConfigured looks into the memory of each shipped adapter when it
// was loaded and given its options.
func TestCanaryWhenConfigured(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	memory := openGuestMemory(t)
	for plugin, tc := range keyed {
		t.Run(plugin, func(t *testing.T) {
			path, _ := withKey(t, plugin)
			keyedGateway(t, path, "http://127.0.0.1:1", tc.options, "m")
			p := &parrot{t: t, memory: memory}
			if !p.look("kai_configure", "CONFIGURED_CANARY_MARK") {
				t.Error("the search misses the options in the guest's memory")
			}
		})
	}
}

// TestCanaryInShippedAdapters replays the transcripts of every shipped adapter
// through a gateway with a key that the upstream repeats in all its answers, and
// looks for it after every export in the guest's memory, and in the end in all
// that comes out of the gateway: answers, the log at debug level, its pages.
func TestCanaryInShippedAdapters(t *testing.T) {
	memory := openGuestMemory(t)
	for plugin, tc := range keyed {
		t.Run(plugin, func(t *testing.T) {
			path, header := withKey(t, plugin)
			groups := map[string][]recorded{}
			for i, file := range transcripts(t, plugin) {
				r := readRecorded(t, file)
				asked := bytes.TrimSpace(r.Get(transcript.SectionClient))
				if !json.Valid(asked) || r.Op() != abi.Chat || aboutRequests.MatchString(filepath.Base(file)) || race.Enabled && i%2 > 0 {
					continue
				}
				groups[r.options] = append(groups[r.options], r)
			}
			total := parrot{}
			replaced := 0
			for options, group := range groups {
				t.Run(options, func(t *testing.T) {
					up := mock.Start(t, nil)
					var models []string
					for _, r := range group {
						models = append(models, r.model)
					}
					g := keyedGateway(t, path, up.URL+tc.prefix, options, models...)
					for _, r := range group {
						t.Run(strings.TrimSuffix(filepath.Base(r.file), ".txtar"), func(t *testing.T) {
							p := &parrot{t: t, memory: memory, header: header, asked: rand.Text(), responses: r.Responses(), answered: make(chan struct{})}
							up.Answer(p.answer)
							asked := fmt.Sprintf(`{"kai_mark":%q,%s`, p.asked, bytes.TrimSpace(r.Get(transcript.SectionClient))[1:])
							res, answer := g.post(t, asked)
							close(p.answered)
							p.serving.Wait()
							if p.look("the last export", p.last) && p.events == 0 && p.last != "" {
								p.answers++
							}
							if found := trace(fmt.Append(nil, res.Header, answer)); found != "" {
								t.Errorf("the client sees %s", found)
							}
							replaced += strings.Count(answer, "[redacted]")
							total.requests += p.requests
							total.events += p.events
							total.answers += p.answers
						})
					}
					out := g.get(t, "/health") + g.get(t, "/v1/models") + g.get(t, "/openapi.json") + g.log.String()
					if found := trace([]byte(out)); found != "" {
						t.Errorf("the log or a page of the gateway holds %s", found)
					}
				})
			}
			t.Logf("looked after %d requests, %d events, %d whole answers; %d times replaced before clients", total.requests, total.events, total.answers, replaced)
			if total.requests < 10 || total.events < 10 || total.answers < 4 || replaced < 10 {
				t.Error("that is less than the transcripts hold")
			}
		})
	}
}
