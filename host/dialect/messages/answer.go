package messages

import (
	"crypto/rand"
	"slices"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

// answer is what both forms of an answer share: it puts the facts into content blocks. A
// whole answer keeps all blocks, and a stream only those whose end the client has not seen.
type answer struct {
	asked  requestInfo
	info   dialect.Info
	facts  *facts.Answer
	choice int // the one that clients see: the first that opened

	pieces  []piece
	current int          // of pieces: the first that has no end
	begun   int          // blocks that have begun, which is the index of the next
	waiting carried      // what came too late for its block, or without one
	cut     *seal.Detail // a part of the last thinking block that ended without its signature; nil: none
	callIDs []string     // by the calls' numbers

	refusal []byte // all of it, the inside of a string literal
	native  string // the provider's own word for why the answer ends
	finish  string // the reason, once it is final
}

// kind is the kind of a content block.
type kind uint8

const (
	ofText kind = iota + 1
	ofRefusal
	ofThinking
	ofRedacted
	ofToolUse
)

// piece is a content block, as far as something was stated that a stream has not sent.
type piece struct {
	kind  kind
	text  []byte // what it says, the inside of a string literal
	begun bool   // its beginning may not change any more
	ended bool   // nothing more can come
	shown bool   // a stream has sent its beginning

	signed // of thinking

	call     int // of a call: its number
	id, name string
	json     completeness
}

// pieceBytes is about what a block takes besides its text.
const pieceBytes = 512

// maxNative is how many bytes a provider's word for its end may have if anything depends on
// it.
const maxNative = 64

func newAnswer(a requestInfo, i dialect.Info) answer {
	return answer{asked: a, info: i, facts: facts.New(facts.Options{Memory: i.Memory, MaxHeld: i.MaxHeld})}
}

// apply adds the emissions of one adapter call.
func (a *answer) apply(ems []abi.Emission) error {
	deltas, err := a.facts.Apply(ems)
	if err != nil {
		return err
	}
	if err := a.takeAll(deltas); err != nil && !a.facts.Forgives() {
		return err
	}
	return nil
}

// end adds what the answer still lacks.
func (a *answer) end() error {
	deltas, err := a.facts.End()
	if err != nil {
		return err
	}
	return a.takeAll(deltas)
}

func (a *answer) takeAll(deltas []facts.Delta) error {
	if a.facts.Choices() > 0 {
		a.choice = a.facts.Choice(0)
	}
	for i := range deltas {
		if deltas[i].Choice == a.choice {
			if err := a.take(&deltas[i]); err != nil {
				return err
			}
		}
	}
	if a.finish != "" && !a.waiting.empty() {
		if err := a.insert(len(a.pieces), a.carrier()); err != nil {
			return err
		}
	}
	return a.advance(a.finish != "")
}

// take adds a fact. What this API has no place for, such as log probabilities, images and
// other extra fields, is dropped.
func (a *answer) take(d *facts.Delta) error {
	switch d.Kind {
	case abi.Text:
		return a.say(ofText, d.Text)
	case abi.Reasoning:
		return a.say(ofThinking, d.Text)
	case abi.Refusal:
		if err := a.keep(&a.refusal, d.Text); err != nil {
			return err
		}
		return a.say(ofRefusal, d.Text)
	case abi.ToolName:
		return a.beginCall(d)
	case abi.ToolArgs:
		return a.addArguments(d)
	case abi.ToolExtra, abi.ToolSignature:
		return a.signCall(d)
	case abi.Signature, abi.DeltaExtra:
		return a.signMessage(d)
	case abi.ReasoningDetail:
		return a.addDetail(d.Text.Data)
	case abi.StopReason:
		if len(d.Text.Data) <= maxNative {
			a.native = string(d.Text.Data)
		}
	case abi.Finish:
		a.finish = d.Name
	}
	return nil
}

// keep appends a text to a buffer that is counted.
func (a *answer) keep(b *[]byte, t facts.Text) error {
	grown, err := a.facts.Grow(*b, t.Size())
	if err != nil {
		return err
	}
	*b = t.AppendTo(grown)
	return nil
}

// say adds a text to the last block, if that is of its kind, else to a new one.
func (a *answer) say(k kind, t facts.Text) error {
	p := a.last()
	if p == nil || p.kind != k {
		var err error
		if p, err = a.open(k); err != nil {
			return err
		}
	}
	from := len(p.text)
	if err := a.keep(&p.text, t); err != nil {
		return err
	}
	if k == ofThinking {
		p.said.add(p.text[from:])
	}
	return nil
}

// last returns the last block, nil if it has ended. The result is valid until the next
// block opens.
func (a *answer) last() *piece {
	if a.current == len(a.pieces) {
		return nil
	}
	return &a.pieces[len(a.pieces)-1]
}

// open adds a block. If something waits for a place, it gets a block before that one.
func (a *answer) open(k kind) (*piece, error) {
	if a.waiting.urgent() {
		if err := a.insert(len(a.pieces), a.carrier()); err != nil {
			return nil, err
		}
	}
	if err := a.insert(len(a.pieces), piece{kind: k}); err != nil {
		return nil, err
	}
	return a.last(), nil
}

// insert adds a block at a place, and counts it.
func (a *answer) insert(i int, p piece) error {
	if err := a.facts.Hold(pieceBytes); err != nil {
		return err
	}
	a.pieces = slices.Insert(a.pieces, i, p)
	return nil
}

// beginCall opens the block of a call. Its id must be unique in the whole conversation,
// or clients take it for an earlier call.
func (a *answer) beginCall(d *facts.Delta) error {
	p, err := a.open(ofToolUse)
	if err != nil {
		return err
	}
	p.call, p.id, p.name = d.Call, d.ID, a.asked.fullName(d.Name)
	if a.asked.ids != nil && a.asked.ids(p.id) {
		p.id = "toolu_" + rand.Text()[:24]
	}
	a.callIDs = append(a.callIDs, p.id)
	return nil
}

// addArguments adds to the arguments of a call. Once their JSON has ended and another block
// has followed, the client may have run the tool with them.
func (a *answer) addArguments(d *facts.Delta) error {
	i := a.pieceOf(d.Call)
	if i < 0 {
		if isBlank(d.Text) {
			return nil
		}
		return &fault.Error{
			Kind: fault.Upstream, Code: "upstream_error",
			Text: "The model went on with a tool call after the end of its arguments.",
		}
	}
	p := &a.pieces[i]
	p.json.add(d.Text)
	return a.keep(&p.text, d.Text)
}

// pieceOf returns which block is that of a call, -1 if it has ended.
func (a *answer) pieceOf(call int) int {
	for i := len(a.pieces) - 1; i >= a.current; i-- {
		if p := &a.pieces[i]; p.kind == ofToolUse && p.call == call {
			return i
		}
	}
	return -1
}

// advance ends the blocks that others have followed, and with final all blocks. One block
// at a time is open, so what follows a call waits until the JSON of its arguments is
// complete.
func (a *answer) advance(final bool) error {
	for a.current < len(a.pieces) {
		p := &a.pieces[a.current]
		p.begun = true
		followed := a.current < len(a.pieces)-1
		if !final && (!followed || p.kind == ofToolUse && !p.json.complete()) {
			return nil
		}
		if p.kind == ofThinking {
			rest, err := a.sign(p)
			if err != nil {
				return err
			}
			if !rest.empty() {
				if err := a.insert(a.current+1, piece{kind: ofThinking, signed: signed{carried: rest, carries: true}}); err != nil {
					return err
				}
			}
		}
		a.pieces[a.current].ended = true
		a.current++
	}
	return nil
}

// Complete reports whether the answer is a success if nothing more comes, even if the
// upstream's connection broke.
func (a *answer) Complete() bool { return a.facts.Complete() }

// Usage returns what the answer cost so far, complete or not.
func (a *answer) Usage() facts.Usage { return a.facts.Usage() }

// EndMark notes that the upstream said that its answer is complete.
func (a *answer) EndMark() { a.facts.EndMark() }
