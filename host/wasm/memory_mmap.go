//go:build linux || darwin

package wasm

import (
	"syscall"

	"github.com/tetratelabs/wazero/experimental"

	"github.com/kai-gateway/kai/host/memory"
)

// mapped is a guest's linear memory as one reservation of address space, of
// which only what the guest uses is backed. It grows in place: wazero's own
// memory is a Go slice, which growth copies and leaves to the collector, four
// to five times what the guest ends up with.
type mapped struct {
	all     []byte
	len     uint64
	grant   *memory.Grant
	refused *error // why the grant was refused, for who made the instance
}

// allocate reserves memory that can grow to max bytes, as far as it is granted. A
// reservation that fails gives memory of no size, on which wazero panics.
func allocate(max uint64, grant *memory.Grant, refused *error) experimental.LinearMemory {
	m := &mapped{grant: grant, refused: refused}
	if max > 0 {
		m.all, _ = syscall.Mmap(-1, 0, int(max), syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	}
	return m
}

func (m *mapped) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	if size > m.len {
		if err := m.grant.Hold(int64(size - m.len)); err != nil {
			*m.refused = err
			return nil
		}
		// The rights are given up to the new end; page sizes divide wasm's 64 KiB.
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
