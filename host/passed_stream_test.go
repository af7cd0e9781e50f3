package host_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// passedStreams are requests for events, and what upstreams send for them. %s is the model's
// name in all of them.
var passedStreams = map[string]struct {
	path   string
	asked  string // %s also is in a form
	form   bool
	events []string
	early  int    // events from the last on that may be missing, since the answer is complete without them
	usage  string // in the log
}{
	"images": {
		path: images, asked: `{"model":"%s","prompt":"p","stream":true,"partial_images":1}`,
		events: []string{
			"event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AAAA\",\"partial_image_index\":0}\n\n",
			"event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"BBBB\",\"usage\":{\"input_tokens\":5,\"output_tokens\":2}}\n\n",
		},
		usage: `"prompt_tokens":5,"completion_tokens":2`,
	},
	"speech": {
		path: speech, asked: `{"model":"%s","input":"Hello","voice":"alloy","stream_format":"sse"}`,
		events: []string{
			"event: speech.audio.delta\ndata: {\"type\":\"speech.audio.delta\",\"audio\":\"SUQz\"}\n\n",
			"event: speech.audio.done\ndata: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":14,\"output_tokens\":101}}\n\n",
		},
		usage: `"prompt_tokens":14,"completion_tokens":101`,
	},
	"transcriptions": {
		path: transcriptions, asked: transcribe("%s", fieldOf("stream", "true"), "ID3"), form: true,
		events: []string{
			"event: transcript.text.delta\ndata: {\"type\":\"transcript.text.delta\",\"delta\":\"Hel\"}\n\n",
			"event: transcript.text.delta\ndata: {\"type\":\"transcript.text.delta\",\"delta\":\"lo\"}\n\n",
			"event: transcript.text.done\ndata: {\"type\":\"transcript.text.done\",\"text\":\"Hello\",\"usage\":{\"type\":\"duration\",\"seconds\":1.5}}\n\n",
		},
		usage: `"audio_seconds":1.5`,
	},
	"transcriptions of vLLM": {
		path: transcriptions, asked: transcribe("%s", fieldOf("stream", "true"), "ID3"), form: true,
		events: []string{
			"data: {\"object\":\"transcription.chunk\",\"model\":\"%s\",\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n",
			"data: {\"object\":\"transcription.chunk\",\"model\":\"%s\",\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n",
			"data: [DONE]\n\n",
		},
		early: 1, usage: `"estimated":true`,
	},
}

// postPassed sends a request in JSON, or as a form.
func (g *gateway) postPassed(t testing.TB, path string, form bool, asked string) (*http.Response, string) {
	t.Helper()
	if form {
		return g.postForm(t, path, "key-a", formOf, asked)
	}
	return g.postTo(t, path, "key-a", asked)
}

// TestPassedStreams: events reach the client as they came, but for the model's name.
func TestPassedStreams(t *testing.T) {
	up := mock.Start(t, nil)
	g := passedGateway(t, up)
	for name, tc := range passedStreams {
		t.Run(name, func(t *testing.T) {
			events := as(strings.Join(tc.events, ""), "dated-name")
			want := strings.Join(tc.events, "")
			for how, answer := range map[string]mock.Answer{"event by event": mock.SSE(tc.events...), "byte by byte": mock.Stream("text/event-stream; charset=utf-8", mock.Bytes(events)...)} {
				up.Answer(answer)
				res, got := g.postPassed(t, tc.path, tc.form, as(tc.asked, "mine"))
				if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || got != as(want, "mine") {
					t.Errorf("%s: the client got %d %s\n%s, want\n%s", how, res.StatusCode, res.Header.Get("Content-Type"), got, as(want, "mine"))
				}
				asked := up.Last()
				if tc.form {
					if parts := fmt.Sprint(partsOf(t, asked)); parts != "[model()=theirs stream()=true file(a.mp3)=ID3]" {
						t.Errorf("the upstream got %s", parts)
					}
				} else if asked.Body != as(tc.asked, "theirs") {
					t.Errorf("the upstream got %s", asked.Body)
				}
			}
			if !strings.Contains(g.log.String(), tc.usage) {
				t.Errorf("the log has no %s: %s", tc.usage, g.log)
			}
		})
	}
}

