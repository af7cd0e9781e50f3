package passing

import (
	"math/bits"

	"github.com/kai-gateway/kai/sdk"
)

// glance is what an event says that begins or ends an answer, or a part of one: the values
// of the fields that count, each in its slot. A slot is nil if there is no value, or an
// object or an array.
type glance [slots]sdk.JSON

const (
	status  = iota // of a response
	failure        // its error
	reason         // why it isn't complete, or why a message ended
	call           // the type of an item that is a call of a tool, if there is one
	begun          // the type of the item, or the block, that begins
	input          // tokens, the next ones too
	output
	total
	cached
	written // to the cache
	thought
	cost // in dollars, as OpenRouter says it
	slots

	nothing   // a value that says nothing
	elsewhere // a value with which a glance is not enough
)

// place is an object or an array in which a glance looks for something.
type place uint8

const (
	nowhere place = iota

	ofEnd // the event that ends a response
	inResponse
	inReason // incomplete_details
	inOutput
	inItem // of the output
	inUsage
	inPrompt   // the details of the tokens of the prompt
	inThoughts // and those of the answer

	ofStart // the event that begins a message
	inMessage
	ofDelta // the event that says why a message ended
	inDelta
	inTokens   // the usage of a message
	inThinking // the details of its output

	ofItem  // the event that begins an item of a response
	ofBlock // and that of a message's block
	inBegun // the item, or the block
	places

	unread // an object or an array with which a glance is not enough
)

// known is a field that counts.
type known struct {
	name uint64 // its fingerprint
	text string // the name itself
	slot uint8  // of its value
	to   place  // that it leads to, if it is an object or an array
}

// tree has what counts in the places. An element of an array has no name.
var tree = [places][]known{
	ofEnd: {field("response", elsewhere, inResponse)},
	inResponse: {
		field("status", status, nowhere), field("error", failure, unread), field("incomplete_details", nothing, inReason),
		field("output", nothing, inOutput), field("usage", nothing, inUsage),
	},
	inReason: {field("reason", reason, nowhere)},
	inOutput: {{slot: nothing, to: inItem}},
	inItem:   {field("type", call, nowhere)},
	inUsage: {
		field("input_tokens", input, nowhere), field("output_tokens", output, nowhere), field("total_tokens", total, nowhere), field("cost", cost, nowhere),
		field("input_tokens_details", nothing, inPrompt), field("output_tokens_details", nothing, inThoughts),
	},
	inPrompt:   {field("cached_tokens", cached, nowhere), field("cache_write_tokens", written, nowhere)},
	inThoughts: {field("reasoning_tokens", thought, nowhere)},

	ofStart:   {field("message", nothing, inMessage)},
	inMessage: {field("usage", nothing, inTokens)},
	ofDelta:   {field("delta", nothing, inDelta), field("usage", nothing, inTokens)},
	inDelta:   {field("stop_reason", reason, nowhere)},
	inTokens: {
		field("input_tokens", input, nowhere), field("output_tokens", output, nowhere), field("cache_creation_input_tokens", written, nowhere),
		field("cache_read_input_tokens", cached, nowhere), field("cost", cost, nowhere), field("output_tokens_details", nothing, inThinking),
	},
	inThinking: {field("thinking_tokens", thought, nowhere)},

	ofItem:  {field("item", nothing, inBegun)},
	ofBlock: {field("content_block", nothing, inBegun)},
	inBegun: {field("type", begun, nowhere)},
}

// lengths has a bit for each length that a name has in a place, so that few others are looked up.
var lengths = func() (all [places]uint32) {
	for at, fields := range tree {
		for _, f := range fields {
			all[at] |= 1 << (len(f.text) & 31)
		}
	}
	return all
}()

func field(name string, slot uint8, to place) known {
	return known{fingerprint([]byte(name+"        "), 0, len(name)), name, slot, to}
}

// fingerprint identifies the name that begins at from and ends before to: by its first
// eight bytes, its last eight, and its length. b must go on for eight bytes from where the
// name begins.
func fingerprint(b []byte, from, to int) uint64 {
	n := to - from
	if n < 8 {
		return word(b[from:])<<(64-8*uint(n)) ^ uint64(n)
	}
	return word(b[from:]) ^ bits.RotateLeft64(word(b[to-8:]), 13) ^ uint64(n)
}

