//go:build linux || darwin

package wasm

import (
	"syscall"

	"github.com/tetratelabs/wazero/experimental"
)

// mapped is a guest's linear memory as one reservation of address space, of
// which only what the guest uses is backed. It grows in place: wazero's own
// memory is a Go slice, which growth copies and leaves to the collector, four
// to five times what the guest ends up with.
type mapped struct {
	all []byte
	len uint64
}

// allocate reserves memory that can grow to max bytes. A reservation that fails
// gives memory of no size, on which wazero panics.
func allocate(max uint64) experimental.LinearMemory {
	if max == 0 {
		return &mapped{}
	}
	all, err := syscall.Mmap(-1, 0, int(max), syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return &mapped{}
	}
	return &mapped{all: all}
}

func (m *mapped) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	if size > m.len {
		// The rights are given up to the new end; page sizes divide wasm's 64 KiB.
		if err := syscall.Mprotect(m.all[m.len:size], syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
			return nil
		}
		m.len = size
	}
	return m.all[:size:len(m.all)]
}

func (m *mapped) Free() {
	if m.all != nil {
		syscall.Munmap(m.all)
		m.all = nil
	}
}
