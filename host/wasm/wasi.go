package wasm

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

const wasiModule = "wasi_snapshot_preview1"

// Error numbers of WASI preview 1.
const (
	wasiOK    = 0
	wasiBadf  = 8
	wasiFault = 21
	wasiNosys = 52
)

// wasiFunctions is the part of WASI preview 1 that compilers link in without
// being asked, with the types of parameters ('i' is i32, 'I' is i64) and what a
// guest gets: no files, environment, arguments or real clock. What isn't here
// is refused at load.
var wasiFunctions = map[string]struct {
	params string
	call   func(in *instance, stack []uint64) uint32
}{
	"args_get":                {"ii", wasiEmpty},
	"args_sizes_get":          {"ii", wasiNone},
	"environ_get":             {"ii", wasiEmpty},
	"environ_sizes_get":       {"ii", wasiNone},
	"clock_res_get":           {"ii", wasiClockRes},
	"clock_time_get":          {"iIi", wasiClock},
	"random_get":              {"ii", wasiRandom},
	"fd_write":                {"iiii", wasiWrite},
	"fd_read":                 {"iiii", wasiNoFile},
	"fd_close":                {"i", wasiNoFile},
	"fd_seek":                 {"iIii", wasiNoFile},
	"fd_tell":                 {"ii", wasiNoFile},
	"fd_sync":                 {"i", wasiNoFile},
	"fd_fdstat_get":           {"ii", wasiNoFile},
	"fd_fdstat_set_flags":     {"ii", wasiNoFile},
	"fd_filestat_get":         {"ii", wasiNoFile},
	"fd_filestat_set_size":    {"iI", wasiNoFile},
	"fd_pread":                {"iiiIi", wasiNoFile},
	"fd_pwrite":               {"iiiIi", wasiNoFile},
	"fd_readdir":              {"iiiIi", wasiNoFile},
	"fd_prestat_get":          {"ii", wasiNoFile},
	"fd_prestat_dir_name":     {"iii", wasiNoFile},
	"path_create_directory":   {"iii", wasiNoFile},
	"path_filestat_get":       {"iiiii", wasiNoFile},
	"path_filestat_set_times": {"iiiiIIi", wasiNoFile},
	"path_link":               {"iiiiiii", wasiNoFile},
	"path_open":               {"iiiiiIIii", wasiNoFile},
	"path_readlink":           {"iiiiii", wasiNoFile},
	"path_remove_directory":   {"iii", wasiNoFile},
	"path_rename":             {"iiiiii", wasiNoFile},
	"path_symlink":            {"iiiii", wasiNoFile},
	"path_unlink_file":        {"iii", wasiNoFile},
	"poll_oneoff":             {"iiii", wasiPoll},
	"sched_yield":             {"", wasiEmpty},
	"proc_exit":               {"i", nil},
}

// addWASI instantiates the stub in r.
func addWASI(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(wasiModule)
	for name, f := range wasiFunctions {
		params := make([]api.ValueType, len(f.params))
		for i, c := range f.params {
			params[i] = api.ValueTypeI32
			if c == 'I' {
				params[i] = api.ValueTypeI64
			}
		}
		if f.call == nil { // proc_exit returns nothing and doesn't return
			b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(
				func(_ context.Context, _ api.Module, stack []uint64) {
					panic(fmt.Errorf("the adapter called exit(%d)", api.DecodeU32(stack[0])))
				}), params, nil).Export(name)
			continue
		}
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(
			func(ctx context.Context, mod api.Module, stack []uint64) {
				in := instanceFrom(ctx, mod)
				in.charge(100)
				stack[0] = uint64(f.call(in, stack))
			}), params, []api.ValueType{api.ValueTypeI32}).Export(name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func wasiEmpty(*instance, []uint64) uint32  { return wasiOK }
func wasiNoFile(*instance, []uint64) uint32 { return wasiBadf }

// wasiNone answers two sizes of zero.
func wasiNone(in *instance, stack []uint64) uint32 {
	if !in.memory.WriteUint32Le(api.DecodeU32(stack[0]), 0) || !in.memory.WriteUint32Le(api.DecodeU32(stack[1]), 0) {
		return wasiFault
	}
	return wasiOK
}

func wasiClockRes(in *instance, stack []uint64) uint32 {
	if !in.memory.WriteUint64Le(api.DecodeU32(stack[1]), 1e6) {
		return wasiFault
	}
	return wasiOK
}

// wasiClock is no clock: it counts one millisecond for each look, from the
// same start in every instance. Go's runtime refuses to begin at zero.
func wasiClock(in *instance, stack []uint64) uint32 {
	in.clock += 1e6
	if !in.memory.WriteUint64Le(api.DecodeU32(stack[2]), in.clock) {
		return wasiFault
	}
	return wasiOK
}

// randomBytes is how many random bytes are made at once: 0.1 ms.
const randomBytes = 64 << 10

func wasiRandom(in *instance, stack []uint64) uint32 {
	n := api.DecodeU32(stack[1])
	b, ok := in.memory.Read(api.DecodeU32(stack[0]), n)
	if !ok {
		return wasiFault
	}
	for len(b) > 0 {
		p := b[:min(len(b), randomBytes)]
		in.charge(int64(len(p)))
		rand.Read(p)
		b = b[len(p):]
	}
	return wasiOK
}

// wasiWrite keeps the end of what the guest writes to its standard output and
// error: the text of a panic.
func wasiWrite(in *instance, stack []uint64) uint32 {
	fd := api.DecodeU32(stack[0])
	if fd != 1 && fd != 2 {
		return wasiBadf
	}
	count := api.DecodeU32(stack[2])
	if count > 1024 {
		return wasiFault
	}
	vectors, ok := in.memory.Read(api.DecodeU32(stack[1]), count*8)
	if !ok {
		return wasiFault
	}
	var written uint32
	for ; len(vectors) >= 8; vectors = vectors[8:] {
		p, ok := in.memory.Read(binary.LittleEndian.Uint32(vectors), binary.LittleEndian.Uint32(vectors[4:]))
		if !ok {
			return wasiFault
		}
		in.charge(int64(len(p) / 16))
		in.writeStderr(p)
		written += uint32(len(p))
	}
	if !in.memory.WriteUint32Le(api.DecodeU32(stack[3]), written) {
		return wasiFault
	}
	return wasiOK
}

// wasiPoll lets every clock have rung at once: a guest that sleeps wastes its
// fuel only.
func wasiPoll(in *instance, stack []uint64) uint32 {
	const subscription, event = 48, 32
	subs, events, n := api.DecodeU32(stack[0]), api.DecodeU32(stack[1]), api.DecodeU32(stack[2])
	if n == 0 || n > 64 {
		return wasiNosys
	}
	from, ok1 := in.memory.Read(subs, n*subscription)
	to, ok2 := in.memory.Read(events, n*event)
	if !ok1 || !ok2 {
		return wasiFault
	}
	for i := range int(n) {
		e := to[i*event : (i+1)*event]
		user := binary.LittleEndian.Uint64(from[i*subscription:])
		kind := from[i*subscription+8]
		clear(e)
		binary.LittleEndian.PutUint64(e, user)
		e[10] = kind
		if kind != 0 {
			binary.LittleEndian.PutUint16(e[8:], wasiBadf)
		}
	}
	if !in.memory.WriteUint32Le(api.DecodeU32(stack[3]), n) {
		return wasiFault
	}
	return wasiOK
}
