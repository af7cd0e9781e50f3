package embeddings

import (
	"fmt"
	"strconv"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// answer is the list of vectors that the client gets. Each part of the request has a RESULT.
type answer struct {
	writer
	info    dialect.Info
	part    *facts.Result
	inputs  int         // of this part
	vectors int         // so far, of all parts
	numbers int         // that every vector has; 0: there is none yet
	earlier facts.Usage // of the parts before
	later   bool        // there were some
}

var _ dialect.Parted = (*answer)(nil)

func newAnswer(i dialect.Info, base64 bool) *answer {
	a := &answer{info: i, writer: writer{base64: base64}}
	a.visit = a.writer.number
	a.begin(0)
	return a
}

// begin begins the answer to the next n inputs.
func (a *answer) begin(n int) {
	a.inputs, a.part = n, facts.TakeResult(a.take)
}

// Part is [dialect.Parted].
func (a *answer) Part(dst []byte, n int) ([]byte, error) {
	if a.inputs > 0 {
		if _, err := a.part.End(); err != nil {
			return dst, err
		}
		a.earlier, a.later = a.Usage(), true
	}
	a.begin(n)
	return dst, nil
}

// Apply adds the emissions of one adapter call, and appends nothing. The error is a
// *fault.Error.
func (a *answer) Apply(dst []byte, ems []abi.Emission) ([]byte, error) { return dst, a.part.Apply(ems) }

// EndMark does nothing: without a RESULT there is no answer.
func (*answer) EndMark() {}

// Sent does nothing: the answer is appended once.
func (*answer) Sent(bool) {}

// Complete reports whether the part has its vectors.
func (a *answer) Complete() bool { return a.part.Complete() }

// Usage returns the sum of all parts.
func (a *answer) Usage() facts.Usage {
	u := a.part.Usage()
	if a.later {
		u = u.Plus(a.earlier)
	}
	return u
}

// End appends the answer. The error is a *fault.Error if there was no RESULT.
func (a *answer) End(dst []byte) ([]byte, error) {
	if _, err := a.part.End(); err != nil {
		return dst, err
	}
	u := a.Usage()
	out := append(a.out, `],"usage":{"prompt_tokens":`...)
	out = strconv.AppendInt(out, u.Prompt, 10)
	out = append(out, `,"total_tokens":`...)
	out = strconv.AppendInt(out, u.Total, 10)
	out = append(out, "}}"...)
	if len(dst) == 0 {
		return out, nil // it may be large
	}
	return append(dst, out...), nil
}

// take appends the vectors of a RESULT.
func (a *answer) take(data []byte) *fault.Error {
	r, ok := readResult(data, a.inputs)
	if !ok {
		return wrongVectors("something else than vectors")
	}
	if r.n != a.inputs {
		return wrongVectors(fmt.Sprintf("%d vectors to %d inputs", r.n, a.inputs))
	}
	vectors, ok := ordered(r.vectors, r.indexes)
	if !ok {
		return wrongVectors("vectors whose indexes are not those of the inputs")
	}
	normalize := r.normalize
	if err := a.grow(vectors, normalize); err != nil {
		return err
	}
	if len(a.out) == 0 {
		a.out = append(a.out, `{"object":"list","model":`...)
		a.out = facts.AppendString(a.out, a.info.Model)
		a.out = append(a.out, `,"data":[`...)
	}
	for _, v := range vectors {
		if err := a.add(v, normalize); err != nil {
			return err
		}
	}
	return nil
}

// item is the longest text that stands around a vector.
const item = len(`,{"object":"embedding","index":2047,"embedding":}`)

// grow makes room for the vectors, and for the rest of the answer.
func (a *answer) grow(vectors [][]byte, normalize bool) *fault.Error {
	size := 6*len(a.info.Model) + 256
	for _, v := range vectors {
		size += a.room(v, normalize) + item
	}
	out, err := a.info.Memory.Grow(a.out, size)
	if err != nil {
		return &fault.Error{Kind: fault.Share, Code: "out_of_memory", Cause: err, Text: "Kai has no memory left for the answer."}
	}
	a.out = out
	return nil
}

// add appends a vector.
func (a *answer) add(v []byte, normalize bool) *fault.Error {
	if a.vectors > 0 {
		a.out = append(a.out, ',')
	}
	a.out = append(a.out, `{"object":"embedding","index":`...)
	a.out = strconv.AppendInt(a.out, int64(a.vectors), 10)
	a.out = append(a.out, `,"embedding":`...)
	scale := 1.0
	if normalize {
		scale = unit(v)
	}
	if !a.write(v, scale) {
		return wrongVectors("something else than vectors of finite numbers")
	}
	a.out = append(a.out, '}')
	if a.numbers == 0 {
		a.numbers = a.count
	}
	if a.count != a.numbers {
		return wrongVectors("vectors of different lengths")
	}
	a.vectors++
	return nil
}

// ordered returns the vectors in the order of the inputs. ok is false if there are indexes
// and they are not all the numbers from 0 on.
func ordered(vectors [][]byte, indexes sdk.JSON) (in [][]byte, ok bool) {
	if k := indexes.Kind(); k == sdk.KindAbsent || k == sdk.KindNull {
		return vectors, true
	}
	in = make([][]byte, len(vectors))
	n := 0
	for it := sdk.Array(indexes); it.Next(); n++ {
		i, isInt := it.Value().Int()
		if !isInt || i < 0 || i >= int64(len(in)) || n >= len(in) || in[i] != nil {
			return nil, false
		}
		in[i] = vectors[n]
	}
	return in, n == len(in)
}

func wrongVectors(what string) *fault.Error {
	return &fault.Error{Kind: fault.Upstream, Code: "upstream_error", Text: "The provider answered with " + what + "."}
}
