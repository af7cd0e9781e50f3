package responses

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"

	"github.com/kai-gateway/kai/sdk"
)

// How many items of an input are listed at once.
const (
	usualListed = 20
	maxListed   = 100
)

// readAtOnce is how many items the store is asked for at once. A store that is elsewhere
// allocates them before they can be counted.
const readAtOnce = 16

// Input returns a list, as OpenAI's API has it, of the items of the request that a
// remembered response answered: those that the client sent, and not what came before them
// in the conversation. It reads only the items of the list, and those among which it has to
// look for after. The error is a *fault.Error, or the *memory.Error of m.
//
//   - query: limit, from 1 to 100, order, which is asc or desc, and after, the id of an item
//   - m: counts what is read while Input runs, and the list, which stays counted: its owner
//     releases m when the list was sent
func Input(ctx context.Context, s Store, owner, id string, query url.Values, m *memory.Grant) ([]byte, error) {
	w, err := readWanted(query)
	if err != nil {
		return nil, err
	}
	in := input{owned: owned{s, owner}, id: id, memory: m}
	defer in.drop(0)
	page, more, err := in.page(ctx, w)
	if err != nil {
		return nil, err
	}
	var size listing
	size.list(page, more)
	if err := m.Hold(int64(size.bytes)); err != nil {
		return nil, err
	}
	l := listing{dst: make([]byte, 0, size.bytes)}
	l.list(page, more)
	return l.dst, nil
}

// wanted is the part of a list that a client asks for.
type wanted struct {
	limit int    // how many items
	asc   bool   // what the client sent first comes first
	after string // the id of the item before the first one; "": there is none
}

// readWanted reads the query of a URL. The error is a *fault.Error.
func readWanted(query url.Values) (wanted, error) {
	w := wanted{limit: usualListed, after: query.Get("after")}
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxListed {
			return w, &fault.Error{Kind: fault.Invalid, Param: "limit", Text: "limit: must be a number from 1 to 100"}
		}
		w.limit = n
	}
	switch query.Get("order") {
	case "asc":
		w.asc = true
	case "", "desc":
	default:
		return w, &fault.Error{Kind: fault.Invalid, Param: "order", Text: "order: must be asc or desc"}
	}
	return w, nil
}

// input is the input of a remembered response while a part of it is read. Its errors are those
// of Input.
type input struct {
	owned
	id      string   // the response's
	entries sdk.JSON // the record's: items, or strings that are digests of items
	memory  *memory.Grant
	counted int64 // bytes that were read and are counted
}

// count counts what was read.
func (in *input) count(value []byte) error {
	if err := in.memory.Hold(int64(len(value))); err != nil {
		return err
	}
	in.counted += int64(len(value))
	return nil
}

// drop ends the use of what was read since counted was the count.
func (in *input) drop(counted int64) {
	in.memory.Drop(in.counted - counted)
	in.counted = counted
}

// listed is an item of a list.
type listed struct {
	item sdk.JSON // an object
	id   sdk.JSON // a string
}

// page reads the wanted items, in their order. more says that others follow.
func (in *input) page(ctx context.Context, w wanted) (page []listed, more bool, err error) {
	value, err := in.written(ctx, in.id)
	if err != nil {
		return nil, false, dialect.NotRead(err)
	}
	if err := in.count(value); err != nil {
		return nil, false, err
	}
	in.entries = sdk.JSON(value).Get("input")
	if sdk.JSON(value).Get("response") == nil {
		return nil, false, noResponse()
	}
	count := 0
	for it := sdk.Array(in.entries); it.Next(); {
		count++
	}
	from := 0 // in the list
	if w.after != "" {
		i, err := in.find(ctx, w, count)
		switch {
		case err != nil:
			return nil, false, err
		case i < 0:
			return nil, false, &fault.Error{Kind: fault.Invalid, Param: "after", Text: "after: must be the id of an item of this list"}
		case w.asc:
			from = i + 1
		default:
			from = count - i
		}
	}
	to := min(count, from+w.limit)
	first := from // in the input
	if !w.asc {
		first = count - to
	}
	items, err := in.items(ctx, in.between(first, first+to-from))
	if err != nil {
		return nil, false, err
	}
	page = make([]listed, len(items))
	for i, it := range items {
		page[i] = listed{it, in.idOf(it, first+i)}
	}
	if !w.asc {
		slices.Reverse(page)
	}
	return page, to < count, nil
}

// between returns the entries from one up to another, without that.
func (in *input) between(from, to int) []sdk.JSON {
	entries := make([]sdk.JSON, 0, to-from)
	i := 0
	for it := sdk.Array(in.entries); i < to && it.Next(); i++ {
		if i >= from {
			entries = append(entries, it.Value())
		}
	}
	return entries
}

