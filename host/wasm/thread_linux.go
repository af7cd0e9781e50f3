package wasm

import (
	"syscall"
	"time"
)

// threadClock reports whether threadTime works.
const threadClock = true

// threadTime returns how much processor time the current thread has used. Values can be
// compared only while the goroutine is locked to its thread.
func threadTime() time.Duration {
	const rusageThread = 1
	var u syscall.Rusage
	if syscall.Getrusage(rusageThread, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
