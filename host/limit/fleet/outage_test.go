package fleet

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/shared"
	"github.com/kai-gateway/kai/internal/testkit/redis"
)

// briefly is short, and long enough for a busy machine.
const briefly = 500 * time.Millisecond

// brief is a gateway that doesn't wait long.
func brief(t testing.TB, r *redis.Server, outage Outage) *Store {
	t.Helper()
	c, err := shared.Open(shared.Options{Addresses: []string{r.Address}, Secret: secret, Timeout: briefly})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return gateway(t, r, Options{Server: server{Client: c}, Timeout: briefly, Outage: outage, Beat: 200 * time.Millisecond})
}

// TestTrapAnAdmissionHangsWithTheStore stops the server under load, in CI for as long as makes
// every time-out run out: nobody waits for longer than the time-out, and soon nobody waits at
// all. When it goes on, all that was used is counted, once.
func TestTrapAnAdmissionHangsWithTheStore(t *testing.T) {
	pause := 3 * time.Second
	if os.Getenv("CI") == "true" {
		pause = 20 * time.Second
	}
	r := redis.Start(t)
	fleet := []*Store{brief(t, r, Divide), brief(t, r, Divide)}
	tokens, requests, running := bucket(limit.Tokens, 1<<40, 24*time.Hour), bucket(limit.Requests, 1<<40, 24*time.Hour), bucket(limit.Concurrent, 1000, 0)
	var let, slow atomic.Int64
	var longest atomic.Int64
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				begun := time.Now()
				l, no := fleet[i%2].Admit(t.Context(), []*limit.Bucket{tokens, requests, running}, limit.Reserve{Input: 5, Output: 20})
				took := time.Since(begun)
				if took > briefly*9/10 {
					slow.Add(1)
				}
				for old := longest.Load(); int64(took) > old && !longest.CompareAndSwap(old, int64(took)); old = longest.Load() {
				}
				if no != nil {
					t.Errorf("refused: %+v", no)
					return
				}
				time.Sleep(time.Millisecond)
				l.Settle(limit.Usage{Input: 5, Output: 2})
				let.Add(1)
			}
		})
	}
	var lag atomic.Int64 // by which the machine let somebody sleep longer than they wanted
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			begun := time.Now()
			time.Sleep(time.Millisecond)
			lag.Store(max(lag.Load(), int64(time.Since(begun))))
		}
	})
	until(t, "a hundred requests", func() bool { return let.Load() > 100 })
	r.Pause()
	time.Sleep(pause)
	during := slow.Load()
	r.Resume()
	for _, s := range fleet {
		until(t, "the store is back", func() bool { return s.ready.Load() && s.o.Server.Up() })
	}
	close(stop)
	all.Wait()
	for _, s := range fleet {
		until(t, "nothing is overdue", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.overdue)+len(s.spent) == 0 && !s.doubtful })
	}
	if n, late := time.Duration(longest.Load()), time.Duration(lag.Load()); n > 2*briefly+2*late {
		t.Errorf("an admission took %v, on a machine that is up to %v late; want less than twice the time-out of %v", n, late, briefly)
	}
	if during > let.Load()/4 {
		t.Errorf("%d of %d admissions waited, want no more than those before anybody knew", during, let.Load())
	}
	if got := used(t, fleet[0], requests); got != let.Load() {
		t.Errorf("%d requests are counted, want %d", got, let.Load())
	}
	if got := used(t, fleet[1], tokens); got != 7*let.Load() {
		t.Errorf("%d tokens are counted, want %d", got, 7*let.Load())
	}
	if got := used(t, fleet[0], running); got != 0 {
		t.Errorf("%d requests run still", got)
	}
}

// TestTrapAnOutageIsAllOrNothing lets in what was configured for that.
func TestTrapAnOutageIsAllOrNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		outage Outage
		want   int
	}{
		"its share of what is left": {Divide, 10}, // half of 30, of which half of 10 is used
		"nothing":                   {Deny, 0},
		"everything":                {Allow, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := redis.Start(t)
			s := brief(t, r, tc.outage)
			other := brief(t, r, tc.outage)
			until(t, "two gateways are seen", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.gatewaysNow == 2 })
			b, running := bucket(limit.Requests, 30, 24*time.Hour), bucket(limit.Concurrent, 1000, 0)
			for range 5 {
				mustAdmit(t, s, limit.Reserve{}, b, running).Settle(limit.Usage{})
				mustAdmit(t, other, limit.Reserve{}, b, running).Settle(limit.Usage{})
			}
			mustAdmit(t, other, limit.Reserve{}, running).Settle(limit.Usage{})
			if got := used(t, s, b); got != 10 {
				t.Fatalf("%d are counted", got)
			}
			s.mu.Lock()
			known := s.known[b.ID].count.Now
			s.mu.Unlock()
			if known != 9 { // it was told of its own last one
				t.Fatalf("it knows of %d", known)
			}
			r.Pause()
			until(t, "it is seen to be away", func() bool {
				l, no := s.Admit(t.Context(), []*limit.Bucket{running}, limit.Reserve{})
				if no == nil {
					l.Settle(limit.Usage{})
				}
				return !s.o.Server.Up()
			})
			passed := 0
			var last *limit.Refusal
			for range 100 {
				l, no := s.Admit(t.Context(), []*limit.Bucket{b, running}, limit.Reserve{})
				if last = no; no == nil {
					passed++
					l.Settle(limit.Usage{})
				}
			}
			if passed != tc.want {
				t.Errorf("%d passed, want %d", passed, tc.want)
			}
			if tc.outage == Deny && (last == nil || !last.Unavailable || last.Wait != time.Second) {
				t.Errorf("refused with %+v", last)
			}
			r.Resume()
			until(t, "what was used is added", func() bool {
				return s.o.Server.Up() && used(t, s, b) == int64(10+tc.want)
			})
		})
	}
}

