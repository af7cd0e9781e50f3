// Package key says whose API key a client sends, to which groups that key belongs, and
// which models it may use.
//
// It knows keys by their SHA-256 only and repeats nothing that a client sent, so no error
// and no log line can contain a key.
package key

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

// Key is one API key of the configuration.
type Key struct {
	Name     string    // its owner's name in logs and errors
	Digests  []Digest  // of what clients may send for it; several while one takes the place of another
	Groups   []string  // those it belongs to: its own group, the parent of that, and so on
	Models   *Models   // the aliases it may use; nil: all
	Routes   bool      // it may choose models and providers at an upstream
	Trusted  bool      // it may name all that a provider's account keeps
	Content  bool      // what it asks and is answered may be in traces
	Expires  time.Time // from then on it is refused; zero: never
	Disabled bool      // it is refused
}

// Digest is the digest of a key as a client sends it.
type Digest struct {
	SHA256 [sha256.Size]byte
	Until  time.Time // from then on it is refused; zero: never
}

// Models is a set of aliases. It never changes. Many keys may share one.
type Models struct{ aliases map[string]struct{} }

// NewModels returns the set of the aliases, which may be empty.
func NewModels(aliases []string) *Models {
	m := &Models{make(map[string]struct{}, len(aliases))}
	for _, alias := range aliases {
		m.aliases[alias] = struct{}{}
	}
	return m
}

// Principal is who sent a request. The zero value is anybody, when authentication is
// off: it has no name and no group, may use every model, and may choose nothing beyond
// the alias.
type Principal struct {
	Name    string   // of the key
	Groups  []string // those the key belongs to, as in Key; must not be changed
	Models  *Models  // the aliases it may use; nil: all
	Routes  bool     // it may choose models and providers at an upstream
	Trusted bool     // it may name all that a provider's account keeps

	Content bool // what it asks and is answered may be in traces
}

// MayUse reports whether the principal may use the model alias.
func (p Principal) MayUse(alias string) bool {
	if p.Models == nil {
		return true
	}
	_, listed := p.Models.aliases[alias]
	return listed
}

// Keys is the set of valid keys. It never changes and is safe for concurrent use.
type Keys struct{ byDigest map[[sha256.Size]byte]found }

type found struct {
	owner *Key
	until time.Time
}

// New returns the set of keys, which it keeps and which must not be changed any more.
// Without any, every check fails. Of two with one digest the first counts.
func New(keys []Key) *Keys {
	k := &Keys{make(map[[sha256.Size]byte]found, len(keys))}
	for i := range keys {
		for _, d := range keys[i].Digests {
			if _, twice := k.byDigest[d.SHA256]; !twice {
				k.byDigest[d.SHA256] = found{&keys[i], d.Until}
			}
		}
	}
	return k
}

// Check finds the principal of a key at a time. How long it takes depends on the length of the
// key and not on how many there are. Measuring the time tells something about digests only,
// and nobody can choose the digest of what they send.
//
// The error is a *fault.Error of kind Unauthenticated. It says why the key is refused to
// whoever has it; anybody else learns nothing. With the error, the principal has the name
// of the key that was refused, for the log, and nothing else.
func (k *Keys) Check(key string, now time.Time) (Principal, error) {
	f := k.byDigest[sha256.Sum256([]byte(key))]
	owner := f.owner
	if owner == nil {
		text := "The API key is not one of this gateway's. Check the key your client sends."
		if flaw := flawOf(key); flaw != "" {
			text = "The API key " + flaw
		}
		return Principal{}, refused(text)
	}
	over := func(end time.Time) bool { return !end.IsZero() && !now.Before(end) }
	switch {
	case owner.Disabled:
		return Principal{Name: owner.Name}, refused("This API key is disabled. Ask who runs the gateway.")
	case over(owner.Expires):
		return Principal{Name: owner.Name}, refused("This API key expired on " + owner.Expires.UTC().Format(time.RFC3339) + ". Ask who runs the gateway for another.")
	case over(f.until):
		return Principal{Name: owner.Name}, refused("This API key was replaced and expired on " + f.until.UTC().Format(time.RFC3339) + ". Use the one that took its place.")
	}
	return Principal{Name: owner.Name, Groups: owner.Groups, Models: owner.Models, Routes: owner.Routes, Trusted: owner.Trusted, Content: owner.Content}, nil
}

func refused(text string) error {
	return &fault.Error{Kind: fault.Unauthenticated, Code: "invalid_api_key", Text: text}
}

type principalKey struct{}

// WithPrincipal returns a context that holds p.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns the context's principal, or the zero Principal if it has none.
func PrincipalFrom(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}
