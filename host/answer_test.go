package host

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/sse"
	"github.com/kai-gateway/kai/sdk/abi"
)

// eventful is an answer whose every call makes an event.
type eventful struct{ dialect.Answer }

func (eventful) Apply(dst []byte, _ []abi.Emission) ([]byte, error) {
	return append(dst, "data: mine\n\n"...), nil
}
func (eventful) Complete() bool { return false }
func (eventful) Sent(bool)      {}

// keepingWriter fails, and still reads what it was given, as that of a stream that was reset may.
type keepingWriter struct {
	http.ResponseWriter
	kept []byte
}

func (w *keepingWriter) Write(p []byte) (int, error) {
	w.kept = p
	return 0, errors.New("the stream was reset")
}

// TestTrapAFailedWriteStillReads: the room for events of a failed write is no other answer's.
func TestTrapAFailedWriteStillReads(t *testing.T) {
	var held []*[]byte // so that none of them comes twice
	for range 50 {     // a pool may lose what it is given
		w := &keepingWriter{ResponseWriter: httptest.NewRecorder()}
		client := sse.New(w, sse.Options{})
		a := &streamedAnswer{Answer: eventful{}, client: client, now: time.Now}
		a.commit()
		if err := a.apply(nil); err != nil {
			t.Fatal(err)
		}
		if err := a.flush(); !errors.Is(err, sse.ErrGone) {
			t.Fatalf("the write ends with %v", err)
		}
		client.Close()
		if a.buf != nil || a.room != nil {
			t.Fatal("it keeps the room")
		}
		next := eventRooms.Get().(*[]byte)
		held = append(held, next)
		if room := (*next)[:1]; len(w.kept) > 0 && &room[0] == &w.kept[0] {
			t.Fatal("another answer gets the room while the write reads it")
		}
	}
	for _, room := range held {
		eventRooms.Put(room)
	}
}
