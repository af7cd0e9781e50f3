package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer is what the mocked model says, or how it fails.
type answer struct {
	Reasoning string `json:"reasoning"`
	Signature string `json:"signature"` // of the reasoning; Gemini's is in the first call
	Text      string `json:"text"`
	Calls     []call `json:"calls"`
	Finish    string `json:"finish"` // in OpenAI's words; default: tool_calls after calls, else stop
	Usage     usage  `json:"usage"`
	// Break is how a stream ends instead of with a finish: "error", the provider's
	// own, or "cut", the connection's.
	Break string `json:"break"`

	Status     int    `json:"status"` // of a failure, which is all there is then
	Code       string `json:"code"`   // of a failure, where the provider has codes
	Message    string `json:"message"`
	RetryAfter string `json:"retry_after"`
}

// call is a tool call. Arguments are JSON, except where a provider sends text.
type call struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// usage is the cost of an answer.
type usage struct {
	Prompt     int `json:"prompt"`
	Completion int `json:"completion"`
}

// finish is why the answer ends, in OpenAI's words.
func (a answer) finish() string {
	switch {
	case a.Finish != "":
		return a.Finish
	case a.Calls != nil:
		return "tool_calls"
	}
	return "stop"
}

// usage is the answer's cost, with defaults.
func (a answer) usage() usage {
	if a.Usage == (usage{}) {
		return usage{Prompt: 12, Completion: 34}
	}
	return a.Usage
}

// dialect is a provider's way to say things.
type dialect interface {
	// whole writes an answer in one piece.
	whole(w io.Writer, a answer)
	// begin sets the content type of a stream.
	begin(h http.Header)
	// the parts of a stream
	reasoning(w io.Writer, s string)
	signature(w io.Writer, s string)
	text(w io.Writer, s string)
	calls(w io.Writer, calls []call)
	finish(w io.Writer, a answer)
	// err is an error as a body or as an event of a stream.
	err(w io.Writer, e answer, stream bool)
}

// play is one request and all that is needed to answer it.
type play struct {
	w       http.ResponseWriter
	r       *http.Request
	dialect dialect
	request request
	number  int // of the request under its mark, from 1
	script  []answer
	release <-chan struct{}
}

// run answers as the scenario says. It returns early when the gateway hangs up.
func (p play) run() {
	a := p.answer()
	if a.Status != 0 {
		p.fail(a)
		return
	}
	if p.request.Model == "held" {
		select {
		case <-p.release:
		case <-p.r.Context().Done():
			return
		}
	}
	if !p.request.Stream {
		p.w.Header().Set("Content-Type", "application/json")
		p.dialect.whole(p.w, a)
		return
	}
	p.stream(a)
}

func (p play) fail(a answer) {
	p.w.Header().Set("Content-Type", "application/json")
	if a.RetryAfter != "" {
		p.w.Header().Set("Retry-After", a.RetryAfter)
	}
	p.w.WriteHeader(a.Status)
	p.dialect.err(p.w, a, false)
}

func (p play) stream(a answer) {
	d, flush := p.dialect, http.NewResponseController(p.w)
	d.begin(p.w.Header())
	for _, word := range words(a.Reasoning) {
		d.reasoning(p.w, word)
	}
	if a.Signature != "" {
		d.signature(p.w, a.Signature)
	}
	for _, word := range words(a.Text) {
		d.text(p.w, word)
		flush.Flush()
	}
	if a.Calls != nil {
		d.calls(p.w, a.Calls)
	}
	switch {
	case p.request.Model == "endless":
		for p.r.Context().Err() == nil {
			d.text(p.w, " word")
			flush.Flush()
			select {
			case <-time.After(10 * time.Millisecond):
			case <-p.r.Context().Done():
			}
		}
	case a.Break == "cut":
		flush.Flush()
		panic(http.ErrAbortHandler)
	case a.Break == "error":
		d.err(p.w, answer{Status: http.StatusInternalServerError, Message: "the mock broke off"}, true)
	default:
		d.finish(p.w, a)
	}
}

// answer is what the model says in the request's scenario.
func (p play) answer() answer {
	scenario := p.request.Model
	if status, ok := strings.CutPrefix(scenario, "once-"); ok {
		scenario = "text"
		if p.number == 1 {
			scenario = status
		}
	}
	if status, err := strconv.Atoi(scenario); err == nil {
		a := answer{Status: status, Message: "the mock says " + scenario}
		if status == http.StatusTooManyRequests {
			a.RetryAfter = "1"
		}
		return a
	}
	switch scenario {
	case "script":
		if len(p.script) == 0 {
			return answer{Status: http.StatusNotImplemented, Message: "the mock has no script for this mark"}
		}
		return p.script[min(p.number, len(p.script))-1]
	case "reasoning":
		return answer{Reasoning: "Two and two make four.", Text: "It is 4."}
	case "json":
		return answer{Text: `{"name": "Science Fair", "day": "Friday", "participants": ["Alice", "Bob"]}`}
	case "cut":
		return answer{Text: "Two words", Break: "cut"}
	case "broken":
		return answer{Text: "Two words", Break: "error"}
	case "tools":
		return p.tools()
	}
	return answer{Text: "Hello from the mock — grüß dich 👋."}
}

// tools is two calls, and text made of their results once those are there.
func (p play) tools() answer {
	var results []string
	for _, m := range p.request.Messages {
		if s, ok := m.Content.(string); ok && m.Role == "tool" {
			results = append(results, s)
		}
	}
	if results != nil {
		return answer{Text: "The tools say: " + strings.Join(results, " and ") + "."}
	}
	return answer{Calls: []call{
		{"call_paris", "get_weather", `{"city": "Paris", "unit": "C"}`},
		{"call_rome", "get_weather", `{"city": "Rome", "unit": "C"}`},
	}}
}

// words cuts a text into pieces that together are the text.
func words(s string) []string {
	if s == "" {
		return nil
	}
	return strings.SplitAfter(s, " ")
}
