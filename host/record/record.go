// Package record has what is known of a client's request once it is over: who asked for
// which model, what was tried, how it ended, how long it took and what it used.
//
// The log, the metrics, the traces, the audit and the console all show the same record,
// so that they never contradict each other. It has no prompt, no answer and no key, but for
// Content, which is nil unless somebody asked for it. What
// is foreign in it, which the fields say, must be made printable where it is shown.
package record

import (
	"math"
	"slices"
	"time"
)

// Request is the record of one client request. Whoever serves the request fills it in;
// after its end it doesn't change. Its zero value says nothing.
type Request struct {
	ID       string // the x-request-id of the answer
	Began    time.Time
	Duration time.Duration // until the end of the answer
	Endpoint string        // the route, such as "/v1/models/{id}"; "": none served the request
	Client   string        // the address that the request came from, without its port
	BytesIn  int64         // of the request's body

	TraceParent string // the header of that name; foreign
	Trace       Trace

	Key    string // the name of the client's key; never the key itself
	Group  string // that the key belongs to; "": none, or no such key was let in
	Model  string // the alias, or what the client asked for if there is none: then it is foreign
	Alias  string // the alias as configured, "" if the request has come to none
	Stream bool

	Cache string // "hit": the answer was kept; "miss": it may be kept from now on; "": neither

	Instead string // the alias whose targets were asked instead, since a budget was spent; "": Alias's own

	ForModel bool // the endpoint is one at which a model answers

	// The target that was asked last, or would have been asked first.
	Provider      string
	UpstreamModel string // may be the client's choice
	Plugin        string
	Native        *bool // whether the request went there as it came; nil: its API has no such way

	Status int    // of the answer, or 499 if the client hung up
	Class  string // of the failure, one of fault's classes; "": there was none
	Code   string // of the failure, as the client got it; may be an upstream's
	Err    error  // may repeat an upstream's words: only for the log
	Words  bool   // the log may have such words at its level debug: all providers that were asked allow it

	Attempts     []Attempt     // in order; empty if nobody was asked
	FirstContent time.Duration // from the beginning to the first content of a stream; 0: there was none
	Usage        Usage         // of the answer; what was tried before is in Attempts
	Cost         Cost          // of all attempts; known if the cost of each is

	// Content is what was said, where the operator has asked for it twice; else nil. Nothing
	// but spans may show it.
	Content *Content

	// Asked is what the client asked of the model in numbers; nil: no span will say it.
	Asked *Asked

	first [1]Attempt // room for the usual number of attempts
}

// Asked is a part of what a request asks of the model. It never changes.
type Asked struct {
	MaxTokens         int64    // of the answer, or of each choice; 0: it doesn't say
	Temperature, TopP *float64 // nil: it doesn't say
}

// Reported is what a provider said about an answer beyond its content. It never changes.
type Reported struct {
	ID     string   // the provider's, as far as it looks like an id; "": unknown
	Model  string   // the asked one, perhaps with a version; "": it said another one, or none
	Finish []string // why choices ended, in words of OpenAI's API, in their order
}

// Content is what a request and its answer say, in JSON as OpenTelemetry's conventions have
// messages. It never changes.
type Content struct{ Input, Output string }

// Trace is the trace that a request is part of.
type Trace struct {
	Decided bool     // it is decided whether its spans are sent
	Sampled bool     // they are
	ID      [16]byte // zero: nobody needed one yet
	Span    [8]byte  // of the request as a whole; zero: nobody needed one yet
	Parent  [8]byte  // the client's; zero: the request begins the trace
}

// Attempt is one attempt to get an answer.
type Attempt struct {
	Target       int    // the route.Target's ID in the configuration that the request began with
	Provider     string // as configured
	Model        string // the upstream's; may be the client's choice
	Began        time.Time
	Duration     time.Duration
	FirstContent time.Duration // from the attempt's beginning, as in Request; 0: there was none
	Class        string        // of the failure; "": it answered
	Code         string        // of the failure; may be an upstream's
	Status       int           // that the upstream of a failed one answered with last; 0: it sent none
	Cooled       bool          // the failure made its target cool down, or cool for longer
	Usage        Usage
	Cost         Cost   // of the usage, by the configured price
	Price        string // the version of that price; "": there is none
	Calls        Calls
	Span         [8]byte   // the id that its span has, if the provider was told; else zero
	Reported     *Reported // nil: no span will say it

	// Uncertain says that the provider may have done work that it never counted and may still
	// bill. Usage and Cost don't include it.
	Uncertain bool
}

// Cost is an amount of money.
type Cost struct {
	Nano  int64 // in billionths of the configured currency; 0 if it isn't known
	Known bool
}

// Calls are the calls of an adapter in its sandbox.
type Calls struct {
	OK     int64 // it did what it was called for
	Failed int64 // it stated an error
	Broken int64 // it trapped, was stopped, or broke its contract
	Fuel   int64 // what the calls executed that came back
}

// Add adds the calls of o.
func (c *Calls) Add(o Calls) {
	c.OK += o.OK
	c.Failed += o.Failed
	c.Broken += o.Broken
	c.Fuel += o.Fuel
}

// Usage is what an answer used, in tokens if nothing else is said.
type Usage struct {
	Input       int64 // all of them, those below included
	CachedInput int64 // read from a cache
	CacheWrite  int64 // written to a cache
	Output      int64 // all of them, the reasoning included
	Reasoning   int64

	Sound time.Duration // how much of it was transcribed, where that is billed and not tokens

	// What was asked for, where it may be billed and not tokens.
	Pictures   int64
	Characters int64 // that were spoken

	Stated Cost // what the provider says that it costs

	// Estimated says that the provider did not count, or not to the end, so that the
	// numbers come from the lengths of texts.
	Estimated bool
}

// ByType returns the numbers in the order input, cached input, cache write, output and
// reasoning.
func (u Usage) ByType() [5]int64 {
	return [...]int64{u.Input, u.CachedInput, u.CacheWrite, u.Output, u.Reasoning}
}

// Add records an attempt and what it cost.
func (r *Request) Add(a Attempt) {
	if r.Attempts == nil {
		r.Attempts = r.first[:0]
	}
	r.Attempts = append(r.Attempts, a)
	r.Cost.Known = a.Cost.Known && (r.Cost.Known || len(r.Attempts) == 1)
	if r.Cost.Nano += a.Cost.Nano; r.Cost.Nano < 0 {
		r.Cost.Nano = math.MaxInt64
	}
}

// Clone returns a copy that shares nothing with r.
func (r *Request) Clone() *Request {
	c := *r
	c.first = [1]Attempt{}
	c.Attempts = slices.Clone(r.Attempts)
	return &c
}
