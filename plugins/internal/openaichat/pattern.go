package openaichat

import "github.com/kai-gateway/kai/sdk"

// pattern describes a chunk that has only text, for one choice. Most chunks of a stream differ
// only in their text. A chunk that matches the pattern of the last one needs no parsing,
// because equal bytes before and after the text mean the same.
type pattern struct {
	Print  uint64 // fingerprint of the bytes before and after the text; 0: there is no pattern
	Before uint32 // how many bytes are before the text, including its opening quote
	After  uint32 // how many bytes are after the text, including its closing quote
	Choice uint32
}

// remember makes p the pattern of a chunk. content is the chunk's text, and must be a slice of
// chunk: their capacities tell where the text is.
func (p *pattern) remember(chunk, content sdk.JSON, choice int) {
	before := cap(chunk) - cap(content) + 1
	after := before + len(content) - 2
	*p = pattern{
		Print:  fingerprint(chunk[:before]) ^ fingerprint(chunk[after:])<<1,
		Before: uint32(before),
		After:  uint32(len(chunk) - after),
		Choice: uint32(choice),
	}
}

// match returns the text of a chunk that matches, as the inside of a JSON string.
func (p *pattern) match(chunk sdk.JSON) (inside []byte, ok bool) {
	before, after := int(p.Before), len(chunk)-int(p.After)
	if p.Print == 0 || after < before ||
		fingerprint(chunk[:before])^fingerprint(chunk[after:])<<1 != p.Print {
		return nil, false
	}
	inside = chunk[before:after]
	for _, c := range inside {
		if c == '"' || c == '\\' || c < ' ' { // this is rare, and RawStr decides
			return chunk[before-1 : after+1].RawStr()
		}
	}
	return inside, true
}
