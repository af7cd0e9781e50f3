package host_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// clientAPI is an API that clients speak, for tests of what is the same in all of them.
type clientAPI struct {
	name   string
	path   string
	body   string                                   // a request to model m; %q is what the user says, %v whether to stream
	ends   string                                   // what a stream that succeeded ends in
	failed string                                   // what a stream that failed has in it
	text   func(t testing.TB, answer string) string // of a streamed or whole answer
}

var clientAPIs = []clientAPI{
	{
		name: "chat", path: "/v1/chat/completions",
		body: `{"model":"m","messages":[{"role":"user","content":%q}],"stream":%v}`,
		ends: "data: [DONE]\n\n", failed: `data: {"error":`, text: content,
	},
	{
		name: "messages", path: "/v1/messages",
		body: `{"model":"m","max_tokens":9000,"messages":[{"role":"user","content":%q}],"stream":%v}`,
		ends: "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", failed: "event: error\ndata: ", text: contentOfMessages,
	},
}

// asks returns the body of a request.
func (a clientAPI) asks(prompt string, stream bool) string {
	return fmt.Sprintf(a.body, prompt, stream)
}

// contentOfMessages is content for the Messages API.
func contentOfMessages(t testing.TB, answer string) string {
	t.Helper()
	var b strings.Builder
	for event := range strings.SplitSeq(answer, "\n\n") {
		data := event
		if _, after, ok := strings.Cut(event, "\ndata: "); ok {
			data = after
		}
		if data == "" {
			continue
		}
		var e struct {
			Delta   struct{ Text string }
			Content []struct{ Text string }
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatalf("%v in %q", err, event)
		}
		b.WriteString(e.Delta.Text)
		for _, block := range e.Content {
			b.WriteString(block.Text)
		}
	}
	return b.String()
}
