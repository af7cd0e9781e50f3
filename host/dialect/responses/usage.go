package responses

import (
	"math"
	"slices"
	"strconv"

	"github.com/kai-gateway/kai/sdk"
)

// usageKeys are the fields of the usage that are written here, under the names of either
// API.
var usageKeys = []string{
	"prompt_tokens", "prompt_tokens_details", "completion_tokens", "completion_tokens_details", "total_tokens",
	"input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details",
}

// appendUsage appends a usage of chat completions as this API has it. All counts and both
// details are always there, because clients take an answer without them for a failure.
// Other fields stay beside them.
func appendUsage(dst, chat []byte) []byte {
	var prompt, completion, total, promptDetails, completionDetails sdk.JSON
	for it := sdk.Object(chat); it.Next(); {
		switch string(it.Key()) {
		case "prompt_tokens":
			prompt = it.Value()
		case "completion_tokens":
			completion = it.Value()
		case "total_tokens":
			total = it.Value()
		case "prompt_tokens_details":
			promptDetails = it.Value()
		case "completion_tokens_details":
			completionDetails = it.Value()
		}
	}
	dst = append(dst, `{"input_tokens":`...)
	dst = appendCount(dst, prompt)
	dst = append(dst, `,"input_tokens_details":`...)
	dst = appendDetails(dst, promptDetails, "cached_tokens", "cache_write_tokens")
	dst = append(dst, `,"output_tokens":`...)
	dst = appendCount(dst, completion)
	dst = append(dst, `,"output_tokens_details":`...)
	dst = appendDetails(dst, completionDetails, "reasoning_tokens")
	dst = append(dst, `,"total_tokens":`...)
	dst = appendCount(dst, total)
	for it := sdk.Object(chat); it.Next(); {
		if !slices.Contains(usageKeys, string(it.Key())) {
			dst = appendMember(dst, it.Key(), it.Value())
		}
	}
	return append(dst, '}')
}

// appendDetails appends the details of a count: the ones that clients need, and then the
// others.
func appendDetails(dst []byte, details sdk.JSON, needed ...string) []byte {
	for i, key := range needed {
		dst = append(dst, "{,"[min(i, 1)], '"')
		dst = append(dst, key...)
		dst = append(dst, `":`...)
		dst = appendCount(dst, last(details, key))
	}
	if details.Kind() == sdk.KindObject {
		for it := sdk.Object(details); it.Next(); {
			if !slices.Contains(needed, string(it.Key())) {
				dst = appendMember(dst, it.Key(), it.Value())
			}
		}
	}
	return append(dst, '}')
}

// last returns the last value of a key of an object.
func last(object sdk.JSON, key string) (v sdk.JSON) {
	if object.Kind() != sdk.KindObject {
		return nil
	}
	for it := sdk.Object(object); it.Next(); {
		if string(it.Key()) == key {
			v = it.Value()
		}
	}
	return v
}

// appendCount appends a number as a count, rounded down; 0 for anything else.
func appendCount(dst []byte, v sdk.JSON) []byte {
	f, ok := v.Float()
	if !ok || f < 0 || f > math.MaxInt32 {
		f = 0
	}
	return strconv.AppendInt(dst, int64(f), 10)
}
