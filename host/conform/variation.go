package conform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/host/request"
	"github.com/kai-gateway/kai/host/stream"
	"github.com/kai-gateway/kai/sdk"
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
		c.withoutUsage(a)
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

// maxCuts bounds the places where a long stream is cut.
const maxCuts = 100

// truncated ends the stream behind each event, by a broken connection and by an
// end that looks clean. Before the event that finished the answer both are
// errors, and from there on both are successes. It gives the number of events that
// made the answer complete, -1 if none did.
func (c *check) truncated(a lastAnswer) (finished int) {
	step := 1 + len(a.pieces)/maxCuts
	finished = -1
	for n := 0; n <= len(a.pieces); n++ {
		if n%step != 0 && n < len(a.pieces)-2 {
			continue
		}
		body := bytes.Join(a.pieces[:n], nil)
		cut, ok := c.vary(fmt.Sprintf("the connection breaks after %d events", n), c.answering(a.n, a.Status, a.Headers, body, true))
		if !ok {
			return finished
		}
		if cut.complete && finished < 0 {
			finished = n
		}
		if cut.complete && !c.recorded.complete {
			c.result.fail("no early success", "with only %d of %d events the answer is complete, though with all of them it is an error", n, len(a.pieces))
			return finished
		}
		if !cut.complete && finished >= 0 {
			c.result.fail("success after the finish", "the answer was complete after %d events, but not after %d", finished, n)
			return finished
		}
	}
	if !c.recorded.complete || finished < 0 {
		// Finished by the end of the stream itself, which looks the same wherever
		// it comes.
		return finished
	}
	for n := 0; n < len(a.pieces); n++ {
		if n%step != 0 {
			continue
		}
		body := bytes.Join(a.pieces[:n], nil)
		name := fmt.Sprintf("the upstream ends its answer after %d events", n)
		o, ok := c.vary(name, c.answering(a.n, a.Status, a.Headers, body, false))
		switch {
		case !ok:
			return finished
		case o.complete && n < finished && !o.silent():
			c.result.fail("no early success", "%s of %d, before the one that finishes it, and the client gets a success", name, len(a.pieces))
			return finished
		case !o.complete && n >= finished:
			c.result.fail("success after the finish", "%s, which finished it, and the client gets an error: %v", name, o.err)
			return finished
		}
	}
	return finished
}

