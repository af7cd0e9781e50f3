//go:build race

package race

// Enabled reports whether the race detector is in this test binary.
const Enabled = true
