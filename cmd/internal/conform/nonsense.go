package conform

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/kai-gateway/kai/sdk/abi"
)

// nonsenseAnswers are what an upstream, or something in front of it, may send instead of an
// answer.
var nonsenseAnswers = []struct{ what, body string }{
	{"nothing", ""},
	{"null", "null"},
	{"an empty object", "{}"},
	{"an empty list", "[]"},
	{"a string", `"text"`},
	{"a number", "1e999"},
	{"a broken object", `{"`},
	{"bytes that are not UTF-8", "\xff\xfe\x00\xc3"},
	{"text", "Service is starting"},
	{"deeply nested lists", strings.Repeat("[", 2000)},
	{"a web page", "<html><body>Bad Gateway</body></html>"},
}

// nonsense replaces the answer by nonsense with status 200, and puts nonsense into the
// middle of a stream. If the upstream speaks JSON, neither may be a success.
//
// finished is after how many events of a stream the answer was complete.
func (c *check) nonsense(a lastAnswer, finished int) {
	for _, x := range nonsenseAnswers {
		what, body := x.what, x.body
		name := "the upstream answers 200 and " + what
		sent := []byte(body + "\n")
		if a.framing == abi.SSE && a.streamed {
			sent = []byte("data: " + body + "\n\n")
		}
		if body == "" {
			sent = nil
		}
		o, ok := c.replayChanged(name, c.withAnswer(a.n, 200, a.Headers, sent, false))
		if ok && o.complete && a.json {
			c.result.fail(name, "the client gets a success:\n%s", o.Emissions())
		}
		if !a.streamed || len(a.pieces) < 2 || finished == 1 || body == "" {
			continue
		}
		name = "in the middle of its stream the upstream sends " + what
		middle := bytes.Join([][]byte{a.pieces[0], sent, bytes.Join(a.pieces[1:], nil)}, nil)
		o, ok = c.replayChanged(name, c.withAnswer(a.n, 200, a.Headers, middle, false))
		if ok && o.complete && a.json && !json.Valid([]byte(body)) {
			c.result.fail(name, "it is skipped, and the client gets a success; what it held is lost")
		}
	}
}
