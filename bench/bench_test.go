package main

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
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
				c := &client{addr: addr, request: s.request(role, addr), want: s.end()}
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
