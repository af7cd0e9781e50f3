// Package abi has the names that the gateway and its adapter modules share: operations, kinds
// of emissions, and the layout of a call's buffer.
//
// docs/abi.md is the contract in words. The package has little logic and imports next to
// nothing, so both sides of the boundary can use it.
package abi

import "strings"

// Names of the exports and imports of an adapter module.
const (
	Module          = "kai_v1"       // the import module
	ImportEmit      = "emit"         // emit(kind, at, ptr, len) -> i32
	ImportEmitAll   = "emit_all"     // emit_all(ptr, n) -> i32, since minor version 5
	ImportLog       = "log"          // log(level, ptr, len)
	ExportHandshake = "kai_abi_v1"   // () -> minor
	ExportManifest  = "kai_manifest" // () -> status
	ExportBuffer    = "kai_buffer"   // (min) -> ptr
	ExportConfigure = "kai_configure"
	ExportRequest   = "kai_request"
	ExportResponse  = "kai_response"
	ExportEvent     = "kai_event"
	ExportEvents    = "kai_events"   // optional; several events in one call, since minor version 5
	ManifestSection = "kai.manifest" // custom section; counts instead of ExportManifest
	Memory          = "memory"       // the one exported memory

	TranscriptSection = "kai.transcript" // custom section: a transcript that the gateway replays before it uses the module
)

// Minor is the minor version of ABI v1 that this package describes.
const Minor = 6

// Op is the operation that a call is for.
type Op int32

const (
	Chat        Op = 1
	Completions Op = 2
	Embeddings  Op = 3
	Models      Op = 4
	Count       Op = 5 // since minor version 2

	// Since minor version 4.
	Moderations Op = 6
	Rerank      Op = 7
	Images      Op = 8
	Speech      Op = 9
	Messages    Op = 10 // Anthropic's Messages API, passed on

	Transcriptions Op = 11

	// Since minor version 6.
	Responses Op = 12 // OpenAI's Responses API, passed on
	Stored    Op = 13 // a response that the provider keeps

	CountMessages  Op = 14 // the tokens of a request of Anthropic's Messages API, passed on
	CountResponses Op = 15 // the tokens of a request of OpenAI's Responses API, passed on

	CompactResponses Op = 16 // a conversation of OpenAI's Responses API that is made shorter, passed on
)

var opNames = [...]string{
	Chat: "chat", Completions: "completions", Embeddings: "embeddings", Models: "models", Count: "count",
	Moderations: "moderations", Rerank: "rerank", Images: "images", Speech: "speech",
	Messages: "messages", Transcriptions: "transcriptions", Responses: "responses", Stored: "stored", CountMessages: "count_messages",
	CountResponses: "count_responses", CompactResponses: "compact_responses",
}

// Native reports whether the operation is an API of clients whose requests and answers are
// passed on as they are.
func (op Op) Native() bool {
	return op == Messages || op == Responses || op == Stored || op == CountMessages || op == CountResponses || op == CompactResponses
}

// Streams reports whether the events of an answer are passed on as they are, as those of a
// Native operation, while a whole answer is a RESULT or bytes.
func (op Op) Streams() bool { return op == Images || op == Speech || op == Transcriptions }

// String returns the name that manifests use, or "" for an operation it does not know.
func (op Op) String() string {
	if op > 0 && int(op) < len(opNames) {
		return opNames[op]
	}
	return ""
}

// OpNamed returns the operation with a name that manifests use, or 0.
func OpNamed(name string) Op {
	for op, n := range opNames {
		if n == name && n != "" {
			return Op(op)
		}
	}
	return 0
}

// Flags of kai_request and kai_event.
const (
	FlagStream = 1 // kai_request: the client wants a stream
	FlagEnd    = 1 // kai_event: the upstream ended cleanly; it comes once, in a separate call without data
	FlagDone   = 2 // kai_event: the upstream sent [DONE]
)

// Status is what an export returns. Any other value discards the instance.
const (
	StatusOK     = 0 // done: the emissions count
	StatusFailed = 1 // this request failed; ERROR was emitted
)

// Framing says how an upstream's answer is cut into events.
type Framing int32

const (
	Whole  Framing = 0 // one body
	SSE    Framing = 1 // server-sent events
	NDJSON Framing = 2 // one JSON value in each line
	Bytes  Framing = 3 // no JSON, but bytes that the client gets as they come (since minor version 4)
)

// Kind says what an emission states.
type Kind uint8

