package host_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/race"
)

// Lines of a picture in base64 and of a text with everything that JSON escapes.
const (
	pictureLine = "iVBORw0KGgoAAAANSUhEUgAA/+8="
	proseLine   = `All work and no \"play\" é \u00e9\ud83d\ude00.\n`
)

// TestLongAnswers: whole answers beyond what a call of an adapter takes, and events
// up to that, in the shape of each provider, to clients that want a stream and to
// those that don't. max_memory holds that an answer takes no more than a few times
// its size.
func TestLongAnswers(t *testing.T) {
	if race.Enabled {
		t.Skip("one answer after the other: make check runs it without the race detector")
	}
	const size, eventSize = 20 << 20, 2 << 20
	picture, prose := strings.Repeat(pictureLine, size/len(pictureLine)), strings.Repeat(proseLine, size/2/len(proseLine))
	shortPicture, shortProse := picture[:eventSize], strings.Repeat(proseLine, eventSize/len(proseLine))
	decoded := func(inside string) (text string) {
		json.Unmarshal([]byte(`"`+inside+`"`), &text)
		return text
	}
	for name, tc := range map[string]struct {
		plugin, media, body, events string
		text                        string // default: the prose
		pictured                    bool
	}{
		"a picture of openrouter": {
			plugin: "openrouter",
			body:   `{"choices":[{"index":0,"message":{"role":"assistant","content":"Here.","images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + picture + `"}}]},"finish_reason":"stop"}]}`,
			events: `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Here.","images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + shortPicture + `"}}]}}]}` + "\n\n" + `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
			text:   "Here.", pictured: true,
		},
		"a text of openai": {
			plugin: "openai",
			body:   `{"choices":[{"index":0,"message":{"role":"assistant","content":"` + prose + `"},"finish_reason":"stop"}]}`,
			events: `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"` + shortProse + `"},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
		},
		"a picture of gemini": {
			plugin: "gemini",
			body:   `{"candidates":[{"content":{"parts":[{"text":"Here."},{"inlineData":{"mimeType":"image/png","data":"` + picture + `"}}],"role":"model"},"finishReason":"STOP"}]}`,
			events: `data: {"candidates":[{"content":{"parts":[{"text":"Here."},{"inlineData":{"mimeType":"image/png","data":"` + shortPicture + `"}}],"role":"model"},"finishReason":"STOP"}]}` + "\n\n",
			text:   "Here.", pictured: true,
		},
		"a text of ollama": {
			plugin: "ollama",
			body:   `{"message":{"role":"assistant","content":"` + prose + `"},"done":true,"done_reason":"stop"}`,
			events: `{"message":{"role":"assistant","content":"` + shortProse + `"},"done":false}` + "\n" + `{"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}` + "\n",
		},
		"a text of anthropic": {
			plugin: "anthropic",
			body:   `{"type":"message","role":"assistant","content":[{"type":"text","text":"` + prose + `"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`,
			events: "event: content_block_start\n" + `data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n\n" +
				"event: content_block_delta\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"` + shortProse + `"}}` + "\n\n" +
				"event: message_delta\n" + `data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}` + "\n\n" +
				"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, nil)
			g := newGateway(t, fmt.Sprintf(`
server: {max_memory: 96MiB, max_body: 24MiB}
providers: {up: {plugin: %s, base_url: %q, limits: {share: 96MiB}}}
model_mapping: {m: {provider: up, model: m}}`, tc.plugin, up.URL))
			for form, body := range map[string]string{"whole": tc.body, "in events": tc.events} {
				up.Answer(mock.Whole(200, "text/plain", body)) // the bytes tell
				wantText, wantPicture := tc.text, ""
				switch {
				case tc.pictured && form == "whole":
					wantPicture = "data:image/png;base64," + picture
				case tc.pictured:
					wantPicture = "data:image/png;base64," + shortPicture
				case form == "whole":
					wantText = decoded(prose)
				default:
					wantText = decoded(shortProse)
				}
				for _, streamed := range []bool{false, true} {
					res, got := g.post(t, fmt.Sprintf(`{"model":"m","stream":%v,"messages":[{"role":"user","content":"Hi"}]}`, streamed))
					if res.StatusCode != 200 {
						t.Errorf("%s, streamed %v: %d %.300s", form, streamed, res.StatusCode, got)
						continue
					}
					text, picture := said(t, got, streamed)
					if text != wantText {
						t.Errorf("%s, streamed %v: a text of %d bytes, want %d", form, streamed, len(text), len(wantText))
					}
					if picture != wantPicture {
						t.Errorf("%s, streamed %v: a picture of %d bytes, want %d", form, streamed, len(picture), len(wantPicture))
					}
				}
			}
		})
	}
}

// said gives the text and the picture of an answer.
func said(t *testing.T, answer string, streamed bool) (text, picture string) {
	t.Helper()
	type message struct {
		Content string
		Images  []struct {
			ImageURL struct{ URL string } `json:"image_url"`
		}
	}
	chunks := []string{answer}
	if streamed {
		whole, ended := strings.CutSuffix(answer, "\n\ndata: [DONE]\n\n")
		if !ended {
			t.Fatalf("no end mark: %.100q … %.300q", answer, answer[max(0, len(answer)-300):])
		}
		chunks = strings.Split(strings.TrimPrefix(whole, "data: "), "\n\ndata: ")
	}
	for _, chunk := range chunks {
		var v struct {
			Choices []struct{ Message, Delta message }
		}
		if err := json.Unmarshal([]byte(chunk), &v); err != nil {
			t.Fatalf("%v in %.300s", err, chunk)
		}
		for _, c := range v.Choices {
			m := c.Message
			if streamed {
				m = c.Delta
			}
			text += m.Content
			for _, i := range m.Images {
				picture += i.ImageURL.URL
			}
		}
	}
	return text, picture
}