// items reads the items of entries, and equal ones only once.
func (in *input) items(ctx context.Context, entries []sdk.JSON) ([]sdk.JSON, error) {
	items, keys := make([]sdk.JSON, len(entries)), make([]string, len(entries))
	var all []string // the keys, each once
	for i, entry := range entries {
		digest, ok := entry.Str()
		if !ok {
			if items[i] = entry; !sound(entry) {
				return nil, noResponse()
			}
			continue
		}
		if keys[i] = inputKey(digest); !slices.Contains(all, keys[i]) {
			all = append(all, keys[i])
		}
	}
	for some := range slices.Chunk(all, readAtOnce) {
		values, err := in.store.Get(ctx, in.owner, some)
		if err != nil {
			return nil, dialect.NotRead(err)
		}
		for k, value := range values {
			if !sound(value) {
				return nil, noResponse()
			}
			if err := in.count(value); err != nil {
				return nil, err
			}
			for i, key := range keys {
				if key == some[k] {
					items[i] = value
				}
			}
		}
	}
	return items, nil
}

// find returns which item has the id that is wanted, -1 if none has. If several have it, it
// is the one that comes first in the list. An id that Kai gave says which item it is. For
// any other id the items are read, a few at a time.
func (in *input) find(ctx context.Context, w wanted, count int) (int, error) {
	if i, err := strconv.Atoi(strings.TrimPrefix(w.after, in.given())); err == nil && i >= 0 && i < count && w.after == in.given()+strconv.Itoa(i) {
		items, err := in.items(ctx, in.between(i, i+1))
		if err != nil || !named(items[0]) {
			return i, err
		}
	}
	found, at := -1, 0
	before := in.counted
	some := make([]sdk.JSON, 0, readAtOnce)
	for it := sdk.Array(in.entries); at < count && (found < 0 || !w.asc); at += len(some) {
		for some = some[:0]; len(some) < readAtOnce && it.Next(); {
			some = append(some, it.Value())
		}
		items, err := in.items(ctx, some)
		if err != nil {
			return -1, err
		}
		for i, item := range items {
			if id, _ := item.Get("id").Str(); id == w.after && (found < 0 || !w.asc) {
				found = at + i
			}
		}
		in.drop(before)
	}
	return found, nil
}

// given returns what the ids begin with that items without one have in the list. The number
// of the item in the input follows.
func (in *input) given() string { return "item_" + strings.TrimPrefix(in.id, "resp_") + "_" }

// idOf returns the id, as JSON, of the item with a number.
func (in *input) idOf(item sdk.JSON, number int) sdk.JSON {
	if named(item) {
		return item.Get("id")
	}
	return sdk.AppendQuote(nil, in.given()+strconv.Itoa(number))
}

// named reports whether an item has an id of its own.
func named(item sdk.JSON) bool {
	id, _ := item.Get("id").RawStr()
	return len(id) > 0
}

// listing makes a list. Without dst it only counts the bytes of the list: never too few,
// and too many only for keys that have escapes.
type listing struct {
	dst   []byte
	bytes int
}

func (l *listing) text(s string) {
	l.bytes += len(s)
	if l.dst != nil {
		l.dst = append(l.dst, s...)
	}
}

func (l *listing) raw(v sdk.JSON) {
	l.bytes += len(v)
	if l.dst != nil {
		l.dst = append(l.dst, v...)
	}
}

func (l *listing) key(key []byte) {
	if l.dst != nil {
		l.dst = sdk.AppendQuote(l.dst, string(key))
		return
	}
	l.bytes += len(`""`) + len(key)
	for _, c := range key {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			l.bytes += len(`\u0000`) - 1
		}
	}
}

// list adds the whole list.
func (l *listing) list(page []listed, more bool) {
	l.text(`{"object":"list","data":[`)
	for i, it := range page {
		if i > 0 {
			l.text(`,`)
		}
		l.item(it)
	}
	if len(page) == 0 {
		l.text(`],"first_id":null,"last_id":null`)
	} else {
		l.text(`],"first_id":`)
		l.raw(page[0].id)
		l.text(`,"last_id":`)
		l.raw(page[len(page)-1].id)
	}
	l.text(`,"has_more":` + strconv.FormatBool(more) + `}`)
}

// item adds an item as lists have it: with an id and a type, and with the content of a
// message in parts.
func (l *listing) item(it listed) {
	l.text(`{"id":`)
	l.raw(it.id)
	if it.item.Get("type").Empty() {
		l.text(`,"type":"message"`)
	}
	role, _ := it.item.Get("role").Str()
	for f := sdk.Object(it.item); f.Next(); {
		key, v := f.Key(), f.Value()
		if string(key) == "id" || string(key) == "type" && v.Empty() {
			continue
		}
		l.text(`,`)
		l.key(key)
		l.text(`:`)
		switch {
		case string(key) != "content" || v.Kind() != sdk.KindString || role == "":
			l.raw(v)
		case role == "assistant":
			l.text(`[{"type":"output_text","text":`)
			l.raw(v)
			l.text(`,"annotations":[]}]`)
		default:
			l.text(`[{"type":"input_text","text":`)
			l.raw(v)
			l.text(`}]`)
		}
	}
	l.text(`}`)
}
