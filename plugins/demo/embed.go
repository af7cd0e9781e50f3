package demo

import (
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/embedding"
	"github.com/kai-gateway/kai/sdk"
)

// The length of a vector: what it is unless the client asks for another, and the most.
const (
	usualDimensions = 8
	maxDimensions   = 1024
)

// maxTexts is how many texts a call is given: their vectors are then less than a call may emit.
const maxTexts = 64

// embed makes vectors of the words of each text, whatever their order. So the same text
// gets the same vector, and texts with words in common get similar ones. A token counts as a
// word.
func embed(body sdk.JSON, out *sdk.Out) error {
	var input sdk.JSON
	dimensions := int64(usualDimensions)
	for f := sdk.Object(body); f.Next(); {
		switch v := f.Value(); string(f.Key()) {
		case "input":
			input = v
		case "dimensions":
			if n, ok := v.Int(); ok {
				dimensions = n
			}
		}
	}
	if dimensions < 1 || dimensions > maxDimensions {
		return &sdk.Error{
			Status: 400, Type: sdk.InvalidRequest, Param: "dimensions",
			Message: "The demo makes vectors of 1 to " + strconv.Itoa(maxDimensions) + " numbers.",
		}
	}
	var w sdk.Writer
	w.Array()
	total := 0
	sum := make(vector, dimensions)
	add := func(text sdk.JSON) {
		clear(sum)
		total += max(1, wordsIn(text, sum.add))
		sum.write(&w)
	}
	switch first := firstOf(input); first.Kind() {
	case sdk.KindAbsent, sdk.KindNumber: // one text
		add(input)
	default:
		for it := sdk.Array(input); it.Next(); {
			add(it.Value())
		}
	}
	w.End()
	embedding.Count(sdk.JSON(strconv.Itoa(total)), out)
	embedding.State(w.Bytes(), true, out)
	return nil
}

// firstOf returns the first element of an array; absent if v is none.
func firstOf(v sdk.JSON) sdk.JSON {
	if v.Kind() == sdk.KindArray {
		for it := sdk.Array(v); it.Next(); {
			return it.Value()
		}
	}
	return nil
}

// vector is the sum of the vectors of words, which have small whole numbers.
type vector []int64

// wordsIn returns how many words a text has, or how many tokens a list. add, if there is one,
// gets each, in lower case.
func wordsIn(v sdk.JSON, add func(word []byte)) (words int) {
	switch v.Kind() {
	case sdk.KindString:
		s, _ := v.Str()
		for word := range strings.FieldsSeq(strings.ToLower(s)) {
			if words++; add != nil {
				add([]byte(word))
			}
		}
	case sdk.KindArray:
		for it := sdk.Array(v); it.Next(); {
			if words++; add != nil {
				add(it.Value())
			}
		}
	}
	return words
}

// add adds a word, which has usualDimensions numbers at most, so that a long list of words
// costs the same whatever the length of the vector.
func (v vector) add(word []byte) {
	state := uint64(14695981039346656037) // FNV-1a
	for _, c := range word {
		state = (state ^ uint64(c)) * 1099511628211
	}
	for i := range min(len(v), usualDimensions) {
		state = state*6364136223846793005 + 1442695040888963407
		if len(v) > usualDimensions {
			i = int((state >> 16 & 0xffffff) % uint64(len(v)))
		}
		v[i] += int64(state>>57) - 64
	}
}

// write writes the vector, which is never zero.
func (v vector) write(w *sdk.Writer) {
	zero := true
	for _, n := range v {
		zero = zero && n == 0
	}
	if zero {
		v[0] = 1
	}
	w.Array()
	for _, n := range v {
		w.Int(n)
	}
	w.End()
}
