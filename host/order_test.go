package host

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/cache"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/sdk/abi"
)

// steps are what happens to a request, in their order.
type steps struct {
	mu  sync.Mutex
	all []string
}

func (s *steps) note(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, step)
}

// taken returns the steps since it was called last.
func (s *steps) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = nil
	return all
}

// notedLimits are limits that note who comes to them, and notedAnswers answers that are kept.
type notedLimits struct {
	limit.Store
	steps *steps
}

type notedLease struct {
	limit.Lease
	steps *steps
}

func (l notedLimits) Admit(ctx context.Context, buckets []*limit.Bucket, r limit.Reserve) (limit.Lease, *limit.Refusal) {
	if r == (limit.Reserve{}) {
		l.steps.note("enter")
	} else {
		l.steps.note("take room")
	}
	lease, refused := l.Store.Admit(ctx, buckets, r)
	if refused != nil {
		return nil, refused
	}
	return notedLease{lease, l.steps}, nil
}

func (l notedLease) Settle(u limit.Usage) {
	l.steps.note("give back")
	l.Lease.Settle(u)
}

type notedAnswers struct {
	cache.Store
	steps *steps
}

func (a notedAnswers) Get(ctx context.Context, k cache.Key) (cache.Entry, bool) {
	a.steps.note("look up")
	return a.Store.Get(ctx, k)
}

func (a notedAnswers) Put(ctx context.Context, k cache.Key, e cache.Entry, ttl time.Duration) {
	a.steps.note("keep")
	a.Store.Put(ctx, k, e, ttl)
}

// notedGateway is a generation with a limit of so many requests, in which answers are kept.
func notedGateway(t *testing.T, requests int64, upstreams ...string) (*generation, *steps, dialect.Parse) {
	t.Helper()
	total := memory.New(memory.Options{Limit: 1 << 30})
	s := &steps{}
	g, adapter := generationOf(t, total, nil, upstreams...)
	adapter.asked = func(abi.Op) { s.note("ask") }
	g.limits = &limits{gateway: []*limit.Bucket{{ID: "gateway requests", Owner: limit.Gateway, Unit: limit.Requests, Limit: requests, Window: time.Hour}}}
	g.estimators = map[string]*limit.Estimator{"m": {}}
	g.host.limits = notedLimits{limit.NewLocal(limit.Options{}), s}
	local := cache.NewLocal(total, nil)
	local.Set(1 << 20)
	g.caching = &caching{store: notedAnswers{local, s}, scope: "all", maxEntry: 1 << 20, aliases: map[string]config.ModelCache{"m": {TTL: config.Duration(time.Hour), When: "always"}}}
	parse := func(ctx context.Context, b []byte, c dialect.Caller) (*dialect.Request, error) {
		s.note("read")
		r, err := chat.Parse(ctx, b, c)
		if err == nil {
			r.Remember = func() { s.note("remember") }
		}
		return r, err
	}
	return g, s, parse
}

