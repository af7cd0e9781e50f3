package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm/modfile"
)

// TestRolesAnswerTheLoad sends each closed scenario that the bare processes take
// part in over sockets, as a run does.
func TestRolesAnswerTheLoad(t *testing.T) {
	upstream := httptest.NewServer(newUpstream())
	defer upstream.Close()
	for role, h := range map[string]handler{
		bare: newProxy(upstream.URL), translator: newTranslator(upstream.URL),
	} {
		server := httptest.NewServer(h)
		defer server.Close()
		addr := strings.TrimPrefix(server.URL, "http://")
		for i := range scenarios {
			s := &scenarios[i]
			if s.workers == 0 || s.against != role {
				continue
			}
			t.Run(role+" "+s.name, func(t *testing.T) {
				chunks := 0
				c := &client{addr: addr, request: s.request(role, addr), want: s.end(role)}
				defer c.close()
				for range 2 {
					chunks = 0
					if err := c.do(func(p []byte) { chunks += strings.Count(string(p), `{"index":0`) }); err != nil {
						t.Fatal(err)
					}
				}
				// Pieces end anywhere, so a few are not seen.
				if chunks < s.units*9/10 {
					t.Errorf("%d chunks, want about %d", chunks, s.units)
				}
			})
		}
	}
}

func TestStreamsGoOnUntilTheyAreStopped(t *testing.T) {
	upstream := httptest.NewServer(newUpstream())
	defer upstream.Close()
	addr := strings.TrimPrefix(upstream.URL, "http://")
	s, err := openStreams(t.Context(), 20, func() *client {
		return &client{addr: addr, request: newRequest(addr, "/sse/0/1ms/chat/completions", nil)}
	})
	if err != nil {
		t.Fatal(err)
	}
	for before := s.events.Load(); s.events.Load() < before+100; time.Sleep(time.Millisecond) {
		if err := s.failure(); err != nil {
			t.Fatal(err)
		}
	}
	s.stop()
	if err := s.failure(); err != nil {
		t.Error(err)
	}
}

func TestStreamsThatEndAreAFailure(t *testing.T) {
	upstream := httptest.NewServer(newUpstream())
	defer upstream.Close()
	addr := strings.TrimPrefix(upstream.URL, "http://")
	s, err := openStreams(t.Context(), 1, func() *client {
		return &client{addr: addr, request: newRequest(addr, "/sse/3/0s/chat/completions", nil)}
	})
	if err == nil {
		s.wg.Wait()
		err = s.failure()
		s.stop()
	}
	if err == nil || !strings.Contains(err.Error(), "a stream ended") {
		t.Errorf("error = %v", err)
	}
}

func TestWrongAnswersAreErrors(t *testing.T) {
	upstream := httptest.NewServer(newUpstream())
	defer upstream.Close()
	addr := strings.TrimPrefix(upstream.URL, "http://")
	for name, c := range map[string]*client{
		"status":      {addr: addr, request: newRequest(addr, "/nothing", nil)},
		"another end": {addr: addr, request: newRequest(addr, "/whole/chat/completions", nil), want: []byte("[DONE]")},
	} {
		if err := c.do(nil); err == nil {
			t.Errorf("%s: no error", name)
		}
		c.close()
	}
}

func TestRatiosAreThoseOfTheSameRound(t *testing.T) {
	// A machine that got slower and slower: the ratio is 2 in each round.
	s := samples{bare: {1, 10, 100}, kai: {2, 20, 200}}
	if got := s.ratio(kai, bare); got != 2 {
		t.Errorf("ratio = %v, want 2", got)
	}
	if got := s.share(kai, bare); got != 0.5 {
		t.Errorf("share = %v, want 0.5", got)
	}
	if got := median([]float64{9, 1, 4, 2}); got != 3 {
		t.Errorf("median = %v, want 3", got)
	}
	if got := percentile([]time.Duration{5, 1, 4, 2, 3}, 99); got != 5 {
		t.Errorf("percentile = %v, want 5", got)
	}
}

