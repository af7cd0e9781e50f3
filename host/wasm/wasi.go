package wasm

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/kai-gateway/kai/host/wasm/modfile"
)

// Error numbers of WASI preview 1.
const (
	wasiOK    = 0
	wasiBadf  = 8
	wasiFault = 21
	wasiNosys = 52
)

// environment is the environment that a guest finds. Only Go's runtime reads it.
//
//   - The heap has 1 MiB before it is collected, and not 4, and then a quarter more than what is
//     in use. That makes an instance smaller by a third. A collection of so small a heap takes
//     0.2 ms.
//   - A collection is done at once. Go would spread it over the calls that follow, but counts on
//     goroutines that run beside them, which a guest has not: calls that allocated much made ten
//     times the garbage until one was over.
var environment = []string{"GOGC=25", "GODEBUG=gcstoptheworld=2"}

// wasiFunctions are the functions of modfile.WASI as a guest gets them: there are no
// files, arguments or real clock, and nothing of the host's environment.
var wasiFunctions = map[string]func(in *instance, stack []uint64) uint32{
	"args_get":                wasiEmpty,
	"args_sizes_get":          wasiNone,
	"environ_get":             wasiEnviron,
	"environ_sizes_get":       wasiEnvironSizes,
	"clock_res_get":           wasiClockRes,
	"clock_time_get":          wasiClock,
	"random_get":              wasiRandom,
	"fd_write":                wasiWrite,
	"fd_read":                 wasiNoFile,
	"fd_close":                wasiNoFile,
	"fd_seek":                 wasiNoFile,
	"fd_tell":                 wasiNoFile,
	"fd_sync":                 wasiNoFile,
	"fd_fdstat_get":           wasiNoFile,
	"fd_fdstat_set_flags":     wasiNoFile,
	"fd_filestat_get":         wasiNoFile,
	"fd_filestat_set_size":    wasiNoFile,
	"fd_pread":                wasiNoFile,
	"fd_pwrite":               wasiNoFile,
	"fd_readdir":              wasiNoFile,
	"fd_prestat_get":          wasiNoFile,
	"fd_prestat_dir_name":     wasiNoFile,
	"path_create_directory":   wasiNoFile,
	"path_filestat_get":       wasiNoFile,
	"path_filestat_set_times": wasiNoFile,
	"path_link":               wasiNoFile,
	"path_open":               wasiNoFile,
	"path_readlink":           wasiNoFile,
	"path_remove_directory":   wasiNoFile,
	"path_rename":             wasiNoFile,
	"path_symlink":            wasiNoFile,
	"path_unlink_file":        wasiNoFile,
	"poll_oneoff":             wasiPoll,
	"sched_yield":             wasiEmpty,
	"proc_exit":               nil, // returns nothing, and doesn't return
}

// addWASI adds the functions of WASI to r.
func addWASI(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(modfile.WASIModule)
	for name, types := range modfile.WASI {
		params := make([]api.ValueType, len(types))
		for i, c := range types {
			params[i] = api.ValueTypeI32
			if c == 'I' {
				params[i] = api.ValueTypeI64
			}
		}
		call := wasiFunctions[name]
		if call == nil {
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
				stack[0] = uint64(call(in, stack))
			}), params, []api.ValueType{api.ValueTypeI32}).Export(name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func wasiEmpty(*instance, []uint64) uint32  { return wasiOK }
func wasiNoFile(*instance, []uint64) uint32 { return wasiBadf }

func wasiNone(in *instance, stack []uint64) uint32 { return wasiSizes(in, stack, nil) }

func wasiEnvironSizes(in *instance, stack []uint64) uint32 { return wasiSizes(in, stack, environment) }

// wasiSizes answers how many strings there are, and how many bytes they have with a zero after
// each.
func wasiSizes(in *instance, stack []uint64, all []string) uint32 {
	bytes := uint32(0)
	for _, s := range all {
		bytes += uint32(len(s)) + 1
	}
	if !in.memory.WriteUint32Le(api.DecodeU32(stack[0]), uint32(len(all))) || !in.memory.WriteUint32Le(api.DecodeU32(stack[1]), bytes) {
		return wasiFault
	}
	return wasiOK
}

func wasiEnviron(in *instance, stack []uint64) uint32 {
	pointers, text := api.DecodeU32(stack[0]), api.DecodeU32(stack[1])
	for i, s := range environment {
		if !in.memory.WriteUint32Le(pointers+4*uint32(i), text) || !in.memory.WriteString(text, s+"\x00") {
			return wasiFault
		}
		text += uint32(len(s)) + 1
	}
	return wasiOK
}

func wasiClockRes(in *instance, stack []uint64) uint32 {
	if !in.memory.WriteUint64Le(api.DecodeU32(stack[1]), 1) {
		return wasiFault
	}
	return wasiOK
}

// wasiClock is not a real clock: it shows the fuel that the instance has spent, as
// nanoseconds, and so always the same for the same work. It always rises, and it is never
// zero, at which Go's runtime refuses to start. Go's collector measures itself by it: with a
// clock that only moves when it is read, nearly all time seems to be the collector's, because
// nothing else reads it, and after a hundred collections the runtime holds the collector back.
func wasiClock(in *instance, stack []uint64) uint32 {
	in.clock = max(in.clock+1, in.slept+in.spent())
	if !in.memory.WriteUint64Le(api.DecodeU32(stack[2]), uint64(in.clock)) {
		return wasiFault
	}
	return wasiOK
}

// randomBytes is how many random bytes are made at once. That takes 0.1 ms.
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

// wasiWrite keeps the end of what the guest writes to its standard output and error,
// which is where a panic prints its text.
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

// longestSleep is by how much a guest's clock can be put forward in all.
const longestSleep = 1 << 61

// wasiPoll says that every clock has rung already. It doesn't wait: it puts the guest's clock
// forward instead, so that a guest that sleeps loses nothing but its turn.
func wasiPoll(in *instance, stack []uint64) uint32 {
	const subscription, event, absolute = 48, 32, 1
	subs, events, n := api.DecodeU32(stack[0]), api.DecodeU32(stack[1]), api.DecodeU32(stack[2])
	if n == 0 || n > 64 {
		return wasiNosys
	}
	from, ok1 := in.memory.Read(subs, n*subscription)
	to, ok2 := in.memory.Read(events, n*event)
	if !ok1 || !ok2 {
		return wasiFault
	}
	var sleep int64
	for i := range int(n) {
		e := to[i*event : (i+1)*event]
		s := from[i*subscription : (i+1)*subscription]
		user, kind := binary.LittleEndian.Uint64(s), s[8]
		clear(e)
		binary.LittleEndian.PutUint64(e, user)
		e[10] = kind
		if kind != 0 {
			binary.LittleEndian.PutUint16(e[8:], wasiBadf)
			continue
		}
		until := int64(min(binary.LittleEndian.Uint64(s[24:]), longestSleep))
		if binary.LittleEndian.Uint16(s[40:])&absolute != 0 {
			until -= in.clock
		}
		sleep = max(sleep, until)
	}
	in.slept = min(in.slept+sleep, longestSleep)
	if !in.memory.WriteUint32Le(api.DecodeU32(stack[3]), n) {
		return wasiFault
	}
	return wasiOK
}
