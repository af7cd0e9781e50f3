// Package native has requests and answers that pass through the gateway as they are, because
// the provider speaks the client's API.
//
// With a [Form], a dialect that has such requests says what in them is the gateway's
// business: what is cut out, which ids are named, which tools. Everything else passes,
// known or not. With a [Passage], it says what becomes of the events of an answer.
//
// Ids of what a provider keeps for its account, such as a container, belong to the caller
// whose answer had them first. Who that is the gateway knows; this package only finds them.
package native

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/sdk"
)

// Role is what a place means to the gateway.
type Role uint8

const (
	Passed     Role = iota // nothing: it passes
	Cut                    // a field of the top level that never leaves the gateway
	CutInside              // the same of any other object, whatever is in it
	ID                     // a string: the id of something that the provider keeps
	Ref                    // a string: the id of an earlier answer, which the gateway itself may have
	Skill                  // a string: an ID if it begins with "skill_", else the name of what everybody has
	Link                   // a string: it may lead to a file of the account's
	Sealed                 // a string: if it is the gateway's own, nobody else can read it
	User                   // a field of the top level that says who the client's user is; there may be several
	Tool                   // an object: a tool
	ToolType               // its type
	ToolModel              // a model that it uses
	ToolSchema             // an object: the schema of a tool of the client's; in one of the provider's, there may be ids
	InnerType              // the same of a tool that stands anywhere but in the list of them
	InnerModel
	Item     // an object: one that the provider may have made and may keep
	ItemID   // its id
	ItemType // its type
	ItemSeal // a string of its that is Sealed
	ItemData // a string of its without which it only refers to what the provider keeps

	Own   // of an answer, a string: the model that it is from
	Model // of an answer, a string: the name of some model
)

// Roles has the role of each place.
type Roles [1 << 8]Role

// Form says what in an API's requests, or in its answers, concerns the gateway. Every
// string at one of its places that is long goes by reference, so its places should reach
// everything: see [body.Node]. Only what Indexed returns can be used.
type Form struct {
	Grammar body.Grammar
	Roles   Roles

	// Seal is what strings begin with that the gateway itself has sealed.
	Seal string

	// Refers says what the id of an Item is, by its type, if the item means nothing without
	// what the provider keeps of it: a Ref, or an ID if a translation would lose what it is
	// about; else 0. whole says that the item also has what the provider has sealed, or its
	// data. Default: 0.
	Refers func(kind string, whole bool) Role

	// Makes reports for an answer whether the provider made what stands in an Item of a
	// type. Default: it made nothing.
	Makes func(kind string) bool

	// At returns the path of a field of a tool, as this API writes it. Default:
	// tools.0.type.
	At func(tool int, field string) string

	naming [][]byte // the keys of ids and of models, with their quotes
	keyed  bool     // these can stand at no other key
}

// Indexed returns the form, ready to be used. A scan then tells of each place what its role
// needs.
func (f Form) Indexed() Form {
	f.Grammar.Places = slices.Clone(f.Grammar.Places)
	f.naming, f.keyed = nil, !f.Grammar.Folds
	for at := range f.Grammar.Places {
		node := &f.Grammar.Places[at]
		node.Only = f.Roles[at].needs()
		f.keyed = f.keyed && !f.Roles[node.Other].names() && !f.Roles[node.Element].names()
		for _, field := range node.Fields {
			if f.Roles[field.Place].names() {
				f.naming = append(f.naming, []byte(strconv.Quote(field.Name)))
			}
		}
	}
	slices.SortFunc(f.naming, bytes.Compare)
	f.naming = slices.CompactFunc(f.naming, bytes.Equal)
	f.Grammar = f.Grammar.Indexed()
	return f
}

// names reports whether a string with a role is the id of something in an answer, or names a model.
func (r Role) names() bool { return r == ID || r == ItemID || r == Own || r == Model }