// read reads an event. It trusts that the event is JSON, which the gateway checks. It is one short
// piece of code, because it runs only a few times in a stream, when nothing of it is in the
// processor's caches: a reader of any JSON takes several times as long then.
//
//   - of: which event it is
//   - ok: false if it is written as no provider writes it. Then the glance is worthless.
func (g *glance) read(b []byte, of place) (ok bool) {
	var open [8]place
	depth, skipped := 0, 0 // skipped: how many are open in which nothing is looked for
	f := &known{slot: elsewhere, to: of}
	for i := 0; i < len(b); {
		from := i
		switch c := b[i]; c {
		case '{', '[':
			i++
			switch {
			case skipped == 0 && f != nil && (f.to == unread || f.slot == elsewhere && c == '['):
				return false
			case skipped > 0 || f == nil || f.to == nowhere || (c == '[') != (f.to == inOutput):
				skipped++
			default:
				depth++
				open[depth&7] = f.to
				f = element(f.to)
			}
		case '}', ']':
			i++
			if skipped > 0 {
				skipped--
			} else if depth--; depth <= 0 {
				return depth == 0 && i == len(b)
			}
		case ',':
			i++
			if skipped == 0 {
				f = element(open[depth&7])
			}
		case ' ', '\n', '\r', '\t':
			i++
		case '"':
			end, escaped := i+1, false
			for ; end+8 <= len(b); end += 8 {
				if stop := stops(word(b[end:])); stop != 0 {
					end += bits.TrailingZeros64(stop) / 8
					break
				}
			}
			if end >= len(b) || b[end] != '"' { // which spares nearly all strings the call
				end, escaped = stringEnd(b, end)
			}
			if i = end + 1; i >= len(b) {
				return false
			}
			switch next := b[i]; {
			case next == ':':
				i++
				if skipped > 0 {
					continue
				}
				if escaped || from+9 > len(b) {
					return false
				}
				if f = nil; lengths[open[depth&7]]>>((end-from-1)&31)&1 == 1 {
					f = find(tree[open[depth&7]], b[from+1:end], fingerprint(b, from+1, end))
				}
			case next != ',' && next != '}' && next != ']':
				return false
			case skipped == 0 && f != nil:
				if done, ok := g.take(f, b[from:i]); done {
					return ok
				}
			}
		default:
			for i++; i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] > ' '; {
				i++
			}
			if skipped == 0 && f != nil {
				if done, ok := g.take(f, b[from:i]); done {
					return ok
				}
			}
		}
	}
	return false
}

// take notes a string, a number or a literal that a field has. done says that nothing more is to be
// read: because the rest of the event says nothing (ok), or because a glance is not enough. Within
// read it would cost more than a call, since all that is read goes through that function's jumps.
//
//go:noinline
func (g *glance) take(f *known, v sdk.JSON) (done, ok bool) {
	isString := v[0] == '"'
	switch {
	case f.slot == elsewhere:
		return true, false
	case f.slot == begun && isString:
		g[begun] = v
		return true, true
	case f.slot < slots && (f.slot != call || isString && isCall(v)):
		g[f.slot] = v
	}
	return false, false
}

// find returns the field with a name; nil if it doesn't count. What a fingerprint leaves out of a
// long name is compared, too.
func find(fields []known, name []byte, print uint64) *known {
	for i := range fields {
		if f := &fields[i]; f.name == print && (len(name) <= 16 || f.text == string(name)) {
			return f
		}
	}
	return nil
}

// element returns what an element of an array is; nil for the fields of an object, which are known
// by their names.
func element(in place) *known {
	if in == inOutput {
		return &tree[inOutput][0]
	}
	return nil
}

// stops returns the high bit of each byte of a word that is a quote or a backslash. Only the lowest
// of them is sure to be one.
func stops(w uint64) uint64 {
	const (
		low  = 0x0101010101010101
		high = 0x8080808080808080
	)
	quote, backslash := w^low*'"', w^low*'\\'
	return ((quote-low)&^quote | (backslash-low)&^backslash) & high
}

// stringEnd returns the index of the quote that ends a string, or else len(b), and whether there are
// escapes before it. i is where to begin: behind the string's first quote, or behind more of it.
func stringEnd(b []byte, i int) (end int, escaped bool) {
	for {
		for ; i+8 <= len(b); i += 8 {
			if stop := stops(word(b[i:])); stop != 0 {
				i += bits.TrailingZeros64(stop) / 8
				break
			}
		}
		for i < len(b) && b[i] != '"' && b[i] != '\\' {
			i++
		}
		if i >= len(b) || b[i] == '"' {
			return min(i, len(b)), escaped
		}
		escaped = true
		i += 2
	}
}
