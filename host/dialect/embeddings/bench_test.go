package embeddings

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/sdk/abi"
)

const (
	manyVectors = 2048
	manyNumbers = 1024
)

// manyOf returns a RESULT with 2048 vectors of 1024 numbers, as they look in answers of
// servers, and the vectors alone.
func manyOf() (result []byte, vectors [][]byte) {
	r := rand.New(rand.NewPCG(1, 2))
	result = []byte(`{"embeddings":[`)
	for i := range manyVectors {
		if i > 0 {
			result = append(result, ',')
		}
		from := len(result)
		result = append(result, '[')
		for k := range manyNumbers {
			if k > 0 {
				result = append(result, ',')
			}
			result = strconv.AppendFloat(result, float64(float32(r.NormFloat64()/32)), 'g', -1, 32)
		}
		result = append(result, ']')
		vectors = append(vectors, result[from:])
	}
	return append(result, "]}"...), vectors
}

// BenchmarkAnswer makes an answer of 2048 vectors of 1024 numbers; plain is what a loop
// with the standard library takes for the same numbers, without checking anything else.
func BenchmarkAnswer(b *testing.B) {
	result, vectors := manyOf()
	ems := []abi.Emission{{Kind: abi.Result, Data: result}}
	for name, base64 := range map[string]bool{"base64": true, "floats": false} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(result)))
			b.ReportAllocs()
			for b.Loop() {
				a := newAnswer(dialect.Info{Model: "m"}, base64)
				a.Part(nil, manyVectors)
				if _, err := a.Apply(nil, ems); err != nil {
					b.Fatal(err)
				}
				if _, err := a.End(nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("plain", func(b *testing.B) {
		b.SetBytes(int64(len(result)))
		b.ReportAllocs()
		for b.Loop() {
			var out []byte
			packed := make([]byte, 0, 4*manyNumbers)
			for _, v := range vectors {
				packed = packed[:0]
				from := 1
				for i := 1; i < len(v); i++ {
					if v[i] == ',' || v[i] == ']' {
						x, err := strconv.ParseFloat(string(v[from:i]), 32)
						if err != nil {
							b.Fatal(err)
						}
						packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(float32(x)))
						from = i + 1
					}
				}
				out = base64.StdEncoding.AppendEncode(out, packed)
			}
		}
	})
}
