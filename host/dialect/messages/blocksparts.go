package messages

// pass is which of the blocks of a content are written.
type pass uint8

const (
	everything pass = iota
	textsOnly       // of a tool's result, beside which most APIs take nothing else
	othersOnly      // the rest of it
)

// part writes a block of a user or a tool as a part of the content that was begun. It
// leaves out what has no meaning here, because new kinds of block appear without notice.
func (t *translation) part(b *block, place at, p pass) error {
	switch string(b.kind) {
	case "text":
		if b.text == nil || !b.text.isString() {
			return place.refuse(".text", "must be a string")
		}
		if p != othersOnly {
			t.text(b.text.inside(), b.cache)
		}
	case "image":
		if !b.source.isObject() {
			return place.refuse(".source", "must be an object with a type")
		}
		return t.attachment(p, func() error { return t.image(b, place) })
	case "document":
		return t.document(b, place, p)
	case "search_result":
		if p != othersOnly {
			t.searchResult(b)
		}
	case "tool_reference":
		t.load(b.toolName)
		if p != othersOnly && len(b.toolName.inside()) > 0 {
			t.openText(nil)
			t.raw("Tool ")
			name, _ := t.appendName(nil, b.toolName) // as the model knows it
			t.out = append(t.out, name[1:len(name)-1]...)
			t.raw(" is loaded.")
			t.closeText(nil)
		}
	}
	return nil
}

// attachment writes a part that is no text, or counts it if it can't stand here.
func (t *translation) attachment(p pass, write func() error) error {
	if p == textsOnly {
		t.left++
		return nil
	}
	t.openPart()
	return write()
}

// media is where an image or a document comes from.
type media struct {
	kind, mediaType, data, url, content value
}

func readMedia(v value) (s media) {
	c := cursor{b: v}
	for c.enter(); c.next(); {
		switch string(c.key()) {
		case "type":
			s.kind = c.value()
		case "media_type":
			s.mediaType = c.value()
		case "data":
			s.data = c.value()
		case "url":
			s.url = c.value()
		case "content":
			s.content = c.value()
		default:
			c.skip()
		}
	}
	return s
}

const noFiles = "files that were uploaded are not available through this gateway: send the content itself, as base64"

// appendURL writes a string: the data as a data: URL, or the link to it.
func (t *translation) appendURL(s media, place at) error {
	switch string(s.kind.word()) {
	case "base64":
		if !s.mediaType.isString() {
			return place.refuse(".source.media_type", "must be a string such as image/png")
		}
		if !s.data.isString() {
			return place.refuse(".source.data", "must be a string of base64")
		}
		t.raw(`"data:`)
		t.out = append(t.out, s.mediaType.inside()...)
		t.raw(`;base64,`)
		t.out = append(t.out, s.data.inside()...)
		t.raw(`"`)
	case "url":
		if !s.url.isString() {
			return place.refuse(".source.url", "must be a string")
		}
		t.out = append(t.out, s.url...)
	case "file":
		return place.refuse(".source", noFiles)
	default:
		return place.refuse(".source.type", "must be base64 or url")
	}
	return nil
}

func (t *translation) image(b *block, place at) error {
	t.raw(`{"type":"image_url","image_url":{"url":`)
	if err := t.appendURL(readMedia(b.source), place); err != nil {
		return err
	}
	t.raw(`}`)
	t.cache(b.cache)
	t.raw(`}`)
	return nil
}

// document writes a document as a file, or as its text.
func (t *translation) document(b *block, place at, p pass) error {
	if !b.source.isObject() {
		return place.refuse(".source", "must be an object with a type")
	}
	s := readMedia(b.source)
	switch string(s.kind.word()) {
	case "text":
		if !s.data.isString() {
			return place.refuse(".source.data", "must be a string")
		}
		if p != othersOnly {
			t.lines(b.cache, b.title.inside(), b.context.inside(), s.data.inside())
		}
		return nil
	case "content":
		if p != othersOnly {
			t.lines(nil, b.title.inside(), b.context.inside())
		}
		if !s.content.isArray() {
			if p != othersOnly {
				t.text(s.content.inside(), b.cache)
			}
			return nil
		}
		return t.each(&cursor{b: s.content}, place, func(inner *block, _ at) error {
			if k := string(inner.kind); k != "text" && k != "image" {
				return nil
			}
			return t.part(inner, place, p)
		})
	}
	return t.attachment(p, func() error {
		t.raw(`{"type":"file","file":{"filename":`)
		if len(b.title.inside()) > 0 {
			t.out = append(t.out, b.title...)
		} else {
			t.raw(`"document.pdf"`)
		}
		t.raw(`,"file_data":`)
		if err := t.appendURL(s, place); err != nil {
			return err
		}
		t.raw(`}`)
		t.cache(b.cache)
		t.raw(`}`)
		return nil
	})
}

// searchResult writes a result of the client's own search: its title, its source and its
// texts.
func (t *translation) searchResult(b *block) {
	lines := [][]byte{b.title.inside(), b.source.inside()}
	if b.content.isArray() {
		c := cursor{b: b.content}
		for c.enter(); c.next(); {
			if c.at() != '{' {
				c.skip()
				continue
			}
			inner := readBlock(&c)
			lines = append(lines, inner.text.inside())
		}
	}
	t.lines(b.cache, lines...)
}

// lines writes texts as one, each on a line of its own. Empty ones are left out.
func (t *translation) lines(cache value, insides ...[]byte) {
	open := false
	for _, inside := range insides {
		switch {
		case len(inside) == 0:
			continue
		case open:
			t.raw(`\n`)
		default:
			t.openText(inside)
			open = true
		}
		t.out = append(t.out, inside...)
	}
	if open {
		t.closeText(cache)
	}
}
