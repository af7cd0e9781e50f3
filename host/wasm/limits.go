package wasm

import (
	"fmt"
	"time"

	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Limits bound what one adapter may use. A field that is zero gets the default of
// docs/abi.md.
type Limits struct {
	Memory     int64         // bytes of an instance's address space; default 128 MiB, or 16 for each byte of Input if that is more; at most 1 GiB
	KeptMemory int64         // an instance with more bytes of memory than this is not kept after a call; default 32 MiB
	Input      int           // bytes given to one call, with long content as references; default 8 MiB
	Fuel       int64         // the most that one call may have, see docs/design/0002-fuel.md; default 4e9, or what an input of Input bytes gets if that is more
	Time       time.Duration // processor time of one call, and as much again for each 4 MiB of its input; default 2 s
	Output     int           // bytes that one call may emit, besides four for each byte of input; default 1 MiB
	State      int           // bytes of a stream's state; default and at most 4 KiB
	LogLines   int           // lines logged per second; default 20
}

// memoryPerByte is how much memory an adapter has by default for each byte of its input,
// if that is more than modfile.DefaultMemory. The shipped adapters need half of it.
const memoryPerByte = 16

// maxMemory is the limit of every runtime, in bytes. The allocator of instances enforces a
// provider's own limit.
const maxMemory = 1 << 30

// Fuel of calls, in units of docs/design/0002-fuel.md.
const (
	fuelBase    = 50_000_000    // every call gets it
	fuelPerByte = 400           // a call gets it for each byte of its input; the shipped adapters need 300 at most (TestShapesOfLargeRequests)
	fuelPerHeld = 8             // and for each byte of memory that its instance has: a collection of all of it may fall on any call (TestGoGuest)
	fuelStart   = 1_000_000_000 // an instance gets it to start
)

func (l Limits) withDefaults() Limits {
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	set64 := func(field *int64, value int64) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&l.Input, 8<<20)
	set64(&l.Memory, max(modfile.DefaultMemory, memoryPerByte*int64(l.Input)))
	set64(&l.KeptMemory, 32<<20)
	set64(&l.Fuel, max(4_000_000_000, fuelBase+fuelPerByte*int64(l.Input)))
	if l.Time <= 0 {
		l.Time = 2 * time.Second
	}
	set(&l.Output, 1<<20)
	set(&l.State, abi.MaxState)
	set(&l.LogLines, 20)
	l.Memory = min(l.Memory, maxMemory)
	l.State = min(l.State, abi.MaxState)
	return l
}

// fuel returns how much fuel a call with an input of so many bytes may burn.
func (l *Limits) fuel(input int) int64 {
	return min(fuelBase+fuelPerByte*int64(input), l.Fuel)
}

// withCollection returns how much fuel a call may burn that gets so much for its input, in an
// instance that has so many bytes of memory.
func (l *Limits) withCollection(fuel int64, memory uint32) int64 {
	return max(fuel, min(fuel+fuelPerHeld*int64(memory), l.Fuel))
}

// time returns how much processor time a call may use, with an input of so many bytes.
func (l *Limits) time(input int) time.Duration {
	const bytes = 4 << 20
	return l.Time + time.Duration(float64(l.Time)*float64(input)/bytes)
}

// checkMemory refuses a module that begins with more memory than the limit.
func (l *Limits) checkMemory(pages uint32) error {
	if need := int64(pages) << 16; need > l.Memory {
		return fmt.Errorf("it needs %d MiB of memory from the beginning; the limit is %d MiB", need>>20, l.Memory>>20)
	}
	return nil
}
