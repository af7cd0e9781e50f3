package passed

import (
	"slices"
	"strings"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Operation is an endpoint whose requests and answers are passed on.
type Operation struct {
	Op    abi.Op
	Path  string        // where it is served
	Parse dialect.Parse // reads a request
	Form  bool          // requests are forms, of type multipart/form-data, and no JSON
}

// Operations returns all there are. What is served at several paths is there for each.
func Operations() []Operation {
	all := []shape{
		{op: abi.Moderations, path: "/v1/moderations", fields: []field{
			{name: "input", needed: true, long: true, check: textOrTexts},
		}},
		// Cohere's clients ask below /v2, and those of vLLM and Text Embeddings Inference at the root.
		{op: abi.Rerank, path: "/v1/rerank", also: []string{"/v2/rerank", "/rerank"}, data: true, fields: []field{
			{name: "query", needed: true, long: true, check: textOrObject},
			{name: "documents", needed: true, long: true, check: documents, hint: "; Kai takes and answers rerank as Cohere and Jina do, where Text Embeddings Inference has texts"},
			{name: "top_n", check: atLeastNone},
		}},
		{op: abi.Images, path: "/v1/images/generations", fields: []field{
			{name: "prompt", needed: true, long: true, check: text},
			{name: "n", check: atLeastOne},
			{name: "stream", check: aBoolean, streams: isTrue},
		}},
		{op: abi.Speech, path: "/v1/audio/speech", passes: sound, fields: []field{
			{name: "input", needed: true, long: true, check: text},
			{name: "stream_format", check: audioOrSSE, streams: isSSE},
			{name: "stream", check: anything}, // some servers begin earlier with it
		}},
	}
	var operations []Operation
	for i := range all {
		s := &all[i]
		s.fields = append(s.fields, field{name: "user", check: anyText})
		if !slices.ContainsFunc(s.fields, func(f field) bool { return f.name == "stream" }) {
			s.fields = append(s.fields, field{name: "stream", check: noStream})
		}
		s.grammar = s.newGrammar()
		for _, path := range slices.Concat([]string{s.path}, s.also) {
			operations = append(operations, Operation{Op: s.op, Path: path, Parse: s.parse})
		}
	}
	return append(operations, Operation{Op: abi.Transcriptions, Path: "/v1/audio/transcriptions", Parse: parseTranscription, Form: true})
}

// shape is what there is to know of an operation's requests.
type shape struct {
	op      abi.Op
	path    string
	also    []string                                             // other paths, at which the same is served
	fields  []field                                              // those that Kai looks at, besides model
	data    bool                                                 // what is long in it is the client's own, in whatever fields, and names nothing that a provider keeps
	passes  func(mediaType string) (contentType string, ok bool) // as dialect.Request has it
	grammar body.Grammar
}

// field is a field of a request. One that is null counts as absent.
type field struct {
	name   string
	needed bool
	hint   string                         // for whoever leaves it out
	long   bool                           // a long text in it, however deep, goes by reference
	check  func(v sdk.JSON) (must string) // what the value must be; "": it is right

	streams func(v sdk.JSON) bool // whether the value asks for events; nil: none does
}

// Each field of a shape has two places: its own, and that of the elements of a list in it.
func placeOf(field int) body.Place { return body.First + body.Place(2*field) }

// below is the place of what is in a field whose long texts go by reference, and unknown
// that of what is in other fields, or of a field that Kai doesn't look at. Each of them,
// and the place after it, are those of body.NodesOfIDs.
func (s *shape) below() body.Place   { return placeOf(len(s.fields)) }
func (s *shape) unknown() body.Place { return s.below() + body.WithID + 1 }

func (s *shape) newGrammar() body.Grammar {
	g := body.Grammar{Needs: s.fields[0].name, Folds: true, Places: make([]body.Node, int(s.below()))}
	below, ids := body.NodesOfIDs(s.below()), body.NodesOfIDs(s.unknown())
	top := []body.Field{{Name: "model", Place: body.Model}}
	for i, f := range s.fields {
		node := ids[body.AnyPlace]
		if f.long {
			node = below[body.AnyPlace]
		}
		top = append(top, body.Field{Name: f.name, Place: placeOf(i)})
		node.Only = 0 // numbers and such count, too
		g.Places[placeOf(i)], g.Places[placeOf(i)+1] = node, node
		g.Places[placeOf(i)].Element = placeOf(i) + 1
	}
	g.Places[body.Top] = body.Node{Fields: slices.Concat(top, ids[body.AnyPlace].Fields), Other: s.unknown()}
	g.Places = slices.Concat(g.Places, below, ids)
	for _, f := range top {
		g.Known = append(g.Known, f.Name)
	}
	return g.Indexed()
}

func text(v sdk.JSON) string {
	if v.Kind() != sdk.KindString || len(v) == len(`""`) {
		return "must be a text that is not empty"
	}
	return ""
}

func anyText(v sdk.JSON) string {
	if v.Kind() != sdk.KindString {
		return "must be a string"
	}
	return ""
}

func textOrObject(v sdk.JSON) string {
	if v.Kind() != sdk.KindObject {
		return text(v)
	}
	return ""
}

// textOrTexts takes what listOfTexts does, or a text alone.
func textOrTexts(v sdk.JSON) string {
	if v.Kind() != sdk.KindArray {
		return text(v)
	}
	return listOfTexts(v)
}

// listOfTexts takes a list of texts or objects. What an object means only its provider
// knows.
func listOfTexts(v sdk.JSON) string {
	n := 0
	for it := sdk.Array(v); v.Kind() == sdk.KindArray && it.Next(); n++ {
		if k := it.Value().Kind(); k != sdk.KindString && k != sdk.KindObject {
			n = 0
			break
		}
	}
	if n == 0 {
		return "must be a list of texts or objects that is not empty"
	}
	return ""
}

// documents takes what listOfTexts does, or an object, with which vLLM ranks more than text.
func documents(v sdk.JSON) string {
	if v.Kind() == sdk.KindObject {
		return ""
	}
	return listOfTexts(v)
}

// atLeastNone takes 0, too, which is all of them to vLLM.
func atLeastNone(v sdk.JSON) string {
	if n, ok := v.Int(); !ok || n < 0 {
		return "must be an integer of at least 0"
	}
	return ""
}

func atLeastOne(v sdk.JSON) string {
	if n, ok := v.Int(); !ok || n < 1 {
		return "must be an integer of at least 1"
	}
	return ""
}

func audioOrSSE(v sdk.JSON) string {
	if format, _ := v.Str(); format != "audio" && format != "sse" {
		return "must be audio or sse"
	}
	return ""
}

func isSSE(v sdk.JSON) bool {
	format, _ := v.Str()
	return format == "sse"
}

func aBoolean(v sdk.JSON) string {
	if _, ok := v.Bool(); !ok {
		return "must be true or false"
	}
	return ""
}

func isTrue(v sdk.JSON) bool {
	is, _ := v.Bool()
	return is
}

func anything(sdk.JSON) string { return "" }

// sound says which content type speech may have.
func sound(mediaType string) (contentType string, ok bool) {
	switch {
	case strings.HasPrefix(mediaType, "audio/"):
		return mediaType, true
	case mediaType == "", mediaType == "application/octet-stream":
		return "application/octet-stream", true
	}
	return "", false
}

func noStream(v sdk.JSON) string {
	if stream, ok := v.Bool(); !ok || stream {
		return "must be false: the answer comes as a whole"
	}
	return ""
}
