package host

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/kai-gateway/kai/host/cache"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/shared"
)

// sharedAnswers keeps answers for all gateways of a fleet, sealed like everything that is
// shared. What the store can't take is kept here.
type sharedAnswers struct {
	store    *shared.Client
	here     *cache.Local
	memory   *memory.Total // counts what waits to be sent there, and what look-ups may bring
	waiting  *memory.Limit // bounds what waits
	maxEntry int           // bytes of an answer
}

var _ cache.Store = (*sharedAnswers)(nil)

// answerWait is how long a look-up waits. Waiting longer would cost more than a hit is
// worth.
const answerWait = 20 * time.Millisecond

func answerName(k cache.Key) string { return "answer\n" + string(k[:]) }

// timeBytes is how many bytes an entry in the store begins with that are a time: the
// milliseconds since 1970 at which the answer was made. Its value follows.
const timeBytes = 8

// Get is [cache.Store]. While it runs, it may hold an answer twice: sealed, and opened.
func (s *sharedAnswers) Get(ctx context.Context, k cache.Key) (cache.Entry, bool) {
	size := 2 * int64(s.maxEntry)
	if !s.memory.Take(size) {
		return s.here.Get(ctx, k)
	}
	defer s.memory.Give(size)
	// Giving up is no failure of the store, which may serve others in time.
	asked, giveUp := context.WithCancel(ctx)
	defer giveUp()
	defer time.AfterFunc(answerWait, giveUp).Stop()
	found, err := s.store.Get(asked, []string{answerName(k)}, 0)
	if err != nil || len(found[0]) < timeBytes {
		return s.here.Get(ctx, k)
	}
	made := time.UnixMilli(int64(binary.BigEndian.Uint64(found[0])))
	return cache.Entry{Value: found[0][timeBytes:], Created: made}, true
}

// Put is [cache.Store]. Nobody waits for it. If there is no room to wait for the store, the
// entry is kept here.
func (s *sharedAnswers) Put(ctx context.Context, k cache.Key, e cache.Entry, ttl time.Duration) {
	if !s.send(k, e, ttl) {
		s.here.Put(ctx, k, e, ttl)
	}
}

// send has the store keep an entry, soon. It reports whether there is room to wait for that.
func (s *sharedAnswers) send(k cache.Key, e cache.Entry, ttl time.Duration) bool {
	size := int64(timeBytes + len(e.Value))
	if !s.waiting.Take(size) {
		return false
	}
	if !s.memory.Take(size) {
		s.waiting.Give(size)
		return false
	}
	sent := func() {
		s.memory.Give(size)
		s.waiting.Give(size)
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, size), uint64(e.Created.UnixMilli()))
	b = append(b, e.Value...)
	queued := s.store.Later(func(ctx context.Context) {
		defer sent()
		if s.store.Put(ctx, []shared.Value{{Name: answerName(k), Value: b}}, ttl) != nil {
			s.here.Put(ctx, k, cache.Entry{Value: b[timeBytes:], Created: e.Created}, ttl)
		}
	})
	if !queued {
		sent()
	}
	return queued
}
