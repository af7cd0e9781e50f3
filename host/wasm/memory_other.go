//go:build !linux && !darwin

package wasm

import (
	"github.com/tetratelabs/wazero/experimental"

	"github.com/kai-gateway/kai/host/memory"
)

// onHeap is a guest's linear memory as a Go slice of its full size, for systems on
// which address space can't be reserved in a portable way.
type onHeap struct {
	all   []byte
	grant *memory.Grant
	full  *bool // set if the memory has no room to grow
}

// allocate makes memory of max bytes, if grant allows it. Otherwise the memory has no
// size, and wazero panics.
func allocate(max uint64, grant *memory.Grant, refused *error, full *bool) experimental.LinearMemory {
	m := &onHeap{grant: grant, full: full}
	if err := grant.Hold(int64(max)); err != nil {
		*refused = err
		return m
	}
	m.all = make([]byte, max)
	return m
}

func (m *onHeap) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		*m.full = true
		return nil
	}
	return m.all[:size:len(m.all)]
}

func (m *onHeap) Free() {
	m.all = nil
	m.grant.Release()
}
