package messages

// foreign writes what a block says that the tools of another server left in the history,
// such as a search: a session may have begun elsewhere. Blocks of unknown kinds are left
// out.
func (t *translation) foreign(b *block) {
	switch string(b.kind) {
	case "server_tool_use", "mcp_tool_use":
		t.openText(nil)
		t.raw(`[`)
		t.out = append(t.out, b.name.inside()...)
		if b.input != nil {
			t.raw(`: `)
			quoted := appendQuoted(nil, b.input)
			t.out = append(t.out, quoted[1:len(quoted)-1]...)
		}
		t.raw(`]`)
		t.closeText(nil)
	case "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result", "bash_code_execution_tool_result",
		"text_editor_code_execution_tool_result", "tool_search_tool_result", "mcp_tool_result", "advisor_tool_result", "compaction":
		t.told(b.content)
	}
}

// told writes the texts in a value, each on a line of its own.
func (t *translation) told(v value) {
	if v.isString() {
		t.text(v.inside(), nil)
		return
	}
	if !v.isArray() && !v.isObject() {
		return
	}
	open := false
	// A flat walk over all fields, however deep: what encloses them makes no difference.
	c := cursor{b: v}
	for c.i < len(c.b) {
		if c.b[c.i] != '"' {
			c.i++
			continue
		}
		key, isKey := c.stringOrKey()
		if !isKey || c.b[c.i] != '"' || !tells(key) {
			continue
		}
		said := c.value()
		if string(key) == "tool_name" {
			t.load(said)
		}
		if len(said.inside()) == 0 {
			continue
		}
		if open {
			t.raw(`\n`)
		} else {
			t.openText(nil)
			open = true
		}
		t.out = append(t.out, said.inside()...)
	}
	if open {
		t.closeText(nil)
	}
}

// stringOrKey goes behind the string at which the cursor stands. If it is a key, it goes
// to the key's value.
func (c *cursor) stringOrKey() (key []byte, isKey bool) {
	from := c.i + 1
	c.string()
	key = c.b[from : c.i-1]
	c.space()
	if c.i >= len(c.b) || c.b[c.i] != ':' {
		return nil, false
	}
	c.i++
	c.space()
	return key, true
}

// tells reports whether a field of a result is text for people.
func tells(key []byte) bool {
	switch string(key) {
	case "title", "url", "text", "content", "stdout", "stderr", "output", "summary", "error_code", "tool_name":
		return true
	}
	return false
}
