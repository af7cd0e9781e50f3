package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/plugins"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// anyAnswer is what an upstream of each adapter answers with success.
var anyAnswer = map[string]string{
	"anthropic":  `{"type":"message","role":"assistant","content":[{"type":"text","text":"ok"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`,
	"gemini":     `{"candidates":[{"content":{"role":"model","parts":[{"text":"ok"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1}}`,
	"ollama":     `{"message":{"role":"assistant","content":"ok"},"done":true,"done_reason":"stop"}`,
	"openai":     `{"choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}`,
	"openrouter": `{"choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}`,
}

// TestAnswersAreTakenBack sends every message that the gateway gives in a
// transcript back to every adapter, with results for its tool calls, as clients do
// that go on with another model.
func TestAnswersAreTakenBack(t *testing.T) {
	messages := answersOfTranscripts(t)
	if len(messages) < 50 {
		t.Fatalf("the transcripts have %d answers only", len(messages))
	}
	var yaml strings.Builder
	yaml.WriteString("providers:\n")
	for plugin, answer := range anyAnswer {
		up := mock.Start(t, func(x *mock.Exchange) {
			if !json.Valid([]byte(x.Body)) {
				t.Errorf("the upstream of %s got %q", plugin, x.Body)
			}
			mock.JSON(answer)(x)
		})
		fmt.Fprintf(&yaml, "  %s: {base_url: %q, api_key: sk-upstream}\n", plugin, up.URL)
	}
	yaml.WriteString("model_mapping:\n  demo: {provider: demo, model: demo}\n")
	for plugin := range anyAnswer {
		fmt.Fprintf(&yaml, "  %s: {provider: %s, model: m}\n", plugin, plugin)
	}
	g := newGateway(t, yaml.String())
	for _, plugin := range plugins.Names() {
		t.Run(plugin, func(t *testing.T) {
			for file, message := range messages {
				body := historyWith(t, plugin, message)
				if res, answer := g.post(t, body); res.StatusCode != 200 {
					t.Errorf("the answer of %s is refused: %s\n%s", file, answer, body)
				}
			}
		})
	}
}

// answersOfTranscripts gives the messages of whole answers, by their files.
func answersOfTranscripts(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	messages := map[string]json.RawMessage{}
	for _, plugin := range plugins.Names() {
		for _, file := range transcripts(t, plugin) {
			r := readRecorded(t, file)
			_, body, _ := bytes.Cut(r.Get(transcript.SectionAnswer), []byte("\n\n"))
			var answer struct {
				Choices []struct{ Message json.RawMessage }
			}
			if json.Unmarshal(body, &answer) != nil || len(answer.Choices) == 0 || answer.Choices[0].Message == nil {
				continue // a stream, an error, or a completion
			}
			messages[file] = answer.Choices[0].Message
		}
	}
	return messages
}

// historyWith is a request that goes on after an answer.
func historyWith(t *testing.T, model string, message json.RawMessage) string {
	t.Helper()
	var said struct {
		ToolCalls []struct{ ID string } `json:"tool_calls"`
	}
	if err := json.Unmarshal(message, &said); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"model":%q,"messages":[{"role":"user","content":"a"},%s`, model, message)
	for _, c := range said.ToolCalls {
		fmt.Fprintf(&b, `,{"role":"tool","tool_call_id":%q,"content":"b"}`, c.ID)
	}
	return b.String() + `,{"role":"user","content":"c"}]}`
}
