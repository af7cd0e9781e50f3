package memory

import (
	"encoding/binary"
	"syscall"
)

// physical is the memory of the machine.
func physical() int64 {
	text, err := syscall.Sysctl("hw.memsize")
	if err != nil {
		return 0
	}
	// The number comes as a text, of which a last byte of zero is cut.
	var n [8]byte
	copy(n[:], text)
	return int64(binary.LittleEndian.Uint64(n[:]))
}
