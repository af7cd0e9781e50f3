package messages

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/native"
	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
)

// The places of a request, and of an answer, that are the gateway's business where a
// provider speaks this API.
const (
	anywhere    = body.First + iota
	ofTheTool   // what a tool is called with, or its schema: whatever it says, it is the tool's
	atSafeguard // safeguards
	atMetadata  // metadata
	atContainer // container
	atTools     // tools
	atTool      // tools[]
	atToolType  // tools[].type
	atID        // an id of the provider's
	atSkill     // the name of a skill, or the id of one of the account's own
	atSignature // a signature
)

// nativeForm is the form of a request. Ids of files stand in blocks of many types.
var nativeForm = native.Form{
	Grammar: body.Grammar{
		Needs: "messages", Known: nativeKnown,
		Places: nativePlaces(body.Node{
			Fields: []body.Field{
				{Name: "model", Place: body.Model}, {Name: "safeguards", Place: atSafeguard}, {Name: "metadata", Place: atMetadata},
				{Name: "container", Place: atContainer}, {Name: "tools", Place: atTools},
			},
			Other: anywhere,
		}),
	},
	Roles: map[body.Place]native.Role{
		atSafeguard: native.Cut, atMetadata: native.User, atContainer: native.ID, atID: native.ID, atSkill: native.Skill, atTool: native.Tool, atToolType: native.ToolType,
		atSignature: native.Sealed,
	},
	Seal: seal.Prefix,
}

// answerForm is the form of an answer, and of its events, as far as they have ids.
var answerForm = native.Form{
	Grammar: body.Grammar{
		Known: func([]byte) bool { return false },
		Places: nativePlaces(body.Node{
			Fields: []body.Field{{Name: "container", Place: atContainer}}, Other: anywhere,
		}),
	},
	Roles: map[body.Place]native.Role{atContainer: native.ID, atID: native.ID},
}

// nativePlaces returns the places of a form with that top.
func nativePlaces(top body.Node) []body.Node {
	return []body.Node{
		body.Top: top,
		anywhere: {
			Fields: []body.Field{{Name: "input", Place: ofTheTool}, {Name: "file_id", Place: atID}, {Name: "container", Place: atContainer}, {Name: "skill_id", Place: atSkill}, {Name: "signature", Place: atSignature}},
			Other:  anywhere, Element: anywhere,
		},
		ofTheTool:   {Other: ofTheTool, Element: ofTheTool},
		atMetadata:  {Other: anywhere, Element: anywhere},
		atContainer: {Fields: []body.Field{{Name: "id", Place: atID}}, Other: anywhere, Element: anywhere},
		atTools:     {Element: atTool},
		atTool:      {Fields: []body.Field{{Name: "type", Place: atToolType}, {Name: "input_schema", Place: ofTheTool}}, Other: anywhere, Element: anywhere},
		atID:        {},
		atSkill:     {},
		atSignature: {},
	}
}

// nativeKnown reports whether a folded name is one that must not be written in another way.
func nativeKnown(name []byte) bool { return known(name) || string(name) == "safeguards" }

// extOwn is the extension of adapters for Anthropic itself, which alone learns who the
// client's user is.
const extOwn = extNative

// passed reads a request as it is. It returns nil for one with what Kai has sealed, which is
// nothing to a provider.
func (r *request) passed(b []byte, header http.Header) (*dialect.Native, error) {
	q, err := native.Parse(b, &nativeForm)
	if err != nil || q.Sealed {
		return nil, err
	}
	return &dialect.Native{
		Size: 2 * q.Size(), IDs: q.IDs, Billed: q.Billed(), Headers: clientHeaders(header), Told: nativeTold,
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
		Whole: func(i dialect.Info) dialect.Passing { return native.NewWhole(i, &passage{info: i}) },
	}, nil
}

// clientHeaders returns those of a client's headers that a provider may get, a JSON object;
// nil if there are none. It is one: the list of features in beta that the client knows.
func clientHeaders(h http.Header) []byte {
	const most = 2 << 10
	betas := strings.Join(h["Anthropic-Beta"], ",")
	if betas == "" || len(betas) > most || strings.ContainsFunc(betas, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-, ", r))
	}) {
		return nil
	}
	return append(facts.AppendString([]byte(`{"anthropic-beta":`), betas), '}')
}

// BeginNative makes the answer of an attempt at a provider that speaks this API.
func (s *stream) BeginNative() dialect.Passing {
	return native.NewStream(s.info, &passage{info: s.info})
}

// passage passes on an answer of a provider that speaks this API. The model is the alias.
type passage struct {
	info    dialect.Info
	stopped bool // message_stop has come
}

// Watches reports whether content has to be looked at: no delta has anything that is the
// gateway's.
func (p *passage) Watches(name []byte) bool { return string(name) != "content_block_delta" }

// Event appends an event.
func (p *passage) Event(dst, name, data []byte) []byte {
	p.note(data)
	switch string(name) {
	case "message_start":
		return native.Replace(dst, data, p.info.Model, "message", "model")
	case "message_stop":
		p.stopped = true
	}
	return append(dst, data...)
}

// note notes the ids that an answer tells.
func (p *passage) note(data []byte) {
	if p.info.Made == nil || !bytes.Contains(data, []byte(`"container"`)) && !bytes.Contains(data, []byte(`"file_id"`)) {
		return
	}
	for _, id := range native.IDs(data, &answerForm) {
		p.info.Made(id)
	}
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
func (p *passage) Whole(dst, data []byte) []byte {
	p.note(data)
	return native.Replace(dst, data, p.info.Model, "model")
}
