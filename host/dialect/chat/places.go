package chat

import (
	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/sdk"
)

const (
	longText   = 1 << 10  // bytes of a string from which on it goes by reference
	maxMended  = 4096     // how many ids, how many images and how many lists of calls are looked at
	shownSpace = 64 << 10 // bytes of white space at the end of long content that stay out of the reference
)

// effort is the field that says how much a model should think. It can be left out.
const effort = "reasoning_effort"

// The places of a chat request that Kai looks at.
const (
	atMessages   = body.First + iota
	atMessage    // messages[]
	atContent    // messages[].content
	atPart       // messages[].content[]
	atText       // messages[].content[].text
	atImageURL   // messages[].content[].image_url
	atURL        // messages[].content[].image_url.url
	atAudio      // messages[].content[].input_audio
	atFile       // messages[].content[].file
	atAudioData  // messages[].content[].input_audio.data
	atFileData   // messages[].content[].file.file_data
	atToolCalls  // messages[].tool_calls
	atToolCall   // messages[].tool_calls[]
	atIDOfCall   // messages[].tool_calls[].id
	atIDOfResult // messages[].tool_call_id
	atEffort     // reasoning_effort
	atStopItem   // stop[]
	atTool       // tools[]

	// Fields of the top level that are read; see readFields.
	atTemperature
	atTopP
	atPresencePenalty
	atFrequencyPenalty
	atN
	atMaxTokens
	atMaxCompletionTokens
	atLogprobs
	atTopLogprobs
	atSeed
	atStop
	atStream
	atStore
	atStreamOptions
	atTools
	atToolChoice
	atResponseFormat

	atUnknown // what Kai knows nothing of; this place and the next are those of body.NodesOfIDs
)

// atKept is the place of what may be the id of something that a provider keeps, or have
// such an id in it.
const atKept = atUnknown + body.WithID

// grammar is the form of a chat request. Its known names are those of OpenAI's fields, which Kai
// reads and sets, and of others that shipped adapters read.
var grammar = newGrammar()

func newGrammar() body.Grammar {
	g := body.Grammar{
		Needs: "messages",
		Known: []string{
			"audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
			"max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model", "n",
			"parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key",
			"prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier", "seed",
			"service_tier", "stop", "store", "stream", "stream_options", "temperature", "tool_choice",
			"tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options",

			"cache_control", "include_reasoning", "reasoning", "thinking", "top_k",
		},
		Folds: true,
		Places: append([]body.Node{
			body.Top: withIDs(
				body.Field{Name: "model", Place: body.Model}, body.Field{Name: "messages", Place: atMessages}, body.Field{Name: effort, Place: atEffort},
				body.Field{Name: "conversation", Place: atKept}, body.Field{Name: "metadata"}, body.Field{Name: "functions"},
				body.Field{Name: "guided_json"}, body.Field{Name: "structured_outputs"}, body.Field{Name: "documents"},
			),
			atMessages: {Element: atMessage, Only: body.Strings | body.Others},
			atMessage: {
				Fields: append([]body.Field{
					{Name: "role"}, {Name: "content", Place: atContent}, {Name: "tool_calls", Place: atToolCalls},
					{Name: "tool_call_id", Place: atIDOfResult}, {Name: "audio", Place: atKept}, {Name: "name"},
					{Name: "reasoning"}, {Name: "reasoning_content"}, {Name: "reasoning_details"}, {Name: "refusal"},
					{Name: "function_call"},
				}, body.FieldsOfIDs(atKept)...),
				Other: atUnknown, Element: atUnknown, Only: body.Bounds,
			},
			atContent: listOf(atPart),
			atPart: withIDs(
				body.Field{Name: "type"}, body.Field{Name: "text", Place: atText}, body.Field{Name: "image_url", Place: atImageURL},
				body.Field{Name: "input_audio", Place: atAudio}, body.Field{Name: "file", Place: atFile},
			),
			atText:       withIDs(),
			atImageURL:   withIDs(body.Field{Name: "url", Place: atURL}),
			atURL:        withIDs(),
			atAudio:      withIDs(body.Field{Name: "data", Place: atAudioData}),
			atFile:       withIDs(body.Field{Name: "file_data", Place: atFileData}),
			atAudioData:  withIDs(),
			atFileData:   withIDs(),
			atToolCalls:  {Element: atToolCall},
			atToolCall:   {Fields: []body.Field{{Name: "id", Place: atIDOfCall}}, Only: body.Strings},
			atIDOfCall:   {Only: body.Strings},
			atIDOfResult: {Only: body.Strings},
			atEffort:     {Only: body.Strings | body.Others},
			atStopItem:   {Only: body.Strings},
			// What a tool is called with is up to the tool: see noteTool for those that
			// aren't the client's.
			atTool: withIDs(
				body.Field{Name: "type"}, body.Field{Name: "function"}, body.Field{Name: "custom"}, body.Field{Name: "parameters"}, body.Field{Name: "input_schema"},
				body.Field{Name: "input_examples"}, body.Field{Name: "headers"},
			),
			atResponseFormat: {Only: body.Strings | body.Others}, // its schema is the client's
		}, body.NodesOfIDs(atUnknown)...),
	}
	top := &g.Places[body.Top]
	for i, name := range readFields {
		at := atTemperature + body.Place(i)
		top.Fields = append(top.Fields, body.Field{Name: name, Place: at})
		if at != atResponseFormat {
			g.Places[at] = withIDs()
			g.Places[at].Only = body.Strings | body.Others
		}
	}
	g.Places[atStop] = body.Node{Element: atStopItem, Only: body.Strings | body.Others}
	g.Places[atTools] = body.Node{Element: atTool, Only: body.Strings | body.Others}
	return g.Indexed()
}

