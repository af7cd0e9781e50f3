package responses

import (
	"errors"
	"strconv"

	"github.com/kai-gateway/kai/host/fault"
)

// wrong is the error for a part of the request that is not what it has to be.
//
//   - at: the path of the part, as in "input[2].role"
func wrong(at, must string) *fault.Error {
	return &fault.Error{Kind: fault.Invalid, Param: at, Text: at + ": " + must}
}

// unsupported is the error for a part that asks for something that Kai does not do.
func unsupported(at, why string) *fault.Error {
	e := wrong(at, why)
	e.Code = "unsupported_parameter"
	return e
}

// asFault returns the *fault.Error that an error is.
func asFault(err error) *fault.Error {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e
	}
	return &fault.Error{Kind: fault.Internal, Text: "the request could not be read", Cause: err}
}

// spot is where something stands in the request. Its path is made only when somebody asks
// for it, which only errors do.
type spot struct {
	item  int // the number of the item in the input, or one of those below
	depth int // of steps
	steps [5]step
}

// step leads from an object or an array to what is in it: to a field, if it has a name,
// and from there to an element, unless index is -1.
type step struct {
	name  string
	index int
}

// The items that are none of the input.
const (
	atTop      = -1 // a field of the request
	inMemory   = -2 // an item that was remembered: of the response that previous_response_id names
	wholeInput = -3 // an input that is a string
)

// path returns the path of the spot in the client's terms.
func (s spot) path() string {
	path := ""
	switch s.item {
	case atTop:
	case inMemory:
		return "previous_response_id"
	case wholeInput:
		return "input"
	default:
		path = "input[" + strconv.Itoa(s.item) + "]"
	}
	for _, step := range s.steps[:s.depth] {
		if step.name != "" && path != "" {
			path += "."
		}
		path += step.name
		if step.index >= 0 {
			path += "[" + strconv.Itoa(step.index) + "]"
		}
	}
	return path
}

// in returns the spot of a field of the object at s.
func (s spot) in(field string) spot { return s.then(step{field, -1}) }

// element returns the spot of an element of the array at s.
func (s spot) element(i int) spot {
	if s.depth > 0 && s.steps[s.depth-1].index < 0 {
		s.steps[s.depth-1].index = i
		return s
	}
	return s.then(step{"", i})
}

func (s spot) then(next step) spot {
	if s.depth < len(s.steps) { // what is deeper is not told apart
		s.steps[s.depth] = next
		s.depth++
	}
	return s
}

// wrong is the error for what stands at s and is not what it has to be.
func (s spot) wrong(must string) *fault.Error { return wrong(s.path(), must) }

// unsupported is the error for what stands at s and asks for something that Kai does not
// do.
func (s spot) unsupported(why string) *fault.Error { return unsupported(s.path(), why) }

// shown returns a name that the client sent, for the text of an error. It returns "" for
// what is not an identifier. In a request that is merely mistaken, it is one.
func shown(name string) string {
	if name == "" || len(name) > 64 {
		return ""
	}
	for _, c := range []byte(name) {
		if c-'0' > 9 && (c|0x20)-'a' > 25 && c != '_' && c != '-' && c != '.' {
			return ""
		}
	}
	return " '" + name + "'"
}
