//go:build race

package wasm

// raceEnabled: the race detector needs memory of its own for each byte.
const raceEnabled = true