// readFields are the fields of the top level that are read, by their places from atTemperature on.
var readFields = [...]string{
	"temperature", "top_p", "presence_penalty", "frequency_penalty", "n", "max_tokens", "max_completion_tokens", "logprobs", "top_logprobs",
	"seed", "stop", "stream", "store", "stream_options", "tools", "tool_choice", "response_format",
}

// withIDs returns the node of an object with these fields, whose other fields may have ids
// in them.
func withIDs(fields ...body.Field) body.Node {
	return body.Node{Fields: append(fields, body.FieldsOfIDs(atKept)...), Other: atUnknown, Element: atUnknown, Only: body.Strings}
}

// listOf returns the node of a list whose elements have a place. Anything else in there may
// have ids in it.
func listOf(element body.Place) body.Node {
	node := withIDs()
	node.Element = element
	return node
}

// notes are a request, and what else its scan finds.
type notes struct {
	Request
	scanned
}

// scanned is what the scan finds and the Request doesn't keep.
type scanned struct {
	messages  int                                        // that have begun
	list      body.Span                                  // the value of "messages"; zero if there is none, or if it is null
	fields    [len(readFields)]struct{ from, to uint32 } // their values, in bodies of at most 1 GiB; zero if there is no such field
	ids       []callID                                   // of tool calls and results, in order
	emptyStop bool                                       // it is an empty list, or holds an empty string
	edits     []body.Edit                                // of encoded data, in order
	noCalls   []body.Span                                // fields tool_calls that hold no call, with their key
}

// callID is the id of a tool call or of a result.
type callID struct {
	body.Span      // without quotes
	result    bool // of a result
	message   int  // the message that it stands in, counted from 1
}

// Begin counts the messages.
func (n *notes) Begin(at body.Place, _ int) {
	if at == atMessage {
		n.messages++
	}
}

// End does nothing: nothing depends on where a message ends.
func (n *notes) End(body.Place, int) {}

// Value notes a value, and returns the long content in it.
func (n *notes) Value(at body.Place, b []byte, value body.Span, key int) (long body.Span) {
	if at >= atUnknown {
		n.named.Note(at-atUnknown, value.Of(b))
		return body.Span{}
	}
	first := b[value.From]
	if at >= atTemperature {
		n.field(at, b, value)
		return body.Span{}
	}
	switch at {
	case atMessages:
		if first != 'n' {
			n.list = value
		}
		return body.Span{}
	case atEffort:
		n.effort = body.Span{From: key, To: value.To}
		return body.Span{}
	case atStopItem:
		n.emptyStop = n.emptyStop || value.To-value.From == len(`""`)
		return body.Span{}
	case atToolCalls:
		if (first == '[' || first == '{' || first == 'n') && len(n.noCalls) < maxMended {
			n.noCalls = append(n.noCalls, body.Span{From: key, To: value.To})
		}
		return body.Span{}
	}
	if first != '"' {
		return body.Span{}
	}
	inside := body.Span{From: value.From + 1, To: value.To - 1}
	switch at {
	case atIDOfCall, atIDOfResult:
		if len(n.ids) < maxMended {
			n.ids = append(n.ids, callID{inside, at == atIDOfResult, n.messages})
		}
	case atContent, atText:
		n.named.AddText(value.Of(b))
		return longTextIn(b, inside)
	case atImageURL: // some write the URL without the object around it
		n.named.AddLink(value.Of(b))
		return n.data(atURL, b, inside)
	case atURL, atFileData:
		n.named.AddLink(value.Of(b))
		return n.data(at, b, inside)
	case atAudioData:
		return n.data(at, b, inside)
	}
	return body.Span{}
}

// field notes a field that is read.
func (n *notes) field(at body.Place, b []byte, value body.Span) {
	f := &n.fields[at-atTemperature]
	f.from, f.to = uint32(value.From), uint32(value.To)
	switch first := b[value.From]; {
	case at == atStop:
		n.emptyStop = n.emptyStop || first == '"' && value.To-value.From == len(`""`) || (first == '[' || first == '{') && isEmptyList(value.Of(b))
	case first == '"':
		n.named.AddLink(value.Of(b))
	}
}

// spanOf returns the value of a field that is read; the zero Span if it isn't there.
func (n *scanned) spanOf(at body.Place) body.Span {
	f := n.fields[at-atTemperature]
	return body.Span{From: int(f.from), To: int(f.to)}
}

func isEmptyList(list []byte) bool { return len(sdk.TrimSpaceEnd(list[:len(list)-1])) == 1 }

// longTextIn returns the part of a text that goes by reference. White space at its end
// stays visible to adapters: some providers refuse it.
func longTextIn(b []byte, inside body.Span) (long body.Span) {
	if inside.To-inside.From <= longText {
		return body.Span{}
	}
	end := inside.Of(b)
	end = end[max(0, len(end)-shownSpace):]
	inside.To -= len(end) - len(sdk.TrimSpaceEnd(end))
	return ifLong(inside)
}

// data notes how to mend a data: URL, and returns the data that go by reference. A URL that
// will be fetched never goes by reference, however long it is.
func (n *notes) data(at body.Place, b []byte, inside body.Span) (long body.Span) {
	before, by := encoded(at, b, inside)
	if by != nil {
		if len(n.edits) < maxMended {
			n.edits = append(n.edits, *by)
		}
		if by.To == inside.To {
			return body.Span{} // all of it is another
		}
	}
	if before < 0 {
		return body.Span{}
	}
	n.media++
	n.mediaBytes += int64(inside.To - inside.From)
	inside.From += before
	return ifLong(inside)
}

func ifLong(s body.Span) body.Span {
	if s.To-s.From > longText {
		return s
	}
	return body.Span{}
}