const (
	Manifest    Kind = 1  // JSON
	Request     Kind = 2  // "POST /api/chat\nname: value\n"; at: Framing of the answer
	Body        Kind = 3  // bytes, appended to the request's body
	State       Kind = 4  // bytes, replace the stream's state
	Wait        Kind = 5  // no payload; at: milliseconds before REQUEST is sent
	Next        Kind = 6  // no payload: in kai_events, what follows is about the next frame (since minor version 5)
	Text        Kind = 16 // UTF-8; at: choice
	Reasoning   Kind = 17 // UTF-8; at: choice
	Refusal     Kind = 18 // UTF-8; at: choice
	ToolID      Kind = 19 // UTF-8, at most once a call; at: choice and call
	ToolName    Kind = 20 // UTF-8, at most once a call, which may be a piece of the name; at: choice and call
	ToolArgs    Kind = 21 // UTF-8 fragment of the arguments' JSON text; at: choice and call
	Logprobs    Kind = 22 // JSON array of OpenAI token objects; at: choice
	ToolExtra   Kind = 23 // JSON object; at: choice and call
	DeltaExtra  Kind = 24 // JSON object; at: choice
	ChoiceExtra Kind = 25 // JSON object; at: choice
	ChunkExtra  Kind = 26 // JSON object
	Usage       Kind = 27 // JSON object, merged leaf by leaf, the last wins
	Finish      Kind = 28 // one of the finish reasons; at: choice
	Error       Kind = 29 // JSON object {"status","type","code","param","message","retry_after_ms"}
	Result      Kind = 30 // JSON, for operations other than chat

	// Since minor version 1.
	End             Kind = 31 // no payload: the upstream's protocol says that the answer is complete
	ReasoningDetail Kind = 32 // JSON object: a part of the reasoning as the provider wants it back; at: choice
	Signature       Kind = 33 // UTF-8: the provider's signature of the text; at: choice
	ToolSignature   Kind = 34 // UTF-8: the provider's signature of a tool call; at: choice and call
	Citation        Kind = 35 // JSON object: a source of the text, as the provider states it; at: choice
	StopReason      Kind = 36 // UTF-8: the provider's own word for why a choice ends; at: choice

	// Since minor version 4.
	Pass Kind = 37 // no payload: the event, or the whole answer, goes to the client as it came; at: PassContent or 0
)

// RecordBytes is the size of a record of emit_all: kind, at, address and length, each a u32 in
// little endian.
const RecordBytes = 16

// MaxRecords is how many records a call of emit_all may have.
const MaxRecords = 4096

// PassContent is the at of a PASS whose event is a part of what the assistant says or does.
const PassContent = 1

// Raw is added to the kinds that AllowsRaw when the payload is the inside of a JSON
// string literal instead of plain UTF-8.
const Raw = 128

// AllowsRaw reports whether the kind may carry the Raw bit.
func (k Kind) AllowsRaw() bool {
	switch k {
	case Text, Reasoning, Refusal, ToolArgs, Signature, ToolSignature, StopReason:
		return true
	}
	return false
}

var kindNames = [...]string{
	Manifest: "MANIFEST", Request: "REQUEST", Body: "BODY", State: "STATE", Wait: "WAIT", Next: "NEXT",
	Text: "TEXT", Reasoning: "REASONING", Refusal: "REFUSAL", ToolID: "TOOL_ID", ToolName: "TOOL_NAME",
	ToolArgs: "TOOL_ARGS", Logprobs: "LOGPROBS", ToolExtra: "TOOL_EXTRA", DeltaExtra: "DELTA_EXTRA", ChoiceExtra: "CHOICE_EXTRA",
	ChunkExtra: "CHUNK_EXTRA", Usage: "USAGE", Finish: "FINISH", Error: "ERROR", Result: "RESULT", End: "END",
	ReasoningDetail: "REASONING_DETAIL", Signature: "SIGNATURE", ToolSignature: "TOOL_SIGNATURE", Citation: "CITATION", StopReason: "STOP_REASON", Pass: "PASS",
}

// String returns the name in docs/abi.md, or "" for an unknown kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return ""
}

// Emission is one fact that an adapter stated.
type Emission struct {
	Kind Kind   // without the Raw bit
	Raw  bool   // Data is the inside of a JSON string literal
	At   int32  // choice<<16 | item, or as the kind says
	Data []byte // owned by whatever returned the emission, which says how long it is valid
}

// Choice returns the index of the choice that the emission is about.
func (e Emission) Choice() int { return int(uint32(e.At) >> 16) }

// Item returns the index of the tool call that the emission is about.
func (e Emission) Item() int { return int(uint32(e.At) & 0xffff) }

// At packs a choice and an item: At(1, 2) is 0x00010002.
func At(choice, item int) int32 { return int32(uint32(choice)<<16 | uint32(item)&0xffff) }

// Align rounds n up to a multiple of 8, at which the next section of a call's buffer begins:
// Align(5) is 8, Align(8) is 8.
func Align(n int) int { return (n + 7) &^ 7 }

// Finish reasons, as OpenAI names them.
const (
	FinishStop          = "stop"
	FinishLength        = "length"
	FinishToolCalls     = "tool_calls"
	FinishContentFilter = "content_filter"
	FinishFunctionCall  = "function_call"
)

// Limits that both sides know.
const (
	MaxState      = 4 << 10  // bytes of a stream's state
	MaxManifest   = 64 << 10 // bytes of a manifest
	MaxTranscript = 64 << 10 // bytes of the transcript in a module
	MaxChoices    = 128      // choices of one answer
	MaxCalls      = 1024     // tool calls of one choice

	MaxFrames     = 32      // frames in a call of kai_events
	MaxFrame      = 2 << 10 // bytes of each of them
	MaxFrameBytes = 8 << 10 // bytes of all, with their lengths
)

// HeaderForAdapters reports whether adapters see a header of the upstream's answer: the content
// type, when to try again, rate limits and request ids. name is in lower case.
func HeaderForAdapters(name string) bool {
	switch name {
	case "content-type", "retry-after", "retry-after-ms", "x-generation-id":
		return true
	}
	return strings.Contains(name, "ratelimit") || strings.Contains(name, "rate-limit") ||
		strings.HasSuffix(name, "request-id")
}
