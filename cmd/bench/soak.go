package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	soakAim   = 1.05
	warmUp    = 2 * time.Minute // until Go's heap has been through a few collections
	leastSoak = 3 * time.Minute // of a load
)

// soakLoad is a steady load: streams that end and begin anew.
type soakLoad struct {
	name    string // for -only
	what    string // for people
	path    string // of the upstream, which says how it answers
	streams int    // how many are under way
	life    time.Duration
	beside  bool // small requests, and now and then a large one, go on beside the streams
}

var soakLoads = []soakLoad{
	{
		name: "everything", what: "300 streams of 50 chunks, a chunk every 100 ms; 8 clients with small requests, one with requests of 200 KB",
		path: "/sse/50/100ms", streams: 300, life: 5 * time.Second, beside: true,
	},
	{
		name: "streams", what: "5,000 streams of 20 chunks, a chunk every second",
		path: "/sse/20/1s", streams: 5000, life: 20 * time.Second,
	},
}

// loadNames returns the names of the loads.
func loadNames() []string {
	names := make([]string, len(soakLoads))
	for i, l := range soakLoads {
		names[i] = l.name
	}
	return names
}

// writeSoakConfig writes a configuration with everything on that remembers or counts: keys
// with limits and budgets and a ledger, a cache whose entries come and go, an admin listener
// with its console, an audit, traces and metrics for a collector, and two targets for the
// alias. The upstream answers streams as path says.
func (b *bench) writeSoakConfig(file, admin, path string) error {
	_, port, err := net.SplitHostPort(admin)
	if err != nil {
		return err
	}
	text := strings.NewReplacer("UPSTREAM", "http://"+b.upstream.addr, "PORT", port, "PATH", path).Replace(`
admin: {port: PORT, console: true, key_metrics: true}
audit: {file: audit.jsonl}
ledger: ledger.db
cache: {size: 32MiB, when: asked}
telemetry: {traces: {endpoint: "UPSTREAM/v1/traces", sample: 0.1}, metrics: {endpoint: "UPSTREAM/v1/metrics", interval: 5s}, conventions: both}
limits: {concurrent: 6000}
auth:
  enabled: true
  groups: {all: {limits: {tokens: 900G/d}, budget: {month: 900000000}}}
  api_keys: [{name: soak, key: not-needed, group: all, limits: {requests: 100k/s, tokens: 100G/h, concurrent: 6000}, budget: {day: 900000000}}]
providers:
  one: {plugin: openrouter, base_url: "UPSTREAMPATH", api_key: bench}
  two: {plugin: openrouter, base_url: "UPSTREAMPATH", api_key: bench}
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

// runSoak keeps up each load for a while, each with a gateway of its own.
func (b *bench) runSoak(ctx context.Context, stdout io.Writer) error {
	if b.soak < leastSoak {
		return fmt.Errorf("-soak must be %v or more", leastSoak)
	}
	for i := range soakLoads {
		if !b.wants(soakLoads[i].name) {
			continue
		}
		if err := b.soakOnce(ctx, &soakLoads[i], stdout); err != nil {
			return err
		}
	}
	return nil
}

// soakOnce keeps up a load while somebody watches. It compares what the gateway holds after
// the warm-up with what it holds at the end.
func (b *bench) soakOnce(ctx context.Context, l *soakLoad, stdout io.Writer) error {
	admin, err := freeAddress()
	if err == nil {
		err = b.writeSoakConfig(b.file("config.yaml"), admin, l.path)
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

	load := func(workers int, pause, spread time.Duration, body, want []byte) error {
		return together(ctx, cancel, workers, func(i int) error {
			c := &client{addr: p.addr, request: newRequest(p.addr, chatPath, body), want: want, buf: make([]byte, 4<<10)}
			defer c.close()
			// They don't start all at once, because then they would stay in step.
			for wait := time.Duration(i) * spread / time.Duration(workers); sleep(ctx, wait); wait = pause {
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
	wg.Go(func() { errs[0] = load(l.streams, 0, l.life, chatBody("soak", true, "Go on."), done) })
	if l.beside {
		wg.Go(func() {
			errs[1] = load(8, 20*time.Millisecond, time.Second, chatBody("small", false, "What does a gateway do?"), whole)
		})
		wg.Go(func() { errs[2] = load(1, 100*time.Millisecond, 0, chatBody("small", false, longTalk()...), whole) })
	}
	wg.Go(func() { errs[3] = watch(ctx, cancel, "http://"+admin) })

	fmt.Fprintf(stdout, "%s; a console, a Prometheus, a collector, and a reload every 30 s\n", l.what)
	early, late, err := b.watchHoldings(ctx, p, "http://"+admin, stdout)
	cancel()
	wg.Wait()
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	for i, what := range holdingNames {
		verdict := "met"
		if late[i] > soakAim*early[i] {
			verdict = "MISSED"
		}
		fmt.Fprintf(stdout, "%s at the end against after %v: %.3f ×, aim %.2f ×: %s\n", what, warmUp, late[i]/early[i], soakAim, verdict)
	}
	return nil
}

// holdings are how much a gateway holds of what could leak: of memory in MiB, and how many
// descriptors and goroutines.
type holdings [3]float64

var holdingNames = [len(holdings{})]string{"memory", "descriptors", "goroutines"}

// holdings looks at a gateway whose admin listener is at a URL.
func (p *process) holdings(ctx context.Context, admin string) (h holdings, err error) {
	size, err := p.rss()
	if err != nil {
		return h, err
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		return h, err
	}
	var metrics bytes.Buffer
	if err := fetch(ctx, "GET", admin+"/metrics", &metrics); err != nil {
		return h, err
	}
	goroutines, err := metricOf(metrics.Bytes(), "go_goroutines")
	return holdings{mebibytes(size), float64(len(files)), goroutines}, err
}

// metricOf returns the value of a metric without labels in the text of /metrics.
func metricOf(text []byte, name string) (float64, error) {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(name+" ")); ok {
			return strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
		}
	}
	return 0, fmt.Errorf("/metrics has no %s", name)
}

// medians returns the median of each kind.
func medians(all []holdings) (m holdings) {
	for i := range m {
		column := make([]float64, len(all))
		for k := range all {
			column[k] = all[k][i]
		}
		m[i] = median(column)
	}
	return m
}

// partOf reports whether a moment is in the tenth of a load that follows the warm-up, or in its
// last tenth.
//
//   - whole: how long the load lasts
//   - since: how long ago it began
func partOf(whole, since time.Duration) (early, late bool) {
	span := whole / 10
	return since >= warmUp && since <= warmUp+span, since >= whole-span
}

// watchHoldings looks at a gateway every other second until ctx ends, prints the medians of
// each minute, and returns those after the warm-up and at the end.
func (b *bench) watchHoldings(ctx context.Context, p *process, admin string, stdout io.Writer) (early, late holdings, err error) {
	var minute, atEarly, atEnd []holdings
	begin := time.Now()
	for next := begin.Add(time.Minute); sleep(ctx, 2*time.Second); {
		h, err := p.holdings(ctx, admin)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return early, late, err
		}
		since := time.Since(begin)
		isEarly, isLate := partOf(b.soak, since)
		if isEarly {
			atEarly = append(atEarly, h)
		}
		if isLate {
			atEnd = append(atEnd, h)
		}
		minute = append(minute, h)
		if !time.Now().Before(next) {
			m := medians(minute)
			fmt.Fprintf(stdout, "until %-6v %6.1f MiB  %6.0f descriptors  %6.0f goroutines\n", since.Round(time.Second), m[0], m[1], m[2])
			minute, next = nil, next.Add(time.Minute)
		}
	}
	if len(atEnd) == 0 || len(atEarly) == 0 {
		return early, late, errors.New("ended too early")
	}
	return medians(atEarly), medians(atEnd), nil
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
				if err := fetch(ctx, method, admin+path, io.Discard); err != nil {
					return err
				}
			}
			return nil
		}
	}
	all := []func() error{
		ask("GET", "/admin/v1/state", 2*time.Second), ask("GET", "/admin/v1/series", 2*time.Second), ask("GET", "/metrics", 5*time.Second),
		ask("POST", "/admin/v1/reload", 30*time.Second), func() error { return fetch(ctx, "GET", admin+"/admin/v1/requests?live=1", io.Discard) },
	}
	return together(ctx, cancel, len(all), func(i int) error { return all[i]() })
}

// fetch copies the body of an answer to w. It is no error if ctx ends before.
func fetch(ctx context.Context, method, url string, w io.Writer) error {
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
	_, err = io.Copy(w, res.Body)
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
