package openaichat

import "github.com/kai-gateway/kai/sdk"

// pattern is a chunk that has nothing but text for one choice, without that
// text. The chunks of a stream differ in little else, and one that fits the
// pattern of the last has been understood already: the same bytes before its
// text mean the same, and so do those behind it.
type pattern struct {
	Print  uint64 // fingerprint of the bytes before and behind the text; 0: there is no pattern
	Before uint32 // how many there are before the text, its opening quote included
	After  uint32 // how many there are behind it, its closing quote included
	Choice uint32
}

// learn makes a pattern of a chunk and its text. content is a slice of chunk,
// so their capacities tell where it lies.
func (p *pattern) learn(chunk, content sdk.JSON, choice int) {
	before := cap(chunk) - cap(content) + 1
	after := before + len(content) - 2
	*p = pattern{
		Print:  fingerprint(chunk[:before]) ^ fingerprint(chunk[after:])<<1,
		Before: uint32(before),
		After:  uint32(len(chunk) - after),
		Choice: uint32(choice),
	}
}

// match gives the text of a chunk that fits, as the inside of its literal.
func (p *pattern) match(chunk sdk.JSON) (inside []byte, ok bool) {
	before, after := int(p.Before), len(chunk)-int(p.After)
	if p.Print == 0 || after < before ||
		fingerprint(chunk[:before])^fingerprint(chunk[after:])<<1 != p.Print {
		return nil, false
	}
	inside = chunk[before:after]
	for _, c := range inside {
		if c == '"' || c == '\\' || c < ' ' { // rare, and then it takes a closer look
			return chunk[before-1 : after+1].RawStr()
		}
	}
	return inside, true
}
