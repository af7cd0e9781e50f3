package errortext

import "strings"

// tooLong are how servers say that what the client sent is longer than the model takes. Of two
// parts, the second one stands behind the first.
var tooLong = [...][2]string{
	{"maximum context length"},                                      // OpenAI, vLLM, DeepSeek, OpenRouter, Ollama
	{"maximum input length is"},                                     // OpenAI's embeddings
	{"exceeds the context window"},                                  // OpenAI's Responses API
	{"context length is only"},                                      // vLLM since 0.10, NIM
	{"longer than the model's context length"},                      // SGLang, Together
	{"exceeds the available context size"},                          // llama.cpp, of chats
	{"is too large to process", "physical batch size"},              // llama.cpp, of embeddings, with status 500
	{"larger than the max context size"},                            // llama.cpp, of embeddings
	{"must have less than ", " tokens. Given: "},                    // TEI and TGI, of the input
	{"`inputs` tokens + `max_new_tokens` must be <= ", "Given: "},   // TGI, of the input and the answer
	{"too large for model with"},                                    // Mistral, of chats
	{" tokens, exceeding max ", " tokens"},                          // Mistral, of embeddings
	{"maximum prompt length"},                                       // xAI
	{"context length of only"}, {"greater than the context length"}, // LM Studio
	{"prompt is too long"}, {"exceed context limit"}, // Anthropic
	{"exceeds the maximum number of tokens"},                     // Gemini
	{"input token count is ", "but the model supports up to "},   // Gemini behind Vertex
	{"longer than the context length"}, {"input length exceeds"}, // Ollama
}

// IsTooLong reports whether the text of an error says that what the client sent is longer than
// the model takes. Servers say so with statuses from 400 to 500. A client's own words may be
// taken for that: it blames nobody.
func IsTooLong(said string) bool {
	for _, parts := range tooLong {
		if _, rest, found := strings.Cut(said, parts[0]); found && strings.Contains(rest, parts[1]) {
			return true
		}
	}
	return false
}
