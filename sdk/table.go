//go:build wasip1

package sdk

import (
	"unsafe"

	"github.com/kai-gateway/kai/sdk/abi"
)

// table collects the emissions of a call, so that one call of the gateway takes them all:
// crossing the boundary costs more than most emissions do. An instance runs one call at a
// time, so there is one table. It is empty between calls.
var table emissionTable

type emissionTable struct {
	records [128]record
	n       int // how many there are

	// Payloads that the adapter may overwrite. They never move, since records have their
	// addresses.
	copies [4 << 10]byte
	used   int
}

// record is an emission in the form that emit_all takes.
type record struct{ kind, at, ptr, len uint32 }

// emit states a fact. The payload is copied, unless it is a part of the call's input, which
// stays as it is until the call returns.
func (o *Out) emit(kind abi.Kind, at int32, p []byte) {
	if !inInput(p) {
		table.addCopy(kind, at, p)
		return
	}
	// As in emitKept, which would be another call: one costs as much as all else here.
	t := &table
	if t.n == len(t.records) {
		t.flush()
	}
	t.records[t.n] = record{uint32(kind), uint32(at), address(p), uint32(len(p))}
	t.n++
}

// emitKept is emit for a payload that stays where and what it is until the call returns.
func (o *Out) emitKept(kind abi.Kind, at int32, p []byte) {
	t := &table
	if t.n == len(t.records) {
		t.flush()
	}
	t.records[t.n] = record{uint32(kind), uint32(at), address(p), uint32(len(p))}
	t.n++
}

// mark states a fact that has no payload. It is so short that it is no call where it is used.
func (o *Out) mark(kind abi.Kind, at int32) {
	t := &table
	if t.n == len(t.records) {
		t.flush()
	}
	r := &t.records[t.n]
	r.kind, r.at, r.ptr, r.len = uint32(kind), uint32(at), 0, 0
	t.n++
}

// passAll is PassAll. It runs for nearly every event of some streams, so it calls nothing.
func (o *Out) passAll(e *Event, begin string) (rest bool) {
	t := &table
	for beginsWith(e.Data, begin) {
		if t.n+2 > len(t.records) {
			t.flush()
		}
		r := (*[2]record)(t.records[t.n:])
		r[0].kind, r[0].at, r[0].ptr, r[0].len = uint32(abi.Pass), abi.PassContent, 0, 0
		if len(e.more) == 0 {
			t.n++
			return false
		}
		r[1].kind, r[1].at, r[1].ptr, r[1].len = uint32(abi.Next), 0, 0, 0
		t.n += 2
		e.takeNext()
	}
	return true
}

// addCopy adds an emission with a copy of its payload.
func (t *emissionTable) addCopy(kind abi.Kind, at int32, p []byte) {
	if t.n == len(t.records) || len(p) > len(t.copies)-t.used {
		t.flush()
	}
	if len(p) > len(t.copies) {
		kaiEmit(int32(kind), at, unsafe.Pointer(unsafe.SliceData(p)), int32(len(p)))
		return
	}
	kept := t.copies[t.used:]
	p = kept[:copy(kept, p)]
	t.used += len(p)
	t.records[t.n] = record{uint32(kind), uint32(at), address(p), uint32(len(p))}
	t.n++
}

// flush gives the gateway what was collected. What it refuses fails the call, whatever
// the adapter does then.
func (t *emissionTable) flush() {
	if t.n > 0 {
		kaiEmitAll(unsafe.Pointer(&t.records), int32(t.n))
	}
	t.n, t.used = 0, 0
}

func address(p []byte) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(p)))) }

// inInput reports whether p is a part of the call's input. If p is empty, nothing depends
// on that.
func inInput(p []byte) bool { return address(p)-address(input) < uint32(len(input)) }
