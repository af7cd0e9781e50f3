package chat

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/sdk"
)

// mend returns the edits that a body needs; nil: none.
func (n *notes) mend(b []byte) []body.Edit {
	edits := append(n.edits, uniqueIDs(b, n.ids)...)
	if n.emptyStop {
		stop := n.spanOf(atStop)
		edits = append(edits, body.Edit{Span: stop, By: stopOf(stop.Of(b))})
	}
	for _, field := range n.noCalls {
		edits = append(edits, body.Edit{Span: body.WithComma(b, field)})
	}
	return edits
}

// stopOf returns a stop without its empty strings: null if none is left. Upstreams refuse
// an empty string, or stop at once.
func stopOf(v sdk.JSON) []byte {
	if v.Kind() != sdk.KindArray {
		return []byte("null")
	}
	var list []byte
	for it := sdk.Array(v); it.Next(); {
		if inside, ok := it.Value().RawStr(); ok && len(inside) == 0 {
			continue
		}
		list = append(append(list, ','), bytes.TrimSpace(it.Value())...)
	}
	if list == nil {
		return []byte("null")
	}
	list[0] = '['
	return append(list, ']')
}

// earlierCall is a tool call of the history.
type earlierCall struct {
	id    string // as the upstream gets it
	group int
}

// uniqueIDs gives each tool call an id of its own, as most providers demand. Some servers
// start counting again in every answer, and some clients send empty ids. A result gets the
// id of its call: of the calls last made with the result's id, that is the first one that
// has no result yet.
func uniqueIDs(b []byte, ids []callID) (edits []body.Edit) {
	if !idsRepeat(b, ids) {
		return nil
	}
	taken := make(map[string]bool, len(ids)) // ids of the client, and new ones
	for _, id := range ids {
		taken[id.text(b)] = true
	}
	used := map[string]bool{}          // by calls so far
	open := map[string][]earlierCall{} // calls without a result, by the client's id
	last := map[string]string{}        // what a client's id stood for last
	counts := map[string]int{}
	group, message := 0, 0 // of calls that were made together; the message of the last one
	for _, id := range ids {
		name := id.text(b)
		if id.result {
			message = 0 // calls that follow are new ones
			now, known := last[name]
			if calls := open[name]; len(calls) > 0 {
				i := len(calls) - 1
				for i > 0 && calls[i-1].group == calls[i].group {
					i--
				}
				now, known = calls[i].id, true
				open[name] = slices.Delete(calls, i, i+1)
			}
			if known && now != name {
				edits = append(edits, body.Edit{Span: id.Span, By: inside(now)})
			}
			last[name] = now
			if !known {
				delete(last, name)
			}
			continue
		}
		if message == 0 || id.message > message+1 {
			group++
		}
		message = id.message
		now := name
		if name == "" || used[name] {
			now = fresh(name, taken, counts)
			edits = append(edits, body.Edit{Span: id.Span, By: inside(now)})
		}
		used[now], taken[now] = true, true
		open[name] = append(open[name], earlierCall{now, group})
	}
	return edits
}

// idsRepeat reports whether two calls share an id, or a call has an empty one.
func idsRepeat(b []byte, ids []callID) bool {
	if len(ids) == 0 {
		return false
	}
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if id.result {
			continue
		}
		name := id.text(b)
		if name == "" || seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
}

// fresh makes an id that is not taken: "call_0_2" for a second "call_0".
func fresh(name string, taken map[string]bool, counts map[string]int) string {
	const longest = 32 // so that it stays below OpenAI's limit of 40 characters
	if name == "" {
		name = "call"
	}
	if len(name) > longest {
		name = name[:longest]
	}
	counts[name] = max(counts[name], 1)
	for {
		counts[name]++
		if id := name + "_" + strconv.Itoa(counts[name]); !taken[id] {
			return id
		}
	}
}

// text returns an id, decoded.
func (id callID) text(b []byte) string { return string(sdk.AppendUnquote(nil, id.Of(b))) }

// inside returns a text as it stands between the quotes of a JSON string.
func inside(text string) []byte {
	quoted := sdk.AppendQuote(nil, text)
	return quoted[1 : len(quoted)-1]
}
