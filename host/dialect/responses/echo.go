package responses

// echo has the fields of the request that the response object repeats: raw JSON on one
// line, as the client sent it; nil if the field was absent or null.
type echo struct {
	instructions         []byte // a string
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

// echoOf copies what the response object repeats.
func echoOf(f fields) echo {
	return echo{
		instructions:         oneLine(f["instructions"]),
		maxOutputTokens:      oneLine(f["max_output_tokens"]),
		maxToolCalls:         oneLine(f["max_tool_calls"]),
		metadata:             oneLine(f["metadata"]),
		parallelToolCalls:    oneLine(f["parallel_tool_calls"]),
		previousResponseID:   oneLine(f["previous_response_id"]),
		promptCacheKey:       oneLine(f["prompt_cache_key"]),
		promptCacheRetention: oneLine(f["prompt_cache_retention"]),
		reasoning:            oneLine(f["reasoning"]),
		safetyIdentifier:     oneLine(f["safety_identifier"]),
		temperature:          oneLine(f["temperature"]),
		text:                 oneLine(f["text"]),
		toolChoice:           oneLine(f["tool_choice"]),
		tools:                oneLine(f["tools"]),
		topLogprobs:          oneLine(f["top_logprobs"]),
		topP:                 oneLine(f["top_p"]),
		truncation:           oneLine(f["truncation"]),
		user:                 oneLine(f["user"]),
	}
}

// size returns how many bytes the echo has.
func (e *echo) size() int {
	return len(e.instructions) + len(e.metadata) + len(e.reasoning) + len(e.text) + len(e.toolChoice) + len(e.tools) + 512
}
