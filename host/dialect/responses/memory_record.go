package responses

import (
	"bytes"
	"context"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

// A response is remembered as a record, with a link to the one before it, and as its items.
// Output items are kept by their ids, since clients refer to them. The key of an input item
// is a digest of it: clients that send the whole conversation with each request mostly send
// what is remembered already.
//
//	response resp_1 → {"previous":"resp_0","input":["9f86d0…",{"role":"user",…}],"output":["msg_1"],"response":{…}}
//	item msg_1      → {"id":"msg_1","type":"message",…}
//	input 9f86d0…   → {"type":"message","role":"user",…}

// Limits of what is remembered.
const (
	inRecord = 256  // bytes of an input item up to which it stands in the record itself
	maxLinks = 1024 // responses that one conversation may consist of
	maxID    = 256  // bytes of an id; Kai's are shorter
)

func responseKey(id string) string  { return "response " + id }
func itemKey(id string) string      { return "item " + id }
func inputKey(digest string) string { return "input " + digest }

// record is what is remembered of a response besides its items.
type record struct {
	previous string
	input    []sdk.JSON // items, or strings that are digests of items
	output   []string   // ids of items
	response []byte     // the object
}

// size returns about how many bytes the record has as JSON.
func (r *record) size() int {
	size := 128 + len(r.response) + 48*len(r.output)
	for _, v := range r.input {
		size += len(v) + 1
	}
	return size
}

// appendTo appends the record as JSON.
func (r *record) appendTo(dst []byte) []byte {
	dst = append(dst, `{"previous":`...)
	dst = sdk.AppendQuote(dst, r.previous)
	dst = append(dst, `,"input":[`...)
	for i, v := range r.input {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, v...)
	}
	dst = append(dst, `],"output":[`...)
	for i, id := range r.output {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = sdk.AppendQuote(dst, id)
	}
	dst = append(dst, `],"response":`...)
	return append(append(dst, r.response...), '}')
}

// readRecord reads a record; ok is false of what is none.
func readRecord(b []byte) (r record, ok bool) {
	it := sdk.Object(b)
	for it.Next() {
		switch v := it.Value(); string(it.Key()) {
		case "previous":
			r.previous, _ = v.Str()
		case "input":
			for items := sdk.Array(v); items.Next(); {
				r.input = append(r.input, items.Value())
			}
		case "output":
			for ids := sdk.Array(v); ids.Next(); {
				id, _ := ids.Value().Str()
				r.output = append(r.output, id)
			}
		case "response":
			r.response = v
		}
	}
	return r, it.Err() == nil && r.response != nil
}

// keys returns the keys of the record's items: those of the input, then those of the
// output. An input item that stands in the record itself has none, "".
func (r *record) keys() []string {
	keys := make([]string, 0, len(r.input)+len(r.output))
	for _, v := range r.input {
		key := ""
		if digest, ok := v.Str(); ok {
			key = inputKey(digest)
		}
		keys = append(keys, key)
	}
	for _, id := range r.output {
		keys = append(keys, itemKey(id))
	}
	return keys
}

// owned is what one owner has in a store. Without a store there is nothing in it.
type owned struct {
	store Store // nil: nothing is remembered
	owner string
}

// record returns the record of a response. ok is false if there is none, or not any more.
func (o owned) record(ctx context.Context, id string) (r record, ok bool, err error) {
	value, err := o.written(ctx, id)
	if value == nil {
		return record{}, false, err
	}
	r, ok = readRecord(value)
	return r, ok, nil
}

// written returns the record of a response as it was put; nil if there is none, or not any more.
func (o owned) written(ctx context.Context, id string) ([]byte, error) {
	if o.store == nil || id == "" || len(id) > maxID {
		return nil, nil
	}
	values, err := o.store.Get(ctx, o.owner, []string{responseKey(id)})
	if err != nil {
		return nil, err
	}
	return values[0], nil
}

// items returns the items of a record, input first. ok is false if one of them is not
// there any more.
func (o owned) items(ctx context.Context, r *record) (items []sdk.JSON, ok bool, err error) {
	keys := r.keys()
	values, err := o.store.Get(ctx, o.owner, keys)
	if err != nil {
		return nil, false, err
	}
	items = make([]sdk.JSON, len(keys))
	for i := range keys {
		items[i] = values[i]
		if i < len(r.input) && keys[i] == "" {
			items[i] = r.input[i]
		}
		if !sound(items[i]) {
			return nil, false, nil
		}
	}
	return items, true, nil
}

