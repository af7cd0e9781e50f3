//go:build !race

package quoted

const raceEnabled = false
