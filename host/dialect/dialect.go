// Package dialect has what the APIs that clients speak have in common.
package dialect

import (
	"net/http"
	"slices"
	"strings"

	"github.com/kai-gateway/kai/host/fault"
)

// Dialect is what all paths of one API have in common, whatever they answer. It does not
// change once it is in use.
type Dialect struct {
	// Keys returns the keys that came with a request, at least one. The first that is one
	// of the gateway's counts. The error is a *fault.Error of kind Unauthenticated that
	// says how to send a key. It repeats nothing of the request.
	Keys func(*http.Request) ([]string, error)

	// Challenge is the header WWW-Authenticate of a request without a valid key; "" for
	// none.
	Challenge string

	// Translate turns an error into one that clients of this API understand: with another
	// status, text or advice to repeat. Default: the error stays as it is.
	Translate func(*fault.Error) *fault.Error

	// AppendError appends the body, JSON, of an answer that is an error, after Translate.
	AppendError func(dst []byte, e *fault.Error, requestID string) []byte

	// IDHeader is a header that repeats X-Request-Id; "" for none.
	IDHeader string

	// Marker is a header, in its canonical form, that the clients of this API send with
	// every request, and those of no other; "" for none. It tells whose client asks for a
	// path that all APIs share.
	Marker string

	// AppendModel appends a model, a JSON object, and AppendModels a list of models.
	AppendModel  func(dst []byte, m Model) []byte
	AppendModels func(dst []byte, models []Model) []byte
}

// OpenAI is the dialect of OpenAI's API.
func OpenAI() *Dialect {
	return &Dialect{
		Keys: func(r *http.Request) ([]string, error) {
			key, err := Bearer(r)
			if err != nil {
				return nil, err
			}
			return []string{key}, nil
		},
		Challenge: "Bearer", AppendError: AppendOpenAIError, AppendModel: appendOpenAIModel, AppendModels: appendOpenAIModels,
	}
}

// Bearer returns the key of an Authorization header, which must be "Bearer KEY"; the
// scheme's case does not matter.
func Bearer(r *http.Request) (string, error) {
	value, err := Header(r, "Authorization")
	switch {
	case err != nil:
		return "", err
	case value == "" && r.Header.Get("X-Api-Key") != "":
		return "", NoKey("The key is in the header 'x-api-key', which this path reads only from Anthropic's clients, which send 'anthropic-version', too. Send it as 'Authorization: Bearer <key>'.")
	case value == "":
		return "", NoKey("No API key was sent. Send one in the header 'Authorization: Bearer <key>'.")
	case strings.EqualFold(strings.TrimSpace(value), "Bearer"):
		return "", NoKey("The key in the Authorization header is empty. Is the variable set that it should come from?")
	}
	scheme, key, _ := strings.Cut(value, " ")
	key = strings.TrimSpace(key)
	if !strings.EqualFold(scheme, "Bearer") || key == "" {
		return "", NoKey("The Authorization header must have the form 'Bearer <key>'.")
	}
	return key, nil
}

// EitherKey returns the keys of a request, for APIs whose clients send a key as x-api-key,
// as a Bearer, or as both. That of the header Authorization comes first.
func EitherKey(r *http.Request) ([]string, error) {
	authorization, err := Header(r, "Authorization")
	if err != nil {
		return nil, err
	}
	own, err := Header(r, "X-Api-Key")
	if err != nil {
		return nil, err
	}
	if authorization == "" && own == "" {
		return nil, NoKey("No API key was sent. Send one in the header 'x-api-key: <key>' or 'Authorization: Bearer <key>'.")
	}
	bearer, err := Bearer(r)
	switch {
	case own == "" && err != nil:
		return nil, err
	case own == "":
		return []string{bearer}, nil
	case err != nil || own == bearer:
		return []string{own}, nil
	}
	return []string{bearer, own}, nil
}

// Header returns the value of a header that has a key in it; "" if there is none. Two
// different values are refused, because two readers could take different ones. The same
// value twice counts once, also where a proxy has joined the two. name is in its canonical
// form.
func Header(r *http.Request, name string) (string, error) {
	values := r.Header[name]
	if len(slices.Compact(slices.Clone(values))) > 1 {
		return "", NoKey("The request has more than one header '" + name + "'. Send one.")
	}
	if len(values) == 0 {
		return "", nil
	}
	return undoubled(values[0]), nil
}

// undoubled returns X for "X, X".
func undoubled(header string) string {
	half := len(header) / 2
	if first, second := header[:half], strings.TrimLeft(header[half:], ", "); len(second) > 0 && strings.TrimRight(first, ", ") == second {
		return second
	}
	return header
}

// NoKey is the error of a request without a key that can be read.
func NoKey(text string) error {
	return &fault.Error{Kind: fault.Unauthenticated, Code: "invalid_api_key", Text: text}
}