// nonsense is what an upstream, or something in front of it, may send instead.
var nonsense = []struct{ what, body string }{
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

// garbage puts nonsense in the place of the answer, with status 200. Of an
// upstream that speaks JSON no such answer is a success.
//
// finished is how many events of a stream made the answer complete.
func (c *check) garbage(a lastAnswer, finished int) {
	for _, x := range nonsense {
		what, body := x.what, x.body
		name := "the upstream answers 200 and " + what
		sent := []byte(body + "\n")
		if a.framing == abi.SSE && a.streamed {
			sent = []byte("data: " + body + "\n\n")
		}
		if body == "" {
			sent = nil
		}
		o, ok := c.vary(name, c.answering(a.n, 200, a.Headers, sent, false))
		if ok && o.complete && a.json {
			c.result.fail(name, "the client gets a success:\n%s", o.Emissions())
		}
		if !a.streamed || len(a.pieces) < 2 || finished == 1 || body == "" {
			continue
		}
		name = "in the middle of its stream the upstream sends " + what
		middle := bytes.Join([][]byte{a.pieces[0], sent, bytes.Join(a.pieces[1:], nil)}, nil)
		o, ok = c.vary(name, c.answering(a.n, 200, a.Headers, middle, false))
		if ok && o.complete && a.json && !json.Valid([]byte(body)) {
			c.result.fail(name, "it is skipped, and the client gets a success; what it held is lost")
		}
	}
}

// refusals are answers that are no success and hold no error text of the
// upstream's. Web pages and redirects are the gateway's to answer.
var refusals = []struct {
	status            int
	contentType, body string
}{
	{400, "text/plain", "Bad Request"},
	{401, "text/html", "Sign in"},
	{403, "", ""},
	{404, "text/plain", "404 page not found"},
	{429, "text/plain", "slow down"},
	{429, "application/json", "null"},
	{500, "text/html", "Internal Server Error"},
	{500, "application/json", `{"error":`},
	{500, "application/json", `{"error":null}`},
	{500, "application/json", `{"error":{"message":null}}`},
	{502, "text/plain", "Bad Gateway"},
	{503, "application/json", "[]"},
	{504, "", ""},
	{529, "text/plain", "\xff\xfe"},
}

// errorBodies answers with errors that are not the upstream's own.
func (c *check) errorBodies(a lastAnswer) {
	for _, r := range refusals {
		name := fmt.Sprintf("the upstream answers %d with %q", r.status, r.body)
		header := http.Header{}
		if r.contentType != "" {
			header.Set("Content-Type", r.contentType)
		}
		o, ok := c.vary(name, c.answering(a.n, r.status, header, []byte(r.body), false))
		if !ok {
			continue
		}
		e := statedError(o.Replay)
		switch {
		case e == nil:
			c.result.fail(name, "the adapter states no ERROR:\n%s", o.Emissions())
		case strings.TrimSpace(e.message) == "":
			c.result.fail(name, "its ERROR has no message")
		case r.status == 429 && e.HTTPStatus() != 429:
			c.result.fail(name, "the client gets %d; with 429 it would wait and try again", e.HTTPStatus())
		case r.status == 401 && e.HTTPStatus() == 401:
			c.result.fail(name, "the client gets 401, but it is the gateway's key that was refused: give 502 and the code upstream_auth")
		case r.status >= 500 && e.HTTPStatus() < 500 && e.HTTPStatus() != 429:
			c.result.fail(name, "the client gets %d, as if the request were at fault", e.HTTPStatus())
		}
	}
}

// clientError is an ERROR with the message the adapter gave, which the gateway
// replaces if there is none.
type clientError struct {
	*fault.Error
	message string
}

// statedError gives the ERROR of a replay, nil if there is none.
func statedError(r *transcript.Replay) *clientError {
	for _, call := range r.Calls {
		for _, e := range call {
			if e.Kind == abi.Error {
				message, _ := sdk.JSON(e.Data).Get("message").Str()
				return &clientError{stream.DecodeError(e.Data), message}
			}
		}
	}
	return nil
}

// withoutUsage takes away whatever the upstream counts. The answer must be the
// same but for its usage.
func (c *check) withoutUsage(a lastAnswer) {
	const name = "the upstream counts no tokens"
	var body []byte
	removed := false
	if !a.streamed {
		body, removed = withoutCounts(a.Body)
	} else {
		for _, p := range a.pieces {
			before, data, found := bytes.Cut(p, []byte("{"))
			if !found {
				body = append(body, p...)
				continue
			}
			less, did := withoutCounts(append([]byte("{"), data...))
			removed = removed || did
			body = append(append(append(body, before...), less...), ending(p)...)
		}
	}
	if !removed {
		return
	}
	o, ok := c.vary(name, c.answering(a.n, a.Status, a.Headers, body, a.Cut))
	if !ok {
		return
	}
	if !o.complete {
		c.result.fail(name, "the answer is no success any more: %v", o.err)
	} else if want, got := withoutUsageLines(c.recorded.Replay), withoutUsageLines(o.Replay); !bytes.Equal(want, got) {
		c.result.fail(name, "more than its usage changes:\n%s", diff(want, got))
	}
}

// ending gives the line ends of a piece.
func ending(p []byte) []byte { return p[len(bytes.TrimRight(p, "\r\n")):] }

// withoutCounts removes from a JSON object every field that counts tokens: numbers
// and objects with "usage", "tokens", "tokenCount" or "_count" in their names; a
// "token" or "token_id" is no count. The order of what stays is kept.
func withoutCounts(data []byte) (out []byte, removed bool) {
	data = bytes.TrimRight(data, "\r\n")
	if sdk.JSON(data).Valid() != nil {
		return data, false
	}
	return appendUncounted(nil, data)
}

func appendUncounted(dst []byte, v sdk.JSON) (out []byte, removed bool) {
	switch v.Kind() {
	case sdk.KindObject:
		dst = append(dst, '{')
		begin := len(dst)
		for it := sdk.Object(v); it.Next(); {
			if counts(string(it.Key()), it.Value().Kind()) {
				removed = true
				continue
			}
			if len(dst) > begin {
				dst = append(dst, ',')
			}
			dst = append(sdk.AppendQuote(dst, string(it.Key())), ':')
			inner := false
			dst, inner = appendUncounted(dst, it.Value())
			removed = removed || inner
		}
		return append(dst, '}'), removed
	case sdk.KindArray:
		dst = append(dst, '[')
		begin := len(dst)
		for it := sdk.Array(v); it.Next(); {
			if len(dst) > begin {
				dst = append(dst, ',')
			}
			inner := false
			dst, inner = appendUncounted(dst, it.Value())
			removed = removed || inner
		}
		return append(dst, ']'), removed
	}
	return append(dst, v...), false
}

func counts(key string, kind sdk.Kind) bool {
	key = strings.ToLower(key)
	return (kind == sdk.KindNumber || kind == sdk.KindObject) &&
		(strings.Contains(key, "usage") || strings.Contains(key, "tokens") || strings.Contains(key, "tokencount") ||
			strings.HasSuffix(key, "_count"))
}

// withoutUsageLines writes a replay's emissions but for USAGE, all in one block,
// since a call that emitted nothing else would leave a blank line.
func withoutUsageLines(r *transcript.Replay) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(r.Emissions()) {
		if !bytes.HasPrefix(line, []byte("USAGE ")) && len(bytes.TrimSpace(line)) > 0 {
			b.Write(line)
		}
	}
	return b.Bytes()
}

