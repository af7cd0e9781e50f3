//go:build !linux && !darwin

package wasm

import "github.com/tetratelabs/wazero/experimental"

// onHeap is a guest's linear memory as a Go slice of its full size, where
// address space can't be reserved in a portable way.
type onHeap struct{ all []byte }

func allocate(max uint64) experimental.LinearMemory { return &onHeap{make([]byte, max)} }

func (m *onHeap) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	return m.all[:size:len(m.all)]
}

func (m *onHeap) Free() { m.all = nil }
