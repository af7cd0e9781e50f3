package memory

import "runtime/debug"

// GiveBack gives memory back that nothing needs at the moment: garbage, and on Linux the
// pages of the program itself, of which a start or the compiler touches many that serving
// never looks at again. What is needed after all is mapped again when it is used, for less
// than a microsecond for each 64 KiB. It takes some milliseconds, so call it after work that
// is rare. It is safe for concurrent use.
func GiveBack() {
	debug.FreeOSMemory()
	unmapProgram()
}
