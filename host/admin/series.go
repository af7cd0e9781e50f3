package admin

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/record"
)

// The last hour is kept in buckets of fixed length. Quantiles come from counts of times in
// bounds that grow by a fourth, so they are at most that much too high.
const (
	bucketLength = 15 * time.Second
	buckets      = int(time.Hour / bucketLength)
	maxHours     = 33 // of aliases, and of all together
	bounds       = 64
	growth       = 1.25 // the last bound is about 20 minutes
)

// hour is the last hour of one alias, or of all.
type hour struct {
	buckets [buckets]bucket
	last    int64 // the number of the last bucket that counted something
}

type bucket struct {
	at       int64 // its number since 1970; what has another one is old
	requests int64
	failed   int64 // the gateway or an upstream
	refused  int64 // the client's fault: 4xx
	input    int64
	cached   int64
	output   int64
	cost     int64          // in billionths of the currency, as far as it is known
	first    [bounds]uint32 // times to the first content
	took     [bounds]uint32 // times to the end of answers
}

// boundOf returns the place of a time among the bounds.
func boundOf(d time.Duration) int {
	if d <= time.Millisecond {
		return 0
	}
	return min(bounds-1, int(math.Ceil(math.Log(float64(d)/float64(time.Millisecond))/math.Log(growth))))
}

// quantile returns the time in milliseconds that the given part of all times doesn't exceed;
// 0: there are none.
func quantile(counts *[bounds]uint32, part float64) float64 {
	sum := uint32(0)
	for _, n := range counts {
		sum += n
	}
	if sum == 0 {
		return 0
	}
	left := int64(math.Ceil(float64(sum) * part))
	for i, n := range counts {
		if left -= int64(n); left <= 0 {
			return math.Pow(growth, float64(i))
		}
	}
	return 0
}

// measure adds a request to the hour. The mutex is held.
func (q *Requests) measure(r *record.Request) {
	q.hours[""].add(r)
	if r.Alias == "" {
		return
	}
	h := q.hours[r.Alias]
	if h == nil {
		if len(q.hours) >= maxHours {
			q.dropOldest()
		}
		h = &hour{}
		q.hours[r.Alias] = h
		delete(q.dropped, r.Alias)
	}
	h.add(r)
}

// maxDropped is how many aliases are remembered whose hour was dropped.
const maxDropped = 4096

// dropOldest forgets the hour of the alias that was asked longest ago. The mutex is held.
func (q *Requests) dropOldest() {
	oldest := ""
	for alias, h := range q.hours {
		if alias != "" && (oldest == "" || h.last < q.hours[oldest].last) {
			oldest = alias
		}
	}
	if len(q.dropped) < maxDropped {
		q.dropped[oldest] = q.hours[oldest].last
	}
	delete(q.hours, oldest)
}

// droppedSince returns how many of the aliases whose hour was dropped were asked after a
// bucket, and whether an alias is one of them. The mutex is held.
func (q *Requests) droppedSince(after int64, alias string) (n int, it bool) {
	for name, last := range q.dropped {
		if last <= after {
			delete(q.dropped, name)
			continue
		}
		n++
		it = it || name == alias
	}
	return n, it
}

// numberOf returns the number of the bucket that an instant lies in.
func numberOf(t time.Time) int64 { return max(0, t.UnixNano()/int64(bucketLength)) }

func (h *hour) add(r *record.Request) {
	end := r.Began.Add(r.Duration)
	at := numberOf(end)
	b := &h.buckets[at%int64(buckets)]
	h.last = max(h.last, at)
	if b.at != at {
		*b = bucket{at: at}
	}
	b.requests++
	switch {
	case r.Status == fault.StatusGone: // nobody's failure
	case r.Status >= 500, r.Status < 400 && r.Class != "":
		b.failed++
	case r.Status >= 400:
		b.refused++
	}
	b.input += r.Usage.Input
	b.cached += r.Usage.CachedInput
	b.output += r.Usage.Output
	b.cost = min(b.cost, math.MaxInt64-max(0, r.Cost.Nano)) + max(0, r.Cost.Nano)
	if r.FirstContent > 0 {
		b.first[boundOf(r.FirstContent)]++
	}
	b.took[boundOf(r.Duration)]++
}