// needs returns what must be told of a value with a role: any string, since it may be long, and
// perhaps more.
func (r Role) needs() body.Interest {
	switch r {
	case Tool, ToolSchema, Item:
		return body.Strings | body.Bounds
	case CutInside:
		return body.Strings | body.Others | body.Bounds
	case Cut, User, ToolType, ToolModel, InnerType, InnerModel, ItemType:
		return body.Strings | body.Others
	}
	return body.Strings
}

// longText is how many bytes a string has from which on it goes by reference.
const longText = 1 << 10

// Request is a client's request as it came. It never changes, and is safe for concurrent
// use.
type Request struct {
	body.Doc
	IDs    []string // which it names, each once
	Refs   []string // of earlier answers and their items, each once
	Links  []string // to files that a provider keeps, each once: a translation has them, too
	Sealed bool     // there is something in it that only the gateway can read

	form   *Form
	tools  []tool
	models []int       // tools that have a model
	items  []namedItem // those with an id
	named  int64       // bytes of IDs, Refs and Links
	users  []body.Span // the fields that say who the user is, with their keys
}

// tool is the type of a tool, and its number; below 0: it is in no list.
type tool struct {
	number int
	kind   string // folded
}

// namedItem is where the id of an item stands, with its key.
type namedItem struct {
	id string
	at body.Span
}

// Parse checks the body of a request and finds what concerns the gateway. The Request keeps
// b, which must not change from then on.
//
//   - error: a *fault.Error
func Parse(b []byte, f *Form) (*Request, error) {
	r := &Request{form: f}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	n := notes{form: f, body: b}
	if err := r.Scan(b, &f.Grammar, &n); err != nil {
		return nil, err
	}
	cuts := make([]body.Edit, len(n.cuts))
	for i, field := range n.cuts {
		cuts[i].Span = body.WithComma(r.Whole(), field)
	}
	r.Mend(cuts)
	r.IDs, r.Refs, r.Links, r.Sealed = n.ids.All(), n.refs.All(), n.links.All(), n.sealed
	r.named = n.ids.Size() + n.refs.Size() + n.links.Size()
	r.tools, r.models, r.items, r.users = n.tools, n.models, n.items, n.users
	return r, nil
}

// Size returns how many bytes the Request keeps besides the body.
func (r *Request) Size() int64 {
	size := r.Doc.Size()
	if len(r.items) > 0 { // Mine may copy the body without them
		size += int64(len(r.Whole()) + len(r.items)*itemBytes)
	}
	size += int64(len(r.tools)*toolBytes + len(r.models)*modelBytes)
	return size + r.named
}

// What is kept of a tool, and of a model.
const (
	toolBytes  = 32
	modelBytes = 8
)

// itemBytes is about what is kept of an item's id.
const itemBytes = 96

// IDs returns the ids in an answer, or an event of one, which is an object of valid JSON, each
// once.
func IDs(b []byte, f *Form) []string {
	var ids body.IDs
	body.Visit(b, &f.Grammar, func(at body.Place, v sdk.JSON) {
		if f.Roles[at] == ID {
			ids.AddValue(v)
		}
	}, nil)
	return ids.All()
}

// notes are what a scan finds.
type notes struct {
	form   *Form
	body   []byte // of a request
	cuts   []body.Span
	from   int // where the container begins that is being cut
	ids    body.IDs
	refs   body.IDs
	links  body.IDs
	sealed bool
	tool   int // the number of the next one
	tools  []tool
	models []int
	users  []body.Span

	schemas []body.Span // of the tools that are being read
	tooled  int         // where in tools these begin

	items []namedItem
	first int      // where in items those of the item begin that is being read
	kinds []string // its types: one, unless somebody tries something
	whole bool     // it has something sealed, or its data
}

// Begin counts the tools, and begins an item, a schema, or what is cut.
func (n *notes) Begin(at body.Place, i int) {
	switch n.form.Roles[at] {
	case Tool:
		n.tool++
	case CutInside, ToolSchema:
		n.from = i
	case Item:
		n.first, n.kinds, n.whole = len(n.items), n.kinds[:0], false
	}
}