// sound reports whether a value is still an item, as it was when it was put. What is kept
// elsewhere may have been damaged there, and nothing checks it from here on.
func sound(value []byte) bool {
	v := sdk.JSON(value)
	return v.Kind() == sdk.KindObject && v.Valid() == nil && utf8.Valid(value)
}

// history returns the items of a conversation up to and with a response, oldest first.
//
//   - maxBytes: how many the items may have
//   - error: a *fault.Error if a part of it is not remembered, or it is too long
func (o owned) history(ctx context.Context, id string, maxBytes int64) ([]sdk.JSON, *fault.Error) {
	var newest [][]sdk.JSON
	count := 0
	for links := 0; id != ""; links++ {
		r, ok, err := o.record(ctx, id)
		var items []sdk.JSON
		if err == nil && ok {
			items, ok, err = o.items(ctx, &r)
		}
		switch {
		case err != nil:
			return nil, dialect.NotRead(err)
		case !ok:
			return nil, o.notFound()
		}
		for _, it := range items {
			maxBytes -= int64(len(it))
		}
		if maxBytes < 0 || links == maxLinks {
			return nil, &fault.Error{
				Kind: fault.TooLarge, Param: "previous_response_id",
				Text: "previous_response_id: the conversation so far is larger than a request may be; send a shorter one in input",
			}
		}
		newest = append(newest, items)
		count += len(items)
		id = r.previous
	}
	all := make([]sdk.JSON, 0, count)
	for i := len(newest) - 1; i >= 0; i-- {
		all = append(all, newest[i]...)
	}
	return all, nil
}

// notFound is the error of a response that is not remembered.
func (o owned) notFound() *fault.Error {
	why := "Kai does not remember this response, or not all of it any more; send the whole conversation in input"
	if o.store == nil {
		why = "Kai keeps no responses; send the whole conversation in input"
	}
	e := wrong("previous_response_id", why)
	e.Code = "previous_response_not_found"
	return e
}

// keepInput remembers the input of a request, and returns how its record refers to it.
func (o owned) keepInput(ctx context.Context, items []item) ([]sdk.JSON, error) {
	var entries []Entry
	input := make([]sdk.JSON, len(items))
	for i, it := range items {
		if len(it.raw) <= inRecord {
			input[i] = bytes.Clone(it.raw)
			continue
		}
		digest := o.store.Digest(it.raw)
		entries = append(entries, Entry{inputKey(digest), it.raw})
		input[i] = sdk.JSON(`"` + digest + `"`)
	}
	if entries == nil {
		return input, nil
	}
	return input, o.store.Put(ctx, o.owner, entries)
}

// keep remembers a finished response.
func (o owned) keep(ctx context.Context, r record, id string, response []byte, items [][]byte) {
	entries := make([]Entry, 0, len(items)+1)
	for _, it := range items {
		if itemID, ok := sdk.JSON(it).Get("id").Str(); ok {
			r.output = append(r.output, itemID)
			entries = append(entries, Entry{itemKey(itemID), it})
		}
	}
	r.response = response
	entries = append(entries, Entry{responseKey(id), r.appendTo(make([]byte, 0, r.size()))})
	// If the store can't take them, they are forgotten. The client learns that when it
	// refers to them, and the answer is good all the same.
	_ = o.store.Put(ctx, o.owner, entries)
}

// Find returns a response that is remembered, as the object that its client got. The
// error is a *fault.Error.
func Find(ctx context.Context, s Store, owner, id string) ([]byte, error) {
	r, ok, err := owned{s, owner}.record(ctx, id)
	switch {
	case err != nil:
		return nil, dialect.NotRead(err)
	case !ok:
		return nil, noResponse()
	}
	return r.response, nil
}

// Delete forgets a response and its items, and returns the object that says so. Responses
// that continue it are not found any more, either. The error is a *fault.Error.
func Delete(ctx context.Context, s Store, owner, id string) ([]byte, error) {
	r, ok, err := owned{s, owner}.record(ctx, id)
	if err == nil && ok {
		err = s.Delete(ctx, owner, append(r.keys(), responseKey(id)))
	}
	switch {
	case err != nil:
		return nil, dialect.NotRead(err)
	case !ok:
		return nil, noResponse()
	}
	out := sdk.AppendQuote([]byte(`{"id":`), id)
	return append(out, `,"object":"response","deleted":true}`...), nil
}

func noResponse() *fault.Error {
	return &fault.Error{Kind: fault.NotFound, Text: "Kai remembers no response with this id. It keeps responses only for a while, and none with store set to false."}
}
