package plugins_test

import (
	"errors"
	"strconv"
	"testing"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// explained returns what an adapter makes of an answer to an operation.
func explained(t *testing.T, adapter string, op abi.Op, status int, body string) *sdk.Error {
	t.Helper()
	var e *sdk.Error
	err := adapters()[adapter].Call(sdk.Input{Response: &sdk.Response{Op: op, Status: status, Body: []byte(body)}}, discard)
	if !errors.As(err, &e) {
		t.Fatalf("%s, %v: %d %s is no error: %v", adapter, op, status, body, err)
	}
	return e
}

// TestWhatIsTooLong: however a server says that what the client sent is too long, the client is
// told so in the one way that clients know.
func TestWhatIsTooLong(t *testing.T) {
	inputs := map[abi.Op]string{abi.Chat: "messages", abi.Completions: "prompt", abi.Embeddings: "input", abi.Rerank: "documents", abi.Responses: "input"}
	for name, tc := range map[string]struct {
		adapter string
		status  int
		body    string
		unnamed bool // the adapter names no field
	}{
		"vLLM, NIM and LiteLLM":        {"openai", 400, `{"error":{"message":"You passed 600 input tokens and requested 0 output tokens. However, the model's context length is only 512 tokens, resulting in a maximum input length of 512 tokens. Please reduce the length of the input prompt.","type":"BadRequestError","param":"input_tokens","code":400}}`, false},
		"vLLM before":                  {"openai", 400, `{"object":"error","message":"This model's maximum context length is 512 tokens. However, you requested 600 tokens in the input for embedding generation.","type":"BadRequestError","param":null,"code":400}`, false},
		"OpenAI, of one input":         {"openai", 400, `{"error":{"message":"Invalid 'input[0]': maximum input length is 8192 tokens.","type":"invalid_request_error","param":null,"code":null}}`, false},
		"OpenAI's Responses API":       {"openai", 400, `{"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"input","code":null}}`, false},
		"SGLang and Together":          {"openai", 400, `{"object":"error","message":"The input (600 tokens) is longer than the model's context length (512 tokens).","type":"BadRequestError","param":null,"code":400}`, false},
		"llama.cpp's batch":            {"openai", 500, `{"error":{"code":500,"message":"input (600 tokens) is too large to process. increase the physical batch size (current batch size: 512)","type":"server_error"}}`, false},
		"llama.cpp's context":          {"openai", 400, `{"error":{"code":400,"message":"input is larger than the max context size. skipping","type":"server_error"}}`, false},
		"llama.cpp, by its type":       {"openai", 400, `{"error":{"code":400,"message":"no","type":"exceed_context_size_error","n_prompt_tokens":600,"n_ctx":512}}`, false},
		"TEI":                          {"openai", 413, "{\"error\":\"Input validation error: `inputs` must have less than 512 tokens. Given: 600\",\"error_type\":\"Validation\",\"message\":\"`inputs` must have less than 512 tokens. Given: 600\",\"type\":\"validation\"}", false},
		"TGI":                          {"openai", 422, "{\"error\":\"Input validation error: `inputs` must have less than 4095 tokens. Given: 5000\",\"error_type\":\"validation\"}", false},
		"TGI, with the answer":         {"openai", 422, "{\"error\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 16 `max_new_tokens`\",\"error_type\":\"validation\"}", false},
		"Mistral":                      {"openai", 400, `{"object":"error","message":"Input id 0 has 10000 tokens, exceeding max 8192 tokens.","type":"invalid_request_prompt","param":null,"code":"1820"}`, false},
		"xAI":                          {"openai", 400, `{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 537812 tokens."}`, false},
		"LM Studio":                    {"openai", 400, `{"error":"The number of tokens to keep from the initial prompt is greater than the context length."}`, false},
		"LiteLLM before Anthropic":     {"openai", 400, `{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum","type":"invalid_request_error","code":"400"}}`, false},
		"OpenRouter, with OpenAI":      {"openrouter", 400, `{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"Invalid 'input[0]': maximum input length is 8192 tokens.\"}}","provider_name":"OpenAI"}}}`, true},
		"OpenRouter, with a llama.cpp": {"openrouter", 502, `{"error":{"message":"Provider returned error","code":502,"metadata":{"raw":"input (600 tokens) is too large to process. increase the physical batch size (current batch size: 512)"}}}`, true},
		"OpenRouter":                   {"openrouter", 400, `{"error":{"message":"This endpoint's maximum context length is 8192 tokens. However, you requested about 9000","code":400}}`, true},
		"Gemini":                       {"gemini", 400, `{"error":{"code":400,"message":"The input token count (2500) exceeds the maximum number of tokens allowed (2048).","status":"INVALID_ARGUMENT"}}`, false},
		"Gemini, as Vertex has it":     {"gemini", 400, `{"error":{"code":400,"message":"Unable to submit request because the input token count is 9000 but the model supports up to 2048.","status":"INVALID_ARGUMENT"}}`, false},
		"Ollama":                       {"ollama", 400, `{"error":"the input length exceeds the context length"}`, false},
		"Ollama's engine":              {"ollama", 500, `{"error":"input (600 tokens) is too large to process. increase the physical batch size (current batch size: 512)"}`, false},
		"Anthropic":                    {"anthropic", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}`, false},
		"vLLM's Messages API":          {"anthropic", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"You passed 600 input tokens and requested 16 output tokens. However, the model's context length is only 512 tokens, resulting in a maximum input length of 496 tokens."}}`, false},
		"llama.cpp's Messages API":     {"anthropic", 500, `{"type":"error","error":{"type":"api_error","message":"input (600 tokens) is too large to process. increase the physical batch size (current batch size: 512)"}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, op := range map[string][]abi.Op{
				"openai": {abi.Chat, abi.Completions, abi.Embeddings, abi.Rerank, abi.Responses}, "openrouter": {abi.Chat, abi.Completions, abi.Embeddings},
				"gemini": {abi.Chat, abi.Embeddings}, "ollama": {abi.Chat, abi.Completions, abi.Embeddings}, "anthropic": {abi.Chat},
			}[tc.adapter] {
				param := inputs[op]
				if tc.unnamed {
					param = ""
				}
				if e := explained(t, tc.adapter, op, tc.status, tc.body); e.Status != 400 || e.Code != "context_length_exceeded" || e.Param != param {
					t.Errorf("%v: %d %s, param %q: %s", op, e.Status, e.Code, e.Param, e.Message)
				}
			}
		})
	}
	for said, adapter := range map[string]string{
		"Rate limit reached for requests: limit 8192 tokens.": "openai", "max_tokens: 9 must have less than 5 digits": "openai", "number of tokens: too large": "anthropic",
	} {
		if e := explained(t, adapter, abi.Chat, 400, `{"error":{"message":"`+said+`","type":"invalid_request_error"}}`); e.Code != "" {
			t.Errorf("%q is told as %s", said, e.Code)
		}
	}
}

// TestWhatAModelLacks: what says that the model doesn't have the operation, and nothing else, is
// told as such.
func TestWhatAModelLacks(t *testing.T) {
	for body, adapter := range map[string]string{
		`{"error":{"message":"The model does not support Embeddings API","code":400}}`:                                                    "openai",
		`{"error":{"message":"The model does not support Transcriptions API","code":400}}`:                                                "openai",
		`{"error":{"message":"This server does not support completions. Start it without --embeddings","type":"not_supported_error"}}`:    "openai",
		`{"error":{"message":"No endpoints found that support embeddings for x"}}`:                                                        "openrouter",
		`{"error":{"message":"Provider returned error","metadata":{"provider_name":"a","raw":"This model does not support embeddings"}}}`: "openrouter",
	} {
		for _, status := range []int{400, 403, 404, 500, 501} {
			if e := explained(t, adapter, abi.Embeddings, status, body); e.Status != 400 || e.Code != "unsupported_operation" || e.Param != "model" {
				t.Errorf("%d %s: %d %s, param %q", status, body, e.Status, e.Code, e.Param)
			}
		}
	}
	for body, adapter := range map[string]string{
		`{"error":{"message":"This is not a chat model and thus not supported in the v1/chat/completions endpoint. Did you mean to use v1/completions?","param":"model"}}`: "openai",
		`{"error":{"message":"This model is only supported in v1/responses and not in v1/chat/completions.","param":"model"}}`:                                             "openai",
		`{"error":{"message":"The model does not support Chat Completions API","code":400}}`:                                                                               "openai",
		`{"error":{"message":"This model does not support specifying dimensions."}}`:                                                                                       "openai",
		`{"error":{"message":"Invalid value: 'this model does not support embeddings'."}}`:                                                                                 "openai",
		`{"error":{"message":"No endpoints found that support tool use."}}`:                                                                                                "openrouter",
		`{"error":{"message":"models/x is not found for API version v1beta, or is not supported for generateContent."}}`:                                                   "gemini",
	} {
		for _, status := range []int{400, 404} {
			if e := explained(t, adapter, abi.Chat, status, body); e.Code == "unsupported_operation" {
				t.Errorf("%d %s is told as an operation that the model lacks", status, body)
			}
		}
	}
}

// TestFieldsThatOnlyWordsRefuse: llama.cpp and vLLM don't name the field that they refuse, and the
// status may be that of a failure.
func TestFieldsThatOnlyWordsRefuse(t *testing.T) {
	for said, want := range map[string]struct{ param, code string }{
		"Unsupported param: suffix":             {"suffix", "unsupported_parameter"},
		"Unsupported param: best_of":            {"best_of", "unsupported_parameter"},
		"suffix is not currently supported":     {"suffix", "unsupported_parameter"},
		"Only no echo is supported":             {"echo", "unsupported_value"},
		"Only one completion choice is allowed": {"n", "unsupported_value"},
	} {
		for _, status := range []int{400, 422, 500, 501} {
			body := `{"error":{"code":` + strconv.Itoa(status) + `,"message":"` + said + `","type":"server_error"}}`
			for _, op := range []abi.Op{abi.Chat, abi.Completions} {
				if e := explained(t, "openai", op, status, body); e.Status != 400 || e.Code != want.code || e.Param != want.param {
					t.Errorf("%d %s: %d %s, param %q", status, said, e.Status, e.Code, e.Param)
				}
			}
		}
	}
	for _, said := range []string{"Unsupported param: what a client wrote", "Unsupported param: ", "It says: Unsupported param: suffix"} {
		if e := explained(t, "openai", abi.Completions, 500, `{"error":{"message":"`+said+`"}}`); e.Status != 502 || e.Param != "" {
			t.Errorf("%s: %d, param %q", said, e.Status, e.Param)
		}
	}
}

// TestWordsThatStay: what OpenAI's clients look at in an error stays as the server said it.
func TestWordsThatStay(t *testing.T) {
	for name, tc := range map[string]struct {
		op        abi.Op
		status    int
		body      string
		typ, code string
	}{
		"an image that is moderated": {abi.Images, 400, `{"error":{"code":"moderation_blocked","message":"No.","param":null,"type":"image_generation_user_error"}}`, "image_generation_user_error", "moderation_blocked"},
		"a server for tools":         {abi.Responses, 424, `{"error":{"message":"Error retrieving tool list from MCP server: 'x'. Http status code: 401","type":"external_connector_error","param":"tools","code":"http_error"}}`, "external_connector_error", "http_error"},
		"a rule":                     {abi.Responses, 400, `{"error":{"message":"No.","type":"invalid_request_error","code":"cyber_policy"}}`, "invalid_request_error", "cyber_policy"},
		"a code that is a type":      {abi.Chat, 400, `{"error":{"message":"No.","type":"invalid_request_error","code":"invalid_request_error"}}`, "invalid_request_error", ""},
		"a type alone":               {abi.Chat, 400, `{"error":{"message":"No.","type":"some_error"}}`, "invalid_request_error", ""},
		"a class of vLLM's":          {abi.Chat, 400, `{"error":{"message":"No.","type":"BadRequestError","code":400}}`, "invalid_request_error", ""},
	} {
		if e := explained(t, "openai", tc.op, tc.status, tc.body); e.Status != 400 || e.Type != tc.typ || e.Code != tc.code {
			t.Errorf("%s: %d %s %s", name, e.Status, e.Type, e.Code)
		}
	}
}
