package wasm

import (
	"syscall"
	"time"
)

// threadClock says that threadTime works.
const threadClock = true

// threadTime is how long the thread has had a processor. Its goroutine has to be
// locked to it for as long as values are compared.
func threadTime() time.Duration {
	const rusageThread = 1
	var u syscall.Rusage
	if syscall.Getrusage(rusageThread, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
