package sdk

// Chat is a parsed chat request. Its fields are raw JSON with OpenAI's names, and nil if
// absent or null. Nothing checked their types, so reading a field may fail.
type Chat struct {
	Model             JSON // a string
	Messages          JSON // for Messages
	Temperature, TopP JSON
	Seed, Stop, N     JSON
	PresencePenalty   JSON
	FrequencyPenalty  JSON
	Logprobs          JSON
	TopLogprobs       JSON
	ResponseFormat    JSON
	Modalities        JSON
	User              JSON
	SafetyIdentifier  JSON

	MaxTokens           JSON // deprecated, but widely used; see Limit
	MaxCompletionTokens JSON

	Tools, ToolChoice JSON
	ParallelToolCalls JSON
	Functions         JSON // the predecessor of tools

	ReasoningEffort JSON
	Reasoning       JSON // not OpenAI's, but widely sent: an object with effort, max_tokens or enabled
}

// ParseChat parses a chat request. Fields that Chat does not have are passed to other,
// unless they are null; other may be nil. If a field is there twice, the last one counts.
// The error is for a body that is no JSON object. Nothing else is checked.
func ParseChat(body JSON, other func(key string, value JSON)) (Chat, error) {
	var c Chat
	it := Object(body)
	for it.Next() {
		v := it.Value()
		if v.Kind() == KindNull {
			continue
		}
		if field := c.field(it.Key()); field != nil {
			*field = v
		} else if other != nil {
			other(string(it.Key()), v)
		}
	}
	return c, it.Err()
}

// field returns where a field is stored; nil: Chat does not have it.
func (c *Chat) field(key []byte) *JSON {
	switch string(key) {
	case "model":
		return &c.Model
	case "messages":
		return &c.Messages
	case "temperature":
		return &c.Temperature
	case "top_p":
		return &c.TopP
	case "seed":
		return &c.Seed
	case "stop":
		return &c.Stop
	case "n":
		return &c.N
	case "presence_penalty":
		return &c.PresencePenalty
	case "frequency_penalty":
		return &c.FrequencyPenalty
	case "logprobs":
		return &c.Logprobs
	case "top_logprobs":
		return &c.TopLogprobs
	case "response_format":
		return &c.ResponseFormat
	case "modalities":
		return &c.Modalities
	case "user":
		return &c.User
	case "safety_identifier":
		return &c.SafetyIdentifier
	case "max_tokens":
		return &c.MaxTokens
	case "max_completion_tokens":
		return &c.MaxCompletionTokens
	case "tools":
		return &c.Tools
	case "tool_choice":
		return &c.ToolChoice
	case "parallel_tool_calls":
		return &c.ParallelToolCalls
	case "functions":
		return &c.Functions
	case "reasoning_effort":
		return &c.ReasoningEffort
	case "reasoning":
		return &c.Reasoning
	}
	return nil
}

// Limit returns how many tokens the answer may have: max_completion_tokens, else
// max_tokens.
func (c *Chat) Limit() JSON {
	if c.MaxCompletionTokens != nil {
		return c.MaxCompletionTokens
	}
	return c.MaxTokens
}
