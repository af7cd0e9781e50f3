//go:build !linux

package wasm

import "time"

// threadClock reports that there is no threadTime here. The time of a call is the time
// that passes while it runs.
const threadClock = false

func threadTime() time.Duration { return 0 }