// TestTrapAfterAnOutageCountsAreWrittenBack: what others counted meanwhile stays counted.
func TestTrapAfterAnOutageCountsAreWrittenBack(t *testing.T) {
	r := redis.Start(t)
	other := gateway(t, r, Options{})
	b := bucket(limit.Tokens, 1000, 24*time.Hour)
	c := connect(t, r)
	link := &broken{Server: server{Client: c}}
	s := New(Options{Server: link, Beat: 20 * time.Millisecond})
	t.Cleanup(s.Close)
	mustAdmit(t, s, limit.Reserve{Input: 100}, b).Settle(limit.Usage{Input: 100})
	link.cut(true)
	mustAdmit(t, s, limit.Reserve{Input: 50}, b).Settle(limit.Usage{Input: 50})
	mustAdmit(t, other, limit.Reserve{Input: 300}, b).Settle(limit.Usage{Input: 300})
	open := mustAdmit(t, s, limit.Reserve{Input: 20}, b)
	link.cut(false)
	until(t, "all is added up", func() bool { return used(t, other, b) == 450 })
	open.Settle(limit.Usage{Input: 7})
	until(t, "what ended later is added", func() bool { return used(t, other, b) == 457 })
}

// broken is a server that a gateway can be cut off from.
type broken struct {
	Server
	away  atomic.Bool
	watch func()
}

func (b *broken) Up() bool       { return !b.away.Load() && b.Server.Up() }
func (b *broken) Watch(f func()) { b.watch = f }

func (b *broken) cut(away bool) {
	b.away.Store(away)
	b.watch()
}

// lossy is a server whose answers are lost, although it does what it is asked.
type lossy struct {
	Server
	lose atomic.Int64 // how many of the next ones
}

func (l *lossy) Script(text string) Run {
	run := l.Server.Script(text)
	return func(ctx context.Context, keys, args []string) ([]int64, error) {
		answer, err := run(ctx, keys, args)
		if l.lose.Add(-1) >= 0 {
			return nil, shared.ErrAway
		}
		return answer, err
	}
}

// TestTrapALostAnswerCountsTwice loses the answers of admissions and settlements.
func TestTrapALostAnswerCountsTwice(t *testing.T) {
	r := redis.Start(t)
	link := &lossy{Server: server{Client: connect(t, r)}}
	s := New(Options{Server: link, Beat: time.Hour})
	t.Cleanup(s.Close)
	tokens, requests, running := bucket(limit.Tokens, 1000, 24*time.Hour), bucket(limit.Requests, 1000, 24*time.Hour), bucket(limit.Concurrent, 1000, 0)
	want := int64(0)
	for i := range int64(30) {
		if i%3 == 0 {
			link.lose.Store(1)
		}
		l := mustAdmit(t, s, limit.Reserve{Input: 10}, tokens, requests, running)
		if i%3 == 1 {
			link.lose.Store(1)
		}
		l.Settle(limit.Usage{Input: 7})
		want++
	}
	until(t, "all is settled", func() bool {
		return used(t, s, requests) == want && used(t, s, tokens) == 7*want && used(t, s, running) == 0
	})
}

// TestALongOutageTakesLittleMemory: what was used in windows that have passed is forgotten.
func TestALongOutageTakesLittleMemory(t *testing.T) {
	r := redis.Start(t)
	link := &broken{Server: server{Client: connect(t, r)}}
	var ahead atomic.Int64
	s := New(Options{Server: link, Beat: 20 * time.Millisecond, Timeout: 2 * time.Second, Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	t.Cleanup(s.Close)
	b, money := bucket(limit.Requests, 100, time.Second), &limit.Bucket{ID: "m", Unit: limit.Money, Limit: 1 << 40, Zone: time.UTC}
	link.cut(true)
	for range 3 * fewSpent {
		ahead.Add(int64(time.Second))
		mustAdmit(t, s, limit.Reserve{InputCost: 1}, b, money).Settle(limit.Usage{Cost: 1})
	}
	s.mu.Lock()
	notes := len(s.spent)
	s.mu.Unlock()
	if notes > fewSpent {
		t.Errorf("%d notes are kept of %d windows", notes, 3*fewSpent)
	}
	ahead.Store(0)
	link.cut(false)
	until(t, "the money is added", func() bool { return used(t, s, money) == 3*fewSpent })
}

// TestTrapEarlierIncarnationsPileUp: while none can be joined, few of those are remembered that
// were tried.
func TestTrapEarlierIncarnationsPileUp(t *testing.T) {
	r := redis.Start(t)
	link := &broken{Server: server{Client: connect(t, r)}}
	s := New(Options{Server: link, Beat: time.Hour, Timeout: 2 * time.Second})
	t.Cleanup(s.Close)
	link.cut(true)
	r.Kill()
	last := ""
	for range 2 * mostEarlier {
		last = s.current()
		if s.rejoin(t.Context(), last) {
			t.Fatal("a dead server knows an incarnation")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.earlier); n != mostEarlier || s.earlier[n-1] != last {
		t.Errorf("%d are remembered, the last of them %q, want %d and %q", n, s.earlier[n-1], mostEarlier, last)
	}
}
