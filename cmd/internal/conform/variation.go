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

// vary replays the transcript with everything going wrong.
func (c *check) vary() {
	c.unknownFields()
	c.longContent()
	a, ok := c.lastAnswer()
	if !ok {
		return // the adapter answered without an upstream
	}
	c.errorBodies(a)
	if c.recorded.Passed {
		return // whatever it is, it is passed on
	}
	finished := 0
	if a.streamed {
		finished = c.truncate(a)
	}
	if c.recorded.complete {
		c.nonsense(a, finished)
		if c.transcript.Op() == abi.Chat { // another operation may do nothing but count
			c.withoutUsage(a)
		}
	}
}

// replayChanged replays a changed transcript. If a call breaks, that is a failure whatever
// was changed, and ok is false.
func (c *check) replayChanged(name string, t *fixture) (o outcome, ok bool) {
	c.result.Variations++
	o = c.replay(c.guest, t)
	if o.broken != nil {
		c.result.fail(name, "%v", o.broken)
		return o, false
	}
	return o, true
}

// lastAnswer is the last answer of the upstream in a transcript.
type lastAnswer struct {
	transcript.Response
	n        int         // which of the transcript's responses it is
	framing  abi.Framing // of the stream; if it is not one, the framing that was asked for
	streamed bool
	pieces   [][]byte // of a stream: the bytes of each event, with the separator after it
	json     bool     // every event, or the whole answer, is JSON
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

// pieces cuts a stream after each event.
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

// withAnswer returns the transcript with another answer of the upstream in place of the n-th.
func (c *check) withAnswer(n, status int, header http.Header, body []byte, cut bool) *fixture {
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
