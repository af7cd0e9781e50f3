package demo

import (
	"hash/fnv"
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
	add := func(words []string) {
		total += max(1, len(words))
		writeVector(&w, words, int(dimensions))
	}
	switch first := firstOf(input); first.Kind() {
	case sdk.KindAbsent, sdk.KindNumber: // one text
		add(wordsIn(input))
	default:
		for it := sdk.Array(input); it.Next(); {
			add(wordsIn(it.Value()))
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

// wordsIn returns the words of a text, in lower case, or the tokens of a list.
func wordsIn(v sdk.JSON) (words []string) {
	switch v.Kind() {
	case sdk.KindString:
		text, _ := v.Str()
		return strings.Fields(strings.ToLower(text))
	case sdk.KindArray:
		for it := sdk.Array(v); it.Next(); {
			words = append(words, string(it.Value()))
		}
	}
	return words
}

// writeVector writes the sum of the vectors of the words, which are small whole numbers. It
// is never zero.
func writeVector(w *sdk.Writer, words []string, dimensions int) {
	sum := make([]int64, dimensions)
	for _, word := range words {
		h := fnv.New64a()
		h.Write([]byte(word))
		state := h.Sum64()
		for i := range sum {
			state = state*6364136223846793005 + 1442695040888963407
			sum[i] += int64(state>>57) - 64
		}
	}
	w.Array()
	for i, n := range sum {
		if i == 0 && n == 0 {
			n = 1
		}
		w.Int(n)
	}
	w.End()
}
