//go:build race

package main

// raceEnabled: what compiles adapters one after the other is tested without the
// race detector, which takes ten times as long. "make check" runs both.
const raceEnabled = true
