// Package frame cuts the body of an upstream's answer into frames: server-sent events or lines
// of JSON. It doesn't matter in which pieces the bytes arrive.
//
// It only decodes. It does no I/O, does not know what frames mean ([DONE] is a frame like any
// other), and copies only what arrived in several pieces.
package frame

import (
	"bytes"
	"errors"
	"unicode"
	"unicode/utf8"

	"github.com/kai-gateway/kai/sdk/abi"
)

// DefaultLimit is how many bytes a line or the data of an event may have by default.
const DefaultLimit = 32 << 20

// ErrTooLong is the error for a line or an event that is longer than the limit.
var ErrTooLong = errors.New("a line or event of the stream exceeds the limit")

// Frame is one event of an upstream's stream. Its bytes are valid until the next call of the
// Decoder that returned it.
type Frame struct {
	Name []byte // the field "event" of a server-sent event; empty: it has none, or NDJSON
	Data []byte // the data lines, joined by line feeds; or one line of NDJSON
}

// Decoder cuts one body into frames. It reads
//
//   - SSE by the rules of the HTML standard, section "Interpreting an event stream". Lines end
//     in LF, CRLF or CR. A byte order mark at the start is dropped. Comments, and fields other
//     than event, data, id and retry, are ignored. An event without a data field is none, and an
//     event whose data is empty is one;
//   - NDJSON as lines that end in LF or CRLF. Blank lines are skipped.
//
// Two rules differ from the standard: UTF-8 is not checked, and End returns an event that no
// blank line ended, because some upstreams forget that line.
//
// Only one goroutine may use a Decoder at a time:
//
//	for {
//		n, readErr := body.Read(buf)
//		d.Feed(buf[:n])
//		for {
//			f, ok, err := d.Next()
//			…
//		}
//		…
//	}
//	f, ok, err := d.End()
type Decoder struct {
	limit  int
	ndjson bool
	err    error

	in     []byte // the piece that is being read, borrowed from Feed's caller
	at     int    // everything before this index was read
	lf     int    // the index of the first LF from at on, or len(in); below at: not known
	cr     int    // the same of the first CR
	skipLF bool   // the piece before ended in CR, so a LF at the start of this one belongs to it
	begun  bool   // the first line is over

	line []byte // the start of a line, from earlier pieces

	// The event so far. A field refers to in or line. It is copied when the piece is read to
	// its end, or when more data is joined to it.
	name, data         []byte
	nameOwn, dataOwn   []byte // storage for the copies
	nameKept, dataKept bool   // name and data refer to that storage
	hasData            bool
	given              bool // the event was returned as the last frame

	lines []byte // as Lines returns them; until the event is returned, those it will have
}

// idleStorage is how many bytes of each storage stay allocated between events. That is enough
// for usual events, and little enough for thousands of idle streams.
const idleStorage = 4 << 10

// maxLines is how many bytes Lines returns at most. Usually that is an id, and a number.
const maxLines = 1 << 10

// NewDecoder returns a decoder for a body in framing f, which must be SSE or NDJSON; otherwise
// it panics. limit is how many bytes a line without its end, or the data of an event, may have.
// 0 means DefaultLimit.
func NewDecoder(f abi.Framing, limit int) *Decoder {
	if f != abi.SSE && f != abi.NDJSON {
		panic("frame: NewDecoder for a framing that has no frames")
	}
	if limit <= 0 {
		limit = DefaultLimit
	}
	return &Decoder{limit: limit, ndjson: f == abi.NDJSON}
}

// Feed gives the Decoder the next piece of the body. The Decoder borrows p until Next reports
// false. It panics if it is fed before that.
func (d *Decoder) Feed(p []byte) {
	if d.in != nil {
		panic("frame: Feed before Next reported false")
	}
	if d.err == nil && len(p) > 0 {
		d.in, d.at, d.lf, d.cr = p, 0, -1, -1
	}
}

// Next returns the next frame of what was fed. It reports false if more is needed, or if there
// is an error, which is ErrTooLong and stays.
func (d *Decoder) Next() (Frame, bool, error) {
	d.forget()
	for d.err == nil && d.in != nil {
		line, ok := d.nextLine()
		if ok && d.take(line) {
			return d.give()
		}
	}
	return Frame{}, false, d.err
}

// End returns what is left at the end of the body: a last line without a line end, or an event
// that no blank line ended. It is one frame at most. Call it once, after Next has reported
// false.
func (d *Decoder) End() (Frame, bool, error) {
	d.forget()
	if d.err == nil && len(d.line) > 0 {
		d.take(d.finish(d.line))
		d.line = nil
	}
	if d.err != nil || !d.hasData {
		return Frame{}, false, d.err
	}
	return d.give()
}

// More reports whether bytes of the piece that was fed last follow the frame that Next
// returned. Whether they have another frame is for Next to tell.
func (d *Decoder) More() bool { return d.in != nil && d.at < len(d.in) }

// Lines returns the lines id and retry that came with the frame that was returned last, or since
// the one before it, each as it was and with a line feed at its end. Clients keep what these say
// until another line says otherwise, so those of an event without data belong to the next one. What
// the standard has clients ignore isn't there, nor are ids with control characters or without
// UTF-8. If there is more than maxLines of them, the last ones are. They are valid as long as the
// frame.
func (d *Decoder) Lines() []byte {
	if !d.given {
		return nil
	}
	return d.lines
}

