package responses

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/native"
	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/fault"
)

// The places of a request, and of an answer, that concern the gateway where a provider
// speaks this API.
const (
	anywhere       = body.First + iota
	ofTheTool      // what a tool is called with, its schema, or what is only repeated: whatever it says, it is nobody's id
	atPrivate      // what says which client asks
	atPrivateInner // the same in an item
	atID           // an id of the provider's, several of them, or an object that it keeps with its id: conversation, container, prompt
	atLink         // a link to a picture or to a file
	atRef          // previous_response_id
	atSkill        // the name of a skill, or the id of one of the account's own
	atText         // text
	atTextFormat   // text.format
	atToolList     // tools
	atTool         // tools[]
	atToolType     // tools[].type
	atToolModel    // tools[].model
	atToolSchema   // the schema of a tool
	atInnerList    // tools of an item, or of a namespace
	atInner        // one of them
	atInnerType    // its type
	atInnerModel   // its model
	atItems        // input: a list of items, or one
	atNativeItem   // input[]
	atNativeItemID // input[].id
	atNativeType   // input[].type, and role, which takes its place
	atNativeSeal   // input[].encrypted_content
	atNativeData   // input[].result
	atNativeAction // input[].action
)

// withIDs returns the node of an object with these fields, whose other fields may have ids
// in them, however deep.
func withIDs(fields ...body.Field) body.Node {
	ours := []body.Field{{Name: "skill_id", Place: atSkill}, {Name: "image_url", Place: atLink}, {Name: "file_url", Place: atLink}}
	return body.Node{Fields: slices.Concat(fields, ours, body.FieldsOfIDs(atID)), Other: anywhere, Element: anywhere}
}

// itemsNode returns the node of an item, or of a list of them, or of lists.
func itemsNode() body.Node {
	node := withIDs(
		body.Field{Name: "id", Place: atNativeItemID}, body.Field{Name: "type", Place: atNativeType}, body.Field{Name: "role", Place: atNativeType},
		body.Field{Name: "encrypted_content", Place: atNativeSeal}, body.Field{Name: "result", Place: atNativeData},
		body.Field{Name: "arguments", Place: ofTheTool}, body.Field{Name: "action", Place: atNativeAction},
		body.Field{Name: "tools", Place: atInnerList}, body.Field{Name: "internal_chat_message_metadata_passthrough", Place: atPrivateInner}, // Codex's
	)
	node.Element = atNativeItem
	return node
}

// idNode returns the node of something that a provider keeps.
func idNode() body.Node {
	node := withIDs(body.Field{Name: "id", Place: atID})
	node.Element = atID
	return node
}

// nativeForm is the form of a request.
var nativeForm = native.Form{
	Grammar: body.Grammar{
		Needs: "input", Known: slices.Concat(ownFields, sameFields, native.Private()), Folds: true,
		Places: []body.Node{
			body.Top: withIDs(append(native.PrivateFields(atPrivate),
				body.Field{Name: "model", Place: body.Model}, body.Field{Name: "previous_response_id", Place: atRef},
				body.Field{Name: "metadata", Place: ofTheTool}, body.Field{Name: "conversation", Place: atID},
				body.Field{Name: "prompt", Place: atID}, body.Field{Name: "text", Place: atText},
				body.Field{Name: "tools", Place: atToolList}, body.Field{Name: "input", Place: atItems},
			)...),
			anywhere:     withIDs(),
			ofTheTool:    {Other: ofTheTool, Element: ofTheTool},
			atID:         idNode(),
			atLink:       withIDs(body.Field{Name: "url", Place: atLink}),
			atToolSchema: {Other: ofTheTool, Element: ofTheTool},
			atText:       withIDs(body.Field{Name: "format", Place: atTextFormat}),
			atTextFormat: withIDs(body.Field{Name: "schema", Place: ofTheTool}),
			atToolList:   {Element: atTool},
			atTool:       toolNode(atToolType, atToolModel),
			atInnerList:  {Element: atInner},
			atInner:      toolNode(atInnerType, atInnerModel),
			atItems:      itemsNode(),
			atNativeItem: itemsNode(),
			atNativeSeal: {},
			// What the client's own shell is called with is up to the client, as arguments
			// are.
			atNativeAction: withIDs(body.Field{Name: "env", Place: ofTheTool}),
		},
	},
	Roles: native.Roles{
		atPrivate: native.Cut, atPrivateInner: native.CutInside, atID: native.ID, atLink: native.Link, atRef: native.Ref, atSkill: native.Skill,
		atTool: native.Tool, atToolType: native.ToolType, atToolModel: native.ToolModel, atToolSchema: native.ToolSchema, atInnerType: native.InnerType, atInnerModel: native.InnerModel,
		atItems: native.Item, atNativeItem: native.Item, atNativeItemID: native.ItemID, atNativeType: native.ItemType, atNativeSeal: native.ItemSeal, atNativeData: native.ItemData,
	},
	Seal:   seal.Prefix,
	Refers: refers,
	At:     func(tool int, field string) string { return "tools[" + strconv.Itoa(tool) + "]." + field },
}.Indexed()

