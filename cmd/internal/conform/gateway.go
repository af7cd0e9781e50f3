package conform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/live"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// gateways are whole gateways that serve the adapter, one for each set of options. So a
// client gets the bytes that it would get in practice.
type gateways struct {
	kit      *kit
	cacheDir string
	models   map[served]map[string]bool // the models that transcripts ask for
	running  map[served]*gateway
}

// served is what the transcripts of one gateway share.
type served struct {
	options string
	native  bool // requests in an API that the adapter knows go to it as they are
}

func servedOf(t *fixture) served { return served{string(t.Options()), t.Op().Native()} }

// expect records the model that a transcript asks for. The gateway with its options will
// serve that model.
func (all *gateways) expect(t *fixture) {
	s := servedOf(t)
	if all.models[s] == nil {
		all.models[s] = map[string]bool{}
	}
	all.models[s][t.model()] = true
}

func (all *gateways) close() {
	for _, g := range all.running {
		g.close()
	}
}

// answer sends the request of a view's client and returns what the client gets.
func (all *gateways) answer(ctx context.Context, t *fixture, v transcript.View) (*clientAnswer, error) {
	s := servedOf(t)
	g := all.running[s]
	if g == nil {
		var err error
		if g, err = all.start(ctx, s); err != nil {
			return nil, err
		}
		all.running[s] = g
	}
	g.upstream.play(t.Responses())
	g.log.reset()
	contentType, body := t.Sends(v)
	r, err := http.NewRequestWithContext(ctx, "POST", "http://localhost"+v.Path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+clientKey)
	w := &answerWriter{header: http.Header{}}
	g.serve(w, r)
	return &clientAnswer{text: t.ClientResponse(w.status, w.header, w.body.Bytes()), why: g.log.words("")}, nil
}

// serve answers a request. An answer that was cut off ends where it was cut.
func (g *gateway) serve(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			panic(v)
		}
	}()
	g.host.Handler().ServeHTTP(w, r)
}

// clientAnswer is what a client gets.
type clientAnswer struct {
	text []byte // as in the transcript's section
	why  string // the error that the gateway logged
}

// gateway is a gateway with its upstream.
type gateway struct {
	host     *host.Host
	upstream *player
	server   *http.Server
	log      *keptLog
}

// provider is the name of the adapter's provider in the configuration. Errors show it to
// clients.
const provider = "up"

// clientKey is the key that the kit uses.
const clientKey = "kai"

// noModel is the model for requests that name none.
const noModel = "model"

// created is the time that every answer has.
var created = time.Unix(1_700_000_000, 0)

func (all *gateways) start(ctx context.Context, s served) (*gateway, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gateway{upstream: &player{}, log: &keptLog{key: gatewayError}}
	g.server = &http.Server{Handler: g.upstream}
	go g.server.Serve(l)

	profile := all.kit.manifest.Profile()
	base := "http://" + l.Addr().String()
	if u, err := url.Parse(profile.DefaultBaseURL); err == nil {
		base += strings.TrimSuffix(u.Path, "/")
	}
	models := map[string]any{}
	for m := range all.models[s] {
		models[m] = map[string]any{"provider": provider, "model": m}
	}
	// The key allows everything that any client may send.
	key := map[string]any{"name": "kai", "key": clientKey, "provider_routing": true, "provider_ids": true}
	file := map[string]any{
		"auth":          map[string]any{"enabled": true, "api_keys": []any{key}},
		"providers":     map[string]any{provider: map[string]any{"plugin": "adapter.wasm", "base_url": base, "options": json.RawMessage(s.options), "native": s.native}},
		"model_mapping": models,
	}
	if models[noModel] != nil {
		file["default_model"] = noModel
	}
	text, err := json.Marshal(file)
	if err != nil {
		g.close()
		return nil, fmt.Errorf("%s: %w", transcript.SectionOptions, err)
	}
	c, err := config.Parse(transcript.SectionOptions, bytes.ReplaceAll(text, []byte("${"), []byte("$${")), config.Options{
		LookupEnv: func(string) (string, bool) { return "", false },
		OptionsSchema: func(string, string) (config.Adapter, error) {
			return live.Describe(profile), nil
		},
	})
	if err != nil {
		g.close()
		return nil, err
	}
	g.host, err = host.New(host.Options{
		Config: c, CacheDir: all.cacheDir, Version: "conform",
		Module: func(string) ([]byte, error) { return all.kit.module, nil },
		Now:    func() time.Time { return created },
		Sleep:  func(ctx context.Context, _ time.Duration) error { return ctx.Err() }, // tests don't wait
		Logger: slog.New(g.log),
	})
	if err == nil {
		err = g.host.WaitReady(ctx)
	}
	if err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (g *gateway) close() {
	if g.host != nil {
		g.host.Close()
	}
	g.server.Close()
}

// player is an upstream that answers with a transcript's responses.
type player struct {
	mu        sync.Mutex
	responses []transcript.Response
}

func (p *player) play(responses []transcript.Response) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.responses = responses
}

func (p *player) next() (r transcript.Response, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.responses) == 0 {
		return r, false
	}
	r = p.responses[0]
	p.responses = p.responses[1:]
	return r, true
}

// ServeHTTP answers with the next response.
func (p *player) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	res, ok := p.next()
	if !ok {
		http.Error(w, "the transcript has no answer to this request", http.StatusTeapot)
		return
	}
	for name, values := range res.Headers {
		switch name {
		case "Connection", "Transfer-Encoding", "Content-Length", "Date":
		default:
			w.Header()[name] = values
		}
	}
	if res.Headers.Get("Content-Type") == "" {
		w.Header()["Content-Type"] = nil // none was recorded, and net/http must not guess one
	}
	w.WriteHeader(res.Status)
	w.Write(res.Body)
	if res.Cut {
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// answerWriter keeps an answer.
type answerWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answerWriter) Header() http.Header { return w.header }
func (w *answerWriter) Flush()              {}

func (w *answerWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *answerWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}