// TestTheOrderOfARequest: it is read and checked, an answer that was kept is looked for, room
// is taken of the limits, what later requests refer to is remembered, targets are asked, the
// answer is kept, and the room is given back, however the request ends.
func TestTheOrderOfARequest(t *testing.T) {
	const (
		good   = "TEXT good\nFINISH stop\nUSAGE {\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}"
		asks   = `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`
		before = `"model":"m"`
	)
	for name, tc := range map[string]struct {
		answers  []mock.Answer
		requests int64 // the limit; 0: none may be let in
		models   *key.Models
		panics   bool
		encoding string
		body     string // default: asks
		status   int
		want     []string
		next     []string // what the same request does once more; nil: it is not sent
	}{
		"an answer": {
			answers: []mock.Answer{text(good)}, requests: 9, status: 200,
			want: []string{"read", "look up", "take room", "remember", "ask", "keep", "give back"},
			next: []string{"read", "look up", "enter", "remember", "give back"},
		},
		"the second target's answer, which is not kept": {
			answers: []mock.Answer{mock.Status(500), text(good)}, requests: 9, status: 200,
			want: []string{"read", "look up", "take room", "remember", "ask", "ask", "give back"},
		},
		"an answer that nobody counted, which is not kept": {
			answers: []mock.Answer{text("TEXT good\nFINISH stop")}, requests: 9, status: 200,
			want: []string{"read", "look up", "take room", "remember", "ask", "give back"},
		},
		"a failure": {
			answers: []mock.Answer{mock.Status(500)}, requests: 9, status: 500,
			want: []string{"read", "look up", "take room", "remember", "ask", "give back"},
		},
		"a panic": {
			answers: []mock.Answer{text(good)}, requests: 9, panics: true, status: 500,
			want: []string{"read", "look up", "take room", "remember", "ask", "give back"},
		},
		"a limit that is reached": {
			answers: []mock.Answer{text(good)}, status: 429,
			want: []string{"read", "look up", "take room"},
		},
		"a request that breaks the rules": {
			answers: []mock.Answer{text(good)}, requests: 9, body: `{"model":"m"}`, status: 400,
			want: []string{"read"},
		},
		"a model that is not there": {
			answers: []mock.Answer{text(good)}, requests: 9, body: strings.Replace(asks, before, `"model":"x"`, 1), status: 400,
			want: []string{"read"},
		},
		"a model that the key may not use": {
			answers: []mock.Answer{text(good)}, requests: 9, models: key.NewModels(nil), status: 403,
			want: []string{"read"},
		},
		"a body that can't be read": {answers: []mock.Answer{text(good)}, requests: 9, encoding: "br", status: 415},
	} {
		t.Run(name, func(t *testing.T) {
			var bases []string
			for _, a := range tc.answers {
				bases = append(bases, mock.Start(t, a).URL)
			}
			g, s, parse := notedGateway(t, tc.requests, bases...)
			if adapter := g.providers["up0"].adapter.(*plainAdapter); tc.panics {
				adapter.asked = func(abi.Op) { s.note("ask"); panic("a mistake") }
			}
			server, last := serving(t, g, key.Principal{Models: tc.models}, parse)
			if tc.body == "" {
				tc.body = asks
			}
			for i, want := range [][]string{tc.want, tc.next} {
				if i > 0 && want == nil {
					break
				}
				r, _ := http.NewRequest("POST", server.URL+"/v1/chat/completions", strings.NewReader(tc.body))
				r.Header.Set("Content-Type", "application/json")
				if tc.encoding != "" {
					r.Header.Set("Content-Encoding", tc.encoding)
				}
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode != tc.status {
					t.Errorf("request %d: status %d, want %d", i+1, res.StatusCode, tc.status)
				}
				http.DefaultClient.CloseIdleConnections()
				for end := time.Now().Add(time.Minute); slices.Contains(want, "give back") && !s.has("give back") && time.Now().Before(end); time.Sleep(time.Millisecond) {
					// the handler ends after its answer
				}
				if got := s.taken(); !slices.Equal(got, want) {
					t.Errorf("request %d: %q, want %q", i+1, got, want)
				}
			}
			server.Close()
			if !last().ForModel {
				t.Error("the record is not that of a request for a model")
			}
		})
	}
}

func (s *steps) has(step string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.all, step)
}

// TestTheRoomIsTakenWhileARequestRuns: one that runs keeps others out until it has ended.
func TestTheRoomIsTakenWhileARequestRuns(t *testing.T) {
	sent, end := make(chan struct{}), make(chan struct{})
	up := mock.Start(t, mock.Steps(events("TEXT a"), func(*mock.Exchange) { close(sent) }, mock.Wait(end), events("FINISH stop")))
	g, _ := generationOf(t, nil, nil, up.URL)
	one := 1
	g.limits = &limits{gateway: bucketsOf(limit.Gateway, "", config.CallLimits{Concurrent: &one})}
	g.estimators = map[string]*limit.Estimator{"m": {}}
	store := limit.NewLocal(limit.Options{})
	g.host.limits = store
	server, _ := serving(t, g, key.Principal{}, chat.Parse)
	done := make(chan string)
	go func() {
		_, content, _ := ask(t, server, true, "Hi")
		done <- content
	}()
	<-sent
	if code, _, failure := ask(t, server, true, "Hi"); code != 429 || !strings.Contains(failure, "limit") {
		t.Errorf("a second request beside it: %d %q, want a 429", code, failure)
	}
	if got := len(up.Requests()); got != 1 {
		t.Errorf("%d requests came to the upstream, want 1", got)
	}
	close(end)
	if content := <-done; content != "a" {
		t.Errorf("the first one got %q", content)
	}
	server.Close() // waits for the handler
	if used := store.Used(g.limits.gateway); !slices.Equal(used, []int64{0}) {
		t.Errorf("%v requests are counted, and none runs", used)
	}
}

// TestAStreamIsAnsweredAsOne, and no other request is.
func TestAStreamIsAnsweredAsOne(t *testing.T) {
	for _, stream := range []bool{false, true} {
		answer := text("TEXT a\nFINISH stop")
		if stream {
			answer = events("TEXT a", "FINISH stop")
		}
		g, _ := generationOf(t, nil, nil, mock.Start(t, answer).URL)
		server, _ := serving(t, g, key.Principal{}, chat.Parse)
		res, err := http.Post(server.URL+"/v1/chat/completions", "application/json", strings.NewReader(fmt.Sprintf(`{"model":"m","stream":%v,"messages":[{"role":"user","content":"Hi"}]}`, stream)))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream"); got != stream {
			t.Errorf("stream %v is answered with %s", stream, res.Header.Get("Content-Type"))
		}
	}
}
