package messages

// The messages between two of the assistant's are taken together: first come the results of
// tools, each as a message of the tool, then the rest as one message of the user. So the
// roles are in an order that every provider accepts. Results are written as they are read;
// the rest waits.

// pending is what waits.
type pending struct {
	rest    []waiting
	results bool // some were written
	spoke   bool // the user did, if only by nothing
}

// waiting is a block of the user's, or all of a message.
type waiting struct {
	message, block int32 // -1: all of the message
	from, to       int32 // where it stands in the client's messages
	system         bool  // the message came from the system, in the middle of the conversation
	cleared        bool  // its text is to be left out
}

// history writes the messages.
func (t *translation) history(messages value) error {
	c := cursor{b: messages}
	i := 0
	for c.enter(); c.next(); i++ {
		if c.at() != '{' {
			return atMessage(i).refuse("", "must be an object with role and content")
		}
		if err := t.message(&c, atMessage(i)); err != nil {
			return err
		}
	}
	if i == 0 {
		return refuse("messages", "must hold at least one message")
	}
	return t.flush()
}

// message reads the message at which the cursor stands. If the role comes first, as it
// mostly does, the content is read only once.
func (t *translation) message(c *cursor, place at) error {
	var role, content, outputConfig, clearAt value
	from, done := 0, false
	for c.enter(); c.next(); {
		switch string(c.key()) {
		case "role":
			role = c.value()
		case "content":
			word := role.word()
			if !done && (string(word) == "user" || string(word) == "assistant") {
				if err := t.said(c, word, place); err != nil {
					return err
				}
				done = true
				continue
			}
			from = c.i
			content = c.value()
		case "output_config":
			outputConfig = c.value()
		case "clear_at":
			clearAt = c.value()
		default:
			c.skip()
		}
	}
	if done {
		return nil
	}
	switch word := role.word(); string(word) {
	case "user", "assistant":
		if content == nil {
			return place.refuse(".content", "must be a string or an array of blocks")
		}
		return t.said(&cursor{b: c.b, i: from}, word, place)
	case "system":
		if !content.isString() && !content.isArray() {
			return place.refuse(".content", "must be a string or an array of blocks")
		}
		t.noteEffort(outputConfig)
		t.pending.rest = append(t.pending.rest, waiting{
			int32(place.message), -1, int32(from), int32(from + len(content)), true, t.clears(clearAt, place.message),
		})
		return nil
	}
	return place.refuse(".role", "must be user, assistant or system")
}

// said takes the content of a message of a role. The cursor stands at that content.
func (t *translation) said(c *cursor, role []byte, place at) error {
	if c.at() != '"' && c.at() != '[' {
		return place.refuse(".content", "must be a string or an array of blocks")
	}
	if string(role) == "assistant" {
		if err := t.flush(); err != nil {
			return err
		}
		return t.assistant(c, place)
	}
	t.pending.spoke = true
	if c.at() == '"' {
		t.wait(c, place)
		return nil
	}
	i := 0
	for c.enter(); c.next(); i++ {
		here, from := place.element(i), c.i
		b, err := t.read(c, here)
		if err != nil {
			return err
		}
		if string(b.kind) != "tool_result" {
			t.wait(&cursor{b: c.b[:c.i], i: from}, here)
			continue
		}
		t.pending.results = true
		if err := t.result(b, here); err != nil {
			return err
		}
	}
	return nil
}

// wait notes the value at which the cursor stands for later.
func (t *translation) wait(c *cursor, place at) {
	from := c.i
	c.skip()
	t.pending.rest = append(t.pending.rest, waiting{message: int32(place.message), block: int32(place.block), from: int32(from), to: int32(c.i)})
}

// flush writes what waits as one message of the user.
func (t *translation) flush() error {
	p := t.pending
	t.pending = pending{rest: p.rest[:0]}
	if len(p.rest) == 0 && len(t.attached) == 0 && (p.results || !p.spoke) {
		return nil
	}
	before := t.mark()
	first := atMessage(0)
	if len(p.rest) > 0 {
		first = atMessage(int(p.rest[0].message))
	}
	t.beginMessage(first, `{"role":"user","content":`)
	t.begin(`\n`)
	if err := t.attachments(); err != nil {
		return err
	}
	for _, w := range p.rest {
		if err := t.waited(w); err != nil {
			return err
		}
	}
	if t.content.form == noContent && (p.results || !p.spoke) {
		t.reset(before)
		return nil
	}
	t.end(`""`)
	t.raw(`}`)
	return nil
}