// Held returns how many bytes the Decoder has allocated, for callers that limit the memory of
// many streams.
func (d *Decoder) Held() int { return cap(d.line) + cap(d.nameOwn) + cap(d.dataOwn) + cap(d.lines) }

// nextLine returns the next line, without its end. If there is no further line end in the
// piece, it keeps the rest of the piece and reports false.
func (d *Decoder) nextLine() (line []byte, ok bool) {
	if d.skipLF && d.at < len(d.in) {
		d.skipLF = false
		if d.in[d.at] == '\n' {
			d.at++
		}
	}
	if d.lf < d.at {
		d.lf = d.at + indexOrEnd(d.in[d.at:], '\n')
	}
	end := d.lf
	if !d.ndjson {
		if d.cr < d.at {
			d.cr = d.at + indexOrEnd(d.in[d.at:], '\r')
		}
		end = min(end, d.cr)
	}
	line = d.in[d.at:end]
	if len(d.line)+len(line) > d.limit {
		d.fail()
		return nil, false
	}
	if end == len(d.in) {
		d.keep()
		d.line = append(d.line, line...)
		d.in = nil
		return nil, false
	}
	d.at = end + 1
	if d.in[end] == '\r' {
		switch {
		case d.at == len(d.in):
			d.skipLF = true
		case d.in[d.at] == '\n':
			d.at++
		}
	}
	if len(d.line) > 0 {
		// d.line does not change before the piece is read to its end, so the fields of
		// this line may refer to it.
		line = append(d.line, line...)
		d.line = line[:0]
	}
	return d.finish(line), true
}

func indexOrEnd(b []byte, c byte) int {
	if i := bytes.IndexByte(b, c); i >= 0 {
		return i
	}
	return len(b)
}

// finish removes from a whole line what is not part of its text.
func (d *Decoder) finish(line []byte) []byte {
	if !d.begun {
		d.begun = true
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	if d.ndjson {
		line = bytes.TrimSuffix(line, []byte("\r"))
	}
	return line
}

// take reads one line and reports whether it completes a frame.
func (d *Decoder) take(line []byte) bool {
	if d.ndjson {
		d.data, d.hasData = line, !isBlank(line)
		return d.hasData
	}
	if len(line) == 0 {
		if !d.hasData {
			d.clear()
		}
		return d.hasData
	}
	field, value, _ := bytes.Cut(line, []byte(":"))
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	switch string(field) {
	case "data":
		d.addData(value)
	case "event":
		d.name, d.nameKept = value, false
	default:
		d.addLine(line, string(field), value)
	}
	return false
}

// addLine keeps a line of another field, if it is one that clients don't ignore.
func (d *Decoder) addLine(line []byte, field string, value []byte) {
	if len(line) >= maxLines || !(field == "id" && isID(value) || field == "retry" && isNumber(value)) {
		return
	}
	if len(d.lines)+len(line) >= maxLines {
		d.lines = d.lines[:0]
	}
	d.lines = append(append(d.lines, line...), '\n')
}

func isID(value []byte) bool {
	return utf8.Valid(value) && bytes.IndexFunc(value, unicode.IsControl) < 0
}

func isNumber(value []byte) bool {
	return len(value) > 0 && bytes.IndexFunc(value, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

func isBlank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

func (d *Decoder) addData(value []byte) {
	if !d.hasData {
		d.data, d.hasData = value, true
		return
	}
	if len(d.data)+1+len(value) > d.limit {
		d.fail()
		return
	}
	d.keepData()
	d.dataOwn = append(append(d.dataOwn, '\n'), value...)
	d.data = d.dataOwn
}

// keep copies what the event has borrowed.
func (d *Decoder) keep() {
	if d.hasData {
		d.keepData()
	}
	if len(d.name) > 0 && !d.nameKept {
		d.nameOwn = append(d.nameOwn[:0], d.name...)
		d.name, d.nameKept = d.nameOwn, true
	}
}

func (d *Decoder) keepData() {
	if !d.dataKept {
		d.dataOwn = append(d.dataOwn[:0], d.data...)
		d.data, d.dataKept = d.dataOwn, true
	}
}

func (d *Decoder) give() (Frame, bool, error) {
	d.given = true
	return Frame{Name: d.name[:len(d.name):len(d.name)], Data: d.data[:len(d.data):len(d.data)]}, true, nil
}

// forget drops the event that was returned.
func (d *Decoder) forget() {
	if d.given {
		if len(d.lines) > 0 {
			d.lines = d.lines[:0]
		}
		d.clear()
	}
}

func (d *Decoder) clear() {
	d.name, d.data = nil, nil
	d.nameKept, d.dataKept, d.hasData, d.given = false, false, false, false
	d.nameOwn, d.dataOwn = idle(d.nameOwn), idle(d.dataOwn)
	if len(d.line) == 0 {
		d.line = idle(d.line)
	}
}

func idle(storage []byte) []byte {
	if cap(storage) > idleStorage {
		return nil
	}
	return storage
}

func (d *Decoder) fail() {
	*d = Decoder{limit: d.limit, ndjson: d.ndjson, err: ErrTooLong}
}
