package demo

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kai-gateway/kai/sdk"
)

// sample makes an instance of a JSON schema. The client wrote the schema, so there are
// limits for everything: how deep it is followed, how long lists and strings become, and how
// many values there are.
type sample struct {
	root  sdk.JSON // where $ref starts
	words words
	w     sdk.Writer
	made  int // how many values were made so far
	used  int // how many numbers of the text were used so far
}

const (
	maxNested  = 24   // schemas within schemas
	deep       = 5    // from this depth on, only what is required
	maxItems   = 16   // of an array
	maxValues  = 2000 // of the whole instance
	maxLetters = 4096 // of a string
)

// build returns the instance of the root. Without a schema it is an empty object.
func (s *sample) build() []byte {
	if s.root.Kind() != sdk.KindObject {
		return []byte("{}")
	}
	s.value(s.root, 0)
	return s.w.Bytes()
}

// schema has the keywords of a schema that matter here.
type schema struct {
	typ                     string
	nullable                bool // null is one of its types
	ref                     string
	constant, first         sdk.JSON // const; the first of enum, default, examples
	any                     sdk.JSON // anyOf, oneOf or allOf
	properties, required    sdk.JSON
	items, prefix           sdk.JSON
	minItems, maxItems      int64
	minLength, maxLength    int64
	low, high, above, below float64 // NaN: not given
	format                  string
}

func readSchema(raw sdk.JSON) schema {
	c := schema{maxItems: -1, maxLength: -1, low: math.NaN(), high: math.NaN(), above: math.NaN(), below: math.NaN()}
	rank := 0 // of what first is: 1 examples, 2 default, 3 enum
	prefer := func(r int, v sdk.JSON) {
		if r > rank && len(v) > 0 {
			rank, c.first = r, v
		}
	}
	for f := sdk.Object(raw); f.Next(); {
		v := f.Value()
		switch string(f.Key()) {
		case "type":
			c.readType(v)
		case "$ref":
			c.ref, _ = v.Str()
		case "const":
			c.constant = v
		case "enum":
			prefer(3, element(v))
		case "default":
			prefer(2, v)
		case "examples":
			prefer(1, element(v))
		case "anyOf", "oneOf", "allOf":
			c.any = v
		case "properties":
			c.properties = v
		case "required":
			c.required = v
		case "items":
			c.items = v
		case "prefixItems":
			c.prefix = v
		case "minItems":
			c.minItems, _ = v.Int()
		case "maxItems":
			c.maxItems = bound(v)
		case "minLength":
			c.minLength, _ = v.Int()
		case "maxLength":
			c.maxLength = bound(v)
		case "minimum":
			c.low = number(v)
		case "maximum":
			c.high = number(v)
		case "exclusiveMinimum":
			c.above = number(v)
		case "exclusiveMaximum":
			c.below = number(v)
		case "format":
			c.format, _ = v.Str()
		}
	}
	if c.typ == "" {
		switch {
		case c.properties != nil:
			c.typ = "object"
		case c.items != nil || c.prefix != nil:
			c.typ = "array"
		case c.nullable:
			c.typ = "null"
		}
	}
	return c
}

// readType reads the first type that is not null.
func (c *schema) readType(v sdk.JSON) {
	if v.Kind() == sdk.KindString {
		c.typ, _ = v.Str()
		return
	}
	for it := sdk.Array(v); it.Next(); {
		t, _ := it.Value().Str()
		if t == "null" {
			c.nullable = true
		} else if c.typ == "" {
			c.typ = t
		}
	}
}

// element returns the first element of an array.
func element(array sdk.JSON) sdk.JSON {
	if array.Kind() != sdk.KindArray {
		return nil
	}
	it := sdk.Array(array)
	it.Next()
	return it.Value()
}

func bound(v sdk.JSON) int64 {
	if n, ok := v.Int(); ok && n >= 0 {
		return n
	}
	return -1
}

func number(v sdk.JSON) float64 {
	if f, ok := v.Float(); ok {
		return f
	}
	return math.NaN()
}

// value writes an instance of a schema that is inside depth other schemas.
func (s *sample) value(raw sdk.JSON, depth int) {
	s.made++
	c := readSchema(raw)
	switch {
	case depth >= maxNested || s.made > maxValues:
		s.w.Null() // a schema that never ends has no instance
	case c.constant != nil:
		s.w.Raw(c.constant)
	case c.first != nil:
		s.w.Raw(c.first)
	case c.ref != "":
		s.value(s.resolve(c.ref), depth+1)
	case c.any != nil:
		s.value(s.alternative(c.any, depth), depth+1)
	case c.nullable && depth > deep:
		s.w.Null()
	default:
		s.typed(&c, depth)
	}
}

