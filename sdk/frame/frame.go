// Package frame cuts the body of an upstream's answer into frames, server-sent
// events or lines of JSON, however the bytes arrive in pieces.
//
// It decodes only. It does no I/O, knows nothing of what frames mean ([DONE] is
// a frame like any other) and copies only what arrived in several pieces.
package frame

import (
	"bytes"
	"errors"

	"github.com/kai-gateway/kai/sdk/abi"
)

// DefaultLimit is the number of bytes a line or the data of an event may have
// unless NewDecoder is told otherwise.
const DefaultLimit = 32 << 20

// ErrTooLong is the error of a line or an event beyond the limit.
var ErrTooLong = errors.New("a line or event of the stream exceeds the limit")

// Frame is one event of an upstream's stream. Its bytes are valid until the
// next call of the Decoder that gave it.
type Frame struct {
	Name []byte // what the field "event" of a server-sent event says; empty for NDJSON
	Data []byte // the data lines, joined by line feeds; or one line of NDJSON
}

// Decoder cuts one body into frames. It reads
//
//   - SSE by the rules of the HTML standard, section "Interpreting an event
//     stream": lines end in LF, CRLF or CR, a byte order mark at the start is
//     dropped, comments and fields other than event and data are ignored, an
//     event without a data field is none, one whose data is empty is one;
//   - NDJSON as lines that end in LF or CRLF; blank ones are skipped.
//
// Two rules differ from the standard: UTF-8 is not checked, and End gives out
// an event that no blank line ended, because there are upstreams that forget it.
//
// A Decoder serves one goroutine:
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

	in     []byte // the piece being read, borrowed from Feed's caller
	at     int    // what is before is read
	lf     int    // where the first LF at or behind at is, or len(in)
	skipLF bool   // the piece before ended in CR: a LF here belongs to it
	begun  bool   // the first line is over

	line []byte // the start of a line, from pieces before

	// The event so far: a field borrows from in or line until the piece is read
	// to its end or more data is joined to it; then it is copied.
	name, data         []byte
	nameOwn, dataOwn   []byte // storage for the copies
	nameKept, dataKept bool   // name, data alias that storage
	hasData            bool
	given              bool // the event went out with the last frame
}

// idleStorage is how much of each storage stays allocated between events:
// enough for what is usually cut, little enough for thousands of idle streams.
const idleStorage = 4 << 10

// NewDecoder returns a decoder for a body in framing f, SSE or NDJSON; any other
// is a mistake it panics at. limit is the number of bytes that a line without
// its end, or the data of an event, may have; 0 is DefaultLimit.
func NewDecoder(f abi.Framing, limit int) *Decoder {
	if f != abi.SSE && f != abi.NDJSON {
		panic("frame: NewDecoder for a framing that has no frames")
	}
	if limit <= 0 {
		limit = DefaultLimit
	}
	return &Decoder{limit: limit, ndjson: f == abi.NDJSON}
}

// Feed hands over the next piece of the body. The Decoder borrows p until Next
// reports false; to feed it more before that is a mistake it panics at.
func (d *Decoder) Feed(p []byte) {
	if d.in != nil {
		panic("frame: Feed before Next reported false")
	}
	if d.err == nil && len(p) > 0 {
		d.in, d.at, d.lf = p, 0, -1
	}
}

// Next returns the next frame of what was fed. It reports false when more is
// needed and when there is an error, which then stays: ErrTooLong.
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

// End returns what is left when the body is over: a last line that no line end
// ended, an event that no blank line ended; one frame at most. Call it once,
// when Next has reported false.
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

// Held returns how many bytes the Decoder has allocated, for callers that limit what
// many streams hold together.
func (d *Decoder) Held() int { return cap(d.line) + cap(d.nameOwn) + cap(d.dataOwn) }

// nextLine returns the next line, without its end. If the piece holds no further
// line end, its rest is kept and the piece given up.
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
		end = d.at + indexOrEnd(d.in[d.at:d.lf], '\r')
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
		// Nothing is written to d.line before the piece is read to its end, so
		// the fields of this line may borrow from it.
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

// finish takes from a whole line what is not part of its text.
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
	}
	return false
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

// keep copies what the event borrows.
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

// forget drops the event that was given out.
func (d *Decoder) forget() {
	if d.given {
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
