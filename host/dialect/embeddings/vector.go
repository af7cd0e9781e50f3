package embeddings

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/kai-gateway/kai/sdk"
)

// chunk is how many bytes of numbers are written as base64 at once. They are whole numbers,
// and whole groups of base64.
const chunk = 3 << 10

// walk gives visit the numbers of a vector, which is a JSON array of numbers, or a string
// of float32 values, little-endian, in base64. text is a number as it stands in an array,
// and nil in a string. It reports false if v is no vector, is empty, or has a number that
// is not finite.
func walk(v []byte, visit func(x float32, text []byte)) bool {
	if len(v) < 2 {
		return false
	}
	switch {
	case v[0] == '[':
		return walkArray(v, visit)
	case v[0] == '"' && v[len(v)-1] == '"':
		return walkBase64(v[1:len(v)-1], visit)
	}
	return false
}

func walkArray(v []byte, visit func(x float32, text []byte)) bool {
	for i := 1; ; i++ { // behind the bracket or a comma
		i = space(v, i)
		x, size, ok := number(v[i:])
		if !ok {
			return false
		}
		visit(x, v[i:i+size])
		if i = space(v, i+size); i == len(v) {
			return false
		}
		if v[i] != ',' {
			return v[i] == ']' && i == len(v)-1
		}
	}
}

func space(v []byte, i int) int {
	for i < len(v) && (v[i] == ' ' || v[i] == '\n' || v[i] == '\r' || v[i] == '\t') {
		i++
	}
	return i
}

func walkBase64(inside []byte, visit func(x float32, text []byte)) bool {
	if bytes.IndexByte(inside, '\\') >= 0 { // some escape a slash
		inside = sdk.AppendUnquote(nil, inside)
	}
	inside = bytes.TrimRight(inside, "=")
	var numbers [chunk]byte
	for left := inside; len(left) > 0; {
		part := left[:min(len(left), base64.RawStdEncoding.EncodedLen(chunk))]
		left = left[len(part):]
		n, err := base64.RawStdEncoding.Decode(numbers[:], part)
		if err != nil || n == 0 || n%4 != 0 || n != base64.RawStdEncoding.DecodedLen(len(part)) { // it skips line ends
			return false
		}
		for i := 0; i < n; i += 4 {
			x := math.Float32frombits(binary.LittleEndian.Uint32(numbers[i:]))
			if x-x != 0 { // NaN, or infinite
				return false
			}
			visit(x, nil)
		}
	}
	return len(inside) > 0
}

// writer appends vectors in the form that the client asked for.
type writer struct {
	out    []byte
	base64 bool
	scale  float64 // by which each number is multiplied; 1: numbers stay as they are
	count  int     // numbers of this vector

	waiting int // bytes of buffer
	buffer  [chunk]byte
	visit   func(x float32, text []byte) // number, made once
}

// write appends a vector, each of whose numbers it multiplies by scale. It reports false
// for one that walk refuses; a part of it may have been appended then.
func (w *writer) write(v []byte, scale float64) bool {
	w.scale, w.count, w.waiting = scale, 0, 0
	if w.base64 {
		w.out = append(w.out, '"')
		ok := walk(v, w.visit)
		w.flush()
		w.out = append(w.out, '"')
		return ok
	}
	w.out = append(w.out, '[')
	ok := walk(v, w.visit)
	w.out = append(w.out, ']')
	return ok
}

func (w *writer) number(x float32, text []byte) {
	if w.scale != 1 {
		x, text = float32(float64(x)*w.scale), nil
	}
	if w.base64 {
		if w.waiting == len(w.buffer) {
			w.flush()
		}
		binary.LittleEndian.PutUint32(w.buffer[w.waiting:], math.Float32bits(x))
		w.waiting += 4
		w.count++
		return
	}
	if w.count > 0 {
		w.out = append(w.out, ',')
	}
	w.count++
	if text != nil {
		w.out = append(w.out, text...)
		return
	}
	w.out = strconv.AppendFloat(w.out, float64(x), 'g', -1, 32)
}

func (w *writer) flush() {
	w.out = base64.StdEncoding.AppendEncode(w.out, w.buffer[:w.waiting])
	w.waiting = 0
}

// room returns how many bytes a vector has at most in the form that the client gets.
func (w *writer) room(v []byte, scaled bool) int {
	const longest = len("-1.1754944e-38,") // a float32
	numbers := len(v) / 5                  // in base64
	if len(v) > 0 && v[0] == '[' {
		if !scaled && !w.base64 {
			return len(v) + 8
		}
		numbers = bytes.Count(v, []byte(",")) + 1
	}
	if w.base64 {
		return base64.StdEncoding.EncodedLen(4*numbers) + 8
	}
	return longest*(numbers+1) + 8
}

// unit returns the factor that makes the length of a vector 1. A vector of length 0 stays as
// it is.
func unit(v []byte) float64 {
	sum := 0.0
	if !walk(v, func(x float32, _ []byte) { sum += float64(x) * float64(x) }) || sum == 0 {
		return 1
	}
	return 1 / math.Sqrt(sum)
}