func (s *sample) typed(c *schema, depth int) {
	switch c.typ {
	case "object":
		s.object(c, depth)
	case "array":
		s.array(c, depth)
	case "integer":
		s.w.Int(int64(s.number(c, true)))
	case "number":
		s.w.Float(s.number(c, false))
	case "boolean":
		s.w.Bool(true)
	case "null":
		s.w.Null()
	default:
		s.w.String(s.text(c))
	}
}

// resolve follows a reference within the schema: "#", "#/$defs/node".
func (s *sample) resolve(ref string) sdk.JSON {
	at := s.root
	if ref == "#" {
		return at
	}
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	for step := range strings.SplitSeq(path, "/") {
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		if at.Kind() == sdk.KindArray {
			at = nth(at, step)
			continue
		}
		at = at.Get(step)
	}
	return at
}

func nth(array sdk.JSON, index string) sdk.JSON {
	n, err := strconv.Atoi(index)
	it := sdk.Array(array)
	for i := 0; err == nil && it.Next(); i++ {
		if i == n {
			return it.Value()
		}
	}
	return nil
}

// alternative returns the first of several schemas. Deep down it returns null, if that is one
// of them, because a list or tree has to end somewhere.
func (s *sample) alternative(array sdk.JSON, depth int) sdk.JSON {
	if depth > deep {
		for it := sdk.Array(array); it.Next(); {
			if t, _ := it.Value().Get("type").Str(); t == "null" {
				return it.Value()
			}
		}
	}
	return element(array)
}

// object writes the required properties, or all if the schema requires none.
func (s *sample) object(c *schema, depth int) {
	s.w.Object()
	for f := sdk.Object(c.properties); f.Next(); {
		if c.required == nil && depth <= deep || contains(c.required, f.Key()) {
			s.w.Key(string(f.Key()))
			s.value(f.Value(), depth+1)
		}
	}
	s.w.End()
}

func contains(array sdk.JSON, key []byte) bool {
	if array.Kind() != sdk.KindArray {
		return false
	}
	for it := sdk.Array(array); it.Next(); {
		if name, ok := it.Value().Str(); ok && name == string(key) {
			return true
		}
	}
	return false
}

// array writes as many items as there must be, and one if there may be none.
func (s *sample) array(c *schema, depth int) {
	n := c.minItems
	if n == 0 && depth <= deep {
		n = 1
	}
	if c.maxItems >= 0 {
		n = min(n, c.maxItems)
	}
	n = min(n, maxItems)
	s.w.Array()
	prefix := sdk.Array(c.prefix)
	for ; n > 0 || c.prefix != nil; n-- {
		item := c.items
		if prefix.Next() {
			item = prefix.Value()
		} else if n <= 0 {
			break
		}
		s.value(item, depth+1)
	}
	s.w.End()
}

// number returns the next number of the user's text, or else 1, moved into the schema's
// bounds.
func (s *sample) number(c *schema, whole bool) float64 {
	f := 1.0
	if s.used < len(s.words.numbers) {
		f = s.words.numbers[s.used]
		s.used++
	}
	step := 0.5
	if whole {
		f, step = math.Trunc(f), 1
	}
	if f < c.low {
		f = c.low
	}
	if f <= c.above {
		f = c.above + step
	}
	if f > c.high {
		f = c.high
	}
	if f >= c.below {
		f = c.below - step
	}
	if math.Abs(f) > 1<<53 {
		return 1
	}
	return f
}

// text returns a string: of a known format, or the name in the user's text.
func (s *sample) text(c *schema) string {
	switch c.format {
	case "date-time":
		return "2026-01-01T12:00:00Z"
	case "date":
		return "2026-01-01"
	case "time":
		return "12:00:00Z"
	case "duration":
		return "PT1H"
	case "email":
		return "user@example.com"
	case "hostname":
		return "example.com"
	case "ipv4":
		return "192.0.2.1"
	case "ipv6":
		return "2001:db8::1"
	case "uri", "url":
		return "https://example.com/"
	case "uuid":
		return "123e4567-e89b-42d3-a456-426614174000"
	}
	text := s.words.name
	for n := utf8.RuneCountInString(text); int64(n) < min(c.minLength, maxLetters); n++ {
		text += "."
	}
	if c.maxLength >= 0 && int64(utf8.RuneCountInString(text)) > c.maxLength {
		text = string([]rune(text)[:c.maxLength])
	}
	return text
}
