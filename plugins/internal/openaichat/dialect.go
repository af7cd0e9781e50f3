// Package openaichat reads answers in OpenAI's dialect, whole and streamed. It is for the many
// servers that imitate OpenAI's chat completions, whose adapters share it.
//
// It handles what servers really do, and not only what OpenAI documents: reasoning has several
// names, calls lack indexes and ids, a finish comes twice, and errors come with status 200.
// Requests, and the meaning of a status outside 2xx, are up to each adapter. Only State is
// kept between two calls.
package openaichat

import (
	"errors"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
)

// Dialect says how the answers of one kind of server differ from others'.
type Dialect struct {
	// Name begins the sentences about the server: "OpenRouter".
	Name string
	// Failure explains an error within an answer, which is an object or a string. head is
	// nil in a stream.
	Failure func(head sdk.Head, e sdk.JSON) error
	// BrokenOff explains an answer whose finish reason means a failure. word is the most
	// exact reason that was given. It can be any text.
	BrokenOff func(word string) error
	// Private are fields at an answer's top that clients must not see.
	Private []string
	// PrivateUsage are fields of the usage that clients must not see.
	PrivateUsage []string
}

// Whole handles a whole answer with a status of 2xx. It can be an error in four ways: the body
// is one, a choice has one, a choice finished with a failure, or there are no choices.
func (d *Dialect) Whole(r *sdk.Response, out *sdk.Out) error {
	return d.explain(d.whole(r, out))
}

// Event handles one event of a stream. A finish may come twice: with the last chunk of the
// answer, and again with the usage, whose choices may also be empty or lack the reason. It may
// also come before the text, which is part of the answer all the same.
func (d *Dialect) Event(e *sdk.Event, s *State, out *sdk.Out) error {
	if inside, ok := s.Text.match(e.Data); ok {
		out.TextJSON(int(s.Text.Choice), inside)
		return nil
	}
	return d.explain(d.event(e, s, out))
}

// Malformed returns the error for an answer that cannot be read.
func (d *Dialect) Malformed() error {
	return errortext.Upstream(d.Name + " sent an answer that is not what its API promises.")
}

// Whole and Event turn these into errors about the server.
var (
	errMalformed = errors.New("malformed")
	errPart      = errors.New("a part of an unknown type")
)

func (d *Dialect) explain(err error) error {
	switch err {
	case errMalformed:
		return d.Malformed()
	case errPart:
		return errortext.Upstream(d.Name + " answered with content of a type that the gateway does not know.")
	}
	return err
}
