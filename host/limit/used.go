package limit

import "time"

// Used is [Store].
func (s *Local) Used(buckets []*Bucket) []int64 {
	t := s.now()
	used := make([]int64, len(buckets))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range buckets {
		used[i] = s.peek(b, t)
	}
	return used
}

// peek returns how much a bucket counts at t, and changes nothing. The caller has the lock.
func (s *Local) peek(b *Bucket, t time.Time) int64 {
	c := s.counters[b.ID]
	if c == nil {
		old, ok := s.saved[b.ID]
		if !ok {
			return 0
		}
		c = old.counter()
	}
	seen := *c
	seen.bucket = b
	seen.roll(t)
	return seen.used(t)
}
