package host_test

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// gateway is a running Kai with everything but a process of its own.
type gateway struct {
	*testkit.Gateway
	host *host.Host
	log  *testkit.Log
}

// newGateway serves a configuration, given as YAML, until the test ends. The
// adapters are ready when it returns.
func newGateway(t testing.TB, yaml string) *gateway {
	t.Helper()
	g, err := newHostileGateway(t, yaml)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// newHostileGateway serves a configuration whose adapters need not be good ones:
// ready tells what WaitReady said.
func newHostileGateway(t testing.TB, yaml string) (g *gateway, ready error) {
	t.Helper()
	started := testkit.Start(t, testkit.Options{Config: parse(t, yaml)})
	return &gateway{started, started.Host, started.Log}, started.Ready(t)
}

// post sends a body to the chat endpoint and reads the whole answer.
func (g *gateway) post(t testing.TB, body string) (*http.Response, string) {
	t.Helper()
	return g.postAs(t, "", body)
}

// postAs is post with an API key.
func (g *gateway) postAs(t testing.TB, key, body string) (*http.Response, string) {
	t.Helper()
	return g.postTo(t, "/v1/chat/completions", key, body)
}

// postTo is postAs for any path.
func (g *gateway) postTo(t testing.TB, path, key, body string) (*http.Response, string) {
	t.Helper()
	return g.postForm(t, path, key, "application/json", body)
}

// postForm is postTo for a body of any content type, with more headers such as "name: value".
func (g *gateway) postForm(t testing.TB, path, key, contentType, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest("POST", g.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("read the answer: %v after %q", err, b)
	}
	return res, string(b)
}

// transcripts lists the recorded exchanges of a plugin.
func transcripts(t testing.TB, plugin string) []string {
	t.Helper()
	files, err := filepath.Glob("../testdata/transcripts/" + plugin + "/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts of %s (%v)", plugin, err)
	}
	return files
}

// wantGone waits until an upstream's connection has ended, behind a client that hung up.
func wantGone(t *testing.T, gone <-chan bool) {
	t.Helper()
	select {
	case <-gone:
	case <-time.After(2 * time.Minute): // else its silence would be waited for, five minutes
		t.Error("the upstream's connection stays open")
	}
}

// hangUpOnceAsked sends a request, and ends it by cancel once the upstream was asked.
func hangUpOnceAsked(req *http.Request, asked <-chan bool, cancel func()) {
	done := make(chan bool)
	go func() {
		defer close(done)
		if res, err := http.DefaultClient.Do(req); err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	}()
	<-asked
	cancel()
	<-done
}