// End ends what is cut, or an item. The id of an item that only refers is a reference, and
// that of any other can be left out.
func (n *notes) End(at body.Place, i int) {
	switch n.form.Roles[at] {
	case CutInside:
		n.cuts = append(n.cuts, body.Span{From: keyBefore(n.body, n.from), To: i})
	case ToolSchema:
		n.schemas = append(n.schemas, body.Span{From: n.from, To: i})
	case Tool:
		n.endTools()
	case Item:
		n.endTools()
		n.endItem()
	}
}

// endTools ends a tool, or an item that has some. The schema of a tool that isn't the
// client's own may name what the provider keeps.
func (n *notes) endTools() {
	if slices.ContainsFunc(n.tools[n.tooled:], func(t tool) bool { return t.kind != "function" && t.kind != "custom" && t.kind != "namespace" }) {
		for _, schema := range n.schemas {
			n.ids.AddAll(schema.Of(n.body))
		}
	}
	n.schemas, n.tooled = n.schemas[:0], len(n.tools)
}

// keyBefore returns where the key begins whose value begins at i. No key that is cut has a
// quote in it.
func keyBefore(b []byte, i int) int {
	end := bytes.LastIndexByte(b[:i], '"')
	return bytes.LastIndexByte(b[:end], '"')
}

func (n *notes) endItem() {
	if n.form.Refers == nil || len(n.items) == n.first {
		return
	}
	var role Role
	if len(n.kinds) == 0 {
		role = n.form.Refers("", n.whole)
	}
	for _, kind := range n.kinds {
		if r := n.form.Refers(kind, n.whole); role != ID && r != 0 {
			role = r
		}
	}
	if role == 0 {
		return
	}
	for _, it := range n.items[n.first:] {
		if role == ID {
			n.ids.Add(it.id)
		} else {
			n.refs.Add(it.id)
		}
	}
	n.items = n.items[:n.first]
}

// Value notes a value with a role, and returns what goes by reference of any other value.
func (n *notes) Value(at body.Place, b []byte, value body.Span, key int) (long body.Span) {
	field := body.Span{From: key, To: value.To}
	text := value.Of(b)
	switch n.form.Roles[at] {
	case Cut:
		n.cuts = append(n.cuts, field)
		return body.Span{}
	case CutInside:
		if text[0] != '{' && text[0] != '[' { // else its end comes, too
			n.cuts = append(n.cuts, field)
		}
		return body.Span{}
	case ID:
		n.ids.AddValue(text)
		return body.Span{}
	case Ref:
		n.refs.AddValue(text)
		return body.Span{}
	case Skill:
		if id, ok := sdk.JSON(text).Str(); ok && strings.HasPrefix(id, "skill_") {
			n.ids.Add(id)
		}
		return body.Span{}
	case ItemID:
		if id, ok := sdk.JSON(text).Str(); ok {
			n.items = append(n.items, namedItem{id, field})
		}
		return body.Span{}
	case ItemType:
		kind, _ := sdk.JSON(text).Str()
		n.kinds = append(n.kinds, kind)
		return body.Span{}
	case ItemSeal:
		n.whole = n.whole || text[0] == '"'
		n.seal(text)
	case ItemData:
		n.whole = n.whole || text[0] == '"' && len(text) > len(`""`)
	case Link:
		n.links.AddLink(text)
	case Sealed:
		n.seal(text)
	case ToolType, InnerType:
		number := n.tool - 1
		if n.form.Roles[at] == InnerType {
			number = -1
		}
		kind, _ := sdk.JSON(text).Str()
		n.tools = append(n.tools, tool{number, string(body.Fold([]byte(kind)))})
		return body.Span{}
	case ToolModel:
		if text[0] != 'n' {
			n.models = append(n.models, n.tool-1)
		}
	case InnerModel:
		if text[0] != 'n' {
			n.models = append(n.models, -1)
		}
	case User:
		n.users = append(n.users, field)
	}
	if text[0] == '"' && len(text) > longText {
		return body.Span{From: value.From + 1, To: value.To - 1}
	}
	return body.Span{}
}