// TestPassedStreamsAreWholeOrAnError cuts each stream at every byte.
func TestPassedStreamsAreWholeOrAnError(t *testing.T) {
	up := mock.Start(t, nil)
	g := passedGateway(t, up)
	for name, tc := range passedStreams {
		t.Run(name, func(t *testing.T) {
			body := as(strings.Join(tc.events, ""), "theirs")
			enough := len(as(strings.Join(tc.events[:len(tc.events)-tc.early], ""), "theirs"))
			head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n", len(body))
			for cut := range len(body) + 1 {
				up.Answer(mock.Raw(head + body[:cut]))
				_, answer := g.postPassed(t, tc.path, tc.form, as(tc.asked, "mine"))
				if failed := strings.Contains(answer, `{"error":`); failed != (cut < enough) {
					t.Errorf("cut at %d of %d: failed = %v: %s", cut, len(body), failed, answer)
				}
			}
		})
	}
}

func TestPassedStreamFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		answer mock.Answer
		status int
		says   string
	}{
		"reset before the head":     {mock.Reset, 502, "upstream_error"},
		"nothing":                   {mock.SSE(), 502, "upstream_error"},
		"comments alone":            {mock.SSE(": ping\n\n"), 502, "upstream_error"},
		"an end mark alone":         {mock.SSE("data: [DONE]\n\n"), 502, "upstream_error"},
		"no JSON":                   {mock.SSE("data: }{\n\n"), 502, "upstream_error"},
		"a list":                    {mock.SSE("data: []\n\n"), 502, "upstream_error"},
		"half an object":            {mock.SSE("data: {\"type\":\"x\",\"a\":[\n\n"), 502, "upstream_error"},
		"an error":                  {mock.SSE("data: {\"type\":\"error\",\"error\":{\"message\":\"down\",\"type\":\"server_error\"}}\n\n"), 502, "down"},
		"a rate limit":              {mock.Whole(429, "application/json", `{"error":{"message":"slow down"}}`), 429, "rate_limit_exceeded"},
		"a whole answer of nothing": {mock.JSON(`{"created":1,"data":[]}`), 502, "ask without one"},
		"sound":                     {mock.Whole(200, "audio/mpeg", "ID3"), 502, "upstream_error"},
		"a web page":                {mock.Whole(200, "text/html", "<html>"), 502, "upstream_error"},
		"events that nobody knows":  {mock.SSE("data: {\"type\":\"new\"}\n\n"), 200, "upstream_error"},
		"the provider's key":        {mock.SSE("event: error\ndata: {\"error\":{\"message\":\"sk-upstream-key is wrong\"}}\n\n"), 502, "upstream_error"},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, tc.answer)
			g := passedGateway(t, up)
			for _, c := range passedStreams {
				res, answer := g.postPassed(t, c.path, c.form, as(c.asked, "mine"))
				says := tc.says
				if name == "a whole answer of nothing" && c.path != images {
					says = "upstream_error" // nor is it sound or a text
				}
				if res.StatusCode != tc.status || !strings.Contains(answer, `"error"`) || !strings.Contains(answer, says) || strings.Contains(answer, "sk-upstream-key") {
					t.Errorf("%s: the client got %d %s, want %d and %q", c.path, res.StatusCode, answer, tc.status, says)
				}
			}
		})
	}
}

// TestWholeAnswersToStreams: a model that knows no stream, such as whisper-1, answers as a whole.
// That was paid for, so the client gets it as the events of its API, and no other target is asked.
func TestWholeAnswersToStreams(t *testing.T) {
	for path, tc := range map[string]struct {
		answer string
		want   []string
		usage  string
	}{
		transcriptions: {
			`{"text":"Hel\"lo","task":"transcribe","model":"dated-name","duration":1.5}`,
			[]string{`{"type":"transcript.text.delta","delta":"Hel\"lo"}`, `{"type":"transcript.text.done","text":"Hel\"lo","task":"transcribe","model":"several","duration":1.5}`},
			`"completion_tokens":2`,
		},
		images: {
			`{"created":7,"size":"1x1","data":[{"b64_json":"AA=="},{"b64_json":"AQ=="}],"usage":{"input_tokens":5,"output_tokens":9}}`,
			[]string{
				`{"type":"image_generation.completed","size":"1x1","created_at":7,"b64_json":"AA=="}`,
				`{"type":"image_generation.completed","size":"1x1","created_at":7,"b64_json":"AQ==","usage":{"input_tokens":5,"output_tokens":9}}`,
			},
			`"prompt_tokens":5,"completion_tokens":9`,
		},
	} {
		t.Run(path, func(t *testing.T) {
			up := mock.Start(t, mock.JSON(tc.answer))
			g := passedGateway(t, up)
			for _, c := range passedStreams {
				if c.path != path {
					continue
				}
				up.Forget()
				res, answer := g.postPassed(t, c.path, c.form, as(c.asked, "several"))
				want := ""
				for _, data := range tc.want {
					want += "event: " + data[len(`{"type":"`):strings.Index(data, `",`)] + "\ndata: " + data + "\n\n"
				}
				if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || answer != want || len(up.Requests()) != 1 {
					t.Errorf("the client got %d %s\n%s after %d requests, want\n%s", res.StatusCode, res.Header.Get("Content-Type"), answer, len(up.Requests()), want)
				}
			}
			if log := g.log.String(); !strings.Contains(log, tc.usage) {
				t.Errorf("the log is %s", log)
			}
		})
	}
}

