package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/shared"
	"github.com/kai-gateway/kai/internal/testkit/redis"
)

const secret = "0123456789abcdef0123456789abcdef"

// server is a client of a real server, whose time a test may set.
type server struct {
	*shared.Client
	timed bool
}

// The time of a test's server, in place of its own.
const testClock = `redis.call('MGET', '{kai}:sec', '{kai}:us')`

func (s server) Script(text string) Run {
	if s.timed {
		text = strings.ReplaceAll(text, clock, testClock)
	}
	return s.Client.Script(text)
}

func connect(t testing.TB, r *redis.Server) *shared.Client {
	t.Helper()
	c, err := shared.Open(shared.Options{Addresses: []string{r.Address}, Secret: secret, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// gateway returns a store of its own connection.
func gateway(t testing.TB, r *redis.Server, o Options) *Store {
	t.Helper()
	if o.Server == nil {
		o.Server = server{Client: connect(t, r)}
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	s := New(o)
	t.Cleanup(s.Close)
	if !s.ready.Load() {
		t.Fatal("the store is not joined")
	}
	return s
}

// until waits for something that happens in the background.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func used(t testing.TB, s *Store, b *limit.Bucket) int64 {
	t.Helper()
	return s.Used([]*limit.Bucket{b})[0]
}

func bucket(unit limit.Unit, n int64, window time.Duration) *limit.Bucket {
	return &limit.Bucket{ID: fmt.Sprint("key app ", unit, " ", window), Unit: unit, Limit: n, Window: window, Zone: time.UTC}
}

func mustAdmit(t testing.TB, s limit.Store, r limit.Reserve, b ...*limit.Bucket) limit.Lease {
	t.Helper()
	l, no := s.Admit(t.Context(), b, r)
	if no != nil {
		t.Fatalf("refused: %+v", no)
	}
	return l
}

// TestAFleetDecidesAsOneGateway gives the same random schedule to three gateways of a fleet,
// in turns, and to a single one that counts by itself, and compares all that is decided,
// told and counted.
func TestAFleetDecidesAsOneGateway(t *testing.T) {
	r := redis.Start(t)
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 3))
		now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
		r.Do("FLUSHALL")
		client := connect(t, r)
		set := client.Script(`redis.call('SET', '{kai}:sec', ARGV[1]) redis.call('SET', '{kai}:us', ARGV[2]) return {1}`)
		pass := func(d time.Duration) {
			now = now.Add(d.Truncate(time.Microsecond))
			if _, err := set(t.Context(), nil, []string{strconv.FormatInt(now.Unix(), 10), strconv.Itoa(now.Nanosecond() / 1000)}); err != nil {
				t.Fatal(err)
			}
		}
		pass(0)
		var warnedFleet, warnedLocal int
		local := limit.NewLocal(limit.Options{Now: func() time.Time { return now }, Warn: func(*limit.Bucket, int64) { warnedLocal++ }})
		var fleet []*Store
		for i := range 3 {
			// Their own clocks are wrong, each in another way.
			wrong := time.Duration(i-1) * 90 * time.Second
			fleet = append(fleet, gateway(t, r, Options{
				Server: server{client, true}, Now: func() time.Time { return now.Add(wrong) }, Beat: 10_000 * time.Hour, Warn: func(*limit.Bucket, int64) { warnedFleet++ },
			}))
		}
		berlin, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		all := []*limit.Bucket{
			{ID: "a", Unit: limit.Requests, Limit: 5, Window: 10 * time.Second}, {ID: "b", Unit: limit.Requests, Limit: 20, Window: time.Minute},
			{ID: "c", Unit: limit.Tokens, Limit: 300, Window: 10 * time.Second}, {ID: "d", Unit: limit.InputTokens, Limit: 500_000_000_003, Window: 24 * time.Hour},
			{ID: "e", Unit: limit.OutputTokens, Limit: 200, Window: 10 * time.Second}, {ID: "f", Unit: limit.Concurrent, Limit: 3},
			{ID: "g", Unit: limit.Money, Limit: 20_000, Period: limit.Day, Zone: berlin, Warn: 16_000}, {ID: "h", Unit: limit.Requests, Limit: 0, Window: time.Second},
			{ID: "i", Unit: limit.Money, Limit: 3_000_000, Period: limit.Total, Zone: berlin, Warn: 1 << 50},
		}
		type pair struct{ fleet, local limit.Lease }
		var running []pair
		for step := range 1200 {
			pass(time.Duration(random.Int64N(int64(3 * time.Second))))
			if random.IntN(100) == 0 {
				pass(time.Duration(random.Int64N(int64(30 * time.Hour))))
			}
			if len(running) > 0 && random.IntN(100) < 45 {
				i := random.IntN(len(running))
				p := running[i]
				running = append(running[:i], running[i+1:]...)
				u := limit.Usage{Input: random.Int64N(250), Output: random.Int64N(200)}
				u.Cost = u.Input*3 + u.Output*10
				if random.IntN(30) == 0 {
					u.Input *= 100_000_000
				}
				p.fleet.Settle(u)
				p.local.Settle(u)
			} else {
				var chosen []*limit.Bucket
				for _, b := range all {
					if random.IntN(3) > 0 && (b.Limit > 0 || random.IntN(20) == 0) {
						chosen = append(chosen, b)
					}
				}
				need := limit.Reserve{Input: random.Int64N(200), Output: random.Int64N(150)}
				need.InputCost, need.OutputCost = need.Input*3, need.Output*10
				got, no := fleet[random.IntN(3)].Admit(t.Context(), chosen, need)
				want, wantNo := local.Admit(t.Context(), chosen, need)
				switch {
				case (no == nil) != (wantNo == nil), !reflect.DeepEqual(no, wantNo):
					t.Fatalf("seed %d, step %d: the fleet says %+v, one gateway says %+v", seed, step, no, wantNo)
				case no == nil:
					for i, b := range chosen {
						if b.Window == 0 {
							continue
						}
						left, reset := got.Left(i)
						if l, r := want.Left(i); left != l || reset != r {
							t.Fatalf("seed %d, step %d: the fleet has %d of %s left for %v, one gateway %d for %v", seed, step, left, b.ID, reset, l, r)
						}
					}
					running = append(running, pair{got, want})
				}
			}
			b := all[random.IntN(len(all))]
			if got, want := used(t, fleet[0], b), local.Used([]*limit.Bucket{b})[0]; got != want {
				t.Fatalf("seed %d, step %d: the fleet has used %d of %s, one gateway %d", seed, step, got, b.ID, want)
			}
		}
		if warnedFleet != warnedLocal || warnedLocal == 0 {
			t.Errorf("seed %d: the fleet warns %d times, one gateway %d times", seed, warnedFleet, warnedLocal)
		}
	}
}

