package chat

import (
	"slices"

	"github.com/kai-gateway/kai/host/body"
)

// Marks are what ParseRequest would look for in a chat completion. A dialect that writes
// one notes them, in the order in which they stand there. The zero value is ready.
type Marks struct {
	n     notes
	long  []body.Span
	begin int // where the value of messages begins
}

// Messages notes that the value of messages begins at the end of b. Nothing but messages
// may follow, and the last bracket of the object.
func (m *Marks) Messages(b []byte) { m.begin = len(b) }

// Message notes that a message begins.
func (m *Marks) Message() { m.n.messages++ }

// Text notes that the last value in b, a string that begins at from, is the content of a
// message, or the text of a part.
func (m *Marks) Text(b []byte, from int) { m.note(atText, b, from) }

// URL notes the same of the link to an image, or its data.
func (m *Marks) URL(b []byte, from int) { m.note(atURL, b, from) }

// File notes the same of a file's data.
func (m *Marks) File(b []byte, from int) { m.note(atFileData, b, from) }

// Audio notes the same of a sound's data.
func (m *Marks) Audio(b []byte, from int) { m.note(atAudioData, b, from) }

// CallID notes the same of the id of a call, and ResultID of that in a result.
func (m *Marks) CallID(b []byte, from int)   { m.note(atIDOfCall, b, from) }
func (m *Marks) ResultID(b []byte, from int) { m.note(atIDOfResult, b, from) }

func (m *Marks) note(at body.Place, b []byte, from int) {
	if long := m.n.Value(at, b, body.Span{From: from, To: len(b)}, 0); long != (body.Span{}) {
		m.long = append(m.long, long)
	}
}

// ParseMarked is ParseRequest for a body that a dialect has written, and of which it has
// noted all there is to note. Messages and tools must be well formed, and [body.Doc.Scan]
// must have accepted all strings in the client's request. So nothing long is read again.
func ParseMarked(b []byte, m *Marks) (*Request, error) {
	head := slices.Concat(b[:m.begin], []byte("[]}"))
	n := &m.n
	if err := n.Rescan(head, &grammar, n); err != nil {
		return nil, err
	}
	if err := n.read(head, n.messages > 0); err != nil {
		return nil, err
	}
	r := n.Request
	r.Extend(b, m.long)
	r.Mend(n.mend(b))
	return &r, nil
}
