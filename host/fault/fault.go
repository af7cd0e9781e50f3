// Package fault defines the kinds of failure and what follows from each: the status that
// a client gets, whether a retry or a fallback may succeed, and whom it is counted
// against.
//
// Every part of the gateway returns an *Error. Only the table in this package says which
// HTTP status a kind has. How an error looks on the wire is up to the client's dialect.
package fault

import (
	"errors"
	"slices"
	"time"
)

// Kind says whose failure it is, and of which sort. Decisions depend on it, never on a
// code or a text.
type Kind uint8

const (
	// Internal is the gateway's own mistake: any error that is no *Error.
	Internal Kind = iota

	// The client's request to the gateway.

	Invalid          // it breaks the API's rules
	UnknownModel     // no alias has the name of its model
	Unauthenticated  // it has no valid key
	Forbidden        // its key may not do this
	NotFound         // there is nothing with that name
	MethodNotAllowed // the path allows other methods
	NoWebSocket      // it would become a WebSocket, which the gateway does not speak
	Timeout          // its body did not come in time
	TooLarge         // it is over a limit of the gateway's
	Unsupported      // its body has a type or encoding that is not accepted
	Unpriced         // a budget has to pay for it, and nobody knows what it costs

	// The gateway itself, at the moment.

	Full     // there is no room: memory, processor time
	NoFiles  // the system lets it open no more files and connections, so nothing was sent
	Stopping // the gateway is shutting down
	Gone     // the client hung up
	Limited  // a limit or a budget of its key, its groups, its alias or the gateway is reached

	// An attempt at a target. The kinds are those that the choice of the next target
	// needs: they say who is at fault, whatever the status was.

	Refused          // the provider refused the client's request
	RefusedField     // it has a field that the model takes with no value
	RefusedValue     // it has a field with a value that the model does not take
	RefusedOperation // the provider does not serve the model, or anything, in that API

	Context    // the request is too long for the model
	Policy     // the provider's rules about content forbid it
	Rate       // the provider limits how often it is asked
	Busy       // the provider has no room at the moment
	Upstream   // the provider failed, or sent what can't be read
	Slow       // the provider did not answer in time
	Unsent     // there was no connection, so nothing was sent
	UnsentSlow // there was no connection in time, so nothing was sent
	Auth       // the provider does not accept the gateway's key
	Denied     // the provider accepts the key, and does not let its account do this with the model
	Quota      // the gateway's account at the provider is used up
	Missing    // the provider does not have the model
	Adapter    // the provider's adapter failed
	Unready    // the provider's adapter can't be used now: it is loading or paused
	Unusable   // the provider or its adapter can't be used until somebody fixes it
	Unable     // the adapter does not do what is asked, which another model may
	NoCount    // the adapter counts no tokens, which clients do without
	Share      // an answer is beyond the provider's share of memory
	ShareFull  // the provider's share of memory has no room for the request now
	Saturated  // the target has as many requests as it may have

	kinds // how many there are
)

// StatusGone is the status of a request whose client did not wait for its answer. It stands
// in the log and is counted; no client ever sees it.
const StatusGone = 499

// Blame says whom a failure is counted against when targets are chosen.
type Blame uint8

const (
	Nobody   Blame = iota
	Target         // the provider's model
	Provider       // all of its models
)

// rule is what follows from a kind.
type rule struct {
	name   string
	status int   // for the client
	repeat bool  // the same request may succeed at the same target after a while
	next   bool  // another target may be asked
	blame  Blame // whom it is counted against
	sticky bool  // it lasts until somebody fixes it, so it counts at once and for long
	final  bool  // the client must not repeat the request, whatever the status says

	refusal bool // the provider read the request, and will not do what the client asks
}