// seal notes whether a string is what the gateway has sealed.
func (n *notes) seal(text []byte) {
	n.sealed = n.sealed || text[0] == '"' && bytes.HasPrefix(text[1:], []byte(n.form.Seal))
}

// Anonymous returns the request without the fields that say who its user is.
func (r *Request) Anonymous() dialect.Body {
	if len(r.users) == 0 {
		return r
	}
	left := *r
	left.Doc, left.users = r.Doc.Without(r.users...), nil
	return &left
}

// Mine returns the request without the ids of items that are not the caller's where it is
// sent. The request itself says what such an item is.
func (r *Request) Mine(mine func(id string) bool) dialect.Body {
	var others []body.Span
	for _, it := range r.items {
		if !mine(it.id) {
			others = append(others, it.at)
		}
	}
	if others == nil {
		return r
	}
	left := *r
	left.Doc = r.Doc.Without(others...)
	return &left
}

// Without returns the request itself: what a client sends natively is no wish.
func (r *Request) Without(string) dialect.Body { return r }

// Conversation returns "": the chat form decides what depends on it.
func (r *Request) Conversation() string { return "" }

// User returns "", for the same reason.
func (r *Request) User() string { return "" }

// Tokens estimates how many tokens the request has: a quarter of its bytes.
func (r *Request) Tokens() int64 { return int64(len(r.Whole()) / 4) }

// MaxOutput is [dialect.Body]. It returns 0: the usual length of answers is the better
// guess, since clients of Messages must always state a limit.
func (*Request) MaxOutput() int64 { return 0 }

// Asks returns the first part of the request by which it asks for one of the fields, or for
// a tool whose type begins with one of tools or that names a model; "" if there is none.
// Fields and tools that are known to choose count, too.
func (r *Request) Asks(fields, tools []string) string {
	if field := cmp.Or(r.Has(fields), r.Has(choosingFields)); field != "" {
		return field
	}
	prefixes := slices.Concat(tools, choosingTools)
	for i, prefix := range prefixes {
		prefixes[i] = string(body.Fold([]byte(prefix)))
	}
	for _, t := range r.tools {
		if t.beginsWith(prefixes) {
			return r.at(t.number, "type")
		}
	}
	if len(r.models) > 0 {
		return r.at(r.models[0], "model")
	}
	return ""
}

func (t *tool) beginsWith(prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(t.kind, p) })
}

// Billed returns the place of the type of the first tool that a provider runs and bills
// apart from tokens; "" if there is none. A shell counts only if its environment is the
// provider's.
func (r *Request) Billed() string {
	for _, t := range r.tools {
		if t.beginsWith(billedTools) || strings.HasPrefix(t.kind, "shell") && (t.number < 0 || r.isHosted(t.number)) {
			return r.at(t.number, "type")
		}
	}
	return ""
}

// isHosted reports whether a tool in the list has an environment that isn't local.
func (r *Request) isHosted(number int) bool {
	tools := sdk.Array(sdk.JSON(r.Whole()).Get("tools"))
	for n := 0; tools.Next(); n++ {
		if n != number {
			continue
		}
		for f := sdk.Object(tools.Value()); f.Next(); {
			if v := f.Value(); string(body.Fold(f.Key())) == "environment" && v.Kind() == sdk.KindObject {
				if kind, _ := v.Get("type").Str(); kind != "local" {
					return true
				}
			}
		}
		return false
	}
	return false
}

// at returns the path of a field of a tool.
func (r *Request) at(tool int, field string) string {
	switch {
	case tool < 0:
		return "tools"
	case r.form.At != nil:
		return r.form.At(tool, field)
	}
	return "tools." + strconv.Itoa(tool) + "." + field
}
