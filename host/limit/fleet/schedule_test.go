package fleet

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/internal/testkit/redis"
)

// recording is a server that writes down what it was asked, and when it did it.
type recording struct {
	Server
	mu     *sync.Mutex
	events *[]recorded
}

// recorded is an admission or a settlement, as the server did it.
type recorded struct {
	at      time.Time
	lease   string // with its incarnation
	settles bool
	let     bool
}

func (r recording) Script(text string) Run {
	run := r.Server.Script(text)
	return func(ctx context.Context, keys, args []string) ([]int64, error) {
		answer, err := run(ctx, keys, args)
		if err != nil || text != admitting && text != settling || answer[0] < refused {
			return answer, err
		}
		e := recorded{at: time.Unix(answer[1], answer[2]*1000), settles: text == settling, let: answer[0] == done}
		if e.settles {
			e.lease = keys[0] + args[0]
		} else {
			e.lease = keys[1] + args[1]
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		*r.events = append(*r.events, e)
		return answer, nil
	}
}

// TestAFleetUnderLoadDecidesAsOneGateway loads three gateways from the middle of a window on,
// over three of them, and then gives what happened, in the order in which the server did it,
// to one gateway that counts by itself.
func TestAFleetUnderLoadDecidesAsOneGateway(t *testing.T) {
	r := redis.Start(t)
	var mu sync.Mutex
	var events []recorded
	var fleet []*Store
	for range 3 {
		fleet = append(fleet, gateway(t, r, Options{Server: recording{server{Client: connect(t, r)}, &mu, &events}, Beat: time.Hour}))
	}
	buckets := []*limit.Bucket{bucket(limit.Requests, 300, time.Second), bucket(limit.Tokens, 2500, time.Second), bucket(limit.Concurrent, 8, 0)}
	need, used := limit.Reserve{Input: 5, Output: 20}, limit.Usage{Input: 6, Output: 4}
	now := time.Now()
	middle := now.Truncate(time.Second).Add(1500 * time.Millisecond)
	time.Sleep(middle.Sub(now)) // the windows are those of the clock, which can't be set
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			for time.Since(middle) < 3*time.Second {
				if l, no := fleet[i%3].Admit(t.Context(), buckets, need); no == nil {
					l.Settle(used)
				}
			}
		})
	}
	all.Wait()
	slices.SortFunc(events, func(a, b recorded) int { return a.at.Compare(b.at) })
	at := middle
	one := limit.NewLocal(limit.Options{Now: func() time.Time { return at }})
	leases := map[string]limit.Lease{}
	let, not := 0, 0
	for i, e := range events {
		at = e.at
		if e.settles {
			leases[e.lease].Settle(used)
			continue
		}
		l, no := one.Admit(t.Context(), buckets, need)
		if (no == nil) != e.let {
			t.Fatalf("event %d of %d: the fleet lets in: %t, one gateway: %t", i, len(events), e.let, no == nil)
		}
		if leases[e.lease] = l; e.let {
			let++
		} else {
			not++
		}
	}
	if let < 300 || not < 100 {
		t.Errorf("%d were let in and %d refused: too few to tell", let, not)
	}
}
