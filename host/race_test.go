//go:build race

package host_test

// raceEnabled: the race detector costs about ten times the processor.
const raceEnabled = true
