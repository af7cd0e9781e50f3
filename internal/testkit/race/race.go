// Package race tells tests whether they run with the race detector. It takes about ten times
// the processor, and memory of its own for each byte; so what one goroutine does alone, and
// what measures, is tested without it. "make check" runs both.
package race
