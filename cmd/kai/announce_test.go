package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/live"
)

func TestOpenTo(t *testing.T) {
	all, local := &net.TCPAddr{IP: net.IPv4zero, Port: 9000}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9000}
	anyPage := config.CORS{Enabled: true, AllowOrigins: []string{"*"}}
	for name, tc := range map[string]struct {
		c    config.Config
		at   *net.TCPAddr
		want string // its beginning
	}{
		"everywhere, to every page":   {config.Config{CORS: anyPage}, all, "anybody on the network, and any web page opened there, may use these models; to choose who may, set auth.enabled"},
		"everywhere, to no page":      {config.Config{}, all, "anybody on the network may use these models; "},
		"on this machine, to pages":   {config.Config{CORS: anyPage}, local, "any web page opened on this machine may use these models; to choose which may, set cors.allow_origins"},
		"on this machine, to no page": {config.Config{}, local, ""},
		"with keys":                   {config.Config{CORS: anyPage, Auth: config.Auth{Enabled: true}}, all, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := openTo(&tc.c, tc.at)
			if !strings.HasPrefix(got, tc.want) || (got == "") != (tc.want == "") || strings.Contains(got, "\n") {
				t.Errorf("openTo says %q, want %q", got, tc.want)
			}
		})
	}
}

// TestInvitation starts with the configuration that comes with Kai.
func TestInvitation(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", cacheHome)
	t.Setenv("OPENROUTER_API_KEY", "")
	files := live.NewFiles(source(filepath.Join("..", "..", "config", "api.yaml")))
	c, err := files.Config()
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Options{Config: c, Module: files.Module, CacheDir: filepath.Join(cacheHome, "kai", "wasm")})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	at := &net.TCPAddr{IP: net.IPv4zero, Port: 9000}
	var out bytes.Buffer
	invite(t.Context(), &out, true, nil, h, c, at)
	const want = `
Kai ` + version + ` serves ../../config/api.yaml at http://localhost:9000/v1. The API is described at http://localhost:9000/docs.

  granite-local   start Ollama with 'ollama serve', and get the model once with 'ollama pull granite4:tiny-h'
  gpt-4           set OPENROUTER_API_KEY in Kai's environment and start it again
  gpt-3.5-turbo   set OPENROUTER_API_KEY in Kai's environment and start it again
  demo            ready

Try it:

  curl http://localhost:9000/v1/chat/completions -H 'Content-Type: application/json' -d '{"model":"demo","messages":[{"role":"user","content":"Hello!"}]}'

`
	if out.String() != want {
		t.Errorf("a person is told\n%s\nwant\n%s", out.String(), want)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out.Reset()
	invite(ctx, &out, true, nil, h, c, at)
	invite(ctx, &out, false, slog.New(slog.NewJSONHandler(&out, nil)), h, c, at)
	if out.Len() > 0 {
		t.Errorf("who ends Kai at once is told %q", out.String())
	}
}

func TestFirstRequest(t *testing.T) {
	got := firstRequest("http://localhost:9000", `it's "m"`, true)
	want := `curl http://localhost:9000/v1/chat/completions -H 'Authorization: Bearer YOUR_KEY' -H 'Content-Type: application/json' -d '{"model":"it'\''s \"m\"","messages":[{"role":"user","content":"Hello!"}]}'`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStartEndsWithTheInvitation(t *testing.T) {
	p := start(t, "model_mapping: {other: {provider: openrouter, model: m}, mine: {provider: demo, model: m}}\n", "OPENROUTER_API_KEY=")
	eventually(t, "the invitation is in the log", func() bool { return strings.Contains(p.text(), `"msg":"ready"`) })
	lines := strings.Split(strings.TrimSpace(p.text()), "\n")
	var last struct {
		Msg, Version, URL, Docs, Try string
		Models                       []string
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if last.Msg != "ready" || last.Version != version || last.URL != p.url || last.Docs != strings.TrimSuffix(p.url, "/v1")+"/docs" ||
		last.Try != firstRequest(strings.TrimSuffix(p.url, "/v1"), "mine", false) ||
		strings.Join(last.Models, "|") != "other: set OPENROUTER_API_KEY in Kai's environment and start it again|mine: ready" {
		t.Errorf("the last line is %s", lines[len(lines)-1])
	}
	if strings.Contains(p.text(), `"WARN"`) {
		t.Errorf("a usual start warns:\n%s", p.text())
	}
}