// unknownFields adds to the client's request what no adapter knows, and null for
// what is absent, which must mean the same.
func (c *check) unknownFields() {
	for _, x := range []struct {
		name   string
		fields []string
		value  string
	}{
		{"the client sends an unknown field", []string{"kai_unknown"}, `{"nested":[1,"x",null]}`},
		{"the client sends null for what it leaves out", []string{
			"temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "tools", "tool_choice",
			"response_format", "n", "stream_options", "logprobs", "presence_penalty", "frequency_penalty", "user",
		}, "null"},
	} {
		body := bytes.TrimSpace(c.transcript.Get(transcript.SectionClient))
		end := bytes.LastIndexByte(body, '}')
		if end < 0 {
			return
		}
		more := bytes.Clone(body[:end])
		for _, key := range x.fields {
			if sdk.JSON(body).Get(key) == nil {
				more = append(more, fmt.Sprintf(",%q:%s", key, x.value)...)
			}
		}
		more = append(more, '}')
		if !json.Valid(more) {
			return // an empty object
		}
		o, ok := c.vary(x.name, c.transcript.with(transcript.SectionClient, 0, more))
		if !ok {
			continue
		}
		if want, got := c.recorded.Emissions(), o.Emissions(); !bytes.Equal(want, got) {
			c.result.fail(x.name, "the answer changes:\n%s", diff(want, got))
		}
	}
}

// long is content that the gateway holds back: beyond 1 KiB, with all that JSON
// escapes and a few things that look like a reference.
var long = strings.Repeat(`Long "content" with \ and / and é, 漢字, 😀,`+"\n\t@kai:@ ", 60)

// longContent makes what users say long and asks the adapter with the content and
// with references to it: what goes upstream must be the same.
func (c *check) longContent() {
	const name = "long content goes by reference"
	if c.kit.manifest.Profile().PlainContent {
		return
	}
	body, ok := lengthened(c.transcript.Get(transcript.SectionClient))
	if !ok {
		return
	}
	chat, err := request.ParseChat(body)
	if err != nil {
		return // the gateway would refuse it
	}
	c.result.Variations++
	plain, okPlain := c.ask(chat, chat.Body(chat.Model))
	short, refs := chat.Short(chat.Model)
	referring, okShort := c.ask(chat, short)
	switch {
	case !okPlain || !okShort:
		c.result.fail(name, "%v", c.guest.broken)
		return
	case plain.failed != referring.failed:
		c.result.fail(name, "the request fails with the one and not with the other")
		return
	case plain.head != referring.head:
		c.result.fail(name, "the upstream request changes:\n%s", diff([]byte(plain.head), []byte(referring.head)))
		return
	}
	expanded, err := refs.Expand(referring.body)
	if err != nil {
		c.result.fail(name, "%v", err)
		return
	}
	if !sameJSON(plain.body, expanded) {
		c.result.fail(name, "the upstream's body is another one with references; copy the inside of JSON strings as it is, or set plain_content in the manifest:\n%s", diff(plain.body, expanded))
	}
}

// asked is what an adapter wants to send.
type asked struct {
	head   string
	body   []byte
	failed bool
}

func (c *check) ask(chat *request.Chat, body []byte) (a asked, ok bool) {
	ems, err := c.guest.Call(sdk.Input{Request: &sdk.Request{Op: abi.Chat, Stream: chat.Stream, Options: c.guest.options, Body: body}})
	for _, e := range ems {
		switch e.Kind {
		case abi.Request:
			a.head = string(e.Data)
		case abi.Body:
			a.body = append(a.body, e.Data...)
		case abi.Error:
			a.failed = true
		}
	}
	return a, err == nil
}

// lengthened makes the text of each user's message long. ok is false if there is
// none.
func lengthened(body []byte) (out []byte, ok bool) {
	var fields map[string]json.RawMessage
	var messages []map[string]any
	if json.Unmarshal(body, &fields) != nil || json.Unmarshal(fields["messages"], &messages) != nil {
		return nil, false
	}
	for _, m := range messages {
		if text, is := m["content"].(string); is && m["role"] == "user" {
			m["content"], ok = text+long, true
		}
	}
	if !ok {
		return nil, false
	}
	var err error
	if fields["messages"], err = json.Marshal(messages); err != nil {
		return nil, false
	}
	out, err = json.Marshal(fields)
	return out, err == nil
}

// sameJSON compares values, or bytes where there is no JSON: an adapter that
// decodes and encodes text escapes it in its own way.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
