package exchange

import (
	"bytes"
	"encoding/json"

	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/frame"
)

// Body returns the body of a Whole answer as an adapter gets it: without a byte order mark. If
// the status is outside 2xx and the body is framed like a stream, it is the first event or line
// with content. Some servers frame errors so if the client asked for a stream.
func Body(status int, body []byte) []byte {
	if n := skipMark(body); n > 0 {
		body = body[n:]
	}
	if status >= 200 && status <= 299 {
		return body
	}
	first := skipSpace(body, 0)
	if isField, _ := beginsEvents(body[first:]); isField {
		return firstEvent(body[first:])
	}
	if end := bytes.IndexByte(body[first:], '\n'); end > 0 && body[first] == '{' {
		line, next := body[first:first+end], skipSpace(body, first+end)
		if next < len(body) && body[next] == '{' && json.Valid(line) {
			return line
		}
	}
	return body
}

// firstEvent returns the data of the first event that has any, or body if none has.
func firstEvent(body []byte) []byte {
	d := frame.NewDecoder(abi.SSE, len(body)+1)
	d.Feed(body)
	for {
		f, ok, err := d.Next()
		if !ok && err == nil {
			f, ok, err = d.End()
		}
		if err != nil || !ok {
			return body
		}
		if data := bytes.TrimSpace(f.Data); len(data) > 0 && !IsDone(data) {
			return data
		}
	}
}
