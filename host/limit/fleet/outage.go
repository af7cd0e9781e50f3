package fleet

import (
	"context"
	"math"
	"time"

	"github.com/kai-gateway/kai/host/limit"
)

// spent is what was used of a bucket, in one of its periods, that the server doesn't know.
type spent struct {
	bucket *limit.Bucket
	key    string
	index  int64
	amount int64
}

type spentKey struct {
	key   string
	index int64
}

// awayLease is a request that was let in without the server.
type awayLease struct {
	store   *Store
	buckets []*limit.Bucket
	keys    []string
	at      time.Time
	local   limit.Lease // nil: nothing was asked
	settled bool
}

// share is a gateway's part of a number, rounded up, so that nobody has none of something.
func share(n, gateways int64) int64 { return (n + gateways - 1) / gateways }

// admitAway lets a request in, or not, without the server.
func (s *Store) admitAway(buckets []*limit.Bucket, r limit.Reserve) (limit.Lease, *limit.Refusal) {
	if s.o.Outage == Deny {
		return nil, &limit.Refusal{Unavailable: true, Wait: time.Second}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &awayLease{store: s, buckets: append([]*limit.Bucket(nil), buckets...), at: s.now()}
	for _, b := range buckets {
		l.keys = append(l.keys, s.entryOf(b).key)
	}
	if s.o.Outage == Divide {
		var no *limit.Refusal
		if l.local, no = s.divide(l, r); no != nil {
			return nil, no
		}
	}
	for i, b := range buckets {
		if b.Unit == limit.Concurrent {
			s.running[l.keys[i]]++
		}
	}
	return l, nil
}

// divide lets a request in, or not, by this gateway's share of each limit. The caller has
// the lock.
func (s *Store) divide(l *awayLease, r limit.Reserve) (limit.Lease, *limit.Refusal) {
	if s.away == nil {
		s.away = limit.NewLocal(limit.Options{Now: s.now, Saved: s.shares()})
	}
	own := make([]*limit.Bucket, len(l.buckets))
	for i, b := range l.buckets {
		part := *b
		part.Limit, part.Warn = share(b.Limit, s.gatewaysNow), math.MaxInt64
		if b.Unit == limit.Concurrent {
			if s.running[l.keys[i]] >= part.Limit {
				return nil, &limit.Refusal{Bucket: b, Wait: time.Second}
			}
			part.Limit = math.MaxInt64 // counted above, with those that the server let in
		}
		own[i] = &part
	}
	local, no := s.away.Admit(context.Background(), own, r)
	if no == nil {
		return local, nil
	}
	for i, b := range own {
		if b == no.Bucket {
			no.Bucket = l.buckets[i]
		}
	}
	if must, _ := no.Bucket.Needs(r); no.TooLarge && must <= 2*no.Bucket.Limit {
		no.TooLarge, no.Wait = false, time.Second // until the server is back
	}
	return nil, no
}

// shares are this gateway's parts of what the server had counted when it was last heard.
func (s *Store) shares() map[string]limit.Saved {
	all := make(map[string]limit.Saved, len(s.known))
	for id, e := range s.known {
		c := e.count
		if c.Index < 0 {
			continue
		}
		c.Now, c.Before, c.Debt = share(c.Now, s.gatewaysNow), share(c.Before, s.gatewaysNow), share(c.Debt, s.gatewaysNow)
		all[id] = c
	}
	return all
}

// Left is [limit.Lease].
func (l *awayLease) Left(i int) (int64, time.Duration) {
	if l.local == nil {
		return l.buckets[i].Limit, 0
	}
	return l.local.Left(i)
}

// Settle is [limit.Lease].
func (l *awayLease) Settle(u limit.Usage) {
	if l.settled {
		return
	}
	l.settled = true
	if l.local != nil {
		l.local.Settle(u)
	}
	s := l.store
	s.noteEnded(l.buckets, l.keys)
	s.mu.Lock()
	for i, b := range l.buckets {
		switch b.Unit {
		case limit.Concurrent:
			s.doubtful = true // an incarnation may have it among those that run
		case limit.Requests:
			s.put(b, l.keys[i], l.at, 1)
		default:
			s.put(b, l.keys[i], s.now(), b.Spent(u))
		}
	}
	s.mu.Unlock()
	s.wakeLoop()
}

// put notes what was spent of a bucket. The caller has the lock.
func (s *Store) put(b *limit.Bucket, key string, at time.Time, amount int64) {
	if amount <= 0 {
		return
	}
	index := int64(0)
	if b.Unit == limit.Money {
		index, _ = b.Period.Around(at, b.Zone)
	} else {
		index = at.UnixMicro() / b.Window.Microseconds()
	}
	s.add(b, spentKey{key, index}, amount)
}

// add adds to what was spent of a bucket in a period. The caller has the lock.
func (s *Store) add(b *limit.Bucket, k spentKey, amount int64) {
	v := s.spent[k]
	if v == nil {
		s.sweep()
		v = &spent{bucket: b, key: k.key, index: k.index}
		s.spent[k] = v
	}
	v.amount += amount
}

// fewSpent is how many notes of what was spent are kept in any case.
const fewSpent = 4096

// sweep forgets, now and then, what was spent in windows that have passed. The caller has
// the lock.
func (s *Store) sweep() {
	if len(s.spent) < max(fewSpent, 2*s.swept) {
		return
	}
	now := s.now().UnixMicro()
	for k, v := range s.spent {
		if w := v.bucket.Window.Microseconds(); v.bucket.Unit != limit.Money && (v.index+2)*w <= now {
			delete(s.spent, k)
		}
	}
	s.swept = len(s.spent)
}

// spend notes what a request has used, of which the server has forgotten everything.
func (s *Store) spend(t *settlement, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range t.lease.buckets {
		switch {
		case b.Unit == limit.Concurrent:
			s.doubtful = s.doubtful || !t.late // it was carried over as one that runs
		case t.spent != nil:
			s.add(b, spentKey{t.spent[i].key, t.spent[i].index}, t.spent[i].amount)
		case b.Unit == limit.Requests:
			s.put(b, t.lease.keys[i], t.lease.at, 1)
		default:
			s.put(b, t.lease.keys[i], at, b.Spent(t.usage))
		}
	}
	s.wakeLoop()
}
