// Package auth decides who may call the gateway.
//
// It knows API keys by their SHA-256 alone, compares them in constant time and
// repeats nothing a client sent: no error and no log line can hold a key.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"

	"github.com/kai-gateway/kai/host/fault"
)

// Key is one API key of the configuration.
type Key struct {
	Name   string            // what logs and errors call its owner
	SHA256 [sha256.Size]byte // of the key as the client sends it
	Models []string          // the aliases it may use; empty: all
	Routes bool              // it may choose models and providers at an upstream
}

// Principal is who sent a request. The zero value is anybody, as when
// authentication is off: it has no name, may use every model, and chooses nothing
// beyond the alias.
type Principal struct {
	Name   string
	Models []string // the aliases it may use; empty: all
	Routes bool     // it may choose models and providers at an upstream
}

// MayUse reports whether the principal may use the model alias.
func (p Principal) MayUse(alias string) bool {
	return len(p.Models) == 0 || slices.Contains(p.Models, alias)
}

// Keys are the keys that open the gateway. They never change and are safe for
// concurrent use.
type Keys struct{ keys []Key }

// New returns the set of keys. Without any, every check fails.
func New(keys []Key) *Keys { return &Keys{keys: slices.Clone(keys)} }

// Check finds the principal of an Authorization header, which must be
// "Bearer KEY"; the scheme's case does not matter. Its time depends on the
// number of keys and the length of the header, not on which key matches.
//
// The error is a *fault.Error with status 401 and code invalid_api_key.
func (k *Keys) Check(header string) (Principal, error) {
	if header == "" {
		return Principal{}, refuse("No API key was sent. Send one in the header 'Authorization: Bearer <key>'.")
	}
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Principal{}, refuse("The Authorization header must have the form 'Bearer <key>'.")
	}
	sum := sha256.Sum256([]byte(token))
	found := -1
	for i := range k.keys {
		same := subtle.ConstantTimeCompare(sum[:], k.keys[i].SHA256[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return Principal{}, refuse("The API key is not one of this gateway's. Check the key your client sends.")
	}
	key := k.keys[found]
	return Principal{Name: key.Name, Models: key.Models, Routes: key.Routes}, nil
}

// Authenticate checks the request's Authorization header and returns the
// request's context with the principal in it, for PrincipalFrom. Two different
// headers are refused, because two readers may take different ones of them. The
// same one twice, which proxies also join, is one.
//
// The error is a *fault.Error with status 401 and code invalid_api_key.
func (k *Keys) Authenticate(r *http.Request) (context.Context, error) {
	values := r.Header["Authorization"]
	if len(slices.Compact(slices.Clone(values))) > 1 {
		return nil, refuse("The request has more than one Authorization header. Send one.")
	}
	header := ""
	if len(values) > 0 {
		header = undoubled(values[0])
	}
	p, err := k.Check(header)
	if err != nil {
		return nil, err
	}
	return WithPrincipal(r.Context(), p), nil
}

// undoubled gives X for "X, X".
func undoubled(header string) string {
	half := len(header) / 2
	if first, second := header[:half], strings.TrimLeft(header[half:], ", "); len(second) > 0 && strings.TrimRight(first, ", ") == second {
		return second
	}
	return header
}

func refuse(message string) error {
	return &fault.Error{Kind: fault.Unauthenticated, Code: "invalid_api_key", Text: message}
}

type principalKey struct{}

// WithPrincipal returns a context that holds p.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns the context's principal, or anybody when it holds none.
func PrincipalFrom(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}
