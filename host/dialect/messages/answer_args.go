package messages

import (
	"github.com/kai-gateway/kai/host/facts"

	"github.com/kai-gateway/kai/sdk"
)

// completeness follows the text of a call's arguments to the end of its JSON object or
// array. Text that is neither has no end that could be known.
type completeness struct {
	depth   int
	quoted  bool // inside of a string
	escaped bool // behind a backslash in a string
	state   argumentsState
}

type argumentsState uint8

const (
	notBegun argumentsState = iota
	isOpen
	isWhole
	isOther // neither object nor array
)

// complete reports whether the object or array is at its end.
func (c *completeness) complete() bool { return c.state == isWhole }

// add takes the next piece of the text.
func (c *completeness) add(t facts.Text) {
	for i := 0; i < len(t.Data) && c.state != isWhole && c.state != isOther; i++ {
		b := t.Data[i]
		if t.Raw && b == '\\' {
			b, i = unescaped(t.Data, i)
		}
		c.next(b)
	}
}

// unescaped returns what the escape at i in the inside of a string literal stands for, as
// far as JSON's own characters go, and where it ends.
func unescaped(inside []byte, i int) (b byte, end int) {
	if i+1 >= len(inside) {
		return 0, i
	}
	switch c := inside[i+1]; c {
	case 'n', 'r', 't':
		return ' ', i + 1
	case 'b', 'f':
		return 0, i + 1
	case 'u':
		if i+5 >= len(inside) {
			return 0, len(inside)
		}
		if text := sdk.AppendUnquote(nil, inside[i:i+6]); len(text) == 1 {
			return text[0], i + 5
		}
		return 0, i + 5
	default:
		return c, i + 1
	}
}

func (c *completeness) next(b byte) {
	switch {
	case c.escaped:
		c.escaped = false
	case c.quoted && b == '\\':
		c.escaped = true
	case b == '"' && c.state == isOpen:
		c.quoted = !c.quoted
	case c.quoted || isSpace(b):
	case b == '{' || b == '[':
		c.state = isOpen
		c.depth++
	case c.state == notBegun:
		c.state = isOther
	case b == '}' || b == ']':
		if c.depth--; c.depth == 0 {
			c.state = isWhole
		}
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// isBlank reports whether a text is nothing but white space.
func isBlank(t facts.Text) bool {
	for i := 0; i < len(t.Data); i++ {
		b := t.Data[i]
		if t.Raw && b == '\\' {
			b, i = unescaped(t.Data, i)
		}
		if !isSpace(b) {
			return false
		}
	}
	return true
}

// appendInput appends the arguments of a call, the inside of a string literal, as the
// object that clients need. Other text is put into an object, so that the tool fails
// visibly and the model learns why.
func appendInput(dst, arguments []byte) []byte {
	if len(arguments) == 0 {
		return append(dst, "{}"...)
	}
	from := len(dst)
	dst = sdk.AppendUnquote(dst, arguments)
	if v := sdk.JSON(dst[from:]); v.Kind() == sdk.KindObject && v.Valid() == nil {
		return dst
	}
	dst = append(append(dst[:from], `{"_invalid_arguments":"`...), arguments...)
	return append(dst, `"}`...)
}
