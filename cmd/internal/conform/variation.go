package conform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/exchange"
	"github.com/kai-gateway/kai/sdk/frame"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// varied replays the transcript with everything going wrong.
func (c *check) varied() {
	c.unknownFields()
	c.longContent()
	a, ok := c.lastAnswer()
	if !ok {
		return // the adapter answered without an upstream
	}
	c.errorBodies(a)
	finished := 0
	if a.streamed {
		finished = c.truncated(a)
	}
	if c.recorded.complete {
		c.garbage(a, finished)
		if c.transcript.Op() == abi.Chat { // others may count and do nothing else
			c.withoutUsage(a)
		}
	}
}

// vary replays a changed transcript. A call that breaks is a failure whatever was
// changed; ok is false then.
func (c *check) vary(name string, t *fixture) (o outcome, ok bool) {
	c.result.Variations++
	o = c.replay(c.guest, t)
	if o.broken != nil {
		c.result.fail(name, "%v", o.broken)
		return o, false
	}
	return o, true
}

// lastAnswer is the upstream's answer that a transcript ends with.
type lastAnswer struct {
	transcript.Response
	n        int         // which of the transcript's responses it is
	framing  abi.Framing // of the stream; else what was asked for
	streamed bool
	pieces   [][]byte // of a stream: the bytes of each event, with what separates it
	json     bool     // every piece, or the whole, is JSON
}

func (c *check) lastAnswer() (lastAnswer, bool) {
	responses := c.transcript.Responses()
	n := len(c.recorded.Requests) - 1
	if n < 0 || n >= len(responses) {
		return lastAnswer{}, false
	}
	a := lastAnswer{Response: responses[n], n: n}
	for _, call := range c.recorded.Calls {
		for _, e := range call {
			if e.Kind == abi.Request {
				a.framing = abi.Framing(e.At)
			}
		}
	}
	form, framing := a.Form(a.framing)
	if a.streamed = form == exchange.Events; a.streamed {
		a.framing = framing
	} else {
		a.json = json.Valid(a.Body)
		return a, true
	}
	a.pieces = pieces(a.framing, a.Body)
	a.json = true
	d := frame.NewDecoder(a.framing, 0)
	d.Feed(a.Body)
	for {
		f, ok, err := d.Next()
		if !ok || err != nil {
			break
		}
		a.json = a.json && (json.Valid(f.Data) || exchange.IsDone(f.Data))
	}
	return a, true
}

// pieces cuts a stream behind each event.
func pieces(f abi.Framing, body []byte) [][]byte {
	var all [][]byte
	begin, at := 0, 0
	for line := range bytes.Lines(body) {
		at += len(line)
		if f == abi.NDJSON || len(bytes.TrimRight(line, "\r\n")) == 0 {
			all = append(all, body[begin:at])
			begin = at
		}
	}
	if begin < len(body) {
		all = append(all, body[begin:])
	}
	return all
}

// answering gives the transcript with another last answer.
func (c *check) answering(n, status int, header http.Header, body []byte, cut bool) *fixture {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", status, http.StatusText(status))
	for name, values := range header {
		for _, v := range values {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	if cut {
		b.WriteString("kai-end: cut\n")
	}
	b.WriteByte('\n')
	b.Write(body)
	return c.transcript.with(transcript.SectionResponse, n, b.Bytes())
}
