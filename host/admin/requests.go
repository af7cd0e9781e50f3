package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/record"
)

// kept is how many requests are remembered.
const (
	maxRequests = 500
	maxLive     = 16 // live answers at one time
	backlog     = 64 // requests that a live answer may be behind
)

// Requests are the last requests and the last hour in numbers. Its methods are safe for
// concurrent use.
type Requests struct {
	mu      sync.Mutex
	ring    [maxRequests]Request
	next    int   // where the next one goes
	count   int64 // of all since the start
	hours   map[string]*hour
	dropped map[string]int64  // aliases whose hour was dropped, and the number of its last bucket
	calls   map[string]*Calls // by provider
	targets map[string]*recent
	readers map[chan Request]filter
}

// NewRequests returns an empty memory of requests.
func NewRequests() *Requests {
	return &Requests{hours: map[string]*hour{"": {}}, dropped: map[string]int64{}, calls: map[string]*Calls{}, targets: map[string]*recent{}, readers: map[chan Request]filter{}}
}

// Request is a request as it is shown. It has nothing of what was asked or answered.
type Request struct {
	Number   int64     `json:"number"` // counted from the start
	ID       string    `json:"id"`
	Began    time.Time `json:"began"`
	Endpoint string    `json:"endpoint"`
	Key      string    `json:"key"`
	Group    string    `json:"group"` // of the key
	Model    string    `json:"model"`
	Instead  string    `json:"instead"` // the alias that served it, since a budget was spent; "": none but its own
	Target   string    `json:"target"`  // that answered, or was asked last
	Stream   bool      `json:"stream"`
	Cache    string    `json:"cache"` // "hit": the answer was kept; "miss": it may be kept from now on; "": neither
	Status   int       `json:"status"`
	Class    string    `json:"class"` // of the failure
	Code     string    `json:"code"`
	MS       float64   `json:"ms"`
	FirstMS  float64   `json:"first_ms"` // to the first content of a stream; 0: there was none
	Usage    Usage     `json:"usage"`
	Cost     *int64    `json:"cost"` // of all attempts, in billionths of the currency; null: not known
	Trail    []Step    `json:"trail"`
}

// Step is an attempt at one target.
type Step struct {
	Target  string  `json:"target"`
	Class   string  `json:"class"`
	Code    string  `json:"code"`
	AtMS    float64 `json:"at_ms"` // from the request's beginning
	MS      float64 `json:"ms"`
	FirstMS float64 `json:"first_ms"`
	Cooled  bool    `json:"cooled"` // its failure made the target cool
	Usage   Usage   `json:"usage"`
}

// Usage is in tokens.
type Usage struct {
	Input     int64 `json:"input"`
	Cached    int64 `json:"cached"`
	Output    int64 `json:"output"`
	Reasoning int64 `json:"reasoning"`
	Estimated bool  `json:"estimated"`
}

// Add takes the record of a request that is over. It keeps nothing of r.
//
//   - targets: the names of targets as configured, by the number that attempts have
func (q *Requests) Add(r *record.Request, targets []string) {
	shown := show(r)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count++
	shown.Number = q.count
	q.ring[q.next] = shown
	q.next = (q.next + 1) % maxRequests
	q.measure(r)
	for i := range r.Attempts {
		a := &r.Attempts[i]
		c := q.calls[a.Provider]
		if c == nil {
			c = &Calls{}
			q.calls[a.Provider] = c
		}
		c.OK += a.Calls.OK
		c.Failed += a.Calls.Failed
		c.Broken += a.Calls.Broken
		c.Fuel += a.Calls.Fuel
		if a.Target < len(targets) {
			q.recentOf(targets[a.Target]).add(a)
		}
	}
	for reader, f := range q.readers {
		if !f.takes(&shown) {
			continue
		}
		select {
		case reader <- shown:
		default: // it is too slow; the number of the next one that it gets shows that some are missing
		}
	}
}

// recentOf returns what is known of how a target's attempts went. The mutex is held.
func (q *Requests) recentOf(target string) *recent {
	r := q.targets[target]
	if r == nil {
		r = &recent{}
		q.targets[target] = r
	}
	return r
}

// Calls returns the calls of a provider's adapter.
func (q *Requests) Calls(provider string) Calls {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c := q.calls[provider]; c != nil {
		return *c
	}
	return Calls{}
}

