// Package transcript reads and writes recorded traffic, and replays it against an
// adapter.
//
// A transcript is a txtar file. It has a client's request, the request that the adapter should
// send upstream, the upstream's answer, and the emissions that the adapter should make of it.
// Package sdktest replays a folder of transcripts in a Go test. This package doesn't use
// package testing, so that programs can replay transcripts, too.
//
//	Two words and the end. Recorded from Ollama 0.32.5.
//	-- client-request.json --
//	{"model":"tiny","stream":true,"messages":[{"role":"user","content":"hi"}]}
//	-- upstream-request --
//	POST /api/chat
//	content-type: application/json
//
//	{"model":"tiny","stream":true,…}
//	-- upstream-response --
//	HTTP/1.1 200 OK
//	Content-Type: application/x-ndjson
//
//	{"message":{"content":"Hello"},"done":false}
//	{"message":{"content":""},"done":true,"done_reason":"stop"}
//	-- emissions --
//	TEXT 0 "Hello"
//
//	FINISH 0 stop
//
// A blank line in emissions ends a call. An exchange of several steps has more than one
// upstream-request and upstream-response, in order. The pseudo header "kai-end: cut" in a
// response says that the connection broke at its end. "kai-end: cut in a line" says that it
// broke before the section's last line end. Some sections are optional: op names the operation
// (default: chat), options.json has the adapter's options, and client-response has what a
// client of the gateway sees. What clients of the gateway's other APIs see is in sections of
// their own, see Views. Other sections are kept as they are; "kai plugin test" refuses them.
package transcript

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/exchange"
)

// Names of a transcript's sections.
const (
	SectionOp        = "op"
	SectionOptions   = "options.json"
	SectionClient    = "client-request.json"
	SectionRequest   = "upstream-request"
	SectionResponse  = "upstream-response"
	SectionEmissions = "emissions"
	SectionAnswer    = "client-response"
)

// A header of the answer, which no upstream sends, says that the upstream's connection broke.
const (
	EndHeader    = "kai-end"
	EndCut       = "cut"           // after the body
	EndCutInLine = "cut in a line" // before the last line end of the section
)

// Section is one file of the archive.
type Section struct {
	Name string
	Data []byte // ends with a newline unless empty
}

// Transcript is a parsed txtar file.
type Transcript struct {
	Comment  string // ends with a newline
	Sections []Section
}

// Parse reads a transcript. It is an error, which names the section, if a section that a replay
// needs is absent or malformed.
func Parse(data []byte) (*Transcript, error) {
	t := &Transcript{}
	target := func(b []byte) {
		if n := len(t.Sections); n > 0 {
			t.Sections[n-1].Data = append(t.Sections[n-1].Data, b...)
			return
		}
		t.Comment += string(b)
	}
	for line := range bytes.Lines(data) {
		if name, ok := marker(line); ok {
			if bytes.HasSuffix(line, []byte("\r\n")) {
				return nil, fmt.Errorf("the line -- %s -- ends in CR LF: a transcript's bytes count, so its own lines end in LF (in git, *.txtar -text in .gitattributes keeps them)", name)
			}
			t.Sections = append(t.Sections, Section{Name: name})
			continue
		}
		target(line)
	}
	if t.Get(SectionClient) == nil {
		return nil, fmt.Errorf("the section -- %s --, with the request of a client, is missing%s", SectionClient, t.listed())
	}
	if t.Op() == 0 {
		return nil, fmt.Errorf("the section -- %s -- must be the name of an operation, such as count", SectionOp)
	}
	for i, s := range t.Sections {
		if s.Name == SectionResponse {
			if _, err := parseResponse(s.Data); err != nil {
				return nil, fmt.Errorf("section %d, %s: %w", i+1, s.Name, err)
			}
		}
	}
	return t, nil
}

// listed is the end of an error that says which sections there are, in case one is misspelt.
func (t *Transcript) listed() string {
	const most = 10
	var names []string
	for _, s := range t.Sections[:min(most, len(t.Sections))] {
		names = append(names, strconv.Quote(s.Name))
	}
	if len(names) == 0 {
		return ""
	}
	return "; there are " + strings.Join(names, ", ")
}

// marker reports whether line is "-- name --".
func marker(line []byte) (string, bool) {
	s := strings.TrimRight(string(line), "\r\n")
	if !strings.HasPrefix(s, "-- ") || !strings.HasSuffix(s, " --") || len(s) < 7 {
		return "", false
	}
	return strings.TrimSpace(s[3 : len(s)-3]), true
}

