package sdk

// Reader reads a JSON value from its beginning to its end, every byte of it once:
//
//	r := sdk.NewReader(body)
//	for top := r.Object(); r.Next(top); {
//		switch string(r.Key()) {
//		case "message":
//			for message := r.Object(); r.Next(message); { … } // goes into the value
//		case "done":
//			done, _ = r.Value().Bool() // takes it whole
//		}
//	}
//	if err := r.Err(); err != nil { … }
//
// A value is taken whole, or gone into, or else passed by Next. Whichever it is, all of it is
// checked. It is the way to read what is nested and long; Object and Array are simpler where
// that doesn't matter. A Reader allocates nothing, except for keys with escapes.
type Reader struct {
	b        []byte
	key      []byte
	start    int // where the current value begins
	i        int // next byte to read; where the fault is, if there is one
	depth    int // how many objects and arrays are open
	at       position
	isObject bool                  // the innermost of them is an object
	fault    fault                 // why reading has ended
	objects  [maxDepth / 64]uint64 // a bit for each of them: it is an object
}

// position is where a Reader or an iterator is in the innermost object or array.
type position uint8

const (
	before position = iota // before the current value, which was not read yet
	behind                 // behind the current value
	first                  // behind the opening bracket
	done                   // at the end, or where the fault is
)

// Depth tells the walks over objects and arrays apart that a Reader is in: it is how many are
// open. Nothing to walk over is 0.
type Depth int

// NewReader returns a Reader that is before v.
func NewReader(v JSON) Reader { return Reader{b: v, start: space(v, 0)} }

// Object goes into the current value, which must be an object, and Next then goes to its fields.
// Absent and null, and a value that was read before, have no fields. Anything else is an error.
func (r *Reader) Object() Depth { return r.enter('{', faultObject) }

// Array goes into the current value, which must be an array, and Next then goes to its elements.
// Absent and null, and a value that was read before, have none. Anything else is an error.
func (r *Reader) Array() Depth { return r.enter('[', faultArray) }

func (r *Reader) enter(bracket byte, f fault) Depth {
	if r.at != before {
		return 0
	}
	switch c := peek(r.b, r.start); {
	case c == bracket && r.depth < maxDepth:
		r.isObject = c == '{'
		word, bit := r.depth/64, uint64(1)<<(r.depth%64)
		if r.isObject {
			r.objects[word] |= bit
		} else {
			r.objects[word] &^= bit
		}
		r.depth++
		r.i, r.at = r.start+1, first
		return Depth(r.depth)
	case c == bracket:
		r.fail(r.start, faultDepth)
	case c == 'n':
		r.pass()
	case r.start < len(r.b):
		r.fail(r.start, f)
	case r.depth > 0:
		r.fail(r.start, faultEnd)
	default: // nothing at all
		r.i, r.at = r.start, done
	}
	return 0
}

// Next goes to the next field or element of the object or array that in stands for. It reports
// false at the end and at the first error, which may be one of the value before. If a walk inside
// of the current value was left early, Next passes the rest of it, and that walk is over.
func (r *Reader) Next(in Depth) bool {
	if in == 0 || r.depth < int(in) || r.at == done {
		return false
	}
	for r.depth > int(in) {
		for r.step() {
		}
		if r.at == done {
			return false
		}
	}
	return r.step()
}

// step goes to the next field or element of the innermost object or array. At its end, that is
// closed.
func (r *Reader) step() bool {
	if r.at == before && !r.pass() {
		return false
	}
	b, i := r.b, r.i
	c := peek(b, i)
	if c <= ' ' {
		i = space(b, i)
		c = peek(b, i)
	}
	switch {
	case c == '}' && r.isObject, c == ']' && !r.isObject:
		r.close(i + 1)
		return false
	case r.at == first:
	case c != ',':
		return r.fail(i, separatorFault(b, i, r.isObject))
	default:
		i = space(b, i+1)
	}
	if r.isObject {
		key, next, f := scanKey(b, i)
		if f != 0 {
			return r.fail(next, f)
		}
		r.key, i = key, next
	}
	r.start, r.at = i, before
	return true
}

// close ends the innermost object or array, whose last bracket is before i.
func (r *Reader) close(i int) {
	r.depth--
	r.start, r.i, r.at = i, i, behind
	if r.depth == 0 {
		r.end()
		return
	}
	r.isObject = r.objects[(r.depth-1)/64]>>((r.depth-1)%64)&1 != 0
}

// pass reads and checks the current value.
func (r *Reader) pass() bool {
	var end int
	var f fault
	if peek(r.b, r.start) == '"' { // most values are strings, and skip is another call
		end, _, f = scanString(r.b, r.start+1)
	} else {
		end, f = skip(r.b, r.start, r.depth)
	}
	if f != 0 {
		return r.fail(end, f)
	}
	r.i, r.at = end, behind
	if r.depth == 0 {
		r.end()
	}
	return r.fault == 0
}

// end checks that only white space follows the outermost value.
func (r *Reader) end() {
	if i := space(r.b, r.i); i < len(r.b) {
		r.fail(i, faultTrailing)
	}
}

func (r *Reader) fail(i int, f fault) bool {
	r.i, r.at, r.fault = i, done, f
	return false
}

// Key returns the key of the field that Next went to. It is decoded if it has escapes, and
// otherwise as it is, even if it is invalid UTF-8. switch string(r.Key()) does not allocate.
func (r *Reader) Key() []byte { return r.key }

// Kind returns the type of the current value, by its first byte. It doesn't read the value. A
// value that was gone into is absent afterwards.
func (r *Reader) Kind() Kind {
	if r.at > behind {
		return KindAbsent
	}
	return kindOf(peek(r.b, r.start))
}

// Value returns the current value, without white space around it. The value is absent if its
// syntax is broken, which ends the reading, and if it was gone into.
func (r *Reader) Value() JSON {
	if r.at == before && !r.pass() || r.at != behind || r.i == r.start {
		return nil
	}
	return r.b[r.start:r.i]
}

// Err returns the *SyntaxError that ended the reading, or nil. Check it after Next has reported
// false for the outermost value. If you leave the walk over that early, the bytes after it are
// not checked.
func (r *Reader) Err() error {
	if r.fault != 0 && r.i >= len(r.b) {
		return syntaxError(r.i, faultEnd)
	}
	return syntaxError(r.i, r.fault)
}
