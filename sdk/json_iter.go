package sdk

// ObjectIter walks over the fields of an object. Object returns one.
type ObjectIter struct {
	cursor
	key []byte
}

// Object walks over the fields of an object, in order:
//
//	it := sdk.Object(body)
//	for it.Next() {
//		switch string(it.Key()) {
//		case "done":
//			done, _ = it.Value().Bool()
//		}
//	}
//	if err := it.Err(); err != nil { … }
//
// Absent and null have no fields. For anything else but an object, Err returns an error.
func Object(v JSON) ObjectIter {
	var it ObjectIter
	it.open(v, '{', faultObject)
	return it
}

// Next goes to the next field, and checks its key and value. It reports false at the end and at
// the first error.
func (it *ObjectIter) Next() bool {
	if !it.next('}', faultObjectSeparator) {
		return false
	}
	key, i, f := scanKey(it.b, it.i)
	if f != 0 {
		return it.fail(i, f)
	}
	it.key = key
	return it.take(i)
}

// Key returns the current field's key. It is decoded if it has escapes, and otherwise as it is,
// even if it is invalid UTF-8. switch string(it.Key()) does not allocate.
func (it *ObjectIter) Key() []byte { return it.key }

// ArrayIter walks over the elements of an array. Array returns one.
type ArrayIter struct{ cursor }

// Array walks over the elements of an array, as Object does over the fields of an object.
// Absent and null have none. For anything else but an array, Err returns an error.
func Array(v JSON) ArrayIter {
	var it ArrayIter
	it.open(v, '[', faultArray)
	return it
}

// Next goes to the next element, and checks it. It reports false at the end and at the first
// error.
func (it *ArrayIter) Next() bool {
	return it.next(']', faultArraySeparator) && it.take(it.i)
}

// cursor has what both iterators share.
type cursor struct {
	b     []byte
	value JSON
	i     int // next byte to read; where the fault is, if there is one
	at    position
	fault fault
}

func (c *cursor) open(v []byte, bracket byte, f fault) {
	i := space(v, 0)
	c.b, c.i, c.at = v, i+1, first
	if peek(v, i) == bracket {
		return
	}
	c.at, c.i = done, i
	if i == len(v) {
		return
	}
	if v[i] != 'n' {
		c.fault = f
		return
	}
	if c.i, c.fault = scanLiteral(v, i, "null"); c.fault == 0 {
		c.end()
	}
}

// next goes to where the next field or element begins.
func (c *cursor) next(bracket byte, f fault) bool {
	if c.at == done {
		return false
	}
	b, i := c.b, space(c.b, c.i)
	switch {
	case peek(b, i) == bracket:
		c.i = i + 1
		c.end()
		return false
	case c.at == first:
		c.at = behind
	case peek(b, i) == ',':
		i = space(b, i+1)
	default:
		return c.fail(i, f)
	}
	c.i = i
	return true
}

// take makes the value at i the current one.
func (c *cursor) take(i int) bool {
	end, f := skip(c.b, i, 1)
	if f != 0 {
		return c.fail(end, f)
	}
	c.value = c.b[i:end]
	c.i = end
	return true
}

// end checks that only white space is left.
func (c *cursor) end() {
	c.value, c.at = nil, done
	c.i = space(c.b, c.i)
	c.fault = ending(c.b, c.i)
}

func (c *cursor) fail(i int, f fault) bool {
	c.value, c.at = nil, done
	c.i, c.fault = i, f
	return false
}

// Value returns the value of the current field or element.
func (c *cursor) Value() JSON { return c.value }

// Err returns the *SyntaxError that ended the walk, or nil. Check it after Next has reported
// false. If you leave a walk early, the bytes after it are not checked.
func (c *cursor) Err() error {
	if c.fault != 0 && c.i >= len(c.b) {
		return syntaxError(c.i, faultEnd)
	}
	return syntaxError(c.i, c.fault)
}
