package memory

import (
	"encoding/binary"
	"syscall"
)

// physical returns how many bytes of memory the machine has; 0: unknown.
func physical() int64 {
	text, err := syscall.Sysctl("hw.memsize")
	if err != nil {
		return 0
	}
	// The number's bytes come as a string, and its last byte is missing if it is zero.
	var n [8]byte
	copy(n[:], text)
	return int64(binary.LittleEndian.Uint64(n[:]))
}
