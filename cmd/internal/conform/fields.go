package conform

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// unknownFields adds to the client's request a field that no adapter knows, and null for
// fields that are absent. Neither may change the answer.
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
		o, ok := c.replayChanged(x.name, c.transcript.with(transcript.SectionClient, 0, more))
		if !ok {
			continue
		}
		if want, got := c.recorded.Emissions(), o.Emissions(); !bytes.Equal(want, got) {
			c.result.fail(x.name, "the answer changes:\n%s", diff(want, got))
		}
	}
}
