package passed

import (
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/native"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// stream is the client's view of an answer in events, which pass as they come.
type stream struct {
	dialect.OpenAIEvents
	info dialect.Info
	text bool // the events are mostly text, whose length tells the cost if nobody counts
}

// Begin makes the answer of an attempt.
func (s stream) Begin() dialect.Answer {
	return &passing{native.NewStream(s.info, &passage{alias: s.info.Model}), s.info.Memory, s.text}
}

// passing is an answer in events.
type passing struct {
	*native.Answer
	memory *memory.Grant
	text   bool
}

var _ dialect.Passing = (*passing)(nil)

// Apply adds the emissions of one adapter call, and appends the event that passes. The error
// is a *fault.Error; then nothing was appended.
func (a *passing) Apply(dst []byte, ems []abi.Emission) ([]byte, error) {
	for i := range ems {
		if ems[i].Kind == abi.Result {
			return a.whole(dst, ems, i)
		}
	}
	return a.Answer.Apply(dst, ems)
}

// Usage returns what the answer cost so far, complete or not. The length of sound and
// pictures says nothing about that.
func (a *passing) Usage() facts.Usage {
	u := a.Answer.Usage()
	if !a.text {
		u.Stated = 0
	}
	return u
}

// passage puts the alias in the place of a model's name in events.
type passage struct {
	alias  string
	chunks bool // the events are vLLM's, which look like chunks of chats
}

var _ native.Passage = (*passage)(nil)

// Event appends the data of an event.
func (p *passage) Event(dst, _, data []byte, _ bool) []byte {
	if object, ok := sdk.JSON(data).Get("object").RawStr(); ok && string(object) == "transcription.chunk" {
		p.chunks = true
	}
	return appendAs(dst, data, p.alias)
}

// Watches reports that every event has to be seen.
func (*passage) Watches([]byte) bool { return true }

// NeedsNames reports false: types are in the data.
func (*passage) NeedsNames() bool { return false }

// End appends the mark with which streams of chunks end.
func (p *passage) End(dst []byte) []byte {
	if p.chunks {
		dst = append(dst, "data: [DONE]\n\n"...)
	}
	return dst
}

// Whole is never needed: whole answers are a RESULT.
func (p *passage) Whole(dst, data []byte) []byte { return appendAs(dst, data, p.alias) }
