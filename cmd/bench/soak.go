package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	soakPath   = "/sse/50/100ms"
	soakAim    = 1.05
	soakStream = 300 // how many streams are under way; each takes five seconds
	leastSoak  = time.Minute
)

// writeSoakConfig writes a configuration with everything on that remembers or counts: keys
// with limits and budgets and a ledger, a cache whose entries come and go, an admin listener
// with its console, an audit, traces and metrics for a collector, and two targets for the
// alias.
func (b *bench) writeSoakConfig(file, admin string) error {
	_, port, err := net.SplitHostPort(admin)
	if err != nil {
		return err
	}
	text := strings.NewReplacer("UPSTREAM", "http://"+b.upstream.addr, "PORT", port).Replace(`
admin: {port: PORT, console: true, key_metrics: true}
audit: {file: audit.jsonl}
ledger: ledger.db
cache: {size: 32MiB, when: asked}
telemetry: {traces: {endpoint: "UPSTREAM/v1/traces", sample: 0.1}, metrics: {endpoint: "UPSTREAM/v1/metrics", interval: 5s}, conventions: both}
limits: {concurrent: 5000}
auth:
  enabled: true
  groups: {all: {limits: {tokens: 900G/d}, budget: {month: 900000000}}}
  api_keys: [{name: soak, key: not-needed, group: all, limits: {requests: 100k/s, tokens: 100G/h, concurrent: 4000}, budget: {day: 900000000}}]
providers:
  one: {plugin: openrouter, base_url: "UPSTREAM` + soakPath + `", api_key: bench}
  two: {plugin: openrouter, base_url: "UPSTREAM` + soakPath + `", api_key: bench}
  small: {plugin: openrouter, base_url: "UPSTREAM/whole", api_key: bench}
model_mapping:
  soak:
    targets: [{provider: one, model: a, weight: 3}, {provider: two, model: b}]
    price: {input: 1, output: 2}
  small: {provider: small, model: c, price: {input: 1, output: 2}, cache: {when: always, ttl: 1s}}
`)
	return os.WriteFile(file, []byte(text), 0o600)
}

// freeAddress returns an address that nobody listens at.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// runSoak keeps a gateway under a steady load: streams that end and begin, small requests,
// and now and then a large one, while somebody watches. It compares the memory early, at a
// fifth of the time, with that at the end, each over a tenth of the time.
func (b *bench) runSoak(ctx context.Context, stdout io.Writer) error {
	if b.soak < leastSoak {
		return fmt.Errorf("-soak must be %v or more", leastSoak)
	}
	admin, err := freeAddress()
	if err == nil {
		err = b.writeSoakConfig(b.file("config.yaml"), admin)
	}
	if err != nil {
		return err
	}
	p, err := b.start(ctx, kai)
	if err != nil {
		return err
	}
	defer p.stop()
	ctx, cancel := context.WithTimeout(ctx, b.soak)
	defer cancel()

	load := func(workers int, pause time.Duration, body, want []byte) error {
		return together(ctx, cancel, workers, func(i int) error {
			c := &client{addr: p.addr, request: newRequest(p.addr, "/v1/chat/completions", body), want: want}
			defer c.close()
			// They don't start all at once, because then they would stay in step.
			for wait := time.Duration(i) * 5 * time.Second / soakStream; sleep(ctx, wait); wait = pause {
				if err := c.do(nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	errs := make([]error, 4)
	var wg sync.WaitGroup
	done, whole := []byte("data: [DONE]\n\n"), []byte(`"total_tokens":19`)
	wg.Go(func() { errs[0] = load(soakStream, 0, chatBody("soak", true, "Go on."), done) })
	wg.Go(func() {
		errs[1] = load(8, 20*time.Millisecond, chatBody("small", false, "What does a gateway do?"), whole)
	})
	wg.Go(func() { errs[2] = load(1, 100*time.Millisecond, chatBody("small", false, longTalk()...), whole) })
	wg.Go(func() { errs[3] = watch(ctx, cancel, "http://"+admin) })

	fmt.Fprintf(stdout, "%d streams of 50 chunks, a chunk every 100 ms; 8 clients with small requests, one with requests of 200 KB; a console, a Prometheus, a collector, and a reload every 30 s\n", soakStream)
	early, late, err := b.watchMemory(ctx, p, stdout)
	cancel()
	wg.Wait()
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	verdict := "met"
	if late/early > soakAim {
		verdict = "MISSED"
	}
	fmt.Fprintf(stdout, "memory at the end against that after a fifth of the time: %.3f ×, aim %.2f ×: %s\n", late/early, soakAim, verdict)
	return nil
}

// watchMemory looks at a process every second until ctx ends, and returns the medians of its
// memory, in MiB, after a fifth of the time and at the end.
func (b *bench) watchMemory(ctx context.Context, p *process, stdout io.Writer) (early, late float64, err error) {
	var minute, atEarly, atEnd []float64
	span, begin := b.soak/10, time.Now()
	for sleep(ctx, time.Second) {
		n, err := p.rss()
		if err != nil {
			return 0, 0, err
		}
		since, mib := time.Since(begin), float64(n)/(1<<20)
		if d := since - b.soak/5; -span/2 <= d && d <= span/2 {
			atEarly = append(atEarly, mib)
		}
		if b.soak-since <= span {
			atEnd = append(atEnd, mib)
		}
		if minute = append(minute, mib); len(minute) == 60 {
			fmt.Fprintf(stdout, "until %-6v %.1f MiB\n", since.Round(time.Second), median(minute))
			minute = nil
		}
	}
	if len(atEnd) == 0 || len(atEarly) == 0 {
		return 0, 0, errors.New("ended too early")
	}
	return median(atEarly), median(atEnd), nil
}

// together runs n workers until all have ended, and returns the first error, which ends them all.
func together(ctx context.Context, cancel func(), n int, work func(i int) error) error {
	errs := make(chan error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := work(i); err != nil && ctx.Err() == nil {
				errs <- err
				cancel()
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// watch does what an open console, a Prometheus and an operator do: it asks for the state
// and the hour every two seconds, for the metrics every five, follows the requests, and has
// the configuration read again every 30.
func watch(ctx context.Context, cancel func(), admin string) error {
	ask := func(method, path string, every time.Duration) func() error {
		return func() error {
			for sleep(ctx, every) {
				if err := fetch(ctx, method, admin+path); err != nil {
					return err
				}
			}
			return nil
		}
	}
	all := []func() error{
		ask("GET", "/admin/v1/state", 2*time.Second), ask("GET", "/admin/v1/series", 2*time.Second), ask("GET", "/metrics", 5*time.Second),
		ask("POST", "/admin/v1/reload", 30*time.Second), func() error { return fetch(ctx, "GET", admin+"/admin/v1/requests?live=1") },
	}
	return together(ctx, cancel, len(all), func(i int) error { return all[i]() })
}

// fetch reads an answer to its end. That ctx ends before is no error.
func fetch(ctx context.Context, method, url string) error {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		line, _ := bufio.NewReader(res.Body).ReadString('\n')
		return fmt.Errorf("%s %s: status %d: %s", method, r.URL.Path, res.StatusCode, line)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// sleep waits for d. It reports whether ctx has not ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
