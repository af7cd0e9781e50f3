package wasm

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/quoted"
	"github.com/kai-gateway/kai/host/record"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Batch has the emissions of one call. The caller owns it and reuses it for the next
// call of the same attempt, which overwrites Emissions and what they point to. The zero
// value is ready to use.
type Batch struct {
	Emissions []abi.Emission
	Cost      Cost          // of the last call, if it returned
	Memory    *memory.Grant // counts the batch's memory; default: it is not counted
	Calls     record.Calls  // all that filled it
	buf       []byte        // payloads, one after the other
	seat      seat          // of the call that fills it
}

// emissionBytes is how many bytes an emission takes besides its payload: its place in a
// batch and in the checks of a call. For millions of empty emissions that adds up.
const emissionBytes = 96

// leastBuf is how many bytes of payloads there is room for at first: what most calls state.
const leastBuf = 512

// Cost is what one call cost.
type Cost struct {
	Fuel   int64  // in units of docs/design/0002-fuel.md, including what growing the input buffer cost
	Limit  int64  // the fuel that the call could have used
	Memory uint32 // bytes of the instance's memory after the call
}

// Reset empties the batch. It frees large buffers, so that the memory for one long
// answer isn't kept for the rest of the stream.
func (b *Batch) Reset() {
	const keep, keepEmissions = 16 << 10, 256
	if cap(b.buf) > keep {
		b.Memory.Drop(int64(cap(b.buf)))
		b.buf = nil
	}
	if cap(b.Emissions) > keepEmissions {
		b.Memory.Drop(emissionBytes * int64(cap(b.Emissions)))
		b.Emissions = nil
	}
	clear(b.Emissions) // otherwise an old Data would keep a buffer that was freed
	b.buf, b.Emissions, b.Cost = b.buf[:0], b.Emissions[:0], Cost{}
}

// Clone returns a copy of the emissions, which the caller owns.
func (b *Batch) Clone() []abi.Emission {
	ems := slices.Clone(b.Emissions)
	for i := range ems {
		ems[i].Data = bytes.Clone(ems[i].Data)
	}
	return ems
}

// reserve makes room for one more emission with a payload of n bytes. The error is a
// *memory.Error.
func (b *Batch) reserve(n int) (err error) {
	if len(b.Emissions) == cap(b.Emissions) {
		size := len(b.Emissions) + max(8, len(b.Emissions)/2)
		if err := b.Memory.Hold(emissionBytes * int64(size)); err != nil {
			return err
		}
		b.Memory.Drop(emissionBytes * int64(cap(b.Emissions)))
		b.Emissions = append(make([]abi.Emission, 0, size), b.Emissions...)
	}
	switch {
	case b.buf == nil:
		n = max(n, leastBuf)
	case n <= cap(b.buf)-len(b.buf):
		return nil
	}
	b.buf, err = b.Memory.Grow(b.buf, n)
	return err
}

// Append adds an emission, unchecked, with a copy of p as its Data.
func (b *Batch) Append(e abi.Emission, p []byte) {
	n := len(p)
	for len(p) > pieceBytes {
		b.buf, p = append(b.buf, p[:pieceBytes]...), p[pieceBytes:]
	}
	b.buf = append(b.buf, p...)
	e.Data = b.buf[len(b.buf)-n:]
	b.Emissions = append(b.Emissions, e)
}

// export says which function of the guest is running.
type export uint8

const (
	inManifest export = iota
	inConfigure
	inRequest
	inResponse
	inEvent
	inEvents
	exports // how many there are
)

// What emit returns to the guest.
const (
	emitOK    = 0
	emitWrong = -1 // wrong kind, order, range or form
	emitLimit = -2 // over a limit
)

// maxWait is the longest WAIT in milliseconds.
const maxWait = 60_000

// freeEmits is how many emissions of a call cost no fuel.
const freeEmits = 256

// collector checks the emissions of one call and puts them into a batch. What it has
// accepted needs no check later. If it refuses one emission, the whole call fails, even
// if the guest goes on: an answer with a hole in it is worse than none.
type collector struct {
	batch    *Batch
	in       export
	op       abi.Op
	max      int // how many bytes of payload are allowed
	state    int // how many bytes a STATE may have
	calls    int // how often emit was called, including emissions that were refused
	refused  error
	request  bool               // REQUEST was emitted
	passed   bool               // PASS was emitted
	named    map[int32]struct{} // TOOL_ID and TOOL_NAME so far, see checkOnce
	noMemory error              // a *memory.Error: there was no room for an emission

	// Of kai_events only:
	frames []byte // those after the one that is being answered, as Frames has them
	before int    // the length of the state before the call
	extra  int    // how many bytes of payload are allowed for a frame, besides 4 for each byte of input
	stated bool   // STATE was emitted
}

