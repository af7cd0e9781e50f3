package host_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// wholePassed are requests of each endpoint for whole answers, with %s for the model's name.
func wholePassed() map[string]string {
	all := map[string]string{speech: speaks, transcriptions: transcribe("%s", "", "ID3")}
	for path, tc := range passedCases {
		all[path] = tc.asked
	}
	return all
}

// TestHangUpEndsPassedRequests: a client that leaves before its whole answer ends the request
// upstream, and nothing is left of it.
func TestHangUpEndsPassedRequests(t *testing.T) {
	for path, asked := range wholePassed() {
		t.Run(path, func(t *testing.T) {
			came, gone := make(chan bool, 1), make(chan bool, 1)
			up := mock.Start(t, mock.Steps(func(*mock.Exchange) { came <- true }, mock.Hang, func(*mock.Exchange) { gone <- true }))
			g := passedGateway(t, up)
			g.post(t, `{`)
			goroutines, files := runtime.NumGoroutine(), openFiles()
			ctx, cancel := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, "POST", g.URL+path, strings.NewReader(as(asked, "mine")))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer key-a")
			req.Header.Set("Content-Type", map[bool]string{true: formOf, false: "application/json"}[path == transcriptions])
			go func() {
				<-came
				cancel()
			}()
			if res, err := g.Client().Do(req); err == nil {
				res.Body.Close()
				t.Errorf("the client got %d", res.StatusCode)
			}
			wantGone(t, gone)
			settle(t, goroutines, files)
			eventually(t, "the log tells that the client left", true, func() bool { return strings.Contains(g.log.String(), `"status":499`) })
		})
	}
}

// TestTranscriptionFaults: what is no transcription is an error, and says nothing of the key.
func TestTranscriptionFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		answer mock.Answer
		status int
	}{
		"garbage that calls itself JSON": {mock.Whole(200, "application/json", "\x00\xff{"), 502},
		"JSON that is none":              {mock.JSON(`{"hello":1}`), 502},
		"a list":                         {mock.JSON(`[]`), 502},
		"an error within an answer":      {mock.JSON(`{"error":{"message":"no","code":503}}`), 503},
		"an error":                       {mock.Status(500), 502},
		"a page of a proxy":              {mock.Whole(200, "text/html", "<!DOCTYPE html><html><body>Sign in</body></html>"), 502},
		"a redirect":                     {mock.Whole(302, "text/html", ""), 502},
		"nothing":                        {mock.Raw(""), 502},
	} {
		t.Run(name, func(t *testing.T) {
			g := passedGateway(t, mock.Start(t, tc.answer))
			res, answer := g.postForm(t, transcriptions, "key-a", formOf, transcribe("mine", "", "ID3"))
			if res.StatusCode != tc.status || !strings.Contains(answer, `"error"`) || strings.Contains(answer, "sk-upstream-key") {
				t.Errorf("the client got %d %s, want %d", res.StatusCode, answer, tc.status)
			}
		})
	}
}
