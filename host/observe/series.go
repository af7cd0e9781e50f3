package observe

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kai-gateway/kai/host/fault"
)

// lazy is a series that is made when it is first needed. Most combinations of labels never
// are, and a scrape shouldn't carry them.
type lazy[T any] struct{ value atomic.Pointer[T] }

// get returns the series. make may be called by several goroutines at once, and must
// return the same series each time.
func (l *lazy[T]) get(make func() T) T {
	if t := l.value.Load(); t != nil {
		return *t
	}
	t := make()
	l.value.Store(&t)
	return t
}

// statuses are those that have series of their own. Upstreams may answer with any other:
// that is counted as the first one of its hundred.
var statuses = [...]int{200, 204, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 426, 429, fault.StatusGone, 500, 501, 502, 503, 504, 529}

// statusIndex is the place in statuses of a status from 0 to 599.
var statusIndex = func() (index [600]uint8) {
	find := func(status int) int {
		for i, s := range statuses {
			if s == status {
				return i
			}
		}
		return -1
	}
	for status := range index {
		i := find(status)
		if i < 0 {
			i = find(max(2, status/100) * 100)
		}
		if i < 0 {
			i = find(500)
		}
		index[status] = uint8(i)
	}
	return index
}()

func indexOfStatus(status int) uint8 {
	if status < 0 || status >= len(statusIndex) {
		status = 500
	}
	return statusIndex[status]
}

// classes are what attempts end with, and classIndex is their places. The first one is
// that of an answer.
var classes, classIndex = func() ([]string, map[string]int) {
	list, index := []string{"ok"}, map[string]int{"": 0}
	for _, class := range fault.Classes() {
		index[class] = len(list)
		list = append(list, class)
	}
	return list, index
}()

// cacheUses are the values of Cache in a record; "" means that the request had nothing to do
// with the cache.
var cacheUses = [...]string{"", "miss", "hit"}

// cacheUse is the place in cacheUses of what a record says.
func cacheUse(cache string) int {
	for i, use := range cacheUses {
		if use == cache {
			return i
		}
	}
	return 0
}

// aliasSeries are the series of one alias.
type aliasSeries struct {
	m        *Metrics
	name     string
	requests [len(cacheUses)][len(statuses)]lazy[prometheus.Counter]
	seconds  [2]lazy[prometheus.Observer] // of whole answers, and of streams
	first    lazy[prometheus.Observer]
	inFlight lazy[prometheus.Gauge]
	cache    [len(cacheUses)]lazy[prometheus.Counter] // of the first there is none
}

func newAliasSeries(m *Metrics, name string) *aliasSeries { return &aliasSeries{m: m, name: name} }

// request is the counter of requests that ended so.
//
//   - use: a place in cacheUses
func (s *aliasSeries) request(status, use int) prometheus.Counter {
	i := indexOfStatus(status)
	return s.requests[use][i].get(func() prometheus.Counter {
		return s.m.requests.WithLabelValues(s.name, strconv.Itoa(statuses[i]), cacheUses[use])
	})
}

func (s *aliasSeries) duration(stream bool) prometheus.Observer {
	i := 0
	if stream {
		i = 1
	}
	return s.seconds[i].get(func() prometheus.Observer { return s.m.seconds.WithLabelValues(s.name, strconv.FormatBool(stream)) })
}

func (s *aliasSeries) firstToken() prometheus.Observer {
	return s.first.get(func() prometheus.Observer { return s.m.firstToken.WithLabelValues(s.name) })
}

func (s *aliasSeries) flying() prometheus.Gauge {
	return s.inFlight.get(func() prometheus.Gauge { return s.m.inFlight.WithLabelValues(s.name) })
}

// cached is the counter of requests that had to do with the cache.
//
//   - use: a place in cacheUses, but the first
func (s *aliasSeries) cached(use int) prometheus.Counter {
	return s.cache[use].get(func() prometheus.Counter { return s.m.cached.WithLabelValues(s.name, cacheUses[use]) })
}

func (s *aliasSeries) remove() {
	of := prometheus.Labels{"alias": s.name}
	s.m.requests.DeletePartialMatch(of)
	s.m.seconds.DeletePartialMatch(of)
	s.m.firstToken.DeletePartialMatch(of)
	s.m.inFlight.DeletePartialMatch(of)
	s.m.cached.DeletePartialMatch(of)
}

// Target is a provider and one of its models, as configured: a * in the model stands for
// what clients choose.
type Target struct{ Provider, Model string }

// tokenTypes are the types of tokens, in the order of targetSeries.tokens.
var tokenTypes = [...]string{"input", "cached_input", "cache_write", "output", "reasoning"}

