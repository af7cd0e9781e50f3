package wasm

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// breaker pauses an adapter that breaks on everything it is given, so that it doesn't
// cost a new instance for each request. It must not pause an adapter because one
// client sends the same bad input again and again, or while other clients are served.
// So it counts how many different inputs broke in a row, without a call that worked in
// between. That an adapter made an upstream request proves little, so a call of
// kai_request counts as having worked only if it answered.
type breaker struct {
	failing atomic.Bool // inputs isn't empty; read without mu by every call that worked

	mu     sync.Mutex
	inputs [pauseAfter]uint64 // hashes of the different inputs that broke
	count  int                // how many there are
	pause  time.Duration      // how long the last pause was; 0: there was none yet
	until  time.Time          // the end of the last pause
}

const (
	pauseAfter = 5
	pauseFirst = time.Second
	pauseMax   = time.Minute
)

var seed = maphash.MakeSeed()

// paused returns the time that is left of a pause; 0: there is none.
func (b *breaker) paused(now time.Time) time.Duration {
	if !b.failing.Load() {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.until.Sub(now))
}

// worked records a call that worked, and forgets those that broke before.
func (b *breaker) worked() {
	if !b.failing.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count, b.pause, b.until = 0, 0, time.Time{}
	b.failing.Store(false)
}

// broke records an input on which the adapter broke. If that begins a pause, it
// returns how long the pause is. After a pause a single failure begins the next one,
// which is twice as long.
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
		return 0 // the call began before the pause
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

// writeWithoutNonces hashes a section of a call's input, without the part of references
// to long content that is new for each request: the 32 digits after "@kai:". So the
// same bad input gives the same hash.
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
