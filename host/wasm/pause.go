package wasm

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// breaker pauses an adapter that breaks on whatever it is given, so that it
// doesn't cost a new instance for each request. It must not pause one because a
// client sends the same poison again and again, nor while others are served: it
// counts different inputs that broke in a row, without a call that worked. Making
// an upstream request proves little, so kai_request counts only if it answered.
type breaker struct {
	failing atomic.Bool // inputs isn't empty; read without mu on every good call

	mu     sync.Mutex
	inputs [pauseAfter]uint64 // hashes of the different inputs that broke
	count  int
	pause  time.Duration // the last one; 0: none yet
	until  time.Time
}

const (
	pauseAfter = 5
	pauseFirst = time.Second
	pauseMax   = time.Minute
)

var seed = maphash.MakeSeed()

// paused gives the time that is left of a pause.
func (b *breaker) paused(now time.Time) time.Duration {
	if !b.failing.Load() {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.until.Sub(now))
}

// worked forgets what broke before.
func (b *breaker) worked() {
	if !b.failing.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count, b.pause, b.until = 0, 0, time.Time{}
	b.failing.Store(false)
}

// broke counts an input on which the adapter broke, and tells how long the pause
// is if that begins one. After a pause one more failure begins the next one,
// twice as long.
func (b *breaker) broke(i *invocation, now time.Time) time.Duration {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, section := range i.sections {
		writeWithoutNonces(&h, section)
		h.WriteByte(0)
	}
	input := h.Sum64()

	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing.Store(true)
	if now.Before(b.until) {
		return 0 // began before the pause did
	}
	known := false
	for _, seen := range b.inputs[:b.count] {
		known = known || seen == input
	}
	if !known && b.count < pauseAfter {
		b.inputs[b.count] = input
		b.count++
	}
	if b.count < pauseAfter {
		return 0
	}
	b.pause = min(max(2*b.pause, pauseFirst), pauseMax)
	b.until = now.Add(b.pause)
	return b.pause
}

// writeWithoutNonces hashes a section of a call's input. References to long content
// hold a number that is new for each request: "@kai:" and 32 digits. The same
// poison must give the same hash.
func writeWithoutNonces(h *maphash.Hash, section []byte) {
	const mark, digits = "@kai:", 32
	for {
		at := bytes.Index(section, []byte(mark))
		if at < 0 {
			h.Write(section)
			return
		}
		h.Write(section[:at+len(mark)])
		section = section[min(at+len(mark)+digits, len(section)):]
	}
}
