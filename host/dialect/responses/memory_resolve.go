package responses

import (
	"context"
	"strings"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
)

// readHistory reads what is remembered of the conversation, if the request continues one.
func (t *translation) readHistory(ctx context.Context) *fault.Error {
	previous, ok := t.fields["previous_response_id"].Str()
	if !ok {
		return nil
	}
	if previous == "" {
		return t.owned.notFound()
	}
	items, err := t.owned.history(ctx, previous, t.room)
	if err != nil {
		return err
	}
	for _, raw := range items {
		if err := t.add(raw); err != nil {
			return err
		}
		it, err := newItem(raw, inMemory)
		if err != nil {
			return err
		}
		t.history = append(t.history, it)
	}
	return nil
}

// copies is how many times what is added to a request is allocated, at most, until the
// request is read. A few bytes from a client may add a long conversation.
const copies = 4

// add counts an item that is added from memory.
func (t *translation) add(raw []byte) *fault.Error {
	t.room -= int64(len(raw))
	t.added += len(raw)
	if err := t.memory.Hold(copies * int64(len(raw))); err != nil {
		return asFault(err)
	}
	return nil
}

// maxReferences is how many references one request may have: each is looked up.
const maxReferences = 4096

// resolve returns all items of the conversation. Items that are remembered take the place
// of references to them. Reasoning that was forgotten is left out, because the conversation
// can go on without it.
func (t *translation) resolve(ctx context.Context) ([]item, *fault.Error) {
	all := t.items
	if t.history != nil {
		all = append(t.history, t.items...)
	}
	var keys []string
	var ids []string
	for i := range all {
		if it := &all[i]; it.kind == inReference {
			id, ok := t.fieldsOf(it).id.Str()
			if !ok {
				return nil, it.spot().in("id").wrong(mustBeString)
			}
			switch {
			case len(id) > maxID:
				return nil, notRemembered(it, id)
			case len(ids) == maxReferences:
				return nil, it.spot().wrong("more than 4096 references in one request")
			}
			ids, keys = append(ids, id), append(keys, itemKey(id))
		}
	}
	if keys == nil {
		return all, nil
	}
	values := make([][]byte, len(keys))
	if t.owned.store != nil {
		var err error
		if values, err = t.owned.store.Get(ctx, t.owned.owner, keys); err != nil {
			return nil, dialect.NotRead(err)
		}
	}
	resolved := make([]item, 0, len(all))
	for _, it := range all {
		if it.kind != inReference {
			resolved = append(resolved, it)
			continue
		}
		id, value := ids[0], values[0]
		ids, values = ids[1:], values[1:]
		known := sound(value)
		if !known && strings.HasPrefix(id, "rs_") {
			continue
		}
		if !known {
			if it.at == inMemory {
				return nil, t.owned.notFound()
			}
			return nil, notRemembered(&it, id)
		}
		if err := t.add(value); err != nil {
			return nil, err
		}
		if t.room < 0 {
			return nil, &fault.Error{
				Kind: fault.TooLarge, Param: it.spot().path(),
				Text: it.spot().path() + ": with what it refers to, the input is larger than a request may be; send a shorter one",
			}
		}
		own, err := newItem(value, int(it.at))
		if err != nil {
			return nil, err
		}
		resolved = append(resolved, own)
	}
	return resolved, nil
}

// notRemembered is the error of a reference to what is not there, or not any more. Its
// status and type are OpenAI's, which clients know.
func notRemembered(it *item, id string) *fault.Error {
	at := it.spot().in("id").path()
	return &fault.Error{
		Kind: fault.NotFound, Type: "invalid_request_error", Param: at,
		Text: at + ": Item" + withID(id) + " not found. Kai keeps items only for a while; with store set to false the client sends them whole.",
	}
}

func withID(id string) string {
	if name := shown(id); name != "" {
		return " with id" + name
	}
	return " with this id"
}
