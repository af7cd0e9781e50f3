// Package stream turns what adapters state into what a client of the OpenAI API
// sees: one state machine for all adapters, streamed or whole.
//
// An adapter states typed facts (package abi: "text for choice 0", "name of
// tool call 1", "finished: stop"). [Chunks] makes a stream of chunks of them and
// [Whole] makes one answer; both keep the same rules, so a stream put together
// by the client equals the whole answer of the same facts. [Client] is the
// client's end of a streamed answer: the head, keep-alives, deadlines.
//
// The rules the two forms share:
//
//   - A choice opens with the first emission about it, even an empty one. FINISH
//     states for which reason it ends, but servers state that early: it is final
//     only when nothing follows, which is at the end of the stream, at its end
//     mark, or when the usage comes in a later adapter call. Content that comes
//     before that belongs to the answer. A reason that follows it counts instead
//     of the one before; otherwise "stop" replaces no other reason.
//   - The answer succeeds if every choice that opened has its FINISH, there is at
//     least one, and the upstream ended cleanly. If it broke off, there must be
//     content and none after the FINISH. An end mark ([DONE], END) stands for the FINISH
//     that is missing where there was content.
//   - Once an adapter call left the answer complete, later calls can spoil nothing
//     but by content: their errors are dropped and their usage counts. Content after
//     a reason is final is an error, for the client has seen the end.
//   - FINISH stop becomes tool_calls for a choice that called tools.
//   - A tool call is shown when its name is known and its arguments begin, another
//     call begins, or the answer ends: until then a name may come in pieces, which
//     are joined, and the id may still come. Without an id, or with one this answer
//     used already, an id is made. An id that comes later changes nothing. Calls are
//     counted as they are shown: 0, 1, 2, without gaps. A call without arguments has
//     {}. Stating the same name again is harmless, and another one once arguments came breaks
//     the protocol. A call that never got a name is a slip of the model: the
//     answer fails and may be asked for again.
//   - A character whose two halves came as escapes in two emissions of one text is
//     put together. Half a character that stays alone is U+FFFD.
//   - Extra fields never replace a field that this package writes. Where one
//     comes more than once, arrays are joined, null replaces nothing, and
//     otherwise the last one wins.
//   - An adapter call that states ERROR or breaks the protocol counts for nothing
//     but its usage.
//
// Payloads are taken as the boundary checked them: JSON where a kind says so,
// UTF-8 or the inside of a JSON string literal where it says text. Emissions may
// be reused by their owner as soon as a method returns. Chunks and Whole are for
// one goroutine at a time; Client is safe for concurrent use.
package stream

import (
	"fmt"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Info is what the host knows of an answer before it begins.
type Info struct {
	ID           string // "chatcmpl-…", unique
	Created      int64  // seconds since 1970
	Model        string // the alias the client asked for
	IncludeUsage bool   // the client set stream_options.include_usage; Whole ignores it

	// Memory counts what is kept of the answer, and what is made of it, until it is
	// released. Default: nothing is counted.
	Memory *memory.Grant
}

// maxHeld bounds what one answer may keep in memory: the text of a whole answer,
// and in a stream what waits for a tool call's name or for the next chunk.
const maxHeld = 64 << 20

// protocolError is the failure of an adapter that broke the rules above.
func protocolError(format string, args ...any) *fault.Error {
	return &fault.Error{
		Kind: fault.Adapter, Code: "adapter_error",
		Text: "The provider's adapter broke its protocol: " + fmt.Sprintf(format, args...) + ".",
	}
}

func tooLargeError() *fault.Error {
	return &fault.Error{
		Kind: fault.Upstream, Code: "upstream_error",
		Text: fmt.Sprintf("The provider's answer is larger than %d MiB.", maxHeld>>20),
	}
}

// namelessError is for a model that called nothing.
func namelessError() *fault.Error {
	return &fault.Error{
		Kind: fault.Upstream, Code: "upstream_error",
		Text: "The model called a tool without naming it. The request may be repeated.",
	}
}

// lateError is for content that comes after the client was told of the end.
func lateError() *fault.Error {
	return &fault.Error{
		Kind: fault.Upstream, Code: "upstream_error",
		Text: "The provider went on after the end of its answer.",
	}
}

func incompleteError() *fault.Error {
	return &fault.Error{
		Kind: fault.Upstream, Code: "upstream_error",
		Text: "The provider ended its answer before it was complete.",
	}
}

// finishReason gives OpenAI's constant for the payload of FINISH, "" if it is
// none of them.
func finishReason(p []byte) string {
	switch string(p) {
	case abi.FinishStop:
		return abi.FinishStop
	case abi.FinishLength:
		return abi.FinishLength
	case abi.FinishToolCalls:
		return abi.FinishToolCalls
	case abi.FinishContentFilter:
		return abi.FinishContentFilter
	case abi.FinishFunctionCall:
		return abi.FinishFunctionCall
	}
	return ""
}
