package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// options are the values of the flags.
type options struct {
	kai, native, config, examples string
	only                          []string
	rounds                        int
	slice                         time.Duration
	soak                          time.Duration
	verbose                       bool
	progress                      io.Writer
}

func (o *options) check() error {
	names := sections()
	if o.soak > 0 {
		names = loadNames()
	}
	for _, name := range o.only {
		if !slices.Contains(names, name) {
			return fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	for _, file := range []string{o.kai, o.native, o.config} {
		if _, err := os.Stat(file); file != "" && err != nil {
			return fmt.Errorf("%w (run \"make bench\", which builds what is needed)", err)
		}
	}
	if o.rounds < 1 || o.slice <= 0 {
		return errors.New("-rounds and -slice must be more than 0")
	}
	return nil
}

func (o *options) wants(name string) bool { return len(o.only) == 0 || slices.Contains(o.only, name) }

// bench is one run of the program.
type bench struct {
	options
	dir      string
	upstream *process
	report   *report
}

func measure(ctx context.Context, o options, stdout io.Writer) error {
	dir, err := os.MkdirTemp("", "kai-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir, report: &report{}}
	if b.upstream, err = startRole(ctx, "upstream", ""); err != nil {
		return err
	}
	defer b.upstream.stop()
	if err := writeConfig(b.file("config.yaml"), b.upstream.addr); err != nil {
		return err
	}
	if o.soak > 0 {
		return b.runSoak(ctx, stdout)
	}
	begin := time.Now()
	for _, section := range []func(context.Context) error{b.closed, b.open, b.latency, b.beside, b.starts, b.swaps, b.loads, b.idle, b.uploads} {
		if err = section(ctx); err != nil {
			break // report what was measured so far
		}
	}
	fmt.Fprintf(stdout, "\n%s, %d processors, %s; %d rounds of %v in %v\n\n", runtime.GOARCH, runtime.NumCPU(), runtime.Version(),
		o.rounds, o.slice, time.Since(begin).Round(time.Second))
	b.report.print(stdout)
	return err
}

func (b *bench) file(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "bench: "+format+"\n", args...)
}

// start starts a server by its name and waits until it is ready.
func (b *bench) start(ctx context.Context, server string) (*process, error) {
	switch server {
	case bare, translator:
		return startRole(ctx, server, "http://"+b.upstream.addr)
	}
	binary := b.kai
	if server == linked {
		binary = b.native
	}
	p, err := startGateway(ctx, server, binary, b.file("config.yaml"), b.file("cache"), b.file(server+".log"))
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// ready waits until a gateway has compiled its adapters.
func (p *process) ready(ctx context.Context) error {
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		res, err := http.Get("http://" + p.addr + "/readyz")
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode == 200 {
			return nil
		}
	}
	return context.Cause(ctx)
}

// servers lists the servers of a scenario in the order of their turns. The cost of the
// sandbox is not measured again with very many streams, because their turns take long, nor
// where Kai is compared with itself.
func (b *bench) servers(s *scenario) []string {
	all := []string{s.against}
	if s.against == chat || s.against == translated {
		return append(all, kai)
	}
	if b.native != "" && s.streams <= 1000 {
		all = append(all, linked)
	}
	return append(all, kai)
}

// closed runs the scenarios in which a client's next request waits for the answer to the
// one before. Each server runs through all of them.
func (b *bench) closed(ctx context.Context) error {
	running := map[string]*process{}
	defer func() {
		for _, p := range running {
			p.stop()
		}
	}()
	for i := range scenarios {
		s := &scenarios[i]
		if s.workers == 0 || !b.wants(s.name) {
			continue
		}
		b.say("%s: %s", s.name, s.what)
		costs, times := samples{}, samples{}
		// Round 0 is for warming up: pools, caches, the heap's size.
		for round := 0; round <= b.rounds; round++ {
			for _, server := range b.servers(s) {
				process := server
				if server == chat {
					process = kai
				}
				if running[process] == nil {
					p, err := b.start(ctx, process)
					if err != nil {
						return err
					}
					running[process] = p
				}
				cost, took, err := b.turn(ctx, s, server, running[process])
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, server, err)
				}
				if round > 0 {
					costs.add(server, cost)
					times.add(server, took)
				}
			}
		}
		b.report.costs(s, costs)
		if s.within > 0 {
			b.report.values("", "from request to answer", times[kai], "ms", float64(s.within.Milliseconds()))
		}
	}
	return nil
}

