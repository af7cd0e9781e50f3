// Package key says whose API key a client sends, to which groups that key belongs, and
// which models it may use.
//
// It knows keys by their SHA-256 only and repeats nothing that a client sent, so no error
// and no log line can contain a key.
package key

import (
	"context"
	"crypto/sha256"

	"github.com/kai-gateway/kai/host/fault"
)

// Key is one API key of the configuration.
type Key struct {
	Name   string            // its owner's name in logs and errors
	SHA256 [sha256.Size]byte // of the key as the client sends it
	Groups []string          // those it belongs to: its own group, the parent of that, and so on
	Models *Models           // the aliases it may use; nil: all
	Routes bool              // it may choose models and providers at an upstream
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
	Name   string   // of the key
	Groups []string // those the key belongs to, as in Key; must not be changed
	Models *Models  // the aliases it may use; nil: all
	Routes bool     // it may choose models and providers at an upstream
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
type Keys struct{ byDigest map[[sha256.Size]byte]*Key }

// New returns the set of keys, which it keeps and which must not be changed any more.
// Without any, every check fails. Of two with one digest the first counts.
func New(keys []Key) *Keys {
	k := &Keys{make(map[[sha256.Size]byte]*Key, len(keys))}
	for i := range keys {
		if _, twice := k.byDigest[keys[i].SHA256]; !twice {
			k.byDigest[keys[i].SHA256] = &keys[i]
		}
	}
	return k
}

// Check finds the principal of a key. The time it takes depends on the length of the key
// and not on how many there are. What it tells of them to somebody who measures it is
// about digests, and nobody can choose the digest of what he sends.
//
// The error is a *fault.Error of kind Unauthenticated.
func (k *Keys) Check(key string) (Principal, error) {
	owner := k.byDigest[sha256.Sum256([]byte(key))]
	if owner == nil {
		return Principal{}, &fault.Error{
			Kind: fault.Unauthenticated, Code: "invalid_api_key",
			Text: "The API key is not one of this gateway's. Check the key your client sends.",
		}
	}
	return Principal{Name: owner.Name, Groups: owner.Groups, Models: owner.Models, Routes: owner.Routes}, nil
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