func TestUntilReadsTheLogOfAGateway(t *testing.T) {
	const ready = `{"level":"INFO","msg":"adapter ready","provider":"mine","sha256":"0123456789ab","duration_ms":12}` + "\n"
	for name, tc := range map[string]struct {
		log     string
		want    entry
		wantErr string
	}{
		"a line that was waited for": {
			log: `{"msg":"serving","url":"http://localhost:1/v1"}` + "\n" + ready, want: entry{Msg: "adapter ready", Provider: "mine", SHA256: "0123456789ab", Duration: 12},
		},
		"an error instead":      {log: `{"level":"ERROR","msg":"reload refused","err":"no adapter"}` + "\n" + ready, wantErr: "no adapter"},
		"the end of the log":    {log: `{"msg":"serving"}` + "\n", wantErr: "EOF"},
		"a gateway that failed": {log: "kai: the port is taken\n", wantErr: "the port is taken"},
	} {
		t.Run(name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			io.WriteString(w, tc.log)
			w.Close()
			o := &observed{log: r, lines: bufio.NewReader(r)}
			got, err := o.until("adapter ready")
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("error = %v, want %q in it", err, tc.wantErr)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
}

func TestBuildsDifferInTheirDigestsOnly(t *testing.T) {
	all, err := (&bench{}).builds(3)
	if err != nil {
		t.Fatalf("%v (run \"make plugins\")", err)
	}
	seen := map[[32]byte]bool{}
	for _, module := range all {
		seen[sha256.Sum256(module)] = true
		m, found, err := modfile.ReadManifest(module)
		if !found || err != nil || m.Name != "openrouter" {
			t.Errorf("manifest %v, %v, %v", m.Name, found, err)
		}
	}
	if len(seen) != len(all) {
		t.Errorf("%d digests of %d builds", len(seen), len(all))
	}
}

func TestMissingToolChainsAreSkipped(t *testing.T) {
	dir := t.TempDir()
	// It builds nothing, as Kai on a machine without compilers.
	fake := filepath.Join(dir, "kai")
	script := "#!/bin/sh\necho 'some words of a compiler' >&2\necho 'kai plugin build: Rust needs cargo, which is not installed: apt-get install cargo' >&2\nexit 1\n"
	if err := os.WriteFile(fake, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	b := &bench{options: options{kai: fake, rounds: 1, progress: io.Discard}, dir: dir, report: &report{}}
	if err := b.loads(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	b.report.print(&out)
	if got := out.String(); !strings.Contains(got, "skipped: Rust needs cargo, which is not installed ") {
		t.Errorf("the table says\n%s", got)
	}
}

func TestAimsAreForTheMedian(t *testing.T) {
	var r report
	r.values("swap", "met, but for one", []float64{1, 2, 900}, "ms", 200)
	r.values("", "missed", []float64{201, 202, 203}, "ms", 200)
	r.values("", "without an aim", []float64{1}, "ms", 0)
	r.idle("idle", "one and a half", samples{"instance": {2, 4}, "same": {3, 6}}, "same", idleAim)
	for i, want := range []string{"2 ms|at most 900 ms|200 ms|met", "202 ms|at most 203 ms|200 ms|MISSED", "1 ms|at most 1 ms||", "4.5 MiB|1.50 × an instance of 3.0 MiB|1.1 ×|MISSED"} {
		if got := strings.Join(r.rows[i][7:], "|"); got != want {
			t.Errorf("row %d is %s, want %s", i, got, want)
		}
	}
}

// TestScenariosAgainstChatAskTheSame: one process is asked twice for the same, in another API
// and in a chat completion.
func TestScenariosAgainstChatAskTheSame(t *testing.T) {
	found := 0
	for i := range scenarios {
		s := &scenarios[i]
		if s.against != chat {
			continue
		}
		found++
		for server, want := range map[string]string{kai: "POST " + s.api + " ", chat: "POST /v1/chat/completions "} {
			if got := string(s.request(server, "a")); !strings.HasPrefix(got, want) || !strings.Contains(got, `"model":"`+s.name+`"`) {
				t.Errorf("%s: a client sends %s %.200s, want it to begin with %q", s.name, server, got, want)
			}
		}
		if n := len(s.body) - len(s.plain); n < -50 || n > 50 {
			t.Errorf("%s: one request has %d bytes more than the other", s.name, n)
		}
		if got := (&bench{options: options{native: "x"}}).servers(s); len(got) != 2 || got[0] != chat || got[1] != kai {
			t.Errorf("%s: turns of %q", s.name, got)
		}
	}
	if found != 4 {
		t.Errorf("%d scenarios compare an API with chat", found)
	}
}

// TestHoldingsAreRead reads what this process holds, as of a gateway with an admin listener.
func TestHoldingsAreRead(t *testing.T) {
	const text = "# TYPE go_goroutines gauge\ngo_goroutines_total 7\ngo_goroutines 1.5e+03\n"
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, text)
	}))
	defer admin.Close()
	p := &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	h, err := p.holdings(t.Context(), admin.URL)
	if err != nil || h[0] < 1 || h[1] < 3 || h[2] != 1500 {
		t.Errorf("holdings = %v, %v; want more than 1 MiB and 3 descriptors, and 1,500 goroutines", h, err)
	}
	if _, err := metricOf([]byte(text), "go_threads"); err == nil {
		t.Error("a metric that isn't there is no error")
	}
	if got, want := medians([]holdings{{1, 9, 5}, {3, 7, 5}, {2, 8, 6}}), (holdings{2, 8, 5}); got != want {
		t.Errorf("medians = %v, want %v", got, want)
	}
}

// TestSoaksAreComparedAfterTheWarmUp: no moment of the warm-up counts, however long the load is.
func TestSoaksAreComparedAfterTheWarmUp(t *testing.T) {
	for _, tc := range []struct {
		whole, since time.Duration
		early, late  bool
	}{
		{10 * time.Minute, warmUp - time.Second, false, false}, {10 * time.Minute, warmUp, true, false}, {10 * time.Minute, 3 * time.Minute, true, false},
		{10 * time.Minute, 181 * time.Second, false, false}, {10 * time.Minute, 539 * time.Second, false, false}, {10 * time.Minute, 9 * time.Minute, false, true},
		{leastSoak, 119 * time.Second, false, false}, {leastSoak, 130 * time.Second, true, false}, {leastSoak, 150 * time.Second, false, false}, {leastSoak, 170 * time.Second, false, true},
	} {
		if early, late := partOf(tc.whole, tc.since); early != tc.early || late != tc.late {
			t.Errorf("after %v of %v: early %v, late %v", tc.since, tc.whole, early, late)
		}
	}
}
