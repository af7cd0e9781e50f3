// Package auth decides who may call the gateway.
//
// It knows API keys only by their SHA-256, compares them in constant time, and repeats
// nothing that a client sent, so no error and no log line can contain a key.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"slices"

	"github.com/kai-gateway/kai/host/fault"
)

// Key is one API key of the configuration.
type Key struct {
	Name   string            // its owner's name in logs and errors
	SHA256 [sha256.Size]byte // of the key as the client sends it
	Models []string          // the aliases it may use; empty: all
	Routes bool              // it may choose models and providers at an upstream
}

// Principal is who sent a request. The zero value is anybody, when authentication is
// off: it has no name, may use every model, and may choose nothing beyond the alias.
type Principal struct {
	Name   string
	Models []string // the aliases it may use; empty: all
	Routes bool     // it may choose models and providers at an upstream
}

// MayUse reports whether the principal may use the model alias.
func (p Principal) MayUse(alias string) bool {
	return len(p.Models) == 0 || slices.Contains(p.Models, alias)
}

// Keys is the set of valid keys. It never changes and is safe for concurrent use.
type Keys struct{ keys []Key }

// New returns the set of keys. Without any, every check fails.
func New(keys []Key) *Keys { return &Keys{keys: slices.Clone(keys)} }

// Check finds the principal of a key. Its time depends on the number of keys and the
// length of this one, not on which of them matches.
//
// The error is a *fault.Error of kind Unauthenticated.
func (k *Keys) Check(key string) (Principal, error) {
	sum := sha256.Sum256([]byte(key))
	found := -1
	for i := range k.keys {
		same := subtle.ConstantTimeCompare(sum[:], k.keys[i].SHA256[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return Principal{}, &fault.Error{
			Kind: fault.Unauthenticated, Code: "invalid_api_key",
			Text: "The API key is not one of this gateway's. Check the key your client sends.",
		}
	}
	owner := k.keys[found]
	return Principal{Name: owner.Name, Models: owner.Models, Routes: owner.Routes}, nil
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
