// Package exchange has the rules of an exchange with an upstream: which form an answer
// has, what marks its end, which of its headers an adapter sees. The gateway uses them,
// and so does what replays traffic, such as package transcript, so that both agree.
//
// It does no I/O and has no clock.
package exchange

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/kai-gateway/kai/sdk/abi"
)

// Form is what an upstream's answer turns out to be.
type Form uint8

const (
	Undecided Form = iota // more of the body is needed to tell
	Whole                 // one value, for kai_response
	Events                // a stream of frames, for kai_event
	Page                  // a web page, which no adapter sees
	Redirect              // a redirect, which is not followed and which no adapter sees
	Bytes                 // what was asked for as abi.Bytes, which no adapter sees
)

var formNames = [...]string{"undecided", "whole", "events", "a web page", "a redirect", "bytes"}

func (f Form) String() string { return formNames[f] }

// Answer is what is known of an answer before its body. Together with the body's first bytes,
// it decides the answer's form.
type Answer struct {
	Asked       abi.Framing // what the request asked for
	Status      int
	ContentType string // as it came; several headers joined by commas

	// How far Look has come in the body, so that it looks at each byte once.
	first int // only white space is before this index
	line  int // the first line doesn't end before this index
	next  int // only white space is between the end of the first line and this index
}

// Look decides the answer's form by the first bytes of its body. ended says that they are the
// whole body. While the form is Undecided, call Look again with the same bytes and more of the
// body. If the form is Events, the framing says how to cut them.
//
// The bytes decide, and the content type only if they don't. The rules are, in this order:
//
//   - a status of 3xx is a Redirect;
//   - a success that was asked for as abi.Bytes is Bytes by its content type, unless that says
//     JSON or events. One that says nothing, or HTML, is Bytes unless it begins with { or <;
//   - a body that begins with < is a Page;
//   - any other status outside 2xx is Whole;
//   - a body that begins with a field or a comment of an event stream is Events, SSE;
//   - one JSON value is Whole, and several, each in its line, are Events, NDJSON. The first
//     line is enough if the content type says lines and any stream was asked for;
//   - for anything else, the content type decides, or else what was asked for.
func (a *Answer) Look(begin []byte, ended bool) (Form, abi.Framing) {
	if a.Status >= 300 && a.Status <= 399 {
		return Redirect, abi.Whole
	}
	mayBeBytes := a.Asked == abi.Bytes && a.Status >= 200 && a.Status <= 299
	if mayBeBytes && a.saysBytes() {
		return Bytes, abi.Whole
	}
	mark := skipMark(begin)
	if mark < 0 {
		if !ended {
			return Undecided, abi.Whole
		}
		mark = 0
	}
	first := skipSpace(begin, max(mark, a.first))
	a.first = first
	if first == len(begin) {
		if !ended {
			return Undecided, abi.Whole
		}
		return a.empty()
	}
	if begin[first] == '<' {
		return Page, abi.Whole
	}
	if media := MediaType(a.ContentType); mayBeBytes && begin[first] != '{' && (media == "" || isHTML(media)) {
		return Bytes, abi.Whole
	}
	if a.Status < 200 || a.Status > 299 {
		return Whole, abi.Whole
	}
	switch isField, certain := beginsEvents(begin[first:]); {
	case isField:
		return Events, abi.SSE
	case !certain && !ended:
		return Undecided, abi.Whole
	case strings.IndexByte(values, begin[first]) < 0:
		return a.text()
	}
	return a.lines(begin, first, ended)
}

// saysBytes reports whether the content type says that the answer is neither JSON nor events.
func (a *Answer) saysBytes() bool {
	media := MediaType(a.ContentType)
	return media != "" && media != "text/event-stream" && !isHTML(media) && !isJSON(media) && !isLines(media)
}

// empty returns the form of an answer without a body.
func (a *Answer) empty() (Form, abi.Framing) {
	media := MediaType(a.ContentType)
	switch {
	case isHTML(media):
		return Page, abi.Whole
	case a.Status < 200, a.Status > 299, a.Asked == abi.Whole, a.Asked == abi.Bytes, isJSON(media):
		return Whole, abi.Whole
	}
	return Events, a.Asked
}

