//go:build race

package conform_test

// raceEnabled: what one goroutine does alone is tested without the race detector,
// which takes ten times as long. "make check" runs both.
const raceEnabled = true
