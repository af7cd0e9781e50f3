// Package limit bounds how much may happen in a time, and at one time. It has no clock of
// its own, and knows neither what is counted nor for whom.
package limit

import "time"

// Window counts in a sliding window of time. It keeps two counters, that of the present
// period and that of the one before, of which as much counts as still lies in the window.
// So there are no bursts at the edge of a period, and a refusal changes nothing.
//
// The zero value of the counters is empty. One goroutine may use it at a time.
type Window struct {
	Size  time.Duration
	Limit int64

	start       time.Time // of the present period
	now, before int64
}

// roll goes on to the period that t is in.
func (w *Window) roll(t time.Time) {
	switch passed := t.Sub(w.start); {
	case w.start.IsZero() || passed >= 2*w.Size:
		w.start, w.now, w.before = t.Truncate(w.Size), 0, 0
	case passed >= w.Size:
		w.start, w.now, w.before = w.start.Add(w.Size), 0, max(0, w.now)
	}
}

// Used returns how much of the window is used.
func (w *Window) Used(t time.Time) int64 {
	w.roll(t)
	left := w.Size - t.Sub(w.start) // of the period before that lies in the window
	left = max(0, min(left, w.Size))
	return w.now + int64(float64(w.before)*float64(left)/float64(w.Size))
}

// Room reports whether n more fit in. An empty window takes any number.
func (w *Window) Room(t time.Time, n int64) bool {
	used := w.Used(t)
	return used <= 0 || used+n <= w.Limit
}

// Add counts n, whether it fits in or not. With n below zero it gives back what was
// counted too much.
func (w *Window) Add(t time.Time, n int64) {
	w.roll(t)
	w.now += n
}
