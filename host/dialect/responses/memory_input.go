package responses

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

// How many items of an input are listed at once.
const (
	usualListed = 20
	maxListed   = 100
)

// Input returns a list, as OpenAI's API has it, of the items of the request that a remembered
// response answered: those that the client sent, and not what went before them in the
// conversation. The error is a *fault.Error.
//
//   - query: limit, from 1 to 100, order, which is asc or desc, and after, the id of an item
func Input(ctx context.Context, s Store, owner, id string, query url.Values) ([]byte, error) {
	limit, order := usualListed, query.Get("order")
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxListed {
			return nil, &fault.Error{Kind: fault.Invalid, Param: "limit", Text: "limit: must be a number from 1 to 100"}
		}
		limit = n
	}
	if order != "" && order != "asc" && order != "desc" {
		return nil, &fault.Error{Kind: fault.Invalid, Param: "order", Text: "order: must be asc or desc"}
	}
	o := owned{s, owner}
	r, ok, err := o.record(ctx, id)
	var items []sdk.JSON
	if err == nil && ok {
		items, ok, err = o.items(ctx, &record{input: r.input})
	}
	switch {
	case err != nil:
		return nil, dialect.NotRead(err)
	case !ok:
		return nil, noResponse()
	}
	ids := make([]string, len(items))
	for i, it := range items {
		if ids[i], _ = it.Get("id").Str(); ids[i] == "" {
			ids[i] = "item_" + strings.TrimPrefix(id, "resp_") + "_" + strconv.Itoa(i)
		}
	}
	if order != "asc" {
		slices.Reverse(items)
		slices.Reverse(ids)
	}
	from := 0
	if after := query.Get("after"); after != "" {
		if from = slices.Index(ids, after) + 1; from == 0 {
			return nil, &fault.Error{Kind: fault.Invalid, Param: "after", Text: "after: must be the id of an item of this list"}
		}
	}
	to := min(len(items), from+limit)
	return appendList(nil, items[from:to], ids[from:to], to < len(items)), nil
}

// appendList appends a list of items, which have these ids.
func appendList(dst []byte, items []sdk.JSON, ids []string, more bool) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i, it := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendListed(dst, it, ids[i])
	}
	dst = append(dst, `],"first_id":`...)
	if len(ids) == 0 {
		dst = append(dst, `null,"last_id":null`...)
	} else {
		dst = append(sdk.AppendQuote(dst, ids[0]), `,"last_id":`...)
		dst = sdk.AppendQuote(dst, ids[len(ids)-1])
	}
	return append(strconv.AppendBool(append(dst, `,"has_more":`...), more), '}')
}

// appendListed appends an item as lists have it: with an id and a type, and what a message says
// in parts.
func appendListed(dst []byte, it sdk.JSON, id string) []byte {
	dst = sdk.AppendQuote(append(dst, `{"id":`...), id)
	if it.Get("type").Empty() {
		dst = append(dst, `,"type":"message"`...)
	}
	role, _ := it.Get("role").Str()
	for f := sdk.Object(it); f.Next(); {
		key, v := string(f.Key()), f.Value()
		if key == "id" || key == "type" && v.Empty() {
			continue
		}
		dst = append(sdk.AppendQuote(append(dst, ','), key), ':')
		switch {
		case key != "content" || v.Kind() != sdk.KindString || role == "":
			dst = append(dst, v...)
		case role == "assistant":
			dst = append(append(append(dst, `[{"type":"output_text","text":`...), v...), `,"annotations":[]}]`...)
		default:
			dst = append(append(append(dst, `[{"type":"input_text","text":`...), v...), `}]`...)
		}
	}
	return append(dst, '}')
}
