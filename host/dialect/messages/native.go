package messages

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/native"
	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
)

// The places of a request that concern the gateway where a provider speaks this API.
const (
	anywhere     = body.First + iota
	ofTheTool    // what a tool is called with, or its schema: whatever it says, it is the tool's
	atPrivate    // what says which client asks
	atUser       // metadata, and user
	atTools      // tools
	atTool       // tools[]
	atToolType   // tools[].type
	atToolModel  // tools[].model
	atInnerList  // tools that stand in a message, or in another tool
	atInner      // one of them
	atInnerType  // its type
	atInnerModel // its model
	atID         // an id of the provider's, several of them, or an object that has one, as a container
	atLink       // a link to a picture or to a document
	atOutput     // output_config
	atFormat     // its format, or output_format
	atSkill      // the name of a skill, or the id of one of the account's own
	atSignature  // a signature
)

// nativeForm is the form of a request. Ids of files stand in blocks of many types, and tools in
// tool_addition: {"type":"tool_addition","tool":{"type":"tool_definition","definition":…}}.
var nativeForm = native.Form{
	Grammar: body.Grammar{
		Needs: "messages", Known: slices.Concat(known(), native.Private()), Folds: true,
		Places: []body.Node{
			body.Top: {
				Fields: append(native.PrivateFields(atPrivate),
					body.Field{Name: "model", Place: body.Model}, body.Field{Name: "metadata", Place: atUser}, body.Field{Name: "user", Place: atUser},
					body.Field{Name: "container", Place: atID}, body.Field{Name: "tools", Place: atTools},
					body.Field{Name: "output_config", Place: atOutput}, body.Field{Name: "output_format", Place: atFormat},
				),
				Other: anywhere,
			},
			anywhere:    withIDs(body.Field{Name: "tool", Place: atInner}, body.Field{Name: "tools", Place: atInnerList}, body.Field{Name: "input", Place: ofTheTool}),
			ofTheTool:   {Other: ofTheTool, Element: ofTheTool},
			atUser:      {Other: anywhere, Element: anywhere},
			atOutput:    withIDs(body.Field{Name: "format", Place: atFormat}),
			atFormat:    withIDs(body.Field{Name: "schema", Place: ofTheTool}),
			atTools:     {Element: atTool},
			atTool:      toolNode(atToolType, atToolModel),
			atInnerList: {Element: atInner},
			atInner:     toolNode(atInnerType, atInnerModel),
			atID:        idNode(),
			atLink:      {Other: anywhere, Element: anywhere},
			atSkill:     {},
			atSignature: {},
		},
	},
	Roles: native.Roles{
		atPrivate: native.Cut, atUser: native.User, atID: native.ID, atLink: native.Link, atSkill: native.Skill, atSignature: native.Sealed,
		atTool: native.Tool, atToolType: native.ToolType, atToolModel: native.ToolModel, atInnerType: native.InnerType, atInnerModel: native.InnerModel,
	},
	Seal: seal.Prefix,
}.Indexed()

// withIDs returns the node of an object with these fields, whose other fields may have ids
// in them, however deep.
func withIDs(fields ...body.Field) body.Node {
	return body.Node{
		Fields: append(fields,
			body.Field{Name: "file_id", Place: atID}, body.Field{Name: "container", Place: atID}, body.Field{Name: "skill_id", Place: atSkill},
			body.Field{Name: "signature", Place: atSignature}, body.Field{Name: "url", Place: atLink},
		),
		Other: anywhere, Element: anywhere,
	}
}

// idNode returns the node of something that a provider keeps.
func idNode() body.Node {
	node := withIDs(body.Field{Name: "id", Place: atID})
	node.Element = atID
	return node
}

// toolNode returns the node of a tool.
func toolNode(kind, model body.Place) body.Node {
	return withIDs(
		body.Field{Name: "type", Place: kind}, body.Field{Name: "model", Place: model}, body.Field{Name: "input_schema", Place: ofTheTool},
		body.Field{Name: "input_examples", Place: ofTheTool}, body.Field{Name: "definition", Place: atInner}, body.Field{Name: "tools", Place: atInnerList},
	)
}

// The places of an answer, and of its events.
const (
	inMessage   = body.First + iota
	inDelta     // what an event says of the message
	inBlocks    // content
	inBlock     // a content block
	inType      // its type
	inResult    // its content, if it is what a tool of the provider's has found
	inOutputs   // the content of that
	inOutput    // a part of it
	inFile      // the id of a file that the tool has made
	inContainer // container
	inID        // its id
	inOwn       // the model that answers
	inModel     // the name of a model
	inOther     // anything else
)

// wholeForm and eventForm are the forms of an answer, and of its events. Ids count where
// the provider gives them, and nowhere else: with what an MCP server or the model wrote, a
// client could make anything its own. What a tool is called with is up to the tool.
var wholeForm, eventForm = newAnswerForm(inOwn), newAnswerForm(inModel)

