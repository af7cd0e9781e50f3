package errortext

import "github.com/kai-gateway/kai/sdk"

const day = 24 * 60 * 60

// Wait returns the milliseconds that a Retry-After header asks to wait, or 0 if there is none.
// A date doesn't count, because an adapter has no clock.
func Wait(head sdk.Head) int64 { return Milliseconds(sdk.JSON(head.Get("retry-after"))) }

// Milliseconds reads a number of seconds, which may be a string. It returns 0 if v is no
// number, or is not between 0 and a day.
func Milliseconds(v sdk.JSON) int64 {
	if inside, ok := v.RawStr(); ok {
		v = inside
	}
	if s, ok := v.Float(); ok && s > 0 && s <= day {
		return int64(s*1000 + 0.5)
	}
	return 0
}

// Number reads an integer, which may be a string.
func Number(v sdk.JSON) (int64, bool) {
	if inside, ok := v.RawStr(); ok {
		v = inside
	}
	return v.Int()
}