// TestAnotherSecretIsAnotherFleet has gateways with two secrets at one server.
func TestAnotherSecretIsAnotherFleet(t *testing.T) {
	r := redis.Start(t)
	one := gateway(t, r, Options{})
	c, err := shared.Open(shared.Options{Addresses: []string{r.Address}, Secret: strings.Repeat("f", 32), Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	other, same := gateway(t, r, Options{Server: server{Client: c}}), gateway(t, r, Options{})
	if got := other.Gateways(); got != 1 {
		t.Errorf("with another secret there are %d gateways, want 1", got)
	}
	if got := same.Gateways(); got != 2 {
		t.Errorf("with the same secret there are %d gateways, want 2", got)
	}
	b := bucket(limit.Requests, 9, 24*time.Hour)
	mustAdmit(t, one, limit.Reserve{}, b)
	if mine, theirs := used(t, same, b), used(t, other, b); mine != 1 || theirs != 0 {
		t.Errorf("%d and %d requests are counted, want 1 and 0", mine, theirs)
	}
}

func TestManyAtOncePassNoLimitOfAFleet(t *testing.T) {
	r := redis.Start(t)
	fleet := []*Store{gateway(t, r, Options{}), gateway(t, r, Options{}), gateway(t, r, Options{})}
	for name, b := range map[string]*limit.Bucket{
		"requests":             bucket(limit.Requests, 100, 24*time.Hour),
		"requests at one time": bucket(limit.Concurrent, 100, 0),
		"money":                {ID: "money", Unit: limit.Money, Limit: 100_000, Zone: time.UTC},
	} {
		t.Run(name, func(t *testing.T) {
			var passed atomic.Int64
			var all sync.WaitGroup
			for i := range 30 {
				all.Go(func() {
					for range 20 {
						if _, no := fleet[i%3].Admit(t.Context(), []*limit.Bucket{b}, limit.Reserve{InputCost: 400, OutputCost: 600}); no == nil {
							passed.Add(1)
						}
					}
				})
			}
			all.Wait()
			if passed.Load() != 100 {
				t.Errorf("%d requests passed, want 100", passed.Load())
			}
		})
	}
}

// TestTrapClocksOfGatewaysDrift: periods are those of the server's clock.
func TestTrapClocksOfGatewaysDrift(t *testing.T) {
	r := redis.Start(t)
	right := gateway(t, r, Options{})
	fast := gateway(t, r, Options{Now: func() time.Time { return time.Now().Add(90 * time.Second) }})
	window := bucket(limit.Requests, 10, 24*time.Hour)
	day := &limit.Bucket{ID: "day", Unit: limit.Money, Limit: 10, Period: limit.Day, Zone: time.UTC}
	passed := 0
	for i := range 30 {
		s := right
		if i%2 == 0 {
			s = fast
		}
		if _, no := s.Admit(t.Context(), []*limit.Bucket{window, day}, limit.Reserve{InputCost: 1}); no == nil {
			passed++
		}
	}
	if passed != 10 || used(t, fast, window) != 10 || used(t, right, day) != 10 {
		t.Errorf("%d passed, %d and %d are counted", passed, used(t, fast, window), used(t, right, day))
	}
}

// TestTrapADeadGatewayHoldsItsRoom: who is killed has no heartbeat, so that what it let in
// ends for the others.
func TestTrapADeadGatewayHoldsItsRoom(t *testing.T) {
	r := redis.Start(t)
	beat := 300 * time.Millisecond
	dead := New(Options{Server: server{Client: connect(t, r)}, Beat: beat, Timeout: 2 * time.Second})
	alive := gateway(t, r, Options{Beat: beat})
	b := bucket(limit.Concurrent, 50, 0)
	tokens := bucket(limit.Tokens, 1000, 24*time.Hour)
	for range 50 {
		mustAdmit(t, dead, limit.Reserve{Input: 1}, b, tokens)
	}
	if _, no := alive.Admit(t.Context(), []*limit.Bucket{b}, limit.Reserve{}); no == nil {
		t.Fatal("one too many is let in")
	}
	dead.Close() // its heart stops, and it takes nothing back of what runs
	until(t, "the room of the dead is free", func() bool {
		l, no := alive.Admit(t.Context(), []*limit.Bucket{b}, limit.Reserve{})
		if no == nil {
			l.Settle(limit.Usage{})
		}
		return no == nil
	})
	for range 50 {
		mustAdmit(t, alive, limit.Reserve{}, b)
	}
	if got := used(t, alive, tokens); got != 50 {
		t.Errorf("%d tokens are counted of what nobody settled, want the 50 that were reserved", got)
	}
}

// TestTrapAnotherGatewayIsTakenForDead: the heart beats.
func TestTrapAnotherGatewayIsTakenForDead(t *testing.T) {
	r := redis.Start(t)
	beat := 500 * time.Millisecond
	one, other := gateway(t, r, Options{Beat: beat}), gateway(t, r, Options{Beat: beat})
	b := bucket(limit.Concurrent, 1, 0)
	l := mustAdmit(t, one, limit.Reserve{}, b)
	for end := time.Now().Add(5 * beat); time.Now().Before(end); time.Sleep(beat / 10) {
		if _, no := other.Admit(t.Context(), []*limit.Bucket{b}, limit.Reserve{}); no == nil {
			t.Fatal("what another gateway lets run is forgotten")
		}
	}
	l.Settle(limit.Usage{})
	mustAdmit(t, other, limit.Reserve{}, b).Settle(limit.Usage{})
}

// TestTrapEverythingIsDeleted: counts of windows begin anew, and requests that run count as
// before.
func TestTrapEverythingIsDeleted(t *testing.T) {
	r := redis.Start(t)
	s := gateway(t, r, Options{Beat: time.Hour})
	running, tokens, money := bucket(limit.Concurrent, 2, 0), bucket(limit.Tokens, 1000, 24*time.Hour), &limit.Bucket{ID: "m", Unit: limit.Money, Limit: 1000, Zone: time.UTC}
	l := mustAdmit(t, s, limit.Reserve{Input: 100, InputCost: 100}, running, tokens, money)
	r.Do("FLUSHALL")
	r.Do("SCRIPT", "FLUSH")
	other := mustAdmit(t, s, limit.Reserve{Input: 1}, running)
	if _, no := s.Admit(t.Context(), []*limit.Bucket{running}, limit.Reserve{}); no == nil {
		t.Error("what ran before is forgotten")
	}
	l.Settle(limit.Usage{Input: 70, Cost: 70})
	until(t, "what was used is added", func() bool { return used(t, s, tokens) == 70 && used(t, s, money) == 70 })
	other.Settle(limit.Usage{})
	l.Settle(limit.Usage{Input: 70, Cost: 70})
	until(t, "nothing runs", func() bool { return used(t, s, running) == 0 })
	if got := used(t, s, tokens); got != 70 {
		t.Errorf("%d tokens are counted, want 70", got)
	}
}

func TestASettlementCountsOnce(t *testing.T) {
	r := redis.Start(t)
	s := gateway(t, r, Options{})
	b, running := bucket(limit.Tokens, 1000, 24*time.Hour), bucket(limit.Concurrent, 10, 0)
	l := mustAdmit(t, s, limit.Reserve{Input: 100, Output: 200}, b, running).(*lease)
	if got := used(t, s, b); got != 300 {
		t.Errorf("%d are reserved, want 300", got)
	}
	l.Settle(limit.Usage{Input: 10})
	for range 3 { // an answer that was lost has it told again
		if !s.report(t.Context(), &settlement{lease: l, usage: limit.Usage{Input: 10}}, s.current()) {
			t.Fatal("it is not told")
		}
	}
	if got := used(t, s, b); got != 10 || used(t, s, running) != 0 {
		t.Errorf("%d tokens are counted, and %d run", got, used(t, s, running))
	}
}

// TestAnAdmissionIsOneRoundTrip counts what the server is asked.
func TestAnAdmissionIsOneRoundTrip(t *testing.T) {
	r := redis.Start(t)
	s := gateway(t, r, Options{Beat: time.Hour})
	buckets := typical()
	mustAdmit(t, s, limit.Reserve{Input: 1}, buckets...).Settle(limit.Usage{}) // the scripts are there now
	r.ResetCalls()
	var leases []limit.Lease
	for range 100 {
		leases = append(leases, mustAdmit(t, s, limit.Reserve{Input: 1}, buckets...))
	}
	if n := r.Calls("evalsha"); n != 100 || r.Calls("eval") != 0 {
		t.Errorf("100 admissions ask %d times", n)
	}
	for _, l := range leases {
		l.Settle(limit.Usage{})
	}
	if n := r.Calls("evalsha"); n != 200 {
		t.Errorf("100 admissions and settlements ask %d times, want 200", n)
	}
}

// TestNothingIsInTheClear searches what the server writes to its disk.
func TestNothingIsInTheClear(t *testing.T) {
	r := redis.Start(t)
	s := gateway(t, r, Options{})
	for _, unit := range []limit.Unit{limit.Requests, limit.Concurrent, limit.Money} {
		b := &limit.Bucket{ID: "key canary-4711 " + fmt.Sprint(unit), Name: "canary-4711", Unit: unit, Limit: 10, Zone: time.UTC}
		if unit == limit.Requests {
			b.Window = time.Hour
		}
		mustAdmit(t, s, limit.Reserve{InputCost: 1}, b)
	}
	dump := string(r.Dump())
	if !strings.Contains(dump, "{kai}:b:") || !strings.Contains(dump, "{kai}:c:") {
		t.Fatal("the dump has nothing of what was counted")
	}
	if strings.Contains(dump, "canary") || strings.Contains(dump, secret) {
		t.Error("a name or the secret is in the dump")
	}
}

// typical are the buckets of a key with three limits and a budget, and of the gateway.
func typical() []*limit.Bucket {
	return []*limit.Bucket{
		{ID: "key app requests 1s", Unit: limit.Requests, Limit: 1 << 40, Window: time.Second},
		{ID: "key app requests 1m0s", Unit: limit.Requests, Limit: 1 << 40, Window: time.Minute},
		{ID: "key app tokens 1m0s", Unit: limit.Tokens, Limit: 1 << 50, Window: time.Minute},
		{ID: "key app money day", Unit: limit.Money, Limit: 1 << 50, Warn: 1 << 50, Period: limit.Day, Zone: time.UTC},
		{ID: "gateway  concurrent", Unit: limit.Concurrent, Limit: 1 << 40},
	}
}

// BenchmarkAdmission is that of package limit with a server on this machine. One/Many say
// how many requests there are at a time.
func BenchmarkAdmission(b *testing.B) {
	r := redis.Start(b)
	s := gateway(b, r, Options{})
	once := func(ctx context.Context, buckets []*limit.Bucket) {
		l, no := s.Admit(ctx, buckets, limit.Reserve{Input: 100, Output: 500, InputCost: 1000, OutputCost: 5000})
		if no != nil {
			b.Error(no)
			return
		}
		l.Settle(limit.Usage{Input: 90, Output: 100, Cost: 3000})
	}
	b.Run("One", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			once(b.Context(), typical())
		}
	})
	b.Run("Many", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				once(b.Context(), typical())
			}
		})
	})
}

