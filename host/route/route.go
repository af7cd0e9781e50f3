// Package route decides which providers and models serve a client's request, in which
// order, and remembers how they have been doing.
//
// A [Table] is built once from the configuration and never changes; a reload builds a new
// one. What is remembered is in [Cells], which outlive tables. The package does no I/O
// and knows nothing of HTTP.
package route

import (
	"fmt"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

// Alias is a name that clients may ask for, and where requests for it go.
type Alias struct {
	Name    string  // the client's "model", compared byte for byte; "name*" takes what begins so
	Entries []Entry // never empty
	Hidden  bool    // it is not listed

	// Sole says that there is one target and no choice: it is asked once for each request,
	// whatever its health is.
	Sole bool

	OnPolicy bool // a request that a provider's rules forbid goes to the next target
	Routing  Routing
}

// Entry is a target of an alias as it was configured, or all targets of another alias.
type Entry struct {
	Target
	Alias  string  // the other alias; "": none
	Weight float64 // the share within the tier; 0: only if no other in the tier can
	Tier   int     // lower ones first
}

// Routing says how the targets of an alias are tried.
type Routing struct {
	Attempts    int           // at most, for one request; 0: one for each target, but at most 4
	Deadline    time.Duration // after which no attempt begins
	BackoffBase time.Duration // the first wait before the same target is asked again
	BackoffMax  time.Duration // the longest, and the longest Retry-After that is waited for
	Sticky      string        // what keeps requests at the same target, in the caller's words; "": nothing
	Cooldown    Cooldown
}

// Target is where requests go.
type Target struct {
	ID         int           // whatever number its owner gave it
	Provider   string        // a key of the configuration's providers
	Upstream   string        // identifies the upstream and the key that is used for it, for its health
	Model      string        // the upstream's name of the model
	Options    []byte        // the adapter's options of this model, JSON; nil: none
	Context    int64         // tokens that it takes; 0: unknown
	FirstToken time.Duration // in which the first content must come; 0: any
	Native     bool          // it may get requests of an API that it speaks itself as they are

	NativeAsked bool // the configuration says so itself

	via      []string // other aliases that lead here, which the caller must be allowed to use
	weight   float64
	identity uint64 // the same in every replica
	health   Health
}

// Via lists the other aliases that lead to the target.
func (t *Target) Via() []string { return t.via }

// Health returns how the target has been doing.
func (t *Target) Health() Health { return t.health }

// Table has the aliases. It is safe for concurrent use.
type Table struct {
	exact        map[string]*Plan
	wildcards    []*Plan  // the longest prefix first
	aliases      []string // those that are listed
	open         []string // those of them that end in *
	defaultAlias string
	cells        *Cells
	held         []cellKey
}

// Aliases lists every alias of one name that is listed, in the order of the configuration.
// The caller must not change it.
func (t *Table) Aliases() []string { return t.aliases }

// Open lists every alias that ends in * and is listed, in the order of the configuration. The
// caller must not change it.
func (t *Table) Open() []string { return t.open }

// Close lets go of what is remembered of targets that no other table has. Plans may still
// be used.
func (t *Table) Close() {
	for _, k := range t.held {
		t.cells.release(k)
	}
	t.held = nil
}

// Plan returns the plan for an alias, or for the default model when alias is "".
//
// The error is a *fault.Error with status 400, for an unknown alias and for an empty one
// without a default model.
func (t *Table) Plan(alias string) (*Plan, error) {
	if alias == "" {
		if t.defaultAlias == "" {
			return nil, &fault.Error{
				Kind:  fault.Invalid,
				Param: "model",
				Text:  "you must provide a model parameter",
			}
		}
		alias = t.defaultAlias
	}
	if p := t.exact[alias]; p != nil {
		return p, nil
	}
	for _, p := range t.wildcards {
		if rest, ok := strings.CutPrefix(alias, p.prefix); ok && isOpenName(rest) {
			return p.named(rest, t.cells), nil
		}
	}
	return nil, &fault.Error{
		Kind: fault.UnknownModel,
		Text: "Model '" + fault.Shown(alias, fault.MaxShown) + "' not found in configuration",
	}
}

// Each calls f for every alias of the configuration, the hidden ones and those that end
// in * included.
func (t *Table) Each(f func(*Plan)) {
	for _, p := range t.exact {
		f(p)
	}
	for _, p := range t.wildcards {
		f(p)
	}
}

// longestOpenName is how long the part of a name may be that a client chooses.
const longestOpenName = 200

// isOpenName reports whether a client may put a name in the place of a *. It may become a
// part of a URL's path.
func isOpenName(s string) bool {
	if s == "" || len(s) > longestOpenName || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("._:/@-", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// wrong is an error that the configuration's checks should have found before.
func wrong(format string, args ...any) error { return fmt.Errorf("routes: "+format, args...) }
