package responses

import (
	"strconv"

	"github.com/kai-gateway/kai/host/facts"
)

// itemKind is what an output item is.
type itemKind uint8

const (
	textItem       itemKind = iota // a message
	refusalItem                    // a message, too, with a refusal instead of a text
	reasoningItem                  // the text of the reasoning, or what is sealed, or both
	callItem                       // a call of a tool
	compactionItem                 // the summary of a conversation, sealed
)

// The values of an item's status, and of a response's.
const (
	statusInProgress = "in_progress"
	statusCompleted  = "completed"
	statusIncomplete = "incomplete"
	statusFailed     = "failed"
)

// outputItem is one item of an answer.
type outputItem struct {
	kind  itemKind
	id    string
	index int    // output_index
	place string // the fields of its events that say which item they are about
	delta string // the same, up to the text of a delta

	// status is completed or incomplete once the item is done, "" before. A call that was
	// cut off never gets one.
	status string
	doneAt int // the number of the event that said so

	// text is the inside of a JSON string literal: the text, the refusal, the summary of
	// the reasoning, the arguments of a call. A call that is done has in it what its item
	// shows instead, see resolve.
	text     []byte
	logprobs []byte // of a message: elements of an array
	sealed   string // encrypted_content; "": none

	callID string // of a call
	tool   tool
	bare   bool // a call whose arguments the model has not begun
}

// newOutputItem returns an item of a response, in progress. Its id has the random part of the
// response's, so nobody can guess it, and its index.
func newOutputItem(k itemKind, t tool, response string, index int) *outputItem {
	it := &outputItem{kind: k, tool: t, index: index}
	number := strconv.Itoa(index)
	it.id = it.prefix() + response + "_" + number
	it.place = `,"item_id":"` + it.id + `","output_index":` + number
	switch k {
	case textItem, refusalItem:
		it.place += `,"content_index":0`
	case reasoningItem:
		it.place += `,"summary_index":0`
	}
	it.delta = it.place + `,"delta":"`
	return it
}

// size returns about how many bytes the item has as JSON, rather too many.
func (it *outputItem) size() int {
	return itemBytes + 2*len(it.id) + len(it.text) + len(it.logprobs) + len(it.sealed) + len(it.callID) + len(it.tool.name) + len(it.tool.namespace)
}

// prefix returns what the item's id begins with.
func (it *outputItem) prefix() string {
	switch it.kind {
	case reasoningItem:
		return "rs_"
	case callItem:
		return it.tool.kind.form().prefix
	case compactionItem:
		return "cmp_"
	}
	return "msg_"
}

// typ returns the item's type.
func (it *outputItem) typ() string {
	switch it.kind {
	case reasoningItem:
		return "reasoning"
	case callItem:
		return it.tool.kind.form().typ
	case compactionItem:
		return "compaction"
	}
	return "message"
}

// appendAdded appends the item as it is when it begins.
func (it *outputItem) appendAdded(dst []byte) []byte {
	dst = it.appendHead(dst)
	switch it.kind {
	case textItem, refusalItem:
		dst = append(dst, `,"status":"in_progress","role":"assistant","content":[]`...)
	case reasoningItem:
		dst = append(dst, `,"summary":[]`...)
	case callItem:
		dst = it.appendIdentity(dst, statusInProgress)
		dst = append(dst, it.tool.kind.form().empty...)
	case compactionItem:
		dst = it.appendSealed(dst)
	}
	return append(dst, '}')
}

// appendDone appends the item as it is when it is done.
func (it *outputItem) appendDone(dst []byte) []byte {
	dst = it.appendHead(dst)
	switch it.kind {
	case textItem, refusalItem:
		dst = append(dst, `,"status":"`...)
		dst = append(dst, it.status...)
		dst = append(dst, `","role":"assistant","content":[`...)
		dst = it.appendPart(dst)
		dst = append(dst, ']')
	case reasoningItem:
		if it.status == statusIncomplete {
			dst = append(dst, `,"status":"incomplete"`...)
		}
		dst = append(dst, `,"summary":[`...)
		if len(it.text) > 0 {
			dst = it.appendPart(dst)
		}
		dst = append(dst, ']')
		dst = it.appendSealed(dst)
	case callItem:
		dst = it.appendIdentity(dst, it.status)
		form := it.tool.kind.form()
		dst = append(dst, form.open...)
		dst = append(dst, it.text...)
		dst = append(dst, form.close...)
	case compactionItem:
		dst = it.appendSealed(dst)
	}
	return append(dst, '}')
}

func (it *outputItem) appendHead(dst []byte) []byte {
	dst = append(dst, `{"id":"`...)
	dst = append(dst, it.id...)
	dst = append(dst, `","type":"`...)
	dst = append(dst, it.typ()...)
	return append(dst, '"')
}

// appendSealed appends what is sealed, if there is something.
func (it *outputItem) appendSealed(dst []byte) []byte {
	if it.sealed == "" {
		return dst
	}
	dst = append(dst, `,"encrypted_content":"`...)
	dst = append(dst, it.sealed...) // base64 needs no escapes
	return append(dst, '"')
}

// appendEmptyPart appends the one part that a message or reasoning has, without its text.
func (it *outputItem) appendEmptyPart(dst []byte) []byte {
	switch it.kind {
	case refusalItem:
		return append(dst, `{"type":"refusal","refusal":""}`...)
	case reasoningItem:
		return append(dst, `{"type":"summary_text","text":""}`...)
	}
	return append(dst, `{"type":"output_text","text":"","annotations":[],"logprobs":[]}`...)
}

// appendPart appends the one part that a message or reasoning has.
func (it *outputItem) appendPart(dst []byte) []byte {
	switch it.kind {
	case refusalItem:
		dst = append(dst, `{"type":"refusal","refusal":"`...)
		dst = append(dst, it.text...)
		return append(dst, `"}`...)
	case reasoningItem:
		dst = append(dst, `{"type":"summary_text","text":"`...)
		dst = append(dst, it.text...)
		return append(dst, `"}`...)
	}
	dst = append(dst, `{"type":"output_text","text":"`...)
	dst = append(dst, it.text...)
	dst = append(dst, `","annotations":[],"logprobs":[`...)
	dst = append(dst, it.logprobs...)
	return append(dst, "]}"...)
}

// appendIdentity appends what says which call it is, and of which tool.
func (it *outputItem) appendIdentity(dst []byte, status string) []byte {
	dst = append(dst, `,"status":"`...)
	dst = append(dst, status...)
	dst = append(dst, `","call_id":`...)
	dst = facts.AppendString(dst, it.callID)
	if !it.tool.kind.form().named {
		return dst
	}
	dst = append(dst, `,"name":`...)
	dst = facts.AppendString(dst, it.tool.name)
	if it.tool.namespace != "" {
		dst = append(dst, `,"namespace":`...)
		dst = facts.AppendString(dst, it.tool.namespace)
	}
	return dst
}