func toolNode(kind, model body.Place) body.Node {
	return withIDs(
		body.Field{Name: "type", Place: kind}, body.Field{Name: "model", Place: model}, body.Field{Name: "tools", Place: atInnerList},
		body.Field{Name: "parameters", Place: atToolSchema}, body.Field{Name: "input_schema", Place: ofTheTool}, body.Field{Name: "output_schema", Place: ofTheTool},
		body.Field{Name: "filters", Place: ofTheTool}, body.Field{Name: "headers", Place: ofTheTool},
	)
}

// refers says what the id of an item is that means nothing without what the provider keeps
// of it. References, which need neither a type nor a role, and reasoning that isn't sealed
// may be Kai's own, or of no use elsewhere. If a picture was made and its data are missing,
// the request is about that picture.
func refers(kind string, whole bool) native.Role {
	switch {
	case kind == "" || kind == "item_reference" || kind == "reasoning" && !whole:
		return native.Ref
	case kind == "image_generation_call" && !whole:
		return native.ID
	}
	return 0
}

// The places of an answer, and of its events.
const (
	inResponse = body.First + iota
	inItems
	inItem
	inType   // the type of an item
	inFound  // what the provider's interpreter made, or its search found
	inResult // one of these
	inFile   // its file
	inKept
	inParts
	inPart
	inSources
	inSource
	inID
	inOwn   // the model that answers
	inModel // the name of a model
	inOther // anything else
)

// wholeForm and eventForm are the forms of an answer, and of its events. Ids count where
// the provider gives them, and nowhere else: not in what is only repeated of the request,
// and not in what the model wrote. Otherwise a client could make anything its own.
var wholeForm, eventForm = newAnswerForm(inOwn), newAnswerForm(inModel)

// newAnswerForm returns a form. model is the place of the top level's model.
func newAnswerForm(model body.Place) native.Form {
	response := []body.Field{
		{Name: "id", Place: inID}, {Name: "output", Place: inItems}, {Name: "conversation", Place: inKept},
		{Name: "metadata"}, {Name: "tools"}, {Name: "text"}, {Name: "instructions"}, {Name: "prompt"}, {Name: "tool_choice"}, // of the request
	}
	return native.Form{
		Grammar: body.Grammar{
			Places: []body.Node{
				body.Top: {Fields: slices.Concat(response, []body.Field{
					{Name: "model", Place: model}, {Name: "response", Place: inResponse}, {Name: "item", Place: inItem}, {Name: "part", Place: inPart},
					{Name: "annotation", Place: inSource}, {Name: "data", Place: inItems},
				}), Other: inOther},
				inResponse: {Fields: slices.Concat(response, []body.Field{{Name: "model", Place: inOwn}}), Other: inOther},
				inItems:    {Element: inItem},
				inItem: {Fields: []body.Field{
					{Name: "id", Place: inID}, {Name: "container_id", Place: inID}, {Name: "environment", Place: inKept}, {Name: "content", Place: inParts},
					{Name: "type", Place: inType}, {Name: "outputs", Place: inFound}, {Name: "results", Place: inFound}, {Name: "model", Place: inModel},
					{Name: "arguments"}, {Name: "input"}, {Name: "output"}, {Name: "tools"}, {Name: "action"},
				}, Other: inOther},
				inFound:   {Element: inResult},
				inResult:  {Fields: []body.Field{{Name: "file_id", Place: inFile}}},
				inKept:    {Fields: []body.Field{{Name: "id", Place: inID}, {Name: "container_id", Place: inID}}},
				inParts:   {Element: inPart},
				inPart:    {Fields: []body.Field{{Name: "annotations", Place: inSources}}},
				inSources: {Element: inSource},
				inSource:  {Fields: []body.Field{{Name: "file_id", Place: inID}, {Name: "container_id", Place: inID}}},
				inOther:   {Fields: []body.Field{{Name: "model", Place: inModel}}, Other: inOther, Element: inOther},
			},
		},
		Roles: native.Roles{
			inID: native.ID, inItem: native.Item, inType: native.ItemType, inFile: native.ItemID, inOwn: native.Own, inModel: native.Model,
		},
		Makes: func(kind string) bool { return kind == "code_interpreter_call" || kind == "file_search_call" },
	}.Indexed()
}