func show(r *record.Request) Request {
	s := Request{
		ID: r.ID, Began: r.Began, Endpoint: fault.Shown(r.Endpoint, fault.MaxShown), Key: r.Key, Group: r.Group, Model: fault.Shown(r.Model, fault.MaxShown), Instead: r.Instead, Stream: r.Stream, Cache: r.Cache,
		Status: r.Status, Class: r.Class, Code: word(r.Code), MS: ms(r.Duration), FirstMS: ms(r.FirstContent), Usage: usage(r.Usage),
		Trail: make([]Step, len(r.Attempts)),
	}
	if r.Cost.Known {
		nano := r.Cost.Nano
		s.Cost = &nano
	}
	if r.Provider != "" {
		s.Target = fault.Shown(r.Provider+"/"+r.UpstreamModel, fault.MaxShown)
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		s.Trail[i] = Step{
			Target: fault.Shown(a.Provider+"/"+a.Model, fault.MaxShown), Class: a.Class, Code: word(a.Code), AtMS: ms(a.Began.Sub(r.Began)), MS: ms(a.Duration),
			FirstMS: ms(a.FirstContent), Cooled: a.Cooled, Usage: usage(a.Usage),
		}
	}
	return s
}

func usage(u record.Usage) Usage {
	return Usage{u.Input, u.CachedInput, u.Output, u.Reasoning, u.Estimated}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// word returns a code if it is made of letters, as the gateway's own are. An upstream may have
// put anything into its code.
func word(code string) string {
	if len(code) > 48 || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return ""
	}
	return code
}

// filter chooses among requests. Empty fields choose all.
type filter struct{ model, key, status string }

func filterOf(r *http.Request) filter {
	q := r.URL.Query()
	return filter{q.Get("model"), q.Get("key"), q.Get("status")}
}

// takes reports whether a request is chosen. A status is "ok", "failed", or a number.
func (f filter) takes(r *Request) bool {
	switch f.status {
	case "":
	case "ok":
		if r.Status >= 400 || r.Class != "" {
			return false
		}
	case "failed":
		if r.Status < 400 && r.Class == "" {
			return false
		}
	default:
		if f.status != fmt.Sprint(r.Status) {
			return false
		}
	}
	return (f.model == "" || f.model == r.Model) && (f.key == "" || f.key == r.Key)
}

// last returns the requests that f chooses, the newest first.
func (q *Requests) last(f filter) []Request {
	all := []Request{}
	for i := range q.ring {
		r := &q.ring[(q.next-1-i+2*maxRequests)%maxRequests]
		if r.Number > 0 && f.takes(r) {
			all = append(all, *r)
		}
	}
	return all
}

// listen returns the requests there are, and a channel that gets those which follow. It
// returns nil if too many listen already.
func (q *Requests) listen(f filter) (before []Request, reader chan Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.readers) >= maxLive {
		return nil, nil
	}
	reader = make(chan Request, backlog)
	q.readers[reader] = f
	return q.last(f), reader
}

func (q *Requests) leave(reader chan Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.readers, reader)
}

// keepAlive is how long a live answer may be silent.
const keepAlive = 5 * time.Second

// known reports whether a request may be chosen by f's status.
func (f filter) known() bool {
	n, err := strconv.Atoi(f.status)
	return f.status == "" || f.status == "ok" || f.status == "failed" || err == nil && n >= 100 && n <= 599
}

// requests answers with the last requests, or with ?live= as events: one with those there
// are, then one for each that follows.
func (s *Server) requests(w http.ResponseWriter, r *http.Request) {
	f := filterOf(r)
	if !f.known() {
		refuse(w, http.StatusBadRequest, "status must be ok, failed, or a number such as 429.")
		return
	}
	if !r.URL.Query().Has("live") {
		s.opts.Requests.mu.Lock()
		all := s.opts.Requests.last(f)
		s.opts.Requests.mu.Unlock()
		answer(w, http.StatusOK, struct {
			Requests []Request `json:"requests"`
		}{all})
		return
	}
	before, reader := s.opts.Requests.listen(f)
	if reader == nil {
		refuse(w, http.StatusServiceUnavailable, "Too many consoles follow the requests live already: close one.")
		return
	}
	defer s.opts.Requests.leave(reader)
	rc := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(event string, v any) bool {
		b, err := json.Marshal(v)
		if err != nil {
			return false
		}
		_ = rc.SetWriteDeadline(time.Now().Add(writeTime))
		_, err = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, b)
		return err == nil && rc.Flush() == nil
	}
	if !send("before", before) {
		return
	}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for ok := true; ok; {
		select {
		case next := <-reader:
			ok = send("request", next)
		case <-alive.C:
			ok = send("alive", struct{}{})
		case <-s.stopping:
			return
		case <-r.Context().Done():
			return
		}
	}
}