var rules = [kinds]rule{
	Internal: {name: "internal", status: 500},

	Invalid:          {name: "invalid", status: 400},
	UnknownModel:     {name: "unknown_model", status: 400},
	Unauthenticated:  {name: "unauthenticated", status: 401},
	Forbidden:        {name: "forbidden", status: 403},
	NotFound:         {name: "not_found", status: 404},
	MethodNotAllowed: {name: "method_not_allowed", status: 405},
	NoWebSocket:      {name: "method_not_allowed", status: 426},
	Timeout:          {name: "timeout", status: 408},
	TooLarge:         {name: "too_large", status: 413},
	Unsupported:      {name: "unsupported", status: 415},
	Unpriced:         {name: "limited", status: 400},

	Full:     {name: "full", status: 503},
	NoFiles:  {name: "full", status: 502},
	Stopping: {name: "stopping", status: 503},
	Gone:     {name: "gone", status: StatusGone},
	Limited:  {name: "limited", status: 429},

	Refused:          {name: "client", status: 400, refusal: true},
	RefusedField:     {name: "client", status: 400, refusal: true},
	RefusedValue:     {name: "client", status: 400, refusal: true},
	RefusedOperation: {name: "client", status: 400, next: true, refusal: true}, // another model may have it

	Context:    {name: "context", status: 400, next: true},
	Policy:     {name: "policy", status: 400, refusal: true},
	Rate:       {name: "rate", status: 429, repeat: true, next: true, blame: Target},
	Busy:       {name: "busy", status: 503, repeat: true, next: true, blame: Target},
	Upstream:   {name: "server", status: 502, next: true, blame: Target},
	Slow:       {name: "slow", status: 504, next: true, blame: Target},
	Unsent:     {name: "unsent", status: 502, next: true, blame: Provider},
	UnsentSlow: {name: "unsent", status: 504, next: true, blame: Provider},
	Auth:       {name: "auth", status: 502, next: true, blame: Provider, sticky: true, final: true},
	Denied:     {name: "auth", status: 502, next: true, blame: Target, sticky: true, final: true},
	Quota:      {name: "quota", status: 429, next: true, blame: Provider, sticky: true, final: true},
	Missing:    {name: "missing", status: 404, next: true, blame: Target, sticky: true},
	Adapter:    {name: "adapter", status: 502, next: true, final: true},
	Unready:    {name: "adapter", status: 503, next: true},
	Unusable:   {name: "adapter", status: 503, next: true, final: true},
	Unable:     {name: "adapter", status: 400, next: true, final: true},
	NoCount:    {name: "adapter", status: 404, next: true, final: true},
	Share:      {name: "share", status: 502, next: true},
	ShareFull:  {name: "share", status: 503, next: true},
	Saturated:  {name: "saturated", status: 429, next: true},
}

// String returns the kind's class, as it stands in the log.
func (k Kind) String() string { return rules[k].name }

// Named returns the first kind of a class; ok is false if there is none.
func Named(class string) (k Kind, ok bool) {
	i := slices.IndexFunc(rules[:], func(r rule) bool { return r.name == class })
	return Kind(max(0, i)), i >= 0
}

// Classes returns the names of all kinds, each one once.
func Classes() []string {
	var all []string
	for _, r := range rules {
		if !slices.Contains(all, r.name) {
			all = append(all, r.name)
		}
	}
	return all
}

// Repeat reports whether the same request may succeed at the same target later.
func (k Kind) Repeat() bool { return rules[k].repeat }

// Next reports whether another target may be asked instead.
func (k Kind) Next() bool { return rules[k].next }

// Refusal reports whether a provider has read the request and will not do what the client
// asks, so that the client has to ask for something else.
func (k Kind) Refusal() bool { return rules[k].refusal }

// Blame says whom the failure is counted against, and whether it lasts until somebody
// fixes its cause.
func (k Kind) Blame() (who Blame, sticky bool) { return rules[k].blame, rules[k].sticky }

// Error is a failure. Clients see Text, so it never contains an address, a key or a
// prompt. Cause is the detail for the log, and is never shown. An Error never changes
// once it was returned.
type Error struct {
	Kind  Kind
	Code  string // for the client, for example "model_not_found"; "" is none
	Param string // the field of the request that is at fault; "" is none
	Text  string

	// OwnStatus is the status that an upstream or its adapter stated, where that is not the
	// kind's; or, once a dialect has translated the error, the one by which clients of that API
	// know the kind. 0: the kind's. A status that the gateway chooses is a kind's, never this.
	OwnStatus int

	Type       string        // an adapter's word for its type; "": the type follows from the status
	RetryAfter time.Duration // until a repeat may succeed; 0: unknown
	Foreign    bool          // Text has the words of a provider, which may repeat a prompt: only the client may see it
	Own        string        // of a Foreign one, what its adapter says in words of its own, for the log; "": nothing
	NoRetry    bool          // the client must not repeat the request, whatever the kind
	Cause      error
}

// Error returns text and cause, for the log.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Text + ": " + e.Cause.Error()
	}
	return e.Text
}

func (e *Error) Unwrap() error { return e.Cause }

// HTTPStatus returns the status that a client gets.
func (e *Error) HTTPStatus() int {
	if e.OwnStatus >= 400 && e.OwnStatus <= 599 {
		return e.OwnStatus
	}
	return rules[e.Kind].status
}

// Repeatable reports whether a client may send the same request again. Clients
// repeat every 408, 409, 429 and 5xx unless told otherwise.
func (e *Error) Repeatable() bool {
	if e.NoRetry || rules[e.Kind].final {
		return false
	}
	status := e.HTTPStatus()
	return status >= 500 || status == 408 || status == 409 || status == 429
}

// RetryAfterOf returns how long any error says to wait; 0 if it doesn't.
func RetryAfterOf(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// KindOf returns the kind of any error: that of the first *Error in its chain, else
// Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}