// waited writes what has waited.
func (t *translation) waited(w waiting) error {
	v := value(t.source.messages[w.from:w.to])
	t.here = at{int(w.message), int(w.block), -1}
	switch {
	case w.system:
		return t.reminder(v, w.cleared)
	case v.isString():
		t.text(v.inside(), nil)
		return nil
	}
	c := cursor{b: v}
	b, err := t.read(&c, t.here)
	if err != nil {
		return err
	}
	return t.part(b, t.here, everything)
}

// clears reports whether the text of the system's message at index i no longer counts: clearAt
// says that it counts until the next message of the user, and there is one.
func (t *translation) clears(clearAt value, i int) bool {
	if string(clearAt.word()) != "next_user_message" {
		return false
	}
	if t.lastUser == unknown {
		t.lastUser = lastUser(t.source.messages)
	}
	return i < t.lastUser
}

// lastUser returns the index of the last message of the user; -1 if there is none.
func lastUser(messages value) int {
	last := -1
	c := cursor{b: messages}
	i := 0
	for c.enter(); c.next(); i++ {
		if c.at() != '{' {
			c.skip()
			continue
		}
		for c.enter(); c.next(); {
			if string(c.key()) != "role" {
				c.skip()
			} else if string(c.value().word()) == "user" {
				last = i
			}
		}
	}
	return last
}

// result writes the result of a tool as a message of its own.
func (t *translation) result(b *block, place at) error {
	if !b.toolUseID.isString() {
		return place.refuse(".tool_use_id", "must be a string, the id of the call")
	}
	t.beginMessage(place, `{"role":"tool","tool_call_id":`)
	t.out = append(t.out, b.toolUseID...)
	t.raw(`,"content":`)
	t.begin(`\n`)
	failed := b.isError.isTrue()
	t.found.native = t.found.native || failed
	none := `""`
	if failed && !t.form.Native {
		none = `"Error"`
		t.content.failed = true
	}
	if err := t.resultParts(b, place); err != nil {
		return err
	}
	if !t.form.Native {
		t.cacheLast(b.cache) // tools have no place for it elsewhere
	}
	t.end(none)
	if t.form.Native {
		if failed {
			t.raw(`,"is_error":true`)
		}
		t.cache(b.cache)
	}
	t.raw(`}`)
	return nil
}

// resultParts writes what a tool returned. What is no text goes to the next message of the
// user, unless the adapter takes it here.
func (t *translation) resultParts(b *block, place at) error {
	switch {
	case b.content == nil:
		return nil
	case b.content.isString():
		t.text(b.content.inside(), nil)
		return nil
	case !b.content.isArray():
		return place.refuse(".content", "must be a string or an array of blocks")
	}
	p := textsOnly
	if t.form.Native {
		p = everything
	}
	left := t.left
	if err := t.each(&cursor{b: b.content}, place, func(inner *block, place at) error {
		return t.part(inner, place, p)
	}); err != nil {
		return err
	}
	if t.left > left {
		t.found.native = true
		t.attached = append(t.attached, attached{b.toolUseID, b.content, place})
	}
	return nil
}

// attached is the result of a tool whose images and documents are still to be written.
type attached struct {
	id, content value
	place       at
}

// attachments writes what results of tools hold that is no text.
func (t *translation) attachments() error {
	for _, a := range t.attached {
		t.here = a.place
		t.openText(nil)
		t.raw(`[from the result of tool call `)
		t.out = append(t.out, a.id.inside()...)
		t.raw(`]`)
		t.closeText(nil)
		if err := t.each(&cursor{b: a.content}, a.place, func(b *block, place at) error {
			return t.part(b, place, othersOnly)
		}); err != nil {
			return err
		}
	}
	t.attached = t.attached[:0]
	return nil
}
