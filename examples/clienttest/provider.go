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

// provider is a mock of Ollama (POST /api/chat) and of OpenRouter (POST
// /api/v1/chat/completions). The model asked for is the scenario it plays:
//
//   - text, reasoning, json: an answer with that
//   - tools: two tool calls, and text made of their results once those are there
//   - endless: words until nobody listens
//   - held: text, once POST /release?mark=M was sent
//   - cut: two words, then the connection breaks
//   - broken: two words, then the provider's error
//   - a status: that
//   - once-STATUS: that for the first request with a mark, then text
//
// A test marks its requests by "mark:" and hex digits anywhere in a message.
// GET /seen?mark=M tells what reached the provider as {"requests", "hung_up",
// "last"}: how many, how many of them were given up by the gateway, and the body
// of the last one. With &hung_up=N it waits, for at most ten seconds, until N
// were given up.
type provider struct {
	mux http.ServeMux

	mu    sync.Mutex
	marks map[string]*traffic
}

// traffic is what reached the provider under one mark.
type traffic struct {
	Requests int             `json:"requests"`
	HungUp   int             `json:"hung_up"`
	Last     json.RawMessage `json:"last"`

	release chan struct{} // closed by /release
	changed chan struct{} // closed and replaced when HungUp changes
}

func newProvider() *provider {
	p := &provider{marks: map[string]*traffic{}}
	p.mux.HandleFunc("POST /api/chat", p.serve(ollama{}))
	p.mux.HandleFunc("POST /api/v1/chat/completions", p.serve(openRouter{}))
	p.mux.HandleFunc("GET /seen", p.seen)
	p.mux.HandleFunc("POST /release", p.release)
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

// of gives the traffic under a mark. The caller holds mu.
func (p *provider) of(mark string) *traffic {
	t := p.marks[mark]
	if t == nil {
		t = &traffic{release: make(chan struct{}), changed: make(chan struct{})}
		p.marks[mark] = t
	}
	return t
}

func (p *provider) seen(w http.ResponseWriter, r *http.Request) {
	want, _ := strconv.Atoi(r.FormValue("hung_up"))
	limit := time.After(10 * time.Second)
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

// request is what the mock reads of a chat request in either dialect.
type request struct {
	Model    string
	Stream   bool
	Messages []struct {
		Role    string
		Content any
	}
}

var markPattern = regexp.MustCompile(`mark:([0-9a-f]+)`)

// serve answers in one dialect.
func (p *provider) serve(d dialect) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var q request
		if err != nil || json.Unmarshal(body, &q) != nil {
			http.Error(w, "not JSON", http.StatusBadRequest)
			return
		}
		mark := ""
		if m := markPattern.FindSubmatch(body); m != nil {
			mark = string(m[1])
		}
		p.mu.Lock()
		t := p.of(mark)
		t.Requests++
		t.Last = body
		first, release := t.Requests == 1, t.release
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
		play(w, r, d, q, first, release)
	}
}

// dialect is a provider's way to say things.
type dialect interface {
	// whole writes an answer in one piece.
	whole(w io.Writer, a answer)
	// begin sets the content type of a stream.
	begin(h http.Header)
	// the parts of a stream
	text(w io.Writer, s string)
	reasoning(w io.Writer, s string)
	call(w io.Writer, index int, c call)
	finish(w io.Writer, a answer)
	// err is an error as a body or as an event of a stream.
	err(w io.Writer, status int, message string, stream bool)
}

// answer is what the mocked model says.
type answer struct {
	reasoning, text string
	calls           []call
}

type call struct{ id, name, arguments string }

// finish is why the answer ends, in OpenAI's words.
func (a answer) finish() string {
	if a.calls != nil {
		return "tool_calls"
	}
	return "stop"
}

// promptTokens and completionTokens are the cost of every answer.
const promptTokens, completionTokens = 12, 34

// play answers a request as its scenario says. It returns early when the
// gateway hangs up.
func play(w http.ResponseWriter, r *http.Request, d dialect, q request, first bool, release <-chan struct{}) {
	scenario := q.Model
	if status, ok := strings.CutPrefix(scenario, "once-"); ok {
		scenario = "text"
		if first {
			scenario = status
		}
	}
	if status, err := strconv.Atoi(scenario); err == nil {
		w.Header().Set("Content-Type", "application/json")
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(status)
		d.err(w, status, "the mock says "+scenario, false)
		return
	}
	if scenario == "held" {
		select {
		case <-release:
		case <-r.Context().Done():
			return
		}
	}
	a := answerTo(scenario, q)
	if !q.Stream {
		w.Header().Set("Content-Type", "application/json")
		d.whole(w, a)
		return
	}
	d.begin(w.Header())
	flush := http.NewResponseController(w)
	for _, word := range words(a.reasoning) {
		d.reasoning(w, word)
	}
	for i, c := range a.calls {
		d.call(w, i, c)
	}
	for _, word := range words(a.text) {
		d.text(w, word)
		flush.Flush()
	}
	switch scenario {
	case "endless":
		for r.Context().Err() == nil {
			d.text(w, " word")
			flush.Flush()
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
	case "cut":
		panic(http.ErrAbortHandler)
	case "broken":
		d.err(w, http.StatusInternalServerError, "the mock broke off", true)
	default:
		d.finish(w, a)
	}
}

// answerTo is what the model says in a scenario.
func answerTo(scenario string, q request) answer {
	switch scenario {
	case "reasoning":
		return answer{reasoning: "Two and two make four.", text: "It is 4."}
	case "json":
		return answer{text: `{"name": "Science Fair", "day": "Friday", "participants": ["Alice", "Bob"]}`}
	case "cut", "broken":
		return answer{text: "Two words"}
	case "tools":
		var results []string
		for _, m := range q.Messages {
			if s, ok := m.Content.(string); ok && m.Role == "tool" {
				results = append(results, s)
			}
		}
		if results != nil {
			return answer{text: "The tools say: " + strings.Join(results, " and ") + "."}
		}
		return answer{calls: []call{
			{"call_paris", "get_weather", `{"city": "Paris", "unit": "C"}`},
			{"call_rome", "get_weather", `{"city": "Rome", "unit": "C"}`},
		}}
	}
	return answer{text: "Hello from the mock — grüß dich 👋."}
}

// words cuts a text into pieces that together are the text.
func words(s string) []string {
	if s == "" {
		return nil
	}
	return strings.SplitAfter(s, " ")
}
