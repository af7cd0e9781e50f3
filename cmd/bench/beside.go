package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// walker is an adapter whose calls miss every cache until their time is over.
const walker = "host/wasm/testdata/hostile/walker.wasm"

// Aims for requests beside calls that hold processors.
const (
	besideLivez = 50 * time.Millisecond
	besideOther = 100 * time.Millisecond
)

// beside measures how long /livez and a small request to another provider take, while other
// clients keep the gateway as busy as they can: with requests to an adapter that is made to
// be slow, and with the largest valid requests. It does so with all processors, and with
// one.
func (b *bench) beside(ctx context.Context) error {
	if !b.wants("beside") {
		return nil
	}
	path, err := filepath.Abs(walker)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return fmt.Errorf("beside: run it where the sources are: %w", err)
	}
	config := b.file("beside.yaml")
	yaml := fmt.Sprintf("providers:\n"+
		"  walker: {plugin: %q, base_url: \"http://%[2]s/whole\"}\n"+
		"  large: {plugin: ollama, base_url: \"http://%[2]s/ndjson/1/0s\"}\n"+
		"  small: {plugin: openrouter, base_url: \"http://%[2]s/whole\", api_key: bench}\n"+
		"model_mapping:\n", path, b.upstream.addr)
	for _, name := range []string{"walker", "large", "small"} {
		yaml += fmt.Sprintf("  %s: {provider: %s, model: m}\n", name, name)
	}
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		return err
	}
	for i, env := range []string{"", "GOMAXPROCS=1"} {
		livez, other, err := b.besideTurn(ctx, config, env)
		if err != nil {
			return fmt.Errorf("beside: %w", err)
		}
		b.report.beside(i == 0, env, livez, other)
	}
	return nil
}

// tinyMessages returns a request of 3.5 MB in 117,000 messages.
func tinyMessages(model string) []byte {
	return []byte(`{"model":"` + model + `","stream":true,"messages":[` +
		strings.Repeat(`{"role":"user","content":"a"},`, 117_000) + `{"role":"user","content":"b"}]}`)
}

func (b *bench) besideTurn(ctx context.Context, config, env string) (livez, other []time.Duration, err error) {
	b.say("beside: slow adapters and large requests %s", env)
	p, err := startGateway(ctx, "beside", b.kai, config, b.file("cache"), b.file("beside.log"), env)
	if err != nil {
		return nil, nil, err
	}
	defer p.stop()
	if err := p.ready(ctx); err != nil {
		return nil, nil, err
	}
	loading, stop := context.WithCancel(ctx)
	var load sync.WaitGroup
	defer load.Wait()
	defer stop()
	for range 8 {
		load.Go(func() { hammer(loading, p.addr, chatBody("walker", false, "Walk.")) })
	}
	large := tinyMessages("large")
	for range 4 {
		load.Go(func() { hammer(loading, p.addr, large) })
	}
	small := &client{addr: p.addr, request: newRequest(p.addr, "/v1/chat/completions", chatBody("small", false, "Hello.")), want: []byte(`"total_tokens":19`)}
	defer small.close()
	for end := time.Now().Add(max(5*time.Second, time.Duration(b.rounds)*b.slice)); time.Now().Before(end) && ctx.Err() == nil; {
		begin := time.Now()
		res, err := http.Get("http://" + p.addr + "/livez")
		if err != nil {
			return nil, nil, err
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		livez = append(livez, time.Since(begin))
		begin = time.Now()
		if err := small.do(nil); err != nil {
			return nil, nil, err
		}
		other = append(other, time.Since(begin))
		time.Sleep(5 * time.Millisecond)
	}
	return livez, other, ctx.Err()
}

// hammer sends a request again and again, whatever the answers are.
func hammer(ctx context.Context, addr string, body []byte) {
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, "POST", "http://"+addr+"/v1/chat/completions", bytes.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		if res, err := http.DefaultClient.Do(r); err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	}
}
