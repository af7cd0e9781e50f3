package body

import (
	"bytes"

	"github.com/kai-gateway/kai/host/quoted"
	"github.com/kai-gateway/kai/sdk"
)

// Fields walks over the fields of an object in a body that Scan has accepted. It checks
// nothing, which makes it several times as fast as sdk.Object where strings are long. For
// anything but such an object the results are undefined, but the walk ends.
//
//	for f := body.FieldsOf(b); f.Next(); {
//		switch string(f.Key()) { … f.Value() … }
//	}
type Fields struct {
	walk
	key   Span // without quotes
	plain bool // it has no escapes
}

// FieldsOf walks over an object.
func FieldsOf(object []byte) Fields { return Fields{walk: enter(object, '{')} }

// Next goes to the next field and reports whether there is one.
func (f *Fields) Next() bool {
	if !f.next('}') || f.b[f.at] != '"' {
		return f.done()
	}
	end := quoted.ShortEnd(f.b, f.at+1)
	if f.plain = end != 0; !f.plain {
		if end = StringEnd(f.b, f.at+1); end == 0 {
			return f.done()
		}
	}
	f.key = Span{f.at + 1, end - 1}
	f.at = skip(f.b, end, ':')
	return f.at < len(f.b) || f.done()
}

// Key returns the name of the field, decoded.
func (f *Fields) Key() []byte {
	key := f.key.Of(f.b)
	if !f.plain && bytes.IndexByte(key, '\\') >= 0 {
		return sdk.AppendUnquote(nil, key)
	}
	return key
}

// Elements walks over the elements of an array as Fields does over the fields of an
// object.
type Elements struct{ walk }

// ElementsOf walks over an array.
func ElementsOf(array []byte) Elements { return Elements{enter(array, '[')} }

// Next goes to the next element and reports whether there is one.
func (e *Elements) Next() bool { return e.next(']') || e.done() }

// walk is what both have in common. It looks for the end of a value only when the caller
// asks for the value, or goes on.
type walk struct {
	b     []byte
	at    int   // where the value begins
	end   int   // where it ends; 0: nobody knows yet
	outer *walk // the walk over whose value this one goes; nil: none is known
}

// Fields walks over the fields of the value, as FieldsOf does. If that walk comes to its
// end, this one need not look for the value's end again. It may also be left early. This
// walk must not go on before that.
func (w *walk) Fields() Fields { return Fields{walk: w.enter('{')} }

// Elements walks over the elements of the value, an array, in the same way.
func (w *walk) Elements() Elements { return Elements{w.enter('[')} }

func (w *walk) enter(bracket byte) walk {
	inner := enter(w.b[w.at:], bracket)
	inner.outer = w
	return inner
}

// enter begins to walk over what a bracket opens.
func enter(b []byte, bracket byte) walk {
	i := skip(b, 0, 0)
	if i >= len(b) || b[i] != bracket {
		return walk{b: b, at: len(b), end: len(b)}
	}
	return walk{b: b, at: i, end: i + 1}
}

// next goes to the next key or element.
func (w *walk) next(bracket byte) bool {
	w.at = skip(w.b, w.ending(), ',')
	w.end = 0
	return w.at < len(w.b) && w.b[w.at] != bracket
}

// done ends the walk.
func (w *walk) done() bool {
	if w.outer != nil && w.at < len(w.b) {
		w.outer.end = w.outer.at + w.at + 1 // behind the bracket
	}
	w.b, w.at, w.end, w.outer = nil, 0, 0, nil
	return false
}

// Value returns the value, without white space around it.
func (w *walk) Value() sdk.JSON { return sdk.JSON(w.b[w.at:w.ending()]) }

// At returns where the value begins.
func (w *walk) At() int { return w.at }

// ending returns where the value ends.
func (w *walk) ending() int {
	if w.end != 0 {
		return w.end
	}
	if at(w.b, w.at) == '"' {
		w.end = quoted.ShortEnd(w.b, w.at+1) // as most values are
	}
	if w.end == 0 {
		w.end = max(ValueEnd(w.b, w.at), min(w.at+1, len(w.b))) // it ends, whatever it walks over
	}
	return w.end
}

// Kind returns the kind of the value.
func (w *walk) Kind() sdk.Kind { return sdk.JSON(w.b[w.at:min(w.at+1, len(w.b))]).Kind() }

// skip skips white space from i on, and one byte among it.
func skip(b []byte, i int, one byte) int {
	for ; i < len(b); i++ {
		switch c := b[i]; c {
		case ' ', '\n', '\r', '\t':
		default:
			if c != one || one == 0 {
				return i
			}
			one = 0
		}
	}
	return i
}

// ValueEnd returns where the value ends that begins at i, in JSON that Scan has accepted.
func ValueEnd(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			end := StringEnd(b, i+1)
			if end == 0 {
				return len(b)
			}
			if i = end; depth == 0 {
				return i
			}
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
			if depth == 0 {
				return i
			}
		case ',', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return i
			}
			i++
		default:
			i++
		}
	}
	return i
}

// StringEnd returns the index after the closing quote of a string whose opening one is
// before i; 0 if there is none.
func StringEnd(b []byte, i int) int {
	if end := quoted.ShortEnd(b, i); end != 0 {
		return end
	}
	for i < len(b) {
		stop, _ := quoted.Stop(b, i)
		switch {
		case stop == len(b):
			return 0
		case b[stop] == '"':
			return stop + 1
		case b[stop] == '\\':
			stop++ // what is escaped is passed with it
		}
		i = stop + 1
	}
	return 0
}