// passed reads a request as it is. It returns nil for a request with something that Kai has
// sealed, because that means nothing to a provider. untranslated says why the request can't
// be translated; nil: it can.
func passed(b []byte, untranslated *fault.Error) (*dialect.Native, error) {
	q, err := native.Parse(b, &nativeForm)
	if err != nil || q.Sealed {
		return nil, err
	}
	lost := dialect.NotKept()
	if untranslated != nil && strings.HasSuffix(untranslated.Param, "id") {
		lost = untranslated // which says already that there is no such thing
	}
	ids := q.IDs
	if untranslated != nil { // else the translation names its links
		ids = slices.Concat(ids, q.Links)
	}
	return &dialect.Native{
		Size: 2 * q.Size(), IDs: ids, Unknown: dialect.NotKept(), Refs: q.Refs, Lost: lost, Billed: q.Billed(),
		Body:  func(_, mine func(string) bool) dialect.Body { return q.Mine(mine) },
		Whole: func(i dialect.Info) dialect.Passing { return native.NewWhole(i, newPassage(i, &wholeForm)) },
		Said:  nativeSaid,
	}, nil
}

// BeginNative makes the answer of an attempt at a provider that speaks this API. It returns
// nil if a response of Kai's own has already begun, because that was the one sign of life
// that all clients accept.
func (s *stream) BeginNative() dialect.Passing {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun {
		return nil
	}
	s.translated = false
	s.passing = &passing{stream: s, passage: newPassage(s.info, &eventForm)}
	s.passing.Answer = native.NewStream(s.info, s.passing.passage)
	return s.passing
}

// passing is the answer of a native attempt.
type passing struct {
	*native.Answer
	stream  *stream
	passage *passage
	shown   bool // some of it was sent: guarded by the stream's mu
}

// Sent notes that events have reached the client.
func (p *passing) Sent(dropped bool) {
	p.Answer.Sent(dropped)
	if !p.shown {
		p.stream.mu.Lock()
		p.shown = true
		p.stream.mu.Unlock()
	}
}

// keepAlive appends an event that says nothing, as OpenAI sends it, too.
func (p *passing) keepAlive(dst []byte) []byte {
	return append(dst, "event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n"...)
}

// passage passes on an answer of a provider that speaks this API. The model is the alias.
type passage struct {
	reading native.Reading
	id      string // of the response; "": not known yet
}

func newPassage(i dialect.Info, form *native.Form) *passage {
	return &passage{reading: native.Reading{Form: form, Info: i}}
}

// Watches reports whether content has to be looked at. No delta has anything in it that
// concerns the gateway.
func (p *passage) Watches(name []byte) bool { return !isDelta(name) }

// NeedsNames reports false: OpenAI's SDKs look at the type in the data.
func (*passage) NeedsNames() bool { return false }

func isDelta(name []byte) bool {
	const end = ".delta"
	return len(name) > len(end) && string(name[len(name)-len(end):]) == end
}

// Event appends an event.
func (p *passage) Event(dst, name, data []byte, plain bool) []byte {
	if p.id == "" && !isDelta(name) {
		p.id = native.Text(data, "response", "id")
	}
	return p.reading.AppendEvent(dst, data, plain)
}

// End appends nothing: the event that says that the answer is complete is the last one.
func (p *passage) End(dst []byte) []byte { return dst }

// Whole appends a whole answer.
func (p *passage) Whole(dst, data []byte) []byte { return p.reading.Append(dst, data) }