// TestTrapACluster: gateways that come from different nodes of a cluster count at the same
// one, in one step.
func TestTrapACluster(t *testing.T) {
	var fleet []*Store
	for _, r := range redis.StartCluster(t, 0) {
		fleet = append(fleet, gateway(t, r, Options{}))
	}
	buckets := []*limit.Bucket{bucket(limit.Requests, 30, 24*time.Hour), bucket(limit.Tokens, 1<<40, 24*time.Hour), bucket(limit.Concurrent, 100, 0)}
	passed := 0
	for i := range 60 {
		if l, no := fleet[i%3].Admit(t.Context(), buckets, limit.Reserve{Input: 7}); no == nil {
			passed++
			l.Settle(limit.Usage{Input: 9})
		}
	}
	if passed != 30 || used(t, fleet[1], buckets[1]) != 270 || used(t, fleet[2], buckets[2]) != 0 {
		t.Errorf("%d passed, %d tokens are counted, %d run", passed, used(t, fleet[1], buckets[1]), used(t, fleet[2], buckets[2]))
	}
}

// TestTrapAMasterOfAClusterDies: when the master that counts is killed, gateways go on at the
// replica that takes its place, with what it knew.
func TestTrapAMasterOfAClusterDies(t *testing.T) {
	nodes := redis.StartCluster(t, 1)
	var addresses []string
	for _, n := range nodes {
		addresses = append(addresses, n.Address)
	}
	var fleet []*Store
	for range 2 {
		c, err := shared.Open(shared.Options{Addresses: addresses, Secret: secret, Timeout: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		fleet = append(fleet, gateway(t, nil, Options{Server: server{Client: c}, Outage: Deny}))
	}
	day := bucket(limit.Requests, 30, 24*time.Hour)
	for i := range 10 {
		mustAdmit(t, fleet[i%2], limit.Reserve{}, day).Settle(limit.Usage{})
	}
	master := slices.IndexFunc(nodes[:3], func(n *redis.Server) bool { return !strings.HasPrefix(n.Do("DBSIZE"), ":0") })
	if master < 0 {
		t.Fatal("no master has a key")
	}
	until(t, "the replica has what was counted", func() bool {
		_, written, _ := strings.Cut(nodes[master].Do("INFO", "replication"), "master_repl_offset:")
		written, _, _ = strings.Cut(written, "\r\n")
		return strings.Contains(nodes[master].Do("INFO", "replication"), "state=online,offset="+written+",")
	})
	nodes[master].Kill()
	for _, s := range fleet {
		until(t, "somebody counts again", func() bool {
			l, no := s.Admit(t.Context(), []*limit.Bucket{bucket(limit.Concurrent, 100, 0)}, limit.Reserve{})
			if no == nil {
				l.Settle(limit.Usage{})
			}
			return no == nil
		})
	}
	passed := 0
	for i := range 60 {
		if l, no := fleet[i%2].Admit(t.Context(), []*limit.Bucket{day}, limit.Reserve{}); no == nil {
			passed++
			l.Settle(limit.Usage{})
		}
	}
	if passed != 20 {
		t.Errorf("%d passed after the 10 that the dead master had counted, of 30", passed)
	}
}

// TestTrapTwoVersionsOfALimit: while gateways have different limits on one count, each keeps
// its own, and all are told if that lasts.
func TestTrapTwoVersionsOfALimit(t *testing.T) {
	r := redis.Start(t)
	var log lines
	one := gateway(t, r, Options{Beat: 20 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	other := gateway(t, r, Options{Beat: 20 * time.Millisecond})
	low, high := bucket(limit.Requests, 10, 24*time.Hour), bucket(limit.Requests, 20, 24*time.Hour)
	one.Keep([]*limit.Bucket{low})
	other.Keep([]*limit.Bucket{high})
	passed := [2]int{}
	for range 30 {
		for i, s := range []*Store{one, other} {
			if _, no := s.Admit(t.Context(), []*limit.Bucket{[]*limit.Bucket{low, high}[i]}, limit.Reserve{}); no == nil {
				passed[i]++
			}
		}
	}
	if passed != [2]int{5, 15} {
		t.Errorf("%d and %d pass limits of 10 and 20, asked in turns, want 5 and 15", passed[0], passed[1])
	}
	until(t, "the difference is seen", func() bool { one.mu.Lock(); defer one.mu.Unlock(); return !one.other.since.IsZero() })
	if log.has("other limits") {
		t.Error("what is usual is warned of")
	}
	one.mu.Lock()
	one.other.since = one.other.since.Add(-usual)
	one.mu.Unlock()
	until(t, "it is warned of", func() bool { return log.has("other gateways have other limits") })
	other.Keep([]*limit.Bucket{low})
	until(t, "it is over", func() bool { return log.has("the same limits again") })
}

// lines is a log that may be read while others write.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// TestWhoEndsIsNotAwaited: a gateway that ends in good order tells all that it used, and
// counts as none of the gateways at once.
func TestWhoEndsIsNotAwaited(t *testing.T) {
	r := redis.Start(t)
	link := &lossy{Server: server{Client: connect(t, r)}}
	ends := New(Options{Server: link, Beat: time.Hour, Timeout: 2 * time.Second})
	stays := gateway(t, r, Options{Beat: 20 * time.Millisecond})
	until(t, "two are seen", func() bool { return stays.Gateways() == 2 })
	b := bucket(limit.Tokens, 1000, 24*time.Hour)
	l := mustAdmit(t, ends, limit.Reserve{Input: 10}, b)
	link.lose.Store(1)
	l.Settle(limit.Usage{Input: 7})
	ends.Close()
	until(t, "one is seen", func() bool { return stays.Gateways() == 1 })
	if got := used(t, stays, b); got != 7 {
		t.Errorf("%d tokens are counted, want 7", got)
	}
}