// Series is the last hour. The lists have a number for each bucket, the oldest first; the
// last bucket is not over yet.
type Series struct {
	Seconds  int       `json:"seconds"` // of a bucket
	At       []int64   `json:"at"`      // when each begins, Unix seconds
	Requests []int64   `json:"requests"`
	Failed   []int64   `json:"failed"`
	Refused  []int64   `json:"refused"`
	Input    []int64   `json:"input"`
	Cached   []int64   `json:"cached"`
	Output   []int64   `json:"output"`
	Cost     []int64   `json:"cost"`      // in billionths of the currency, of what has a price
	FirstP50 []float64 `json:"first_p50"` // milliseconds; 0: no stream began
	FirstP95 []float64 `json:"first_p95"`
	TookP50  []float64 `json:"took_p50"`
	TookP95  []float64 `json:"took_p95"`
	Whole    Whole     `json:"whole"`
	Models   []Share   `json:"models"` // that were asked in this hour
	More     int       `json:"more"`   // models that were asked, of which no numbers are kept
	Kept     bool      `json:"kept"`   // whether numbers of the model asked for are kept
}

// Whole is about the hour as a whole.
type Whole struct {
	FirstP50 float64 `json:"first_p50"`
	FirstP95 float64 `json:"first_p95"`
	TookP50  float64 `json:"took_p50"`
	TookP95  float64 `json:"took_p95"`
}

// Share is one alias's part of the hour.
type Share struct {
	Alias    string  `json:"alias"`
	Requests int64   `json:"requests"`
	Failed   int64   `json:"failed"`
	Tokens   int64   `json:"tokens"`
	FirstP50 float64 `json:"first_p50"`
}

// Series returns the hour before now of an alias, or of all for "".
func (q *Requests) Series(alias string, now time.Time) Series {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := Series{Seconds: int(bucketLength / time.Second), Models: []Share{}}
	last := max(int64(buckets), numberOf(now))
	h := q.hours[alias]
	if h == nil {
		h = &hour{}
	}
	more, dropped := q.droppedSince(last-int64(buckets), alias)
	s.More, s.Kept = more, !dropped
	var first, took [bounds]uint32
	for at := last - int64(buckets) + 1; at <= last; at++ {
		b := h.buckets[at%int64(buckets)]
		if b.at != at {
			b = bucket{}
		}
		s.At = append(s.At, at*int64(s.Seconds))
		s.Requests, s.Failed, s.Refused = append(s.Requests, b.requests), append(s.Failed, b.failed), append(s.Refused, b.refused)
		s.Input, s.Cached, s.Output = append(s.Input, b.input), append(s.Cached, b.cached), append(s.Output, b.output)
		s.Cost = append(s.Cost, b.cost)
		s.FirstP50, s.FirstP95 = append(s.FirstP50, quantile(&b.first, .5)), append(s.FirstP95, quantile(&b.first, .95))
		s.TookP50, s.TookP95 = append(s.TookP50, quantile(&b.took, .5)), append(s.TookP95, quantile(&b.took, .95))
		addTo(&first, &b.first)
		addTo(&took, &b.took)
	}
	s.Whole = Whole{quantile(&first, .5), quantile(&first, .95), quantile(&took, .5), quantile(&took, .95)}
	for name, h := range q.hours {
		if share := h.share(name, last); name != "" && share.Requests > 0 {
			s.Models = append(s.Models, share)
		}
	}
	slices.SortFunc(s.Models, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Alias, b.Alias))
	})
	return s
}

func addTo(sum, part *[bounds]uint32) {
	for i, n := range part {
		sum[i] += n
	}
}

func (h *hour) share(name string, last int64) Share {
	s := Share{Alias: name}
	var first [bounds]uint32
	for i := range h.buckets {
		if b := &h.buckets[i]; b.at > last-int64(buckets) && b.at <= last {
			s.Requests, s.Failed, s.Tokens = s.Requests+b.requests, s.Failed+b.failed, s.Tokens+b.input+b.output
			addTo(&first, &b.first)
		}
	}
	s.FirstP50 = quantile(&first, .5)
	return s
}

// Forget drops the hours of aliases, the calls of providers and what is known of targets
// that a new configuration doesn't have.
func (q *Requests) Forget(aliases, providers, targets map[string]bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for name := range q.hours {
		if name != "" && !aliases[name] {
			delete(q.hours, name)
		}
	}
	for name := range q.dropped {
		if !aliases[name] {
			delete(q.dropped, name)
		}
	}
	for name := range q.calls {
		if !providers[name] {
			delete(q.calls, name)
		}
	}
	for name := range q.targets {
		if !targets[name] {
			delete(q.targets, name)
		}
	}
}

func (s *Server) series(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, s.opts.Requests.Series(r.URL.Query().Get("model"), s.opts.Now()))
}
