package main

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// provider is a mock of the providers behind the gateway:
//
//	POST /api/chat                             Ollama
//	POST /api/v1/chat/completions              OpenRouter
//	POST /openai/v1/chat/completions           OpenAI
//	POST /anthropic/v1/messages                Anthropic
//	POST /gemini/v1beta/models/MODEL:METHOD    Gemini
//
// Those of Anthropic and Gemini also count tokens, of which every request has 42, and
// all but Anthropic's make embeddings, whatever their model: see embeddings.go. What else there
// is of OpenAI's API is in openaimore.go, and what passes natively below /own, in native.go.
//
// It is told over HTTP what to do, because the tests that use it are programs in other
// languages. The model asked for is the scenario it plays:
//
//   - text, reasoning, json: an answer with that
//   - tools: two tool calls, and text made of their results once those are there
//   - endless: words until nobody listens
//   - held: text, once POST /release?mark=M was sent
//   - cut: two words, then the connection breaks
//   - broken: two words, then the provider's error
//   - a status: that
//   - once-STATUS: that for the first request with a mark, then text
//   - script: what POST /script?mark=M set, a JSON array of answers as the type
//     answer has them: the first request with the mark gets the first of them
//     and so on, and the last one is repeated
//
// A test marks its requests by "mark:" and hex digits anywhere in a message.
// GET /seen?mark=M tells what reached the provider as {"requests", "hung_up",
// "last", "bodies"}: how many, how many of them were given up by the gateway, the
// body of the last one, and all of them. With &hung_up=N it waits, for at most
// ten seconds, until N were given up.
//
// It is also a proxy that leads nowhere: a client that wants to reach anybody but
// the gateway is refused. GET /outside tells whom they wanted.
type provider struct {
	mux http.ServeMux

	mu      sync.Mutex
	marks   map[string]*traffic
	outside []string // host and port of each refused request

	responses map[string]stored // by their ID, see native.go
	count     int               // how many there ever were
}

// traffic is what reached the provider under one mark.
type traffic struct {
	Requests int               `json:"requests"`
	HungUp   int               `json:"hung_up"`
	Last     json.RawMessage   `json:"last"`
	Bodies   []json.RawMessage `json:"bodies"`

	script  []answer
	release chan struct{} // closed by /release
	changed chan struct{} // closed and replaced when HungUp changes
}

func newProvider() *provider {
	p := &provider{marks: map[string]*traffic{}, outside: []string{}, responses: map[string]stored{}}
	p.mux.HandleFunc("POST /api/chat", p.serve(func() dialect { return ollama{} }))
	p.mux.HandleFunc("POST /api/v1/chat/completions", p.serve(func() dialect { return openRouter{} }))
	p.mux.HandleFunc("POST /openai/v1/chat/completions", p.serve(func() dialect { return openAI{} }))
	p.mux.HandleFunc("POST /anthropic/v1/messages", p.serve(func() dialect { return new(anthropic) }))
	p.mux.HandleFunc("POST /gemini/v1beta/models/{call}", p.serve(func() dialect { return new(gemini) }))
	p.mux.HandleFunc("POST /anthropic/v1/messages/count_tokens", answerWith(`{"input_tokens": 42}`))
	p.mux.HandleFunc("POST /gemini/v1beta/models/script:countTokens", answerWith(`{"totalTokens": 42}`))
	p.embeddings()
	p.more()
	p.native()
	p.mux.HandleFunc("POST /script", p.script)
	p.mux.HandleFunc("GET /seen", p.seen)
	p.mux.HandleFunc("POST /release", p.release)
	p.mux.HandleFunc("GET /outside", p.wanted)
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect || r.URL.IsAbs() {
		p.mu.Lock()
		p.outside = append(p.outside, r.Host)
		p.mu.Unlock()
		http.Error(w, "this proxy leads nowhere", http.StatusForbidden)
		return
	}
	p.mux.ServeHTTP(w, r)
}

// of gives the traffic under a mark. The caller holds mu.
func (p *provider) of(mark string) *traffic {
	t := p.marks[mark]
	if t == nil {
		t = &traffic{Bodies: []json.RawMessage{}, release: make(chan struct{}), changed: make(chan struct{})}
		p.marks[mark] = t
	}
	return t
}

// answerWith answers any request with the same JSON.
func answerWith(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	}
}

func (p *provider) seen(w http.ResponseWriter, r *http.Request) {
	want, _ := strconv.Atoi(r.FormValue("hung_up"))
	limit := time.After(time.Minute)
	for {
		p.mu.Lock()
		t := *p.of(r.FormValue("mark"))
		p.mu.Unlock()
		if t.HungUp < want {
			select {
			case <-t.changed:
				continue
			case <-limit:
			case <-r.Context().Done():
			}
		}
		json.NewEncoder(w).Encode(t)
		return
	}
}

func (p *provider) release(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.of(r.FormValue("mark")).release)
}

func (p *provider) script(w http.ResponseWriter, r *http.Request) {
	var script []answer
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&script); err != nil || len(script) == 0 {
		http.Error(w, "not a script", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of(r.URL.Query().Get("mark")).script = script
}

func (p *provider) wanted(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	json.NewEncoder(w).Encode(p.outside)
}

// request is what the mock reads of a request.
type request struct {
	Model    string
	Stream   bool
	Messages []struct {
		Role    string
		Content any
	}
}

var markPattern = regexp.MustCompile(`mark:([0-9a-f]+)`)

// serve answers in one dialect, whose value serves one request.
func (p *provider) serve(speak func() dialect) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var q request
		if err != nil || json.Unmarshal(body, &q) != nil {
			http.Error(w, "not JSON", http.StatusBadRequest)
			return
		}
		if model, method, ok := strings.Cut(r.PathValue("call"), ":"); ok { // Gemini says it in the path
			q.Model, q.Stream = model, method == "streamGenerateContent"
		}
		mark := ""
		if m := markPattern.FindSubmatch(body); m != nil {
			mark = string(m[1])
		}
		p.mu.Lock()
		t := p.of(mark)
		t.Requests++
		t.Last = body
		t.Bodies = append(t.Bodies, body)
		pl := play{w: w, r: r, dialect: speak(), request: q, number: t.Requests, script: t.script, release: t.release}
		p.mu.Unlock()
		defer func() {
			// The gateway reads an answer to its end before it lets go.
			if r.Context().Err() != nil {
				p.mu.Lock()
				t.HungUp++
				close(t.changed)
				t.changed = make(chan struct{})
				p.mu.Unlock()
			}
		}()
		pl.run()
	}
}
