package host_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/plugins"
)

// cacheDir keeps compiled adapters for all tests of this process, or of several
// with the same KAI_TEST_CACHE.
var cacheDir string

func TestMain(m *testing.M) {
	home := os.Getenv("KAI_TEST_CACHE")
	if home == "" {
		var err error
		if home, err = os.MkdirTemp("", "kai-test-"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(home)
	}
	cacheDir = filepath.Join(home, "kai", "wasm")
	m.Run()
}

// shipped gives the shipped modules, each decompressed once.
var shipped = func() func(string) ([]byte, error) {
	var mu sync.Mutex
	read := map[string][]byte{}
	return func(name string) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if read[name] == nil {
			m, err := plugins.Module(name)
			if err != nil {
				return nil, err
			}
			read[name] = m
		}
		return read[name], nil
	}
}()

// optionsSchema gives package config the manifests of the shipped adapters.
func optionsSchema(plugin, dir string) (config.Adapter, error) {
	module, err := shipped(plugin)
	if err != nil {
		return config.Adapter{}, err
	}
	m, _, err := modfile.ReadManifest(module)
	if err != nil {
		return config.Adapter{}, err
	}
	p := m.Profile()
	return config.Adapter{OptionsCUE: p.Options, DefaultBaseURL: p.DefaultBaseURL, Secret: p.Auth.Header != ""}, nil
}

// gateway is a running Kai with everything but a process of its own.
type gateway struct {
	*httptest.Server
	host *host.Host
	log  *lockedBuffer

	slept atomic.Int64 // nanoseconds that adapters asked for, and that took no time
}

// lockedBuffer is a log that tests read while the gateway writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// testTime is "created" in every answer of a test.
var testTime = time.Unix(1_700_000_000, 0)

// newGateway serves a configuration, given as YAML, until the test ends. The
// adapters are ready when it returns.
func newGateway(t testing.TB, yaml string) *gateway {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte(yaml), config.Options{
		Shipped: plugins.Names(), OptionsSchema: optionsSchema,
		LookupEnv: func(string) (string, bool) { return "", false },
	})
	if err != nil {
		t.Fatalf("configuration: %v", err)
	}
	g := &gateway{log: &lockedBuffer{}}
	g.host, err = host.New(host.Options{
		Config: c, Module: shipped, CacheDir: cacheDir, Version: "test",
		Logger: slog.New(slog.NewJSONHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:    func() time.Time { return testTime },
		Sleep: func(ctx context.Context, d time.Duration) error {
			g.slept.Add(int64(d))
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatalf("%v (run \"make plugins\")", err)
	}
	g.Server = httptest.NewServer(g.host.Handler())
	t.Cleanup(func() {
		g.Server.Close()
		g.host.Close()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if err := g.host.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return g
}

// post sends a body to the chat endpoint and reads the whole answer.
func (g *gateway) post(t testing.TB, body string) (*http.Response, string) {
	t.Helper()
	return g.postAs(t, "", body)
}

// postAs is post with an API key.
func (g *gateway) postAs(t testing.TB, key, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest("POST", g.URL+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
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
