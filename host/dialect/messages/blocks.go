package messages

import (
	"strconv"

	"github.com/kai-gateway/kai/host/fault"
)

// at is the place of something in the client's request.
type at struct {
	message int // of messages; -1 for system
	block   int // of the message's content; -1 for all of it
	inner   int // of the block's content; -1 for all of it
}

func atMessage(n int) at { return at{message: n, block: -1, inner: -1} }

// String names the place as Anthropic's API does: messages.2.content.0.
func (a at) String() string {
	path := "system"
	if a.message >= 0 {
		path = "messages." + strconv.Itoa(a.message)
		if a.block >= 0 {
			path += ".content"
		}
	}
	if a.block >= 0 {
		path += "." + strconv.Itoa(a.block)
	}
	if a.inner >= 0 {
		path += ".content." + strconv.Itoa(a.inner)
	}
	return path
}

// element is the place of block i of the content there.
func (a at) element(i int) at {
	if a.block < 0 {
		a.block = i
	} else {
		a.inner = i
	}
	return a
}

// refuse is the error for a request that breaks the API's rules. Its text begins with the
// place, as the clients of this API expect it.
func refuse(path, must string) error {
	return &fault.Error{Kind: fault.Invalid, Param: path, Text: path + ": " + must}
}

func (a at) refuse(field, must string) error { return refuse(a.String()+field, must) }

// block is one block of a message's content. Its fields are those of all kinds.
type block struct {
	raw  value
	kind []byte // "" if the type is no string

	text, title, context, cache value
	id, name, input             value
	toolUseID, content, isError value
	thinking, signature, data   value
	source, toolName, tool, typ value
}

// readBlock reads the object at which the cursor stands.
func readBlock(c *cursor) (b block) {
	from := c.i
	for c.enter(); c.next(); {
		if field := b.field(c.key()); field != nil {
			*field = c.value()
		} else {
			c.skip()
		}
	}
	b.raw = value(c.b[from:c.i])
	b.kind = b.typ.word()
	return b
}

// field returns where a field of a block is kept; nil: nowhere.
func (b *block) field(key []byte) *value {
	switch string(key) {
	case "type":
		return &b.typ
	case "text":
		return &b.text
	case "title":
		return &b.title
	case "context":
		return &b.context
	case "cache_control":
		return &b.cache
	case "id":
		return &b.id
	case "name":
		return &b.name
	case "input":
		return &b.input
	case "tool_use_id":
		return &b.toolUseID
	case "content":
		return &b.content
	case "is_error":
		return &b.isError
	case "thinking":
		return &b.thinking
	case "signature":
		return &b.signature
	case "data":
		return &b.data
	case "source":
		return &b.source
	case "tool_name":
		return &b.toolName
	case "tool":
		return &b.tool
	}
	return nil
}

// read reads the block at which the cursor stands. The result is valid until it is called
// again.
func (t *translation) read(c *cursor, place at) (*block, error) {
	return readInto(&t.blocks[0], c, place)
}

func readInto(b *block, c *cursor, place at) (*block, error) {
	if c.at() != '{' {
		return nil, place.refuse("", "must be a block, an object with a type")
	}
	*b = readBlock(c)
	if len(b.kind) == 0 {
		return nil, place.refuse(".type", "must be a string such as text")
	}
	return b, nil
}

// each calls do for each block of the array at which the cursor stands, with its place.
// Blocks that are in others nest no deeper than maxNested.
func (t *translation) each(c *cursor, place at, do func(b *block, place at) error) error {
	t.nested++
	defer func() { t.nested-- }()
	i := 0
	for c.enter(); c.next(); i++ {
		here := place.element(i)
		b, err := readInto(&t.blocks[t.nested], c, here)
		if err != nil {
			return err
		}
		t.here = here
		if err := do(b, here); err != nil {
			return err
		}
	}
	return nil
}

// maxNested is how deep blocks nest: a document in a result.
const maxNested = 2
