// Package responses is the dialect of OpenAI's Responses API. It makes a chat completion
// of a client's request, and items and events of the facts about an answer.
package responses

// asked is what an answer needs to know of its request. It never changes, and refers to
// nothing of the request's body.
type asked struct {
	echo    echo
	tools   tools
	compact bool // the answer is exactly one compaction item
	store   bool // the response is remembered

	// keep remembers the finished response: the object as GET will show it, and its output
	// items as they were sent at done, each with its id. It copies what it keeps. nil:
	// nothing is remembered.
	keep func(id string, response []byte, items [][]byte)
}

// echo has the fields of the request that the response object repeats: raw JSON on one
// line, as the client sent it; nil if the field was absent or null.
type echo struct {
	instructions         []byte // a string, or an array of items
	maxOutputTokens      []byte // a number
	maxToolCalls         []byte // a number
	metadata             []byte // an object
	parallelToolCalls    []byte // true or false
	previousResponseID   []byte // a string
	promptCacheKey       []byte // a string
	promptCacheRetention []byte // a string
	reasoning            []byte // an object
	safetyIdentifier     []byte // a string
	temperature          []byte // a number
	text                 []byte // an object, perhaps without format
	toolChoice           []byte // a string or an object
	tools                []byte // an array
	topLogprobs          []byte // a number
	topP                 []byte // a number
	truncation           []byte // a string
	user                 []byte // a string
}