// begin prepares for a call that may emit max bytes.
func (c *collector) begin(b *Batch, in export, op abi.Op, max int) {
	b.Reset()
	named := c.named
	*c = collector{} // a literal with values would be copied
	c.batch, c.in, c.op, c.max, c.state = b, in, op, max, abi.MaxState
	if len(named) > keepNamed {
		return
	}
	if c.named = named; len(named) > 0 {
		clear(named)
	}
}

// keepNamed is the size up to which the map of names is reused for the next call.
const keepNamed = 256

// emit checks one emission and keeps a copy of its payload p. The result is returned to
// the guest.
func (c *collector) emit(kind, at int32, p []byte) int32 {
	if c.batch == nil {
		return emitWrong // a start function may emit nothing
	}
	if c.refused != nil {
		return emitWrong // the call has failed already
	}
	if len(p) == 0 && c.passOn(kind, at) {
		return emitOK
	}
	e := abi.Emission{Kind: abi.Kind(uint32(kind) &^ abi.Raw), Raw: kind&abi.Raw != 0, At: at}
	if uint32(kind) > 255 || e.Kind.String() == "" || e.Raw && !e.Kind.AllowsRaw() {
		return c.refuse(emitWrong, "kind %d does not exist", kind)
	}
	if len(p) > 0 && len(c.batch.buf)+len(p) > c.max {
		return c.refuse(emitLimit, "%s: more than %d bytes in one call", e.Kind, c.max)
	}
	if !c.allowed(e.Kind) {
		return c.refuse(emitWrong, "%s is not allowed here", e.Kind)
	}
	if code := c.checkOrder(e, p); code != emitOK {
		return code
	}
	return c.accept(e, p)
}

// passOn takes PASS and NEXT, which are all that there is about most events that pass, if nothing
// is wrong with them and there is room. If not, it reports false, and emit goes on.
func (c *collector) passOn(kind, at int32) bool {
	b := c.batch
	if len(b.Emissions) == cap(b.Emissions) || b.buf == nil {
		return false
	}
	switch {
	case kind == int32(abi.Pass) && !c.passed && c.allowed(abi.Pass) && (at == abi.PassContent || at == 0):
		c.passed = true
	case kind == int32(abi.Next) && len(c.frames) > 0 && !c.stated:
		c.nextFrame()
	default:
		return false
	}
	b.Emissions = append(b.Emissions, abi.Emission{Kind: abi.Kind(kind), At: at, Data: b.buf[len(b.buf):]})
	return true
}

// allowed reports whether the running export may emit k.
func (c *collector) allowed(k abi.Kind) bool {
	switch {
	case c.in == inManifest:
		return k == abi.Manifest
	case c.in == inConfigure:
		return k == abi.Error
	case k == abi.Manifest:
		return false
	case k == abi.Next:
		return c.in == inEvents
	case k == abi.Request, k == abi.Body, k == abi.Wait:
		return c.in != inEvent && c.in != inEvents
	case k == abi.Pass:
		return c.op.Native() && c.in != inRequest || c.streams()
	case k == abi.Result:
		return !c.chats() && !c.op.Native()
	case k == abi.Finish, k == abi.End:
		return c.chats() || c.op.Native() || c.streams()
	case k == abi.State, k == abi.Error, k == abi.Usage:
		return true
	}
	return c.chats()
}

