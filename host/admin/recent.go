package admin

import (
	"time"

	"github.com/kai-gateway/kai/host/record"
)

// Recent is how a target's attempts went over the last half hour to an hour.
type Recent struct {
	Attempts int64   `json:"attempts"`
	Failed   int64   `json:"failed"`
	FirstP50 float64 `json:"first_p50"` // milliseconds, of the streams that began; 0: none did
	FirstP95 float64 `json:"first_p95"`
	TookP50  float64 `json:"took_p50"` // of those that answered
	TookP95  float64 `json:"took_p95"`
}

// recentLength is how long attempts are counted in one go. The time before counts as well.
const recentLength = 30 * time.Minute

// recent is what is known of a target.
type recent struct {
	at          int64 // the number of the time since 1970
	now, before attempts
}

// attempts are those of one time.
type attempts struct {
	all, failed int64
	first, took [bounds]uint32
}

// roll goes on to the time of an instant.
func (r *recent) roll(t time.Time) {
	at := max(0, t.UnixNano()/int64(recentLength))
	switch {
	case at == r.at+1:
		r.before, r.now = r.now, attempts{}
	case at > r.at:
		r.before, r.now = attempts{}, attempts{}
	}
	r.at = max(at, r.at)
}

func (r *recent) add(a *record.Attempt) {
	r.roll(a.Began.Add(a.Duration))
	r.now.all++
	if a.FirstContent > 0 {
		r.now.first[boundOf(a.FirstContent)]++
	}
	if a.Class != "" {
		r.now.failed++
	} else {
		r.now.took[boundOf(a.Duration)]++
	}
}

func (r *recent) shown() Recent {
	first, took := r.before.first, r.before.took
	addTo(&first, &r.now.first)
	addTo(&took, &r.now.took)
	return Recent{
		r.before.all + r.now.all, r.before.failed + r.now.failed,
		quantile(&first, .5), quantile(&first, .95), quantile(&took, .5), quantile(&took, .95),
	}
}

// Recent returns how a target's attempts went.
func (q *Requests) Recent(target string, now time.Time) Recent {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := q.targets[target]
	if r == nil {
		return Recent{}
	}
	r.roll(now)
	return r.shown()
}
