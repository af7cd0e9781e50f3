//go:build linux || darwin

package wasm

import (
	"syscall"

	"github.com/tetratelabs/wazero/experimental"

	"github.com/kai-gateway/kai/host/memory"
)

// mapped is a guest's linear memory. It reserves address space for all of it, and only
// the part that the guest uses is backed by memory. So it grows in place. wazero's own
// memory is a Go slice, which is copied when it grows, and whose old copies are left to
// the collector: four to five times what the guest has in the end.
type mapped struct {
	all     []byte
	len     uint64
	grant   *memory.Grant
	refused *error // set to the reason if the grant refuses
	full    *bool  // set if the memory has no room to grow
}

// allocate reserves memory that can grow to max bytes, as far as grant allows it. If
// the reservation fails, the memory has no size, and wazero panics.
func allocate(max uint64, grant *memory.Grant, refused *error, full *bool) experimental.LinearMemory {
	m := &mapped{grant: grant, refused: refused, full: full}
	if max > 0 {
		m.all, _ = syscall.Mmap(-1, 0, int(max), syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	}
	return m
}

func (m *mapped) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		*m.full = true
		return nil
	}
	if size > m.len {
		if err := m.grant.Hold(int64(size - m.len)); err != nil {
			*m.refused = err
			return nil
		}
		// Access is allowed up to the new end. That is the end of a page of the system,
		// whose size divides wasm's 64 KiB.
		if err := syscall.Mprotect(m.all[m.len:size], syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
			m.grant.Drop(int64(size - m.len))
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
	m.grant.Release()
}
