package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"

	"github.com/kai-gateway/kai/sdk"
)

// format is a part of every key. It changes with what entries look like, and with what keys
// are made of.
const format = "kai cache 1"

// Hash takes in what an answer depends on, part by part, in the same order for every
// request. Only one goroutine may use it.
//
// Behind each part comes its length, so that no two lists of parts look alike.
type Hash struct{ sum hash.Hash }

// NewHash returns a Hash that knows the format of entries.
func NewHash() *Hash {
	h := &Hash{sha256.New()}
	h.Text(format)
	return h
}

// Text takes in a text.
func (h *Hash) Text(s string) { h.Bytes([]byte(s)) }

// Bytes takes in bytes.
func (h *Hash) Bytes(b []byte) {
	h.sum.Write(b)
	h.length(len(b))
}

// Number takes in a number.
func (h *Hash) Number(n int) { h.length(n) }

func (h *Hash) length(n int) {
	h.sum.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// Key returns the key of all that was taken in.
func (h *Hash) Key() (k Key) {
	h.sum.Sum(k[:0])
	return k
}

// immaterial are the members of a request on which no answer depends: how it is delivered,
// for whom it is, and what providers remember. The model is known by the targets.
var immaterial = []string{
	"model", "stream", "stream_options", "user", "metadata", "store", "safety_identifier", "prompt_cache_key",
}

// Members takes in the members of a request, a JSON object that was checked before: in the
// order of their names, each value byte for byte, and without those that don't matter.
//
//   - pieces: calls yield with the pieces of a value in which something stands for long
//     content; nil: a value is what it is
//   - temperature: the value of the member of that name; nil: there is none
func (h *Hash) Members(request []byte, pieces func(value []byte, yield func([]byte)) error) (temperature sdk.JSON, err error) {
	type member struct{ name, value []byte }
	var all []member
	it := sdk.Object(request)
	for it.Next() {
		if slices.Contains(immaterial, string(it.Key())) {
			continue
		}
		if string(it.Key()) == "temperature" {
			temperature = it.Value()
		}
		all = append(all, member{it.Key(), it.Value()})
	}
	if err := it.Err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b member) int { return bytes.Compare(a.name, b.name) })
	for _, m := range all {
		h.Bytes(m.name)
		if pieces == nil {
			h.Bytes(m.value)
			continue
		}
		n := 0
		if err := pieces(m.value, func(piece []byte) { n += len(piece); h.sum.Write(piece) }); err != nil {
			return nil, err
		}
		h.length(n)
	}
	h.Number(len(all))
	return temperature, nil
}
