package host_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// speak asks for speech.
func (g *gateway) speak(t testing.TB, ctx context.Context, model string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "POST", g.URL+speech, strings.NewReader(as(speaks, model)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer key-a")
	res, err := g.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// TestSpeech: sound reaches the client as it is, under a type that no browser runs.
func TestSpeech(t *testing.T) {
	up := mock.Start(t, nil)
	g := passedGateway(t, up)
	long := strings.Repeat("\x00\xffdata: {<", 50_000)
	for name, tc := range map[string]struct {
		answer      mock.Answer
		contentType string // that the client gets
		want        string
	}{
		"sound":                  {mock.Whole(200, "audio/mpeg", "ID3\x00"), "audio/mpeg", "ID3\x00"},
		"much of it":             {mock.Whole(200, "audio/wav", long), "audio/wav", long},
		"in pieces":              {mock.Stream("audio/ogg; codecs=opus", "O", "gg", "S"), "audio/ogg", "OggS"},
		"byte by byte":           {mock.Stream("audio/flac", mock.Bytes("fLaC\x00\x01")...), "audio/flac", "fLaC\x00\x01"},
		"of a type nobody knows": {mock.Whole(200, "application/octet-stream", "{}"), "application/octet-stream", "{}"},
		"the provider's key":     {mock.Whole(200, "audio/pcm", "a sk-upstream-key b"), "audio/pcm", "a [redacted] b"},
	} {
		t.Run(name, func(t *testing.T) {
			up.Answer(tc.answer)
			res := g.speak(t, t.Context(), "mine")
			got, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != 200 || string(got) != tc.want {
				t.Errorf("the client got %d, %d bytes (%v), %.100q", res.StatusCode, len(got), err, got)
			}
			if h := res.Header; h.Get("Content-Type") != tc.contentType || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Request-Id") == "" {
				t.Errorf("the head is %v", h)
			}
			if asked := up.Last(); asked.URI != speech || asked.Body != as(speaks, "theirs") {
				t.Errorf("the upstream got %s", asked)
			}
		})
	}
}

// TestSpeechComesAsItIsMade: what the upstream has sent is not kept until it sends more.
func TestSpeechComesAsItIsMade(t *testing.T) {
	heard := make(chan struct{})
	up := mock.Start(t, mock.Steps(mock.Stream("audio/mpeg", strings.Repeat("x", 4096)), mock.Wait(heard), mock.Send("the end")))
	g := newGateway(t, fmt.Sprintf("providers: {oa: {plugin: openai, base_url: %q}}\nmodel_mapping: {mine: {provider: oa, model: m}}\n", up.URL))
	res := g.speak(t, t.Context(), "mine")
	if _, err := io.ReadFull(res.Body, make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	close(heard)
	if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "the end" {
		t.Errorf("then comes %q (%v)", rest, err)
	}
}

// TestSpeechIsWholeOrCut cuts an answer at every byte: the client's connection is cut, too, or
// it gets an error if nothing came.
func TestSpeechIsWholeOrCut(t *testing.T) {
	const sound = "ID3\x00this stands for sound"
	up := mock.Start(t, nil)
	g := passedGateway(t, up)
	for cut := range len(sound) + 1 {
		up.Answer(mock.Raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: %d\r\n\r\n", len(sound)) + sound[:cut]))
		res := g.speak(t, t.Context(), "mine")
		got, err := io.ReadAll(res.Body)
		switch {
		case cut == len(sound):
			if err != nil || string(got) != sound {
				t.Errorf("uncut: %q (%v)", got, err)
			}
		case res.StatusCode == 502 && err == nil && strings.Contains(string(got), "upstream_error"):
		case res.StatusCode != 200 || err == nil:
			t.Errorf("cut at %d of %d: %d %q (%v)", cut, len(sound), res.StatusCode, got, err)
		}
	}
}

func TestSpeechUpstreamFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		answer mock.Answer
		status int
	}{
		"reset before the head":  {mock.Reset, 502},
		"closed before the head": {mock.Cut, 502},
		"no sound":               {mock.Whole(200, "audio/mpeg", ""), 502},
		"nothing":                {mock.Whole(200, "", ""), 502},
		"text":                   {mock.Whole(200, "text/plain", "not yet"), 502},
		"a web page":             {mock.Whole(200, "text/html", "<html>"), 502},
		"JSON":                   {mock.JSON(`{"a":1}`), 502},
		"events":                 {mock.SSE("data: {\"type\":\"speech.audio.delta\"}\n\n"), 502},
		"an error as JSON":       {mock.JSON(`{"error":{"message":"down","type":"server_error"}}`), 502},
		"a rate limit":           {mock.Whole(429, "application/json", `{"error":{"message":"slow down"}}`), 429},
		"an error called sound":  {mock.Whole(500, "audio/mpeg", "no"), 502},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, tc.answer)
			g := passedGateway(t, up)
			res := g.speak(t, t.Context(), "mine")
			got, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != tc.status || !strings.Contains(string(got), `"error"`) {
				t.Errorf("the client got %d %s (%v), want %d", res.StatusCode, got, err, tc.status)
			}
		})
	}
}

// TestSpeechFailsOver: before the first byte another target may speak, and from then on none.
func TestSpeechFailsOver(t *testing.T) {
	for name, tc := range map[string]struct {
		first mock.Answer // of the first target
		want  string      // "": the client's connection is cut
	}{
		"an error":        {mock.Status(503), "sound"},
		"nothing":         {mock.Whole(200, "audio/mpeg", ""), "sound"},
		"text":            {mock.Whole(200, "text/plain", "not yet"), "sound"},
		"the first bytes": {mock.Steps(mock.Stream("audio/mpeg", "ID3"), mock.Cut), ""},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, func(x *mock.Exchange) {
				if strings.HasPrefix(x.URI, "/v1/") {
					tc.first(x)
					return
				}
				mock.Whole(200, "audio/mpeg", "sound")(x)
			})
			g := passedGateway(t, up)
			res := g.speak(t, t.Context(), "several")
			got, err := io.ReadAll(res.Body)
			if tc.want == "" {
				if !errors.Is(err, io.ErrUnexpectedEOF) || string(got) != "ID3" {
					t.Errorf("the client got %q (%v)", got, err)
				}
			} else if err != nil || string(got) != tc.want {
				t.Errorf("the client got %q (%v)", got, err)
			}
		})
	}
}

func TestHangUpEndsSpeech(t *testing.T) {
	gone := make(chan bool, 1)
	up := mock.Start(t, mock.Steps(mock.Stream("audio/mpeg", "ID3"), mock.Hang, func(*mock.Exchange) { gone <- true }))
	g := passedGateway(t, up)
	g.post(t, `{`)
	goroutines, files := runtime.NumGoroutine(), openFiles()
	ctx, cancel := context.WithCancel(t.Context())
	res := g.speak(t, ctx, "mine")
	if _, err := io.ReadFull(res.Body, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	cancel()
	res.Body.Close()
	wantGone(t, gone)
	settle(t, goroutines, files)
}
