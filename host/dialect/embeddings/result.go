package embeddings

import (
	"bytes"

	"github.com/kai-gateway/kai/sdk"
)

// result is a RESULT: an object with these fields and no others, in any order.
//
//	{"embeddings": [V, …], "indexes": [0, …], "normalize": true}
//
// The vectors are arrays of numbers, or strings in base64. indexes, if it is there, says
// which input of the part each vector belongs to. Otherwise the vectors are in the order of
// the inputs. With normalize, each vector gets the length 1.
type result struct {
	vectors   [][]byte // the first ones of n; what is in each was not looked at
	n         int
	indexes   sdk.JSON // an array; absent: there are none
	normalize bool
}

// readResult reads a RESULT, and keeps the first most of its vectors. Because a RESULT may
// be large, it is cut at its brackets and quotes, and not scanned. ok is false for anything
// else.
func readResult(data []byte, most int) (r result, ok bool) {
	i := space(data, 0)
	for sep := byte('{'); ; sep = ',' {
		if i == len(data) || data[i] != sep {
			return r, i < len(data) && data[i] == '}' && sep == ',' && space(data, i+1) == len(data)
		}
		key, end := span(data, space(data, i+1))
		if i = space(data, end); end == 0 || key[0] != '"' || i == len(data) || data[i] != ':' {
			return r, false
		}
		switch i = space(data, i+1); string(key) {
		case `"embeddings"`:
			i = r.readVectors(data, i, most)
		case `"indexes"`:
			r.indexes, i = span(data, i)
		case `"normalize"`:
			r.normalize = bytes.HasPrefix(data[i:], []byte("true"))
			for from := i; i < len(data) && i < from+len("false") && 'a' <= data[i] && data[i] <= 'z'; i++ {
			}
		default:
			return r, false
		}
		if i == 0 {
			return r, false
		}
		i = space(data, i)
	}
}

// readVectors reads the array of vectors that begins at i. It ends before end; 0: it is
// broken.
func (r *result) readVectors(data []byte, i, most int) (end int) {
	if r.vectors != nil || i == len(data) || data[i] != '[' {
		return 0
	}
	r.vectors = make([][]byte, 0, most)
	if i = space(data, i+1); i < len(data) && data[i] == ']' {
		return i + 1
	}
	for {
		var v []byte
		if v, i = span(data, i); i == 0 {
			return 0
		}
		if r.n++; r.n <= most {
			r.vectors = append(r.vectors, v)
		}
		if i = space(data, i); i == len(data) || data[i] != ',' && data[i] != ']' {
			return 0
		}
		i++
		if data[i-1] == ']' {
			return i
		}
		i = space(data, i)
	}
}

// span returns the string, or the array without another one in it, that begins at i. It ends
// before end; 0: there is none.
func span(data []byte, i int) (v []byte, end int) {
	if i == len(data) {
		return nil, 0
	}
	end = i + 1
	switch data[i] {
	case '[':
		n := bytes.IndexByte(data[end:], ']')
		if n < 0 {
			return nil, 0
		}
		end += n
	case '"':
		for ; end < len(data) && data[end] != '"'; end++ {
			if data[end] == '\\' {
				end++
			}
		}
		if end >= len(data) {
			return nil, 0
		}
	default:
		return nil, 0
	}
	return data[i : end+1], end + 1
}