// checkOrder checks that an emission may come after those before it, and that its at is
// in range.
func (c *collector) checkOrder(e abi.Emission, p []byte) int32 {
	switch e.Kind {
	case abi.Request:
		if c.request {
			return c.refuse(emitWrong, "REQUEST: a second one in the same call")
		}
		if f := abi.Framing(e.At); f < abi.Whole || f > abi.Bytes {
			return c.refuse(emitWrong, "REQUEST: framing %d does not exist", e.At)
		}
		c.request = true
	case abi.Body:
		if !c.request {
			return c.refuse(emitWrong, "BODY before REQUEST")
		}
	case abi.Wait:
		if c.request {
			return c.refuse(emitWrong, "WAIT after REQUEST")
		}
		if e.At < 0 || e.At > maxWait {
			return c.refuse(emitWrong, "WAIT: %d milliseconds; at most %d are allowed", e.At, maxWait)
		}
	case abi.Next:
		return c.next(p)
	case abi.State:
		if c.in == inEvents && c.stated {
			return c.refuse(emitWrong, "STATE: a second one in %s", abi.ExportEvents)
		}
		c.stated = true
	case abi.Pass:
		if c.passed {
			return c.refuse(emitWrong, "PASS: a second one in the same call")
		}
		if len(p) > 0 || e.At != 0 && e.At != abi.PassContent {
			return c.refuse(emitWrong, "PASS: it has no payload, and at is 0 or %d", abi.PassContent)
		}
		c.passed = true
	case abi.ToolID, abi.ToolName, abi.ToolArgs, abi.ToolExtra, abi.ToolSignature:
		if e.Choice() >= abi.MaxChoices || e.Item() >= abi.MaxCalls {
			return c.refuse(emitWrong, "%s: choice %d, call %d is out of range", e.Kind, e.Choice(), e.Item())
		}
		if e.Kind == abi.ToolID || e.Kind == abi.ToolName {
			return c.checkOnce(e)
		}
	case abi.Text, abi.Reasoning, abi.Refusal, abi.Logprobs, abi.DeltaExtra, abi.ChoiceExtra, abi.Finish,
		abi.ReasoningDetail, abi.Signature, abi.Citation, abi.StopReason:
		if e.Choice() >= abi.MaxChoices || e.Item() != 0 {
			return c.refuse(emitWrong, "%s: choice %d, item %d is out of range", e.Kind, e.Choice(), e.Item())
		}
	}
	return emitOK
}

// next begins the emissions about the next frame of kai_events. They have the limits of a
// call of their own.
func (c *collector) next(p []byte) int32 {
	if len(p) > 0 {
		return c.refuse(emitWrong, "NEXT: it has no payload")
	}
	if len(c.frames) == 0 {
		return c.refuse(emitWrong, "NEXT: there is no further frame")
	}
	if c.stated { // a call that fails at this frame may state it, which makes no difference
		return c.refuse(emitWrong, "NEXT: after STATE, which comes at the end")
	}
	c.nextFrame()
	return emitOK
}

// nextFrame begins the next of the frames, or the first.
func (c *collector) nextFrame() {
	var frame []byte
	frame, c.frames = cutFrame(c.frames)
	c.max = len(c.batch.buf) + 4*(c.before+len(frame)) + c.extra
	c.calls, c.passed = 0, false
	if len(c.named) > 0 {
		clear(c.named)
	}
}

// checkOnce refuses a second TOOL_ID or TOOL_NAME for the same tool call.
func (c *collector) checkOnce(e abi.Emission) int32 {
	mark := e.At<<1 | int32(e.Kind&1) // TOOL_ID is odd, TOOL_NAME even
	if _, seen := c.named[mark]; seen {
		return c.refuse(emitWrong, "%s: a second one for choice %d, call %d", e.Kind, e.Choice(), e.Item())
	}
	if c.named == nil {
		c.named = map[int32]struct{}{}
	}
	c.named[mark] = struct{}{}
	return emitOK
}

