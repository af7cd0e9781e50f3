package messages

import (
	"strconv"

	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/sdk/abi"
)

// appendUsage appends what an answer cost. Clients add up the tokens of the input, those
// that were read from a cache, and those that were written to one. In a stream, counts
// replace earlier ones, so those that the provider did not tell are left out.
func appendUsage(dst []byte, u facts.Usage, whole bool) []byte {
	dst = append(dst, '{')
	if whole || u.Prompt > 0 {
		dst = append(dst, `"input_tokens":`...)
		dst = strconv.AppendInt(dst, max(u.Prompt-u.Cached-u.CacheWrite, 0), 10)
		dst = append(dst, `,"cache_creation_input_tokens":`...)
		dst = strconv.AppendInt(dst, u.CacheWrite, 10)
		dst = append(dst, `,"cache_read_input_tokens":`...)
		dst = strconv.AppendInt(dst, u.Cached, 10)
		dst = append(dst, ',')
	}
	dst = append(dst, `"output_tokens":`...)
	dst = strconv.AppendInt(dst, u.Completion, 10)
	if u.Reasoning > 0 {
		dst = append(dst, `,"output_tokens_details":{"thinking_tokens":`...)
		dst = strconv.AppendInt(dst, u.Reasoning, 10)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// Anthropic's own words for why an answer ends, which its adapter states beside FINISH.
const (
	nativeSequence = "stop_sequence"
	nativeWindow   = "model_context_window_exceeded"
)

// appendStop appends the fields that say why the answer ended, without a comma before.
// Clients repeat a request whose answer says tool_use and calls no tool.
func (a *answer) appendStop(dst []byte) []byte {
	reason := "end_turn"
	switch a.finish {
	case abi.FinishStop:
		if a.native == nativeSequence {
			reason = nativeSequence
		}
	case abi.FinishToolCalls, abi.FinishFunctionCall:
		if len(a.callIDs) > 0 {
			reason = "tool_use"
		}
	case abi.FinishLength:
		reason = "max_tokens"
		if a.native == nativeWindow {
			reason = nativeWindow
		}
	case abi.FinishContentFilter:
		reason = "refusal"
	}
	dst = append(append(append(dst, `"stop_reason":"`...), reason...), `","stop_sequence":null`...)
	if reason != "refusal" {
		return dst
	}
	dst = append(dst, `,"stop_details":{"type":"refusal","category":null,"explanation":`...)
	if len(a.refusal) == 0 {
		return append(dst, `null}`...)
	}
	return append(append(append(dst, '"'), a.refusal...), `"}`...)
}