// turn gives a server its turn. It returns the microseconds of processor time that it took for
// one unit, and the milliseconds from a request to the end of its answer.
func (b *bench) turn(ctx context.Context, s *scenario, server string, p *process) (cost, took float64, err error) {
	before, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	n, err := closedLoop(ctx, s.workers, b.slice, func() *client {
		return &client{addr: p.addr, request: s.request(server, p.addr), want: s.end(server)}
	})
	if err != nil {
		return 0, 0, err
	}
	after, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	if n == 0 {
		return 0, 0, errors.New("no request was answered")
	}
	cost = microseconds(after-before) / float64(n*s.units)
	elapsed := time.Since(begin)
	if b.verbose {
		b.say("  %-10s %8.2f µs  %8.0f %ss/s", server, cost, float64(n*s.units)/elapsed.Seconds(), s.unit)
	}
	return cost, microseconds(elapsed) / 1e3 / float64(n) * float64(s.workers), nil
}

func microseconds(d time.Duration) float64 { return float64(d) / 1e3 }

// open runs the scenarios of many streams. Each turn has a fresh server, so that only the
// streams make its memory grow.
func (b *bench) open(ctx context.Context) error {
	for i := range scenarios {
		s := &scenarios[i]
		if s.streams == 0 || !b.wants(s.name) {
			continue
		}
		b.say("%s: %s", s.name, s.what)
		costs, memory := samples{}, samples{}
		for range (b.rounds + 1) / 2 {
			for _, server := range b.servers(s) {
				cost, bytes, err := b.openTurn(ctx, s, server)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, server, err)
				}
				costs.add(server, cost)
				memory.add(server, bytes/1024)
				if b.verbose {
					b.say("  %-10s %8.2f µs  %8.1f KiB a stream", server, cost, bytes/1024)
				}
			}
		}
		b.report.costs(s, costs)
		b.report.memory(s, memory)
	}
	return nil
}

// openTurn gives a server its turn. It returns the microseconds of processor time for one
// chunk, and the bytes of memory for one open stream.
func (b *bench) openTurn(ctx context.Context, s *scenario, server string) (cost, memory float64, err error) {
	p, err := b.start(ctx, server)
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	newClient := func() *client { return &client{addr: p.addr, request: s.request(server, p.addr), want: s.end(server)} }
	// The first streams are for what is set up once.
	first, err := openStreams(ctx, 32, newClient)
	if err != nil {
		return 0, 0, err
	}
	first.stop()
	time.Sleep(300 * time.Millisecond)
	empty, err := p.held()
	if err != nil {
		return 0, 0, err
	}
	all, err := openStreams(ctx, s.streams, newClient)
	if err != nil {
		return 0, 0, err
	}
	defer all.stop()
	time.Sleep(max(time.Second, s.every)) // until the server is done with opening them, too
	cpu, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	events := all.events.Load()
	var sizes []float64
	for end := time.Now().Add(4 * b.slice); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		n, err := p.held()
		if err != nil {
			return 0, 0, err
		}
		sizes = append(sizes, float64(n))
	}
	after, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	events = all.events.Load() - events
	if err := errors.Join(ctx.Err(), all.failure()); err != nil {
		return 0, 0, err
	}
	if events == 0 {
		return 0, 0, errors.New("no chunk came")
	}
	return microseconds(after-cpu) / float64(events), (median(sizes) - float64(empty)) / float64(s.streams), nil
}

// latency measures what the servers add to the time of a request when the
// machine has nothing else to do.
func (b *bench) latency(ctx context.Context) error {
	if !b.wants("latency") {
		return nil
	}
	s := &scenarios[0]
	b.say("latency: one small request after the other")
	const requests = 400
	servers := append([]string{"direct"}, b.servers(s)...)
	clients := map[string]*client{
		"direct": {addr: b.upstream.addr, request: s.request(bare, b.upstream.addr), want: s.end(bare)},
	}
	for _, server := range servers[1:] {
		p, err := b.start(ctx, server)
		if err != nil {
			return err
		}
		defer p.stop()
		clients[server] = &client{addr: p.addr, request: s.request(server, p.addr), want: s.end(server)}
	}
	took := map[string][]time.Duration{}
	for round := 0; round <= b.rounds; round++ {
		for _, server := range servers {
			all, err := latencies(ctx, requests, clients[server])
			if err != nil {
				return fmt.Errorf("latency, %s: %w", server, err)
			}
			if round > 0 {
				took[server] = append(took[server], all...)
			}
		}
	}
	b.report.latency(took)
	return nil
}
