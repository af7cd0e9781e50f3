package request

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"

	"github.com/kai-gateway/kai/sdk"
)

// edit replaces a range of bytes by others.
type edit struct {
	span
	by []byte
}

// mend returns the edits of a body that has something to mend; else nil.
func mend(body []byte, o outline) []edit {
	edits := append(o.media, uniqueIDs(body, o.ids)...)
	if o.emptyStop {
		edits = append(edits, edit{o.stop, stopOf(o.stop.of(body))})
	}
	for _, field := range o.noCalls {
		edits = append(edits, edit{span: withComma(body, field)})
	}
	return edits
}

// withComma returns the span of a field with the comma that goes with it.
func withComma(body []byte, field span) span {
	isSpace := func(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }
	end := field.to
	for isSpace(body[end]) {
		end++
	}
	if body[end] == ',' {
		return span{field.from, end + 1}
	}
	start := field.from - 1
	for isSpace(body[start]) {
		start--
	}
	if body[start] == ',' {
		return span{start, field.to}
	}
	return field
}

// edited is a body after its edits.
type edited struct {
	body   []byte
	fields int  // where the first field begins
	model  span // the value of "model"; zero if there is none
}

// apply returns a copy of body with the edits, which it sorts. Those of one place
// keep their order.
func apply(body []byte, o outline, edits []edit) edited {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	size := len(body)
	for _, e := range edits {
		size += len(e.by) - (e.to - e.from)
	}
	out := make([]byte, 0, max(size, 0))
	var model span
	done := 0 // bytes of body that are in out
	for _, e := range edits {
		if e.from < done {
			continue // fields of one name, whose commas are the same
		}
		if o.model.from >= done && o.model.from < e.from {
			model = o.model.shift(len(out) - done)
		}
		out = append(append(out, body[done:e.from]...), e.by...)
		done = e.to
	}
	if o.model.from >= done {
		model = o.model.shift(len(out) - done)
	}
	if o.model == (span{}) {
		model = span{}
	}
	return edited{append(out, body[done:]...), o.fields.from, model}
}

// stopOf returns a stop without its empty strings: null if none is left. Upstreams refuse
// an empty string, or stop before the first word.
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

// call is a tool call of the history.
type call struct {
	id    string // as the upstream gets it
	group int
}

// uniqueIDs gives each tool call an id of its own, as most providers demand. Some servers
// start counting again in every answer, and some clients send empty ids. A result gets
// the id of its call: of the calls last made with the result's id, the first without a
// result.
func uniqueIDs(body []byte, ids []callID) (edits []edit) {
	if !idsRepeat(body, ids) {
		return nil
	}
	taken := make(map[string]bool, len(ids)) // ids of the client, and new ones
	for _, id := range ids {
		taken[id.text(body)] = true
	}
	used := map[string]bool{}   // by calls so far
	open := map[string][]call{} // calls without a result, by the client's id
	last := map[string]string{} // what a client's id stood for last
	counts := map[string]int{}
	group, message := 0, 0 // of calls that were made together; the message of the last one
	for _, id := range ids {
		name := id.text(body)
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
				edits = append(edits, edit{id.span, inside(now)})
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
			edits = append(edits, edit{id.span, inside(now)})
		}
		used[now], taken[now] = true, true
		open[name] = append(open[name], call{now, group})
	}
	return edits
}

// idsRepeat reports whether two calls share an id, or one has an empty one.
func idsRepeat(body []byte, ids []callID) bool {
	if len(ids) == 0 {
		return false
	}
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if id.result {
			continue
		}
		name := id.text(body)
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
func (id callID) text(body []byte) string { return string(sdk.AppendUnquote(nil, id.of(body))) }

// inside returns a text as it stands between the quotes of a JSON string.
func inside(text string) []byte {
	quoted := sdk.AppendQuote(nil, text)
	return quoted[1 : len(quoted)-1]
}
