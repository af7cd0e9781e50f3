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
	ends   string                                   // what begins the last event of a stream that succeeded
	failed string                                   // what a stream that failed has in it
	text   func(t testing.TB, answer string) string // of a streamed answer
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
		ends: "event: message_stop\ndata: ", failed: "event: error\ndata: ",
		text: func(t testing.TB, answer string) string {
			return deltasOf(t, answer, "content_block_delta", func(e eventDelta) string { return e.Delta.Text })
		},
	},
	{
		name: "responses", path: "/v1/responses",
		body: `{"model":"m","input":%q,"stream":%v}`,
		ends: "event: response.completed\ndata: ", failed: "event: response.failed\ndata: ",
		text: func(t testing.TB, answer string) string {
			return deltasOf(t, answer, "response.output_text.delta", func(e eventDelta) string { return e.Text })
		},
	},
	{
		name: "completions", path: "/v1/completions",
		body: `{"model":"m","max_tokens":9000,"prompt":%q,"stream":%v}`,
		ends: "data: [DONE]\n\n", failed: `data: {"error":`,
		text: completionText,
	},
}

// completionText is the text of a streamed completion.
func completionText(t testing.TB, answer string) string {
	t.Helper()
	var b strings.Builder
	for event := range strings.SplitSeq(answer, "\n\n") {
		var chunk struct{ Choices []struct{ Text string } }
		data := strings.TrimPrefix(event, "data: ")
		if !strings.HasPrefix(data, "{") {
			continue
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			t.Fatal(err)
		}
		for _, c := range chunk.Choices {
			b.WriteString(c.Text)
		}
	}
	return b.String()
}

// asks returns the body of a request.
func (a clientAPI) asks(prompt string, stream bool) string {
	return fmt.Sprintf(a.body, prompt, stream)
}

// succeeded reports whether a stream ended as it should.
func (a clientAPI) succeeded(answer string) bool {
	last := strings.LastIndex(strings.TrimSuffix(answer, "\n\n"), "\n\n")
	return strings.HasSuffix(answer, "\n\n") && last >= 0 && strings.HasPrefix(answer[last+2:], a.ends)
}

// eventDelta is an event with a piece of text.
type eventDelta struct {
	Delta struct{ Text string }
	Text  string // if delta is a string
}

func (e *eventDelta) UnmarshalJSON(b []byte) error {
	var raw struct{ Delta json.RawMessage }
	if err := json.Unmarshal(b, &raw); err != nil || len(raw.Delta) == 0 {
		return err
	}
	if raw.Delta[0] == '"' {
		return json.Unmarshal(raw.Delta, &e.Text)
	}
	return json.Unmarshal(raw.Delta, &e.Delta)
}

// deltasOf joins the texts of the events of one kind.
func deltasOf(t testing.TB, answer, kind string, text func(eventDelta) string) string {
	t.Helper()
	var b strings.Builder
	for event := range strings.SplitSeq(answer, "\n\n") {
		data, ok := strings.CutPrefix(event, "event: "+kind+"\ndata: ")
		if !ok {
			continue
		}
		var e eventDelta
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatalf("%v in %q", err, event)
		}
		b.WriteString(text(e))
	}
	return b.String()
}
