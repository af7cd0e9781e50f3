//go:build race

package quoted

// raceEnabled: what one goroutine does alone is tested without the race detector,
// which takes ten times as long. "make check" runs both.
const raceEnabled = true