// targetSeries are the series of one target.
type targetSeries struct {
	m         *Metrics
	target    Target
	attempts  []lazy[prometheus.Counter] // by class
	cooldowns []lazy[prometheus.Counter] // by class
	seconds   lazy[prometheus.Observer]
	tokens    [len(tokenTypes)]lazy[prometheus.Counter]
	estimated lazy[prometheus.Counter]
	cost      lazy[prometheus.Counter]
	genAI     genAIByOperation
}

func newTargetSeries(m *Metrics, t Target) *targetSeries {
	return &targetSeries{
		m: m, target: t,
		attempts: make([]lazy[prometheus.Counter], len(classes)), cooldowns: make([]lazy[prometheus.Counter], len(classes)),
	}
}

func (s *targetSeries) attempt(class string) prometheus.Counter {
	i := classIndex[class]
	return s.attempts[i].get(func() prometheus.Counter {
		return s.m.attempts.WithLabelValues(s.target.Provider, s.target.Model, classes[i])
	})
}

func (s *targetSeries) cooldown(class string) prometheus.Counter {
	i := classIndex[class]
	return s.cooldowns[i].get(func() prometheus.Counter {
		return s.m.cooldowns.WithLabelValues(s.target.Provider, s.target.Model, classes[i])
	})
}

func (s *targetSeries) duration() prometheus.Observer {
	return s.seconds.get(func() prometheus.Observer {
		return s.m.attemptSeconds.WithLabelValues(s.target.Provider, s.target.Model)
	})
}

// add counts n tokens of a type.
func (s *targetSeries) add(kind int, n int64) {
	if n > 0 {
		s.tokens[kind].get(func() prometheus.Counter {
			return s.m.tokens.WithLabelValues(s.target.Provider, s.target.Model, tokenTypes[kind])
		}).Add(float64(n))
	}
}

func (s *targetSeries) estimate() prometheus.Counter {
	return s.estimated.get(func() prometheus.Counter { return s.m.estimated.WithLabelValues(s.target.Provider, s.target.Model) })
}

// spend counts an amount of money.
func (s *targetSeries) spend(nano int64) {
	if nano > 0 {
		s.cost.get(func() prometheus.Counter { return s.m.cost.WithLabelValues(s.target.Provider, s.target.Model) }).Add(float64(nano) / 1e9)
	}
}

func (s *targetSeries) remove() {
	of := prometheus.Labels{"provider": s.target.Provider, "model": s.target.Model}
	for _, vec := range []*prometheus.CounterVec{s.m.attempts, s.m.cooldowns, s.m.tokens, s.m.estimated, s.m.cost} {
		vec.DeletePartialMatch(of)
	}
	s.m.attemptSeconds.DeletePartialMatch(of)
	s.m.genAI.remove(s.target)
}

// providerSeries are the series of one provider's adapter.
type providerSeries struct {
	m                  *Metrics
	name               string
	ok, failed, broken lazy[prometheus.Counter]
	fuel               lazy[prometheus.Counter]
}

func newProviderSeries(m *Metrics, name string) *providerSeries {
	return &providerSeries{m: m, name: name}
}

func (s *providerSeries) count(l *lazy[prometheus.Counter], result string, n int64) {
	if n > 0 {
		l.get(func() prometheus.Counter { return s.m.calls.WithLabelValues(s.name, result) }).Add(float64(n))
	}
}

func (s *providerSeries) remove() {
	s.m.calls.DeletePartialMatch(prometheus.Labels{"provider": s.name})
	s.m.fuel.DeletePartialMatch(prometheus.Labels{"provider": s.name})
}

// keySeries is the series of one key.
type keySeries struct {
	m      *Metrics
	name   string
	tokens lazy[prometheus.Counter]
}

func newKeySeries(m *Metrics, name string) *keySeries { return &keySeries{m: m, name: name} }

func (s *keySeries) add(n int64) {
	if n > 0 {
		s.tokens.get(func() prometheus.Counter { return s.m.keyTokens.WithLabelValues(s.name) }).Add(float64(n))
	}
}

func (s *keySeries) remove() { s.m.keyTokens.DeleteLabelValues(s.name) }

// shared has series by name, each for as long as somebody refers to it. A mutex of its owner
// guards it.
type shared[K comparable, S any] struct{ held map[K]*heldSeries[S] }

type heldSeries[S any] struct {
	series *S
	refs   int
}

func (s *shared[K, S]) hold(k K, make func() *S) *S {
	h := s.held[k]
	if h == nil {
		if s.held == nil {
			s.held = map[K]*heldSeries[S]{}
		}
		h = &heldSeries[S]{series: make()}
		s.held[k] = h
	}
	h.refs++
	return h.series
}

// release gives up one reference. It returns the series if nobody holds it any more, else nil.
func (s *shared[K, S]) release(k K) *S {
	h := s.held[k]
	if h.refs--; h.refs > 0 {
		return nil
	}
	delete(s.held, k)
	return h.series
}
