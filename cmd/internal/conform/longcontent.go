package conform

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// long is content that the gateway replaces by a reference: it is longer than 1 KiB. It has
// everything that JSON escapes, and some text that looks like a reference.
var long = strings.Repeat(`Long "content" with \ and / and é, 漢字, 😀,`+"\n\t@kai:@ ", 60)

// longContent makes the users' messages long. It asks the adapter once with the content and
// once with references to it. What goes upstream must be the same.
func (c *check) longContent() {
	const name = "long content goes by reference"
	if op := c.transcript.Op(); c.kit.manifest.Profile().PlainContent || op != abi.Chat && op != abi.Count {
		return // nothing is held back
	}
	body, ok := lengthened(c.transcript.Get(transcript.SectionClient))
	if !ok {
		return
	}
	asked, err := chat.ParseRequest(body)
	if err != nil {
		return // the gateway would refuse it
	}
	c.result.Variations++
	plain, okPlain := c.ask(asked, asked.Body(asked.Model))
	short, refs := asked.Short(asked.Model)
	referring, okShort := c.ask(asked, short)
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

// asked is the upstream request of an adapter.
type asked struct {
	head   string
	body   []byte
	failed bool
}

func (c *check) ask(r *chat.Request, body []byte) (a asked, ok bool) {
	ems, err := c.guest.Call(sdk.Input{Request: &sdk.Request{Op: c.transcript.Op(), Stream: r.Stream, Options: c.guest.options, Body: body}})
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

// sameJSON compares JSON by its values, because an adapter that decodes and encodes text may
// escape it in its own way. It compares anything else by its bytes.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
