package cache

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// An answer is written down as a version and, one behind the other, its parts and what was
// stated in them: the kind, with the bit for raw text; what it is about; the length of the
// payload; the payload. TEXT "Hi" about choice 0 is 10 00000000 00000002 4869.
const (
	version    = 1
	headLength = 1 + 4 + 4
)

// beginsPart is written where the answer to more of the inputs begins, with their number as
// what it is about. No emission has it.
const beginsPart = abi.Kind(0)

// Recorder writes down what is stated about one answer while it comes. It gives up an answer
// that nobody should get a second time. Only one goroutine may use it.
type Recorder struct {
	memory *memory.Grant
	max    int
	b      []byte
	last   int // where the last emission begins in b; 0: nothing can be joined to it
	gaveUp bool
}

// NewRecorder returns a Recorder of an answer of which nothing is known yet.
//
//   - grant: counts what is written down; without room, the answer is given up
//   - max: bytes that an answer may have here; a larger one is given up
func NewRecorder(grant *memory.Grant, max int) *Recorder {
	return &Recorder{memory: grant, max: max}
}

// Part notes that what follows answers so many more of the request's inputs.
func (r *Recorder) Part(inputs int) { r.write(beginsPart, int32(inputs), nil) }

// Ended notes that the upstream said that its answer is complete.
func (r *Recorder) Ended() { r.write(abi.End, 0, nil) }

// Add writes down what one call of the adapter stated and the answer accepted. It gives the
// answer up if it failed, if the model refused to answer, if it was cut or filtered, or if it
// passes without being stated.
func (r *Recorder) Add(ems []abi.Emission) {
	for _, e := range ems {
		switch e.Kind {
		case abi.Manifest, abi.Request, abi.Body, abi.State, abi.Wait, abi.End:
		case abi.Error, abi.Pass, abi.Refusal:
			r.GiveUp()
		case abi.Finish:
			if reason := string(e.Data); reason != abi.FinishStop && reason != abi.FinishToolCalls {
				r.GiveUp()
			}
			r.write(e.Kind, e.At, e.Data)
		case abi.Text, abi.Reasoning, abi.ToolArgs:
			r.text(e)
		default:
			r.write(kindOf(e), e.At, e.Data)
		}
	}
}

// GiveUp says that the answer must not be kept.
func (r *Recorder) GiveUp() {
	r.memory.Drop(int64(cap(r.b)))
	r.gaveUp, r.b, r.last = true, nil, 0
}

// Value returns the answer, which is complete now. ok is false if it was given up.
func (r *Recorder) Value() (value []byte, ok bool) { return r.b, !r.gaveUp && len(r.b) > 0 }

func kindOf(e abi.Emission) abi.Kind {
	if e.Raw {
		return e.Kind | abi.Raw
	}
	return e.Kind
}

// text writes a piece of a text, and joins it to the piece before.
func (r *Recorder) text(e abi.Emission) {
	kind, last := kindOf(e), r.last
	if last == 0 || abi.Kind(r.b[last]) != kind || int32(binary.BigEndian.Uint32(r.b[last+1:])) != e.At {
		r.write(kind, e.At, e.Data)
		r.last = len(r.b) - headLength - len(e.Data)
		if r.gaveUp {
			r.last = 0
		}
		return
	}
	if !r.grow(len(e.Data)) {
		return
	}
	r.b = append(r.b, e.Data...)
	length := r.b[last+1+4:]
	binary.BigEndian.PutUint32(length, binary.BigEndian.Uint32(length)+uint32(len(e.Data)))
}

func (r *Recorder) write(kind abi.Kind, at int32, data []byte) {
	if r.last = 0; !r.grow(1 + headLength + len(data)) {
		return
	}
	if len(r.b) == 0 {
		r.b = append(r.b, version)
	}
	r.b = append(r.b, byte(kind))
	r.b = binary.BigEndian.AppendUint32(r.b, uint32(at))
	r.b = binary.BigEndian.AppendUint32(r.b, uint32(len(data)))
	r.b = append(r.b, data...)
}

// grow makes room for n bytes, or gives the answer up.
func (r *Recorder) grow(n int) bool {
	if !r.gaveUp && len(r.b)+n > r.max {
		r.GiveUp()
	}
	if r.gaveUp {
		return false
	}
	b, err := r.memory.Grow(r.b, n)
	if err != nil {
		r.GiveUp()
		return false
	}
	r.b = b
	return true
}

// Part is a part of an answer, as the adapter stated it.
type Part struct {
	Inputs    int // of the request's inputs it answers so many
	Emissions []abi.Emission
	Ended     bool // the upstream said that its answer is complete
}

// ReadBytes is about how many bytes Read allocates at most for a value.
func ReadBytes(value []byte) int64 {
	const emissionBytes = 48 // and as much again while the list grows
	return int64(len(value)/headLength+1) * 2 * emissionBytes
}

var errBroken = errors.New("the entry of an answer is broken")

// Read returns the parts of an answer that a Recorder has written. They refer to value,
// which must not be changed.
func Read(value []byte) (parts []Part, err error) {
	if len(value) == 0 || value[0] != version {
		return nil, errBroken
	}
	for value = value[1:]; len(value) > 0; {
		if len(value) < headLength {
			return nil, errBroken
		}
		kind, at, n := abi.Kind(value[0]), int32(binary.BigEndian.Uint32(value[1:])), uint64(binary.BigEndian.Uint32(value[5:]))
		if value = value[headLength:]; n > uint64(len(value)) {
			return nil, errBroken
		}
		data := slices.Clip(value[:n])
		value = value[n:]
		e := abi.Emission{Kind: kind &^ abi.Raw, Raw: kind&abi.Raw != 0, At: at, Data: data}
		last := len(parts) - 1
		switch {
		case kind == beginsPart && at >= 0:
			parts = append(parts, Part{Inputs: int(at)})
		case last < 0, e.Kind == beginsPart, e.Kind.String() == "", e.Raw && !e.Kind.AllowsRaw():
			return nil, errBroken
		case kind == abi.End:
			parts[last].Ended = true
		default:
			parts[last].Emissions = append(parts[last].Emissions, e)
		}
	}
	if len(parts) == 0 {
		return nil, errBroken
	}
	return parts, nil
}
