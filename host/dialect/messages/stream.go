package messages

import (
	"strconv"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

// stream is a streamed answer as its client sees it: the events of one attempt.
type stream struct {
	asked requestInfo
	info  dialect.Info
}

func newStream(a requestInfo, i dialect.Info) dialect.Stream { return &stream{a, i} }

func (s *stream) Begin() dialect.Answer { return newEvents(s.asked, s.info) }

// KeepAlive appends an event that says nothing. Before the first event of the answer, it is
// no answer to clients, so that they still repeat the request after an error.
func (s *stream) KeepAlive(dst []byte) []byte {
	return append(dst, "event: ping\ndata: {\"type\":\"ping\"}\n\n"...)
}

// Fail appends the event that ends a stream after a failure. A stream without it would be
// taken for a success.
func (s *stream) Fail(dst []byte, e *fault.Error) []byte {
	dst = append(dst, "event: error\ndata: "...)
	dst = appendError(dst, translate(e), s.info.RequestID)
	return append(dst, "\n\n"...)
}

// events makes the events of a streamed answer.
//
// A block begins with the first thing that is stated of it, and ends when another one follows or
// the answer ends. What one adapter call states of a block becomes one delta. What follows
// a call waits until the JSON of its arguments is complete.
type events struct {
	answer
	started bool   // message_start is out
	head    []byte // an event with a delta of the block that is open, up to its text
	direct  bool   // a single TEXT only needs head and textEnd
	at      int32  // of such a TEXT
	written int    // bytes counted for the array of the events
}

// deltaEnd is what follows the text of a delta.
const deltaEnd = "\"}}\n\n"

func newEvents(a requestInfo, i dialect.Info) *events { return &events{answer: newAnswer(a, i)} }

// Apply appends the events for the emissions of one adapter call, if there are any.
//
//   - error: a *fault.Error: the adapter's ERROR, a breach of the protocol, or too
//     little memory. Then nothing was appended.
func (s *events) Apply(dst []byte, ems []abi.Emission) ([]byte, error) {
	if e := facts.Alone(ems); e != nil && s.direct && e.Kind == abi.Text && e.At == s.at && len(e.Data) > 0 && len(e.Data) < facts.Often && !facts.HasHalf(e) {
		s.facts.AddStated(len(e.Data))
		dst = append(dst, s.head...)
		dst = facts.Text{Raw: e.Raw, Data: e.Data}.AppendTo(dst)
		return append(dst, deltaEnd...), nil
	}
	if err := s.apply(ems); err != nil {
		return dst, err
	}
	return s.show(dst)
}

// End ends the answer. Call it when the upstream ended cleanly, or in any way once
// Complete reports true.
//
//   - error: a *fault.Error for an answer without a FINISH (the caller may know a better
//     reason than that the upstream ended) or a call without a name. Then nothing was
//     appended.
func (s *events) End(dst []byte) ([]byte, error) {
	if err := s.end(); err != nil {
		return dst, err
	}
	dst, err := s.show(dst)
	if err != nil {
		return dst, err
	}
	dst = s.start(dst)
	dst = append(dst, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"...)
	dst = s.appendStop(dst)
	dst = append(dst, `},"usage":`...)
	dst = appendUsage(dst, s.Usage(), false)
	return append(dst, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...), nil
}

// Sent notes that the events have reached the client. dropped says that their array is no
// longer used.
func (s *events) Sent(dropped bool) {
	if dropped {
		s.facts.Drop(s.written)
		s.written = 0
	}
}

// show appends the events for what was stated since the last call, and forgets the blocks
// that have ended.
func (s *events) show(dst []byte) ([]byte, error) {
	dst, err := s.room(dst)
	if err != nil {
		return dst, err
	}
	for i := 0; i < len(s.pieces) && i <= s.current; i++ {
		dst = s.showPiece(dst, &s.pieces[i])
	}
	s.pieces = s.pieces[:copy(s.pieces, s.pieces[s.current:])]
	clear(s.pieces[len(s.pieces):cap(s.pieces)])
	s.facts.Drop(pieceBytes * s.current)
	s.current = 0
	s.facts.Rendered(0, func() int { return 0 }) // what is kept was counted when it grew
	s.at = abi.At(s.choice, 0)
	s.direct = len(s.pieces) == 1 && s.pieces[0].kind == ofText && s.facts.Plain(s.choice)
	return dst, nil
}

// room makes room in dst for the events of what was stated, and counts it if they are
// large.
func (s *events) room(dst []byte) ([]byte, error) {
	n := 0
	for i := 0; i < len(s.pieces) && i <= s.current; i++ {
		n += pieceBytes + len(s.pieces[i].text) + len(s.pieces[i].signature)
	}
	if n < facts.Often || n <= cap(dst)-len(dst) {
		return dst, nil
	}
	size := len(dst) + n + pieceBytes
	if err := s.facts.Hold(size); err != nil {
		return dst, err
	}
	grown := append(make([]byte, 0, size), dst...)
	s.Sent(true)
	s.written = size
	return grown, nil
}

// showPiece appends what is new of a block: its beginning, a delta, its end.
func (s *events) showPiece(dst []byte, p *piece) []byte {
	if !p.shown {
		p.shown = true
		dst = s.begin(s.start(dst), p)
	}
	if len(p.text) > 0 && p.kind != ofRedacted {
		dst = append(dst, s.head...)
		dst = append(dst, p.text...)
		dst = append(dst, deltaEnd...)
	}
	if !p.ended {
		if cap(p.text) > facts.KeepBetween {
			s.facts.Free(p.text)
			p.text = nil
		}
		p.text = p.text[:0]
		return dst
	}
	if p.kind == ofThinking {
		dst = s.appendHead(dst, "signature_delta", "signature", s.begun-1)
		dst = append(dst, p.signature...)
		dst = append(dst, deltaEnd...)
	}
	s.facts.Free(p.text)
	s.facts.Free(p.signature)
	p.text, p.signature = nil, nil
	dst = append(dst, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"...)
	dst = strconv.AppendInt(dst, int64(s.begun-1), 10)
	return append(dst, "}\n\n"...)
}

// start appends the first event, unless it was sent.
func (s *events) start(dst []byte) []byte {
	if s.started {
		return dst
	}
	s.started = true
	dst = append(dst, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"...)
	dst = appendMessage(dst, s.info)
	dst = append(dst, `],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"output_tokens":0}}}`...)
	return append(dst, "\n\n"...)
}

// begin appends the beginning of a block, and prepares its deltas.
func (s *events) begin(dst []byte, p *piece) []byte {
	index := s.begun
	s.begun++
	dst = append(dst, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":"...)
	dst = strconv.AppendInt(dst, int64(index), 10)
	dst = append(dst, `,"content_block":`...)
	switch p.kind {
	case ofText, ofRefusal:
		dst = append(dst, `{"type":"text","text":""}`...)
		s.head = s.appendHead(s.head[:0], "text_delta", "text", index)
	case ofThinking:
		dst = append(dst, `{"type":"thinking","thinking":"","signature":""}`...)
		s.head = s.appendHead(s.head[:0], "thinking_delta", "thinking", index)
	case ofRedacted:
		dst = appendRedacted(dst, p)
	case ofToolUse:
		dst = append(appendCall(dst, p), `{}}`...)
		s.head = s.appendHead(s.head[:0], "input_json_delta", "partial_json", index)
	}
	return append(dst, "}\n\n"...)
}

// appendHead appends an event with a delta up to its text.
func (s *events) appendHead(dst []byte, kind, field string, index int) []byte {
	dst = append(dst, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"...)
	dst = strconv.AppendInt(dst, int64(index), 10)
	dst = append(append(dst, `,"delta":{"type":"`...), kind...)
	dst = append(append(dst, `","`...), field...)
	return append(dst, `":"`...)
}