// newAnswerForm returns a form. model is the place of the top level's model.
func newAnswerForm(model body.Place) native.Form {
	container, content := body.Field{Name: "container", Place: inContainer}, body.Field{Name: "content", Place: inBlocks}
	return native.Form{
		Grammar: body.Grammar{
			Places: []body.Node{
				body.Top: {Fields: []body.Field{
					{Name: "model", Place: model}, {Name: "message", Place: inMessage}, {Name: "delta", Place: inDelta}, {Name: "content_block", Place: inBlock},
					content, container,
				}, Other: inOther},
				inMessage:   {Fields: []body.Field{{Name: "model", Place: inOwn}, content, container}, Other: inOther},
				inDelta:     {Fields: []body.Field{container}, Other: inOther},
				inBlocks:    {Element: inBlock},
				inBlock:     {Fields: []body.Field{{Name: "type", Place: inType}, {Name: "content", Place: inResult}, {Name: "input"}, {Name: "model", Place: inModel}}, Other: inOther},
				inResult:    {Fields: []body.Field{{Name: "content", Place: inOutputs}}},
				inOutputs:   {Element: inOutput},
				inOutput:    {Fields: []body.Field{{Name: "file_id", Place: inFile}}},
				inContainer: {Fields: []body.Field{{Name: "id", Place: inID}}},
				inOther:     {Fields: []body.Field{{Name: "input"}, {Name: "model", Place: inModel}}, Other: inOther, Element: inOther},
			},
		},
		Roles: native.Roles{
			inBlock: native.Item, inType: native.ItemType, inFile: native.ItemID, inID: native.ID, inOwn: native.Own, inModel: native.Model,
		},
		Makes: func(kind string) bool { return strings.HasSuffix(kind, "code_execution_tool_result") },
	}.Indexed()
}

// extOwn is the extension of adapters for Anthropic itself. Nobody else learns who the
// client's user is.
const extOwn = extNative

// passed reads a request as it is. It returns nil for a request with something that Kai has
// sealed, because that means nothing to a provider.
func (r *request) passed(b []byte, header http.Header) (*dialect.Native, error) {
	q, err := native.Parse(b, &nativeForm)
	if err != nil || q.Sealed {
		return nil, err
	}
	ids := q.IDs
	if r.Untranslated != nil { // else the translation names its links
		ids = slices.Concat(ids, q.Links)
	}
	return &dialect.Native{
		Size: 2 * q.Size(), IDs: ids, Billed: q.Billed(), Headers: clientHeaders(header), Said: nativeSaid,
		Body: func(takes, _ func(string) bool) dialect.Body {
			if takes(extOwn) {
				return q
			}
			return q.Anonymous()
		},
		Unknown: &fault.Error{
			Kind: fault.NotFound,
			Text: "The request names a container or a file that does not exist. What a provider keeps can be named only with the key that it was made with.",
		},
		Whole: func(i dialect.Info) dialect.Passing { return native.NewWhole(i, newPassage(i, &wholeForm)) },
	}, nil
}

// clientHeaders returns the headers of a client that a provider may get, as a JSON object;
// nil if there are none. They are the version of the API, which is a date, and the list of
// beta features that the client knows.
func clientHeaders(h http.Header) []byte {
	const most = 2 << 10
	betas, version := strings.Join(h["Anthropic-Beta"], ","), strings.Join(h["Anthropic-Version"], ",")
	if len(betas) > most || strings.ContainsFunc(betas, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-, ", r))
	}) {
		betas = ""
	}
	if _, err := time.Parse(time.DateOnly, version); err != nil {
		version = ""
	}
	var lines []byte
	for _, l := range [...][2]string{{"anthropic-beta", betas}, {"anthropic-version", version}} {
		if l[1] != "" {
			lines = facts.AppendString(append(facts.AppendString(append(lines, ','), l[0]), ':'), l[1])
		}
	}
	if lines == nil {
		return nil
	}
	lines[0] = '{'
	return append(lines, '}')
}

// BeginNative makes the answer of an attempt at a provider that speaks this API.
func (s *stream) BeginNative() dialect.Passing {
	return native.NewStream(s.info, newPassage(s.info, &eventForm))
}

// passage passes on an answer of a provider that speaks this API. The model is the alias.
type passage struct {
	reading native.Reading
	stopped bool // message_stop has come
}

func newPassage(i dialect.Info, form *native.Form) *passage {
	return &passage{reading: native.Reading{Form: form, Info: i}}
}

// Watches reports whether content has to be looked at. No delta has anything in it that
// concerns the gateway.
func (p *passage) Watches(name []byte) bool { return string(name) != "content_block_delta" }

// NeedsNames reports true: Anthropic's SDKs ignore an event without a name.
func (*passage) NeedsNames() bool { return true }

// Event appends an event.
func (p *passage) Event(dst, name, data []byte, plain bool) []byte {
	p.stopped = p.stopped || string(name) == "message_stop"
	return p.reading.AppendEvent(dst, data, plain)
}

// End appends the event that says that the answer is complete, if the connection broke
// before it.
func (p *passage) End(dst []byte) []byte {
	if p.stopped {
		return dst
	}
	return append(dst, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...)
}

// Whole appends a whole answer.
func (p *passage) Whole(dst, data []byte) []byte { return p.reading.Append(dst, data) }
