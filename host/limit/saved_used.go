package limit

import "time"

// at returns the counter of a bucket at t, from a count that is kept elsewhere.
func (s Saved) at(b *Bucket, t time.Time) *counter {
	c := &counter{bucket: b, index: s.Index, end: s.End, now: s.Now, before: s.Before, debt: s.Debt, warned: s.Warned}
	c.roll(t)
	return c
}

// Used returns how much of a bucket is used at t by its count.
func (s Saved) Used(b *Bucket, t time.Time) int64 { return s.at(b, t).used(t) }

// Left returns what a bucket with a window has left at t by its count, and how long it
// takes until all of it is free again.
func (s Saved) Left(b *Bucket, t time.Time) (remaining int64, reset time.Duration) {
	r := s.at(b, t).room(t)
	return r.Left, r.Reset
}

// Judge says why a request is not let in at t by counts that are kept elsewhere, one for
// each bucket; nil: it is let in.
func Judge(buckets []*Bucket, counts []Saved, r Reserve, t time.Time) *Refusal {
	var refused *Refusal
	rooms := make([]Room, len(buckets))
	for i, b := range buckets {
		must, may := b.Needs(r)
		c := counts[i].at(b, t)
		rooms[i] = c.room(t)
		if no := c.refusal(t, must, may); no != nil {
			refused = refused.or(no)
		}
	}
	if refused != nil {
		refused.Rooms = rooms
	}
	return refused
}