// text returns the form of a body that is neither JSON nor events.
func (a *Answer) text() (Form, abi.Framing) {
	media := MediaType(a.ContentType)
	switch {
	case isHTML(media):
		return Page, abi.Whole
	case media == "text/event-stream", media == "" && a.Asked == abi.SSE:
		return Events, abi.SSE
	case isLines(media) && a.Asked != abi.Whole:
		return Events, abi.NDJSON
	}
	return Whole, abi.Whole
}

// lines returns the form of a body that begins like JSON.
func (a *Answer) lines(begin []byte, first int, ended bool) (Form, abi.Framing) {
	announced := isLines(MediaType(a.ContentType)) && a.Asked != abi.Whole
	a.line = max(a.line, first)
	end, next := len(begin), len(begin)
	if i := bytes.IndexByte(begin[a.line:], '\n'); i >= 0 {
		end = a.line + i
		next = skipSpace(begin, max(end, a.next))
		a.next = next
	}
	a.line = end
	if next == len(begin) && !ended && !(announced && end < next) {
		return Undecided, abi.Whole
	}
	if next == len(begin) && !announced && !isScalar(begin[first]) {
		return Whole, abi.Whole // one line can't be several values
	}
	isField, certain := beginsEvents(begin[next:])
	if !announced && !certain && next < len(begin) && !ended {
		return Undecided, abi.Whole
	}
	switch valid := json.Valid(begin[first:end]); {
	case !valid && isScalar(begin[first]):
		return a.text()
	case !valid:
		return Whole, abi.Whole // it is one value over several lines, or broken
	case announced:
		return Events, abi.NDJSON
	case isField:
		return Events, abi.SSE
	case next < len(begin) && strings.IndexByte(values, begin[next]) >= 0:
		return Events, abi.NDJSON
	}
	return Whole, abi.Whole
}

// values are the bytes that a JSON value can begin with.
const values = `{["-0123456789tfn`

// isScalar reports whether a JSON value that begins with c is a string, number or word. Text
// may begin with the same byte.
func isScalar(c byte) bool { return c != '{' && c != '[' }

// skipMark returns the length of the byte order mark at the start of b. It returns 0 if there
// is none, and -1 if b may be a part of one.
func skipMark(b []byte) int {
	const mark = "\ufeff"
	switch {
	case len(b) >= len(mark) && string(b[:len(mark)]) == mark:
		return len(mark)
	case len(b) < len(mark) && len(b) > 0 && string(b) == mark[:len(b)]:
		return -1
	}
	return 0
}

// skipSpace returns the index of the first byte from i on that is not white space, or len(b)
// if there is none.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// fields are what a line of an event stream can begin with.
var fields = [...]string{":", "data:", "event:", "id:", "retry:"}

// beginsEvents reports whether b begins with a line of an event stream. certain is false while
// more bytes could make it one.
func beginsEvents(b []byte) (isField, certain bool) {
	certain = true
	for _, f := range fields {
		if n := min(len(b), len(f)); string(b[:n]) == f[:n] {
			if n == len(f) {
				return true, true
			}
			certain = false
		}
	}
	return false, certain
}

// MediaType returns the content type without parameters, in lower case. If it was sent twice,
// the first counts.
func MediaType(contentType string) string {
	if i := strings.IndexAny(contentType, ";,"); i >= 0 {
		contentType = contentType[:i]
	}
	return strings.ToLower(strings.TrimSpace(contentType))
}

func isHTML(media string) bool { return media == "text/html" || media == "application/xhtml+xml" }

func isJSON(media string) bool {
	return media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

func isLines(media string) bool {
	switch media {
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
		"application/jsonlines", "application/json-seq", "application/stream+json", "text/jsonl":
		return true
	}
	return false
}

// IsDone reports whether the data of an event is the end mark of OpenAI's streams.
func IsDone(data []byte) bool {
	return len(data) < 32 && string(bytes.TrimSpace(data)) == "[DONE]"
}
