package upstream

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/upstream/h1"
)

func testRoundTrip() *roundTrip {
	return newRoundTrip(context.Background(), h1.Waits{time.Hour, time.Hour, time.Minute, time.Hour}, false)
}

func TestStale(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*roundTrip)
		want   bool
	}{
		"a kept connection that fails at once":       {func(x *roundTrip) {}, true},
		"a new connection":                           {func(x *roundTrip) { x.reused = false }, false},
		"a byte of the answer came":                  {func(x *roundTrip) { x.answered.Store(true) }, false},
		"the server thought about it":                {func(x *roundTrip) { x.connected = x.connected.Add(-staleWithin) }, false},
		"the caller left":                            {func(x *roundTrip) { x.cancel(nil) }, false},
		"there was no second connection to be found": {func(x *roundTrip) { x.stage = h1.Connecting }, false},
	} {
		x := testRoundTrip()
		x.enter(h1.Answering)
		x.reused, x.connected = true, time.Now()
		tc.change(x)
		if got := x.stale(); got != tc.want {
			t.Errorf("%s: stale = %v, want %v", name, got, tc.want)
		}
		x.end()
	}
}

// TestTimer: what the timer does when it fires, an hour after the start.
func TestTimer(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*roundTrip)
		stage   h1.Stage // of the time-out
		ended   bool
	}{
		"no connection in all the time":          {func(x *roundTrip) {}, h1.Connecting, true},
		"a stage that has just begun":            {func(x *roundTrip) { x.enter(h1.Answering) }, 0, false},
		"a read that has just begun":             {func(x *roundTrip) { x.enter(h1.Reading); x.endRead(); x.beginRead() }, 0, false},
		"a read that began long ago":             {func(x *roundTrip) { x.enter(h1.Reading); x.due.Store(int64(time.Minute)) }, h1.Reading, true},
		"nobody reads, because a client is slow": {func(x *roundTrip) { x.enter(h1.Reading); x.endRead() }, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			x := testRoundTrip()
			defer x.end()
			x.start = x.start.Add(-time.Hour)
			tc.prepare(x)
			x.expire()
			cause := context.Cause(x.ctx)
			late, ok := errors.AsType[*h1.Timeout](cause)
			if ok != tc.ended || ok && late.Stage != tc.stage {
				t.Errorf("the context's cause = %v, want a time-out: %v, of stage %d", cause, tc.ended, tc.stage)
			}
		})
	}
}
