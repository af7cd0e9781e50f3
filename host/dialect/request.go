package dialect

import (
	"context"
	"net/http"
	"time"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/buffer"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Caller is who sent a request.
type Caller struct {
	Principal string // the name of its key; "" without keys

	// Memory counts what a request has in it beyond its body, before it is allocated. What
	// is counted when the request was read is its Size afterwards. Default: nothing is
	// counted.
	Memory *memory.Grant

	// Header has the headers of the request. Default: there are none.
	Header http.Header

	// Buffers lends what the request is written into, if its dialect makes another one of it.
	// Default: it is allocated.
	Buffers *buffer.Pool
}

// Parse reads the body of a request, and checks all that can be checked without knowing
// which target will answer. The Request may keep b, which does not change any more. If it
// keeps copies of parts of it, its Size counts them. ctx is the request's, for looking up
// what is remembered elsewhere.
//
// The error is a *fault.Error. It names places in the client's terms, and repeats no
// content. If the caller's Memory is what refused something, it wraps a *memory.Error.
type Parse func(ctx context.Context, b []byte, c Caller) (*Request, error)

// Request is a client's request, as its dialect has read it. It belongs to the goroutine
// that serves the request.
type Request struct {
	Op     abi.Op // what adapters are asked for
	Model  string // the alias; "" if the client named none
	Stream bool   // the client wants a stream

	// Lasting says that the provider does more than answer, such as keep the answer. Then
	// nobody may ask another provider while this one may still be working.
	Lasting bool

	Body Body  // what adapters get
	Size int64 // bytes that the request keeps besides the client's body

	// Owner owns the bytes of Body, if they were lent. It is released when Body is not used
	// any more. Nothing else may refer to the bytes then.
	Owner *buffer.Owner

	// Form returns the request in the form for an adapter that accepts more than OpenAI's
	// chat completions have. takes reports whether it accepts the extension of a name. From
	// then on Fault speaks of that form, until Form is called again. Size counts one form
	// besides Body. Default: Body is the form for all.
	Form func(takes func(extension string) bool) (Body, error)

	// Whole makes a whole answer, a new one for each attempt. Streamed makes one stream for
	// all attempts.
	Whole    func(Info) Answer
	Streamed func(Info) Stream

	// Passes says under which content type an answer that is neither JSON nor events
	// reaches the client as it comes. mediaType is the upstream's, in lower case. Default:
	// no such answer does.
	Passes func(mediaType string) (contentType string, ok bool)

	// Sound is about how long the sound in the request is; 0: there is none.
	Sound time.Duration

	// Pictures is how many pictures the request asks for, and Characters is how many
	// characters it wants to be spoken; 0: none.
	Pictures, Characters int64

	// Fault says what is wrong with Body in the client's terms. It is for errors of
	// adapters, which know nothing but Body. Default: Body's terms are the client's.
	Fault func(*fault.Error) *fault.Error

	// Inputs is how many inputs Body has, if it can be cut into several requests for
	// adapters that take fewer. 0: it can't be cut. Part then returns a request with n
	// inputs, the first of which is input number from, counted from 0. Its Len is held
	// besides Size.
	Inputs int
	Part   func(from, n int) Body

	// InputsAtOnce is how many inputs one request may have at most, whatever an adapter
	// takes. 0: any number.
	InputsAtOnce int

	// NativeOp is the operation of adapters whose provider speaks the client's API; see
	// [abi.Op.Native]. Native reads the request once more, for them. It allocates about
	// twice as many bytes as the body has, and returns nil if the request can't go there.
	// The error is a *fault.Error. Default: there are no such adapters.
	NativeOp abi.Op
	Native   func() (*Native, error)

	// IDs are the ids by which Body names what a provider keeps for its account. Only the
	// caller whose it is may name it. Default: Body names nothing.
	IDs []string

	// Untranslated says why other adapters can't get the request as Body, a *fault.Error.
	// Body then only takes its place where nobody asks what it says. Default: they can.
	Untranslated error

	// Remember keeps what later requests may refer to, if this one is answered in translation
	// or from the cache. It is called at most once, before that. Default: nothing is kept.
	Remember func()

	// Wish is a top-level field of Body that the client merely wishes. If an upstream
	// refuses it, the request is repeated without it. "": there is none.
	Wish string
}

// Native is a request as its client wrote it, without what never leaves the gateway.
type Native struct {
	Size int64 // bytes that it keeps besides the client's body

	// Body returns what an adapter gets. takes reports whether it accepts the extension of
	// a name, and mine whether an id is the caller's where the request goes. Ids that
	// aren't are left out, if the request also says what they stand for.
	Body func(takes, mine func(name string) bool) Body

	// IDs are those of what a provider keeps for its account. Only the caller whose it is
	// may name it. Unknown is the error, a *fault.Error, for an id that is not the caller's
	// or doesn't exist. Such a request can't be translated, because that would lose what it
	// is about.
	IDs     []string
	Unknown error

	// Refs are the ids of earlier answers, and of items in them. If no provider keeps one
	// for the caller, it may be the gateway's own, or the request may also say what it
	// stands for. Then the request is translated. Lost is the error if it can't be, a
	// *fault.Error.
	Refs []string
	Lost error

	// Billed is the place of the type of a tool that the provider runs and bills apart from
	// tokens; "": there is none.
	Billed string

	// Headers are the client's headers that the adapter gets, a JSON object; nil: none.
	Headers []byte

	// Whole makes a whole answer, a new one for each attempt. A stream is begun with
	// [NativeStream].
	Whole func(Info) Passing

	// Said returns what the assistant says in an event or a whole answer that passes, as
	// adapters would state it, but without the reason for its end, which they do state.
	// Default: nobody knows what it says.
	Said func(name, data []byte, whole bool) []abi.Emission
}

// NativeStream is a Stream that can pass on what a provider sends.
type NativeStream interface {
	// BeginNative is Begin for a native attempt. It returns nil if what the client already
	// got can't be continued by what the provider will send.
	BeginNative() Passing
}

// ByType returns the name to give to Receive for an event whose name is the type in its
// data.
func ByType() []byte { return []byte{} }

// Passing is an Answer that passes on what the upstream sent where the adapter says so.
type Passing interface {
	Answer

	// Receive notes an event or, with whole, the whole answer, before the adapter's call
	// for it is applied. data may change after that. name is nil if the event has none. If
	// name is empty but not nil, the event's name is the type in data.
	Receive(name, data []byte, whole bool)

	// Lines notes the lines id and retry of the event that comes next, each with a line
	// feed at its end, if there are any. They pass with that event, or with the first one
	// after it that passes.
	Lines(lines []byte)
}

// Body is a request in the form that adapters get. It never changes, and is safe for
// concurrent use.
type Body interface {
	// Body returns all of it. Short returns it with a token in place of each long content,
	// whose bytes are in refs. Both have that model.
	Body(upstreamModel string) []byte
	Short(upstreamModel string) (body []byte, refs *body.Refs)

	// Len returns about how many bytes Body allocates or, with plain false, Short.
	Len(plain bool) int64

	// Without returns the same request without a field that can be a [Request]'s Wish, or
	// the request itself if it doesn't have the field.
	Without(field string) Body

	// Conversation and User identify which conversation and which user the request
	// belongs to; "" if it doesn't say. Tokens estimates how many tokens it has.
	Conversation() string
	User() string
	Tokens() int64

	// MaxOutput is how many tokens the answer may have at most, all its choices together;
	// 0 if the request doesn't say.
	MaxOutput() int64

	// Asks returns the first part by which the request asks for one of the top-level
	// fields, or for a tool whose type begins with one of tools; "" if there is none.
	Asks(fields, tools []string) string
}

// Form is a Body that is not JSON. Adapters get a description of it in JSON, and the form
// itself is sent upstream.
type Form interface {
	Body

	// Form returns the form with that model: its content type, and its bytes in pieces,
	// which must not be modified.
	Form(upstreamModel string) (contentType string, pieces [][]byte)
}

// Info is what the gateway knows about an answer before it begins.
type Info struct {
	ID        string // letters and digits, unique, for ids of the answer
	RequestID string // of the exchange, for errors
	Created   int64  // seconds since 1970
	Model     string // the alias the client asked for

	// NoteID notes the id of something that the provider keeps for its account and that the
	// answer tells the client. Default: nothing is noted, and no answer passes as it is.
	NoteID func(id string)

	// Upstream returns what the provider calls the model that is being asked. Default: nobody
	// knows, and no answer passes as it is.
	Upstream func() string

	// Memory counts what is kept and made of the answer. Its owner releases it. Default:
	// nothing is counted.
	Memory *memory.Grant

	// MaxHeld is how many bytes one answer may keep. Default 64 MiB.
	MaxHeld int
}

// Answer turns what the adapter of one attempt states into what the client gets. Only one
// goroutine may use it at a time. After an error only Usage may be called.
type Answer interface {
	// Apply adds the emissions of one adapter call. In a stream it appends the events that
	// follow from them. As long as there is no content (TEXT, REASONING, REFUSAL, TOOL_…,
	// LOGPROBS, FINISH), these may never reach the client, so nothing may depend on it.
	//
	// The error is a *fault.Error: the adapter's ERROR, a breach of the protocol, or too
	// little memory. Then nothing was appended.
	Apply(dst []byte, ems []abi.Emission) ([]byte, error)

	// EndMark notes that the upstream said that its answer is complete.
	EndMark()

	// Complete reports whether the answer is a success if nothing more comes, even if
	// the upstream's connection broke.
	Complete() bool

	// End ends the answer: when the upstream ended cleanly, or in any way once Complete
	// reports true. It appends the whole answer or the last events. The error is a
	// *fault.Error for an answer that lacks something; then nothing was appended.
	End(dst []byte) ([]byte, error)

	// Sent notes that all that was appended has reached the client or its connection.
	// dropped says that the array it was appended to is no longer used.
	Sent(dropped bool)

	// Usage returns what the answer cost so far, complete or not.
	Usage() facts.Usage
}

// Parted is an Answer to a request that can be cut into several.
type Parted interface {
	// Part ends what was answered to the inputs so far, if there were any, and begins the
	// answer to the next n inputs. In a stream it appends the events that follow. The error
	// is a *fault.Error for an answer that lacks something.
	Part(dst []byte, n int) ([]byte, error)
}

// Stream is one streamed answer as its client sees it, whichever attempts it takes.
type Stream interface {
	// Begin makes the answer of a new attempt. The one before is discarded: nothing of it
	// has reached the client.
	Begin() Answer

	// KeepAlive appends what is sent after some seconds of silence, perhaps before anything
	// else. If it appends nothing, nothing is sent. Any goroutine may call it, while the
	// client's connection is locked.
	KeepAlive(dst []byte) []byte

	// Fail appends what ends a stream that has begun and can't be completed. It is called
	// at most once, while the client's connection is locked.
	Fail(dst []byte, e *fault.Error) []byte
}
