package wasm

import (
	"context"
	"encoding/binary"

	"github.com/tetratelabs/wazero/api"

	"github.com/kai-gateway/kai/sdk/abi"
)

// emitFunction is the import emit.
func emitFunction(ctx context.Context, mod api.Module, stack []uint64) {
	in := instanceFrom(ctx, mod)
	n := api.DecodeU32(stack[3])
	stack[0] = api.EncodeI32(in.emit(api.DecodeI32(stack[0]), api.DecodeI32(stack[1]), api.DecodeU32(stack[2]), n))
	if n > pieceBytes {
		in.turn() // checking so much takes as long as a slice
	}
}

// emitAllFunction is the import emit_all.
func emitAllFunction(ctx context.Context, mod api.Module, stack []uint64) {
	in := instanceFrom(ctx, mod)
	stack[0] = api.EncodeI32(in.emitAll(api.DecodeU32(stack[0]), api.DecodeU32(stack[1])))
}

// emit takes one emission, whose payload is the n bytes at ptr. The result is for the
// guest.
func (in *instance) emit(kind, at int32, ptr, n uint32) int32 {
	in.countEmit(n)
	if ptr == 0 && n == 0 {
		return in.collect.emit(kind, at, nil)
	}
	p, ok := in.memory.Read(ptr, n)
	if !ok {
		return in.collect.refuse(emitWrong, "kind %d: its payload is outside of memory", kind)
	}
	return in.collect.emit(kind, at, p)
}

// emitAll takes a table of n emissions, one after the other, up to one that is refused. A
// table without emissions counts as one. The result is for the guest.
func (in *instance) emitAll(ptr, n uint32) int32 {
	if n == 0 || n > abi.MaxRecords {
		in.countEmit(0)
		if n == 0 {
			return emitOK
		}
		return in.collect.refuse(emitLimit, "emit_all: %d records; at most %d are taken", n, abi.MaxRecords)
	}
	table, ok := in.memory.Read(ptr, n*abi.RecordBytes)
	if !ok {
		in.countEmit(0)
		return in.collect.refuse(emitWrong, "emit_all: its table is outside of memory")
	}
	checked := 0
	for ; len(table) > 0; table = table[abi.RecordBytes:] {
		size := field(table[12:])
		code := in.emit(int32(field(table)), int32(field(table[4:])), field(table[8:]), size)
		if code != emitOK {
			return code
		}
		if checked += int(size); checked > pieceBytes {
			in.turn() // as in emitFunction
			checked = 0
		}
	}
	return emitOK
}

// field reads a field of a record. A method value, as which it could be written shorter, is called
// and not inlined.
func field(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

// countEmit counts an emission, and takes fuel if there were many.
func (in *instance) countEmit(n uint32) {
	if in.collect.calls++; in.collect.calls > freeEmits {
		in.charge(1000 + int64(n))
	}
}
