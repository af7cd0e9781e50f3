package chat

import (
	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/sdk"
)

const (
	longText   = 1 << 10  // bytes of a string from which on it goes by reference
	maxMended  = 4096     // ids, images and lists of calls, of each, that are looked at
	shownSpace = 64 << 10 // bytes of white space at the end of long content that stay out of the reference
)

// effort is the field that says how much a model is to think. It can be left out.
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
	atStop       // stop
	atStopItem   // stop[]
	atTools      // tools
	atTool       // tools[]
	atUnknown    // what Kai knows nothing of; this place and the next are those of body.NodesOfIDs
)

// atKept is what may be an id of what a provider keeps, or have it in it.
const atKept = atUnknown + body.WithID

// grammar is the form of a chat request.
var grammar = body.Grammar{
	Needs: "messages",
	Known: known,
	Folds: true,
	Places: append([]body.Node{
		body.Top: withIDs(
			body.Field{Name: "model", Place: body.Model}, body.Field{Name: "messages", Place: atMessages}, body.Field{Name: effort, Place: atEffort},
			body.Field{Name: "stop", Place: atStop}, body.Field{Name: "tools", Place: atTools}, body.Field{Name: "conversation", Place: atKept},
			body.Field{Name: "metadata"}, body.Field{Name: "response_format"}, body.Field{Name: "functions"},
			body.Field{Name: "guided_json"}, body.Field{Name: "structured_outputs"}, body.Field{Name: "documents"},
		),
		atMessages: {Element: atMessage},
		atMessage: withIDs(
			body.Field{Name: "role"}, body.Field{Name: "content", Place: atContent}, body.Field{Name: "tool_calls", Place: atToolCalls},
			body.Field{Name: "tool_call_id", Place: atIDOfResult}, body.Field{Name: "audio", Place: atKept}, body.Field{Name: "name"},
			body.Field{Name: "reasoning"}, body.Field{Name: "reasoning_content"}, body.Field{Name: "reasoning_details"}, body.Field{Name: "refusal"},
			body.Field{Name: "function_call"},
		),
		atContent: listOf(atPart),
		atPart: withIDs(
			body.Field{Name: "type"}, body.Field{Name: "text", Place: atText}, body.Field{Name: "image_url", Place: atImageURL},
			body.Field{Name: "input_audio", Place: atAudio}, body.Field{Name: "file", Place: atFile},
		),
		atText:      withIDs(),
		atImageURL:  withIDs(body.Field{Name: "url", Place: atURL}),
		atURL:       withIDs(),
		atAudio:     withIDs(body.Field{Name: "data", Place: atAudioData}),
		atFile:      withIDs(body.Field{Name: "file_data", Place: atFileData}),
		atAudioData: withIDs(),
		atFileData:  withIDs(),
		atToolCalls: {Element: atToolCall},
		atToolCall:  {Fields: []body.Field{{Name: "id", Place: atIDOfCall}}},
		atStop:      {Element: atStopItem},
		atTools:     {Element: atTool},
		// What a tool is called with is the tool's matter: see noteTool for those that aren't the client's.
		atTool: withIDs(
			body.Field{Name: "type"}, body.Field{Name: "function"}, body.Field{Name: "custom"}, body.Field{Name: "parameters"}, body.Field{Name: "input_schema"},
			body.Field{Name: "input_examples"}, body.Field{Name: "headers"},
		),
	}, body.NodesOfIDs(atUnknown)...),
}.Indexed()

// withIDs returns a node of fields, in whose other ones there may be ids.
func withIDs(fields ...body.Field) body.Node {
	return body.Node{Fields: append(fields, body.FieldsOfIDs(atKept)...), Other: atUnknown, Element: atUnknown}
}

// listOf returns the node of a list of what has a place. Anything else there may have ids in it.
func listOf(element body.Place) body.Node {
	node := withIDs()
	node.Element = element
	return node
}

// known reports whether a folded name is one of OpenAI's fields of a chat request,
// which Kai reads and sets, or one that shipped adapters read.
func known(name []byte) bool {
	switch string(name) {
	case "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
		"max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model", "n",
		"parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key",
		"prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier", "seed",
		"service_tier", "stop", "store", "stream", "stream_options", "temperature", "tool_choice",
		"tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options":
		return true
	case "cache_control", "include_reasoning", "reasoning", "thinking", "top_k":
		return true
	}
	return false
}

// notes are what the scan finds that may have to be mended.
type notes struct {
	messages  int         // that have begun
	ids       []callID    // of tool calls and results, in order
	effort    body.Span   // the field "reasoning_effort", with its key; zero if there is none
	stop      body.Span   // the value of "stop"; zero if there is none
	emptyStop bool        // it is an empty list, or holds an empty string
	media     []body.Edit // of encoded data, in order
	noCalls   []body.Span // fields tool_calls that hold no call, with their key
	named     body.IDs    // of what providers keep

	encoded, encodedBytes int64 // images, sounds and files that are in the request, and their size
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
	first := b[value.From]
	if at >= atUnknown {
		n.named.Note(at-atUnknown, value.Of(b))
		return body.Span{}
	}
	switch at {
	case atEffort:
		n.effort = body.Span{From: key, To: value.To}
		return body.Span{}
	case atStop:
		n.stop = value
		n.emptyStop = n.emptyStop || value.To-value.From == len(`""`) && first == '"' || (first == '[' || first == '{') && isEmptyList(value.Of(b))
		return body.Span{}
	case atStopItem:
		n.emptyStop = n.emptyStop || value.To-value.From == len(`""`) && first == '"'
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

// data notes how a data: URL is mended, and returns the data that go by reference. A URL
// that will be fetched never does, however long it is.
func (n *notes) data(at body.Place, b []byte, inside body.Span) (long body.Span) {
	before, by := encoded(at, b, inside)
	if by != nil {
		if len(n.media) < maxMended {
			n.media = append(n.media, *by)
		}
		if by.To == inside.To {
			return body.Span{} // all of it is another
		}
	}
	if before < 0 {
		return body.Span{}
	}
	n.encoded++
	n.encodedBytes += int64(inside.To - inside.From)
	inside.From += before
	return ifLong(inside)
}

func ifLong(s body.Span) body.Span {
	if s.To-s.From > longText {
		return s
	}
	return body.Span{}
}