// Format returns the transcript in the form that Parse reads.
func (t *Transcript) Format() []byte {
	var b bytes.Buffer
	b.WriteString(t.Comment)
	for _, s := range t.Sections {
		fmt.Fprintf(&b, "-- %s --\n", s.Name)
		b.Write(s.Data)
		if n := len(s.Data); n > 0 && s.Data[n-1] != '\n' {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// Get returns the data of the first section called name, or nil.
func (t *Transcript) Get(name string) []byte {
	for _, s := range t.Sections {
		if s.Name == name {
			return s.Data
		}
	}
	return nil
}

// Set replaces the data of the n-th (from 0) section called name, or appends
// the section.
func (t *Transcript) Set(name string, n int, data []byte) {
	for i, s := range t.Sections {
		if s.Name == name {
			if n == 0 {
				t.Sections[i].Data = data
				return
			}
			n--
		}
	}
	t.Sections = append(t.Sections, Section{Name: name, Data: data})
}

// Response is one upstream answer of a transcript.
type Response struct {
	Status  int
	Headers http.Header
	Body    []byte
	Cut     bool // the connection broke after Body
}

// Responses returns the upstream's answers in order.
func (t *Transcript) Responses() []Response {
	var all []Response
	for _, s := range t.Sections {
		if s.Name == SectionResponse {
			r, _ := parseResponse(s.Data)
			all = append(all, r)
		}
	}
	return all
}

func parseResponse(data []byte) (Response, error) {
	head, body, ok := bytes.Cut(data, []byte("\n\n"))
	if !ok {
		head = bytes.TrimSuffix(data, []byte("\n"))
	}
	lines := strings.Split(string(head), "\n")
	words := strings.Fields(lines[0])
	if len(words) < 2 || !strings.HasPrefix(words[0], "HTTP/") {
		return Response{}, fmt.Errorf("must begin with a line such as %q, not %q", "HTTP/1.1 200 OK", lines[0])
	}
	status, err := strconv.Atoi(words[1])
	if err != nil || status < 100 || status > 999 {
		return Response{}, fmt.Errorf("%q is no HTTP status", words[1])
	}
	r := Response{Status: status, Headers: http.Header{}, Body: body}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return Response{}, fmt.Errorf("%q is no header line", line)
		}
		r.Headers.Add(name, strings.TrimSpace(value))
	}
	switch end := r.Headers.Get(EndHeader); end {
	case "":
	case EndCutInLine:
		r.Body = bytes.TrimSuffix(r.Body, []byte("\n"))
		fallthrough
	case EndCut:
		r.Cut = true
	default:
		return Response{}, fmt.Errorf("%s: %s is neither %q nor %q", EndHeader, end, EndCut, EndCutInLine)
	}
	r.Headers.Del(EndHeader)
	return r, nil
}

// Op returns the operation that the client's request is for: chat unless the transcript
// says otherwise; 0 if it says something that is none.
func (t *Transcript) Op() abi.Op {
	if name := t.Get(SectionOp); name != nil {
		return abi.OpNamed(string(bytes.TrimSpace(name)))
	}
	return abi.Chat
}

// Options returns the adapter's options, JSON; {} if the transcript has none.
func (t *Transcript) Options() []byte {
	if o := bytes.TrimSpace(t.Get(SectionOptions)); len(o) > 0 {
		return o
	}
	return []byte("{}")
}

// replayed is the time of every replay, from which a Retry-After that is a date counts.
var replayed = time.Unix(1_700_000_000, 0)

// Head returns the header lines that the gateway would let an adapter see, sorted.
func (r Response) Head() []byte { return exchange.Head(r.Headers, replayed, nil) }

// Form decides in which form an adapter gets the answer, and how its frames are cut if that is
// exchange.Events. If it is neither exchange.Events nor exchange.Whole, the adapter doesn't get
// the answer: the gateway passes exchange.Bytes on, and answers its client itself in other
// cases.
func (r Response) Form(asked abi.Framing) (exchange.Form, abi.Framing) {
	a := exchange.Answer{Asked: asked, Status: r.Status, ContentType: strings.Join(r.Headers["Content-Type"], ",")}
	return a.Look(r.Body, !r.Cut)
}
