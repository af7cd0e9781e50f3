//go:build !linux

package wasm

import "time"

// threadClock says that there is no threadTime: the time of a call is what the clock
// on the wall shows while it runs.
const threadClock = false

func threadTime() time.Duration { return 0 }