// TestNoWholeAnswerGrowsAsEvents: an answer can't be made so that its events are many times as long.
func TestNoWholeAnswerGrowsAsEvents(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, answer := range map[string]string{
		"no pictures":        `{"x":"` + long + `","data":[` + strings.Repeat("0,", 4000) + `0]}`,
		"too many pictures":  `{"data":[` + strings.Repeat(`{"b64_json":"AA=="},`, 4000) + `{}]}`,
		"a long size of all": `{"size":"` + long + `","usage":{},"data":[` + strings.Repeat(`{"b64_json":"AA=="},`, 99) + `{}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, mock.JSON(answer))
			_, got := passedGateway(t, up).postTo(t, images, "key-a", `{"model":"mine","prompt":"p","stream":true}`)
			if len(got) > len(answer)/2 {
				t.Errorf("%d bytes became %d", len(answer), len(got))
			}
		})
	}
}

// TestPassedStreamsFailOver: before the first event that is content another target may answer,
// and from then on none.
func TestPassedStreamsFailOver(t *testing.T) {
	for name, tc := range map[string]struct {
		first func(events []string) mock.Answer
		over  bool
	}{
		"an error":           {func([]string) mock.Answer { return mock.Status(503) }, true},
		"what is no content": {func([]string) mock.Answer { return mock.SSE("data: {\"type\":\"new\"}\n\n") }, true},
		"the first event":    {func(events []string) mock.Answer { return mock.SSE(events[0]) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, c := range passedStreams {
				up := mock.Start(t, func(x *mock.Exchange) {
					if strings.HasPrefix(x.URI, "/v1/") {
						tc.first(c.events)(x)
						return
					}
					mock.SSE(c.events...)(x)
				})
				g := passedGateway(t, up)
				_, answer := g.postPassed(t, c.path, c.form, as(c.asked, "several"))
				want := as(strings.Join(c.events, ""), "several")
				if tc.over && answer != want || !tc.over && (!strings.Contains(answer, `{"error":`) || len(up.Requests()) > 1) {
					t.Errorf("%s: the client got %s after %d requests", kind, answer, len(up.Requests()))
				}
			}
		})
	}
}

func TestHangUpEndsPassedStreams(t *testing.T) {
	for name, tc := range passedStreams {
		t.Run(name, func(t *testing.T) {
			gone := make(chan bool, 1)
			up := mock.Start(t, mock.Steps(mock.SSE(tc.events[0]), mock.Hang, func(*mock.Exchange) { gone <- true }))
			g := passedGateway(t, up)
			g.post(t, `{`)
			goroutines, files := runtime.NumGoroutine(), openFiles()
			ctx, cancel := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, "POST", g.URL+tc.path, strings.NewReader(as(tc.asked, "mine")))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer key-a")
			req.Header.Set("Content-Type", map[bool]string{true: formOf, false: "application/json"}[tc.form])
			res, err := g.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(res.Body, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			cancel()
			res.Body.Close()
			wantGone(t, gone)
			settle(t, goroutines, files)
		})
	}
}

// TestLargePictureInAnEvent: a picture in an event never enters the adapter.
func TestLargePictureInAnEvent(t *testing.T) {
	picture := strings.Repeat("iVBORw0KGgo/+8==", 1<<18) // 4 MiB
	event := "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"" + picture + "\"}\n\n"
	up := mock.Start(t, mock.SSE(event))
	g := passedGateway(t, up)
	res, answer := g.postTo(t, "/v1/images/generations", "key-a", `{"model":"mine","prompt":"p","stream":true}`)
	if res.StatusCode != 200 || answer != event {
		t.Errorf("the client got %d and %d bytes, %.300s", res.StatusCode, len(answer), answer)
	}
}