// accept checks the payload of an emission and keeps it.
func (c *collector) accept(e abi.Emission, p []byte) int32 {
	switch e.Kind {
	case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs, abi.Signature, abi.ToolSignature, abi.StopReason:
		inside, surrogates, isUTF8 := true, false, true
		if e.Raw {
			inside, surrogates, isUTF8 = quoted.Inside(p)
		} else {
			isUTF8 = quoted.Valid(p)
		}
		if !inside {
			return c.refuse(emitWrong, "%s: not the inside of a JSON string", e.Kind)
		}
		if !isUTF8 {
			// A broken upstream sent it, and the adapter passed it on. encoding/json would do the same.
			p = bytes.ToValidUTF8(p, []byte("\uFFFD"))
		}
		if code := c.keep(e, p); code != emitOK {
			return code
		}
		kept := c.kept(len(p))
		if surrogates {
			quoted.MendHalves(kept, `\`, true)
		}
		if e.Kind == abi.ToolArgs && len(kept) > 0 && kept[0] != '\\' && bytes.Contains(kept, unicodeEscape) {
			// The arguments are JSON themselves, which the client decodes once more. If
			// they begin with a backslash, one in the emission before may escape it.
			mark := `\`
			if e.Raw {
				mark = `\\`
			}
			quoted.MendHalves(kept, mark, true)
		}
		return emitOK
	case abi.Logprobs:
		return c.acceptJSON(e, p, sdk.KindArray, "array")
	case abi.Usage, abi.ToolExtra, abi.DeltaExtra, abi.ChoiceExtra, abi.ChunkExtra, abi.Error, abi.ReasoningDetail, abi.Citation:
		return c.acceptJSON(e, p, sdk.KindObject, "object")
	case abi.Manifest:
		if len(p) > abi.MaxManifest {
			return c.refuse(emitLimit, "MANIFEST: %d bytes; at most %d are allowed", len(p), abi.MaxManifest)
		}
		return c.acceptJSON(e, p, sdk.KindObject, "object")
	case abi.Result:
		return c.acceptJSON(e, p, sdk.JSON(p).Kind(), "value")
	case abi.State:
		if len(p) > c.state {
			return c.refuse(emitLimit, "STATE: %d bytes; at most %d are kept", len(p), c.state)
		}
	case abi.Finish:
		switch string(p) {
		case abi.FinishStop, abi.FinishLength, abi.FinishToolCalls, abi.FinishContentFilter, abi.FinishFunctionCall:
		default:
			return c.refuse(emitWrong, "FINISH: %q is no finish reason", shorten(p))
		}
	}
	return c.keep(e, p)
}

// acceptJSON checks a payload that must be JSON of one kind, and keeps it.
func (c *collector) acceptJSON(e abi.Emission, p []byte, want sdk.Kind, name string) int32 {
	v := sdk.JSON(p)
	if v.Kind() != want || v.Valid() != nil {
		return c.refuse(emitWrong, "%s: not a JSON %s", e.Kind, name)
	}
	if !quoted.Valid(p) {
		p = bytes.ToValidUTF8(p, []byte("\uFFFD"))
	}
	if hugeNumber(p) {
		return c.refuse(emitWrong, "%s: a number that is out of range", e.Kind)
	}
	if code := c.keep(e, p); code != emitOK {
		return code
	}
	kept := c.kept(len(p))
	if bytes.Contains(kept, unicodeEscape) {
		quoted.MendHalves(kept, `\`, false)
	}
	if bytes.IndexByte(kept, '\n') < 0 && bytes.IndexByte(kept, '\r') < 0 {
		return emitOK
	}
	// The payload becomes a part of an event, which a line end would end. Between the
	// tokens of JSON a line end means nothing, and JSON strings can't contain one.
	for i, b := range kept {
		if b == '\n' || b == '\r' {
			kept[i] = ' '
		}
	}
	return emitOK
}

var unicodeEscape = []byte(`\u`)

// keep copies the payload into the batch. When the call is over, end sets Data again,
// because buf may move until then.
func (c *collector) keep(e abi.Emission, p []byte) int32 {
	if err := c.batch.reserve(len(p)); err != nil {
		c.noMemory = err
		return c.refuse(emitLimit, "%s: %w", e.Kind, err)
	}
	c.batch.Append(e, p)
	return emitOK
}

// kept returns the payload of n bytes that was kept last, so that it can be mended.
func (c *collector) kept(n int) []byte { return c.batch.buf[len(c.batch.buf)-n:] }

// end sets the Data of every emission to its payload in the batch's final buffer.
func (c *collector) end() {
	at := 0
	for i := range c.batch.Emissions {
		e := &c.batch.Emissions[i]
		n := len(e.Data)
		e.Data = c.batch.buf[at : at+n : at+n]
		at += n
	}
}

func (c *collector) refuse(code int32, format string, args ...any) int32 {
	if c.refused == nil {
		c.refused = fmt.Errorf("emission refused: "+format, args...)
	}
	return code
}

// shorten cuts a text that a message quotes.
func shorten(p []byte) []byte {
	if len(p) > 64 {
		return p[:64]
	}
	return p
}

// streams reports whether the call is for an event that may pass, of an operation whose whole
// answers are a RESULT.
func (c *collector) streams() bool { return c.op.Streams() && (c.in == inEvent || c.in == inEvents) }

// chats reports whether the operation's answers are texts, in choices.
func (c *collector) chats() bool { return c.op == abi.Chat || c.op == abi.Completions }
