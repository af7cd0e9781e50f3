// Package cache keeps whole answers, so that the same request gets the same answer again
// without asking a model.
//
// What is kept of an answer are the facts that its adapter stated, and nothing of any API:
// so an entry that a stream has left serves whole answers, and the other way around. A
// [Recorder] writes them down while the answer comes, and [Read] gives them back. A [Key]
// is a digest of everything that an answer depends on, which a [Hash] takes in.
//
// The package decides nothing: who may see which answer, for how long, and which answers
// are worth keeping beyond what a Recorder refuses, is its caller's matter.
package cache

import (
	"context"
	"crypto/sha256"
	"time"
)

// Key identifies an answer. Whoever has the same key gets the same answer.
type Key [sha256.Size]byte

// Entry is an answer that is kept.
type Entry struct {
	Value   []byte    // as a Recorder gives it; must not be changed
	Created time.Time // when it was
}

// Store keeps entries. It may forget any of them at any time. It is safe for concurrent
// use.
type Store interface {
	// Get returns the entry of a key. Whatever goes wrong, there is none.
	Get(ctx context.Context, k Key) (e Entry, ok bool)

	// Put keeps an entry for at most ttl, in place of the one that the key had. Whatever
	// goes wrong, nothing is kept.
	Put(ctx context.Context, k Key, e Entry, ttl time.Duration)
}
