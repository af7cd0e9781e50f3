package messages_test

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/messages"
	"github.com/kai-gateway/kai/host/fault"
)

// TestErrors holds what becomes of failures: the status, the type, the beginning of the
// message, and whether clients may repeat the request.
func TestErrors(t *testing.T) {
	const longer = "The messages are longer than the model's context: "
	for name, tc := range map[string]struct {
		e      fault.Error
		status int
		kind   string
		text   string // how it begins
		repeat bool
	}{
		"a request that is wrong":          {fault.Error{Kind: fault.Invalid, Param: "messages.2.content.0", Text: "must be text"}, 400, "invalid_request_error", "messages.2.content.0: must be text", false},
		"a text that has its place":        {fault.Error{Kind: fault.Invalid, Param: "thread", Text: "thread: leave it out"}, 400, "invalid_request_error", "thread: leave it out", false},
		"a field that an adapter refuses":  {fault.Error{Kind: fault.Refused, Type: "invalid_request_error", Param: "tools.1", Text: "No."}, 400, "invalid_request_error", "tools.1: No.", false},
		"an alias that isn't there":        {fault.Error{Kind: fault.UnknownModel, Code: "model_not_found", Param: "model", Text: "Model 'x' not found in configuration"}, 404, "not_found_error", "Model 'x' not found", false},
		"a model that the upstream lacks":  {fault.Error{Kind: fault.Missing, Code: "model_not_found", Text: "m"}, 404, "not_found_error", "m", false},
		"no such path":                     {fault.Error{Kind: fault.NotFound, Text: "m"}, 404, "not_found_error", "m", false},
		"no key":                           {fault.Error{Kind: fault.Unauthenticated, Code: "invalid_api_key", Text: "m"}, 401, "authentication_error", "m", false},
		"an account that can't pay":        {fault.Error{Kind: fault.Refused, OwnStatus: 402, Text: "m"}, 402, "billing_error", "m", false},
		"a quota that is used up":          {fault.Error{Kind: fault.Quota, Code: "insufficient_quota", Text: "m"}, 429, "rate_limit_error", "m", false},
		"a model that a key may not use":   {fault.Error{Kind: fault.Forbidden, Text: "m"}, 403, "permission_error", "m", false},
		"a wrong method":                   {fault.Error{Kind: fault.MethodNotAllowed, Text: "m"}, 405, "invalid_request_error", "m", false},
		"a wrong type of body":             {fault.Error{Kind: fault.Unsupported, Text: "m"}, 415, "invalid_request_error", "m", false},
		"an upstream's 422":                {fault.Error{Kind: fault.Refused, OwnStatus: 422, Param: "temperature", Text: "m"}, 422, "invalid_request_error", "temperature: m", false},
		"a body that is too large":         {fault.Error{Kind: fault.TooLarge, Text: "m"}, 413, "request_too_large", "m", false},
		"too large for the upstream":       {fault.Error{Kind: fault.Context, OwnStatus: 413, Code: "request_too_large", Text: "m"}, 413, "request_too_large", "m", false},
		"a body that takes too long":       {fault.Error{Kind: fault.Timeout, Text: "m"}, 408, "timeout_error", "m", true},
		"a rate limit":                     {fault.Error{Kind: fault.Rate, RetryAfter: time.Second, Text: "m"}, 429, "rate_limit_error", "m", true},
		"the gateway's own mistake":        {fault.Error{Text: "m"}, 500, "api_error", "m", true},
		"an upstream that fails":           {fault.Error{Kind: fault.Upstream, Text: "m"}, 502, "api_error", "m", true},
		"an upstream's own 500":            {fault.Error{Kind: fault.Upstream, OwnStatus: 500, Text: "m"}, 500, "api_error", "m", true},
		"a key that the upstream refuses":  {fault.Error{Kind: fault.Auth, Text: "m"}, 502, "api_error", "m", false},
		"a provider that isn't configured": {fault.Error{Kind: fault.Unusable, Code: "provider_not_configured", Text: "m"}, 503, "api_error", "m", false},
		"a gateway that stops":             {fault.Error{Kind: fault.Stopping, Text: "m"}, 503, "api_error", "m", true},
		"a busy gateway":                   {fault.Error{Kind: fault.Full, Code: "busy", Text: "m"}, 529, "overloaded_error", "m", true},
		"an overloaded upstream":           {fault.Error{Kind: fault.Busy, Code: "overloaded", Text: "m"}, 529, "overloaded_error", "m", true},
		"an upstream's own 529":            {fault.Error{Kind: fault.Busy, OwnStatus: 529, Text: "m"}, 529, "overloaded_error", "m", true},
		"an upstream that takes too long":  {fault.Error{Kind: fault.Slow, Text: "m"}, 504, "timeout_error", "m", true},
		"a model that can't count":         {fault.Error{Kind: fault.NoCount, Code: "unsupported_operation", Text: "m"}, 404, "not_found_error", "m", false},
		"Anthropic: too long":              {fault.Error{Kind: fault.Context, Code: "context_length_exceeded", Param: "messages", Text: "The messages are longer than the model's context: prompt is too long: 205000 tokens > 200000 maximum."}, 400, "invalid_request_error", "prompt is too long: 205000 tokens > 200000 maximum.", false},
		"Anthropic: too long with max_tokens": {fault.Error{Kind: fault.Context, Text: "The messages are longer than the model's context: input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again."}, 400, "invalid_request_error",
			"input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, ", false},
		"OpenAI: too long":             {fault.Error{Kind: fault.Context, Text: longer + "This model's maximum context length is 8192 tokens. However, your messages resulted in 10000 tokens. Please reduce the length of the messages."}, 400, "invalid_request_error", "prompt is too long: 10000 tokens > 8192 maximum. " + longer, false},
		"vLLM: too long":               {fault.Error{Kind: fault.Context, Text: longer + "This model's maximum context length is 2048 tokens. However, you requested 2723 tokens (1699 in the messages, 1024 in the completion). Please reduce the length of the messages or completion."}, 400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 1699 + 1024 > 2048, ", false},
		"vLLM of today":                {fault.Error{Kind: fault.Context, Text: longer + "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 32768 tokens and your request has 20000 input tokens (32000 > 32768 - 20000)."}, 400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 20000 + 32000 > 32768, ", false},
		"SGLang: too long":             {fault.Error{Kind: fault.Context, Text: "Requested token count exceeds the model's maximum context length of 16384 tokens. You requested a total of 20000 tokens: 12000 tokens from the input messages and 8000 tokens for the completion."}, 400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 12000 + 8000 > 16384, ", false},
		"OpenRouter: too long":         {fault.Error{Kind: fault.Context, Text: "The messages are longer than the model's context: This endpoint's maximum context length is 8192 tokens. However, you requested about 9012 tokens (9000 of text input, 12 in the output). Please reduce the length of either one."}, 400, "invalid_request_error", "prompt is too long: 9000 tokens > 8192 maximum. The messages are longer than the model's context", false},
		"llama.cpp: too long":          {fault.Error{Kind: fault.Context, Text: longer + "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it."}, 400, "invalid_request_error", "prompt is too long: 5000 tokens > 4096 maximum. ", false},
		"vLLM since 0.10: too long":    {fault.Error{Kind: fault.Context, Text: longer + "You passed 600 input tokens and requested 16 output tokens. However, the model's context length is only 512 tokens, resulting in a maximum input length of 496 tokens."}, 400, "invalid_request_error", "prompt is too long: 600 tokens > 512 maximum. ", false},
		"vLLM since 0.10: no room":     {fault.Error{Kind: fault.Context, Text: longer + "You passed 500 input tokens and requested 16 output tokens. However, the model's context length is only 512 tokens."}, 400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 500 + 16 > 512, ", false},
		"Together: too long":           {fault.Error{Kind: fault.Context, Text: longer + "The input (600 tokens) is longer than the model's context length (512 tokens)."}, 400, "invalid_request_error", "prompt is too long: 600 tokens > 512 maximum. ", false},
		"TGI: too long":                {fault.Error{Kind: fault.Context, Text: longer + "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000."}, 400, "invalid_request_error", "prompt is too long: 5000 tokens > 4095 maximum. ", false},
		"TGI: no room":                 {fault.Error{Kind: fault.Context, Text: longer + "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4090 `inputs` tokens and 16 `max_new_tokens`."}, 400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 4090 + 16 > 4096, ", false},
		"Mistral: too long":            {fault.Error{Kind: fault.Context, Text: longer + "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length."}, 400, "invalid_request_error", "prompt is too long: 40000 tokens > 32768 maximum. ", false},
		"xAI: too long":                {fault.Error{Kind: fault.Context, Text: longer + "This model's maximum prompt length is 131072 but the request contains 537812 tokens."}, 400, "invalid_request_error", "prompt is too long: 537812 tokens > 131072 maximum. ", false},
		"llama.cpp: larger than batch": {fault.Error{Kind: fault.Context, Text: longer + "input (600 tokens) is too large to process. increase the physical batch size (current batch size: 512)."}, 400, "invalid_request_error", "prompt is too long: 600 tokens > 512 maximum. ", false},
		"Gemini: too long":             {fault.Error{Kind: fault.Context, Text: longer + "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}, 400, "invalid_request_error", "prompt is too long: 1200000 tokens > 1048576 maximum. ", false},
		"Ollama: too long":             {fault.Error{Kind: fault.Context, Text: longer + "the prompt is longer than the context length currently available to the model."}, 400, "invalid_request_error", "prompt is too long: " + longer + "the prompt", false},

		"Anthropic: an answer too long": {fault.Error{Kind: fault.Refused, Text: "Anthropic refuses the request: max_tokens: 999999 > 64000, which is the maximum allowed number of output tokens for claude-sonnet-4-5."}, 400, "invalid_request_error", "max_tokens: 999999 > 64000, which is the maximum allowed number of output tokens for this model. Anthropic", false},
		"OpenAI: an answer too long":    {fault.Error{Kind: fault.Refused, Param: "max_tokens", Text: "The provider refused the request: max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided 32000."}, 400, "invalid_request_error", "max_tokens: 32000 > 16384, which is the maximum allowed number of output tokens for this model. ", false},
		"Gemini: an answer too long":    {fault.Error{Kind: fault.Refused, Text: "Gemini refused the request: Unable to submit request because it has a maxOutputTokens value of 100000 but the supported range is from 1 (inclusive) to 65537 (exclusive)."}, 400, "invalid_request_error", "max_tokens: 100000 > 65536, which is the maximum allowed ", false},

		"Google: a signature":     {fault.Error{Kind: fault.Refused, Text: "Gemini refused the request: Thought signature is not valid."}, 400, "invalid_request_error", "Invalid `signature` in `thinking` block: Gemini refused the request: Thought", false},
		"Google: no signature":    {fault.Error{Kind: fault.Refused, Text: "Gemini refused the request: Function call is missing a thought_signature in functionCall parts."}, 400, "invalid_request_error", "Invalid `signature` in `thinking` block: Gemini", false},
		"Anthropic: a signature":  {fault.Error{Kind: fault.Refused, Text: "Anthropic refuses the request: messages.1.content.0: Invalid `signature` in `thinking` block."}, 400, "invalid_request_error", "Anthropic refuses the request: messages.1.content.0: Invalid `signature` in `thinking` block", false},
		"a signature in a server": {fault.Error{Kind: fault.Upstream, Text: "no thought signature"}, 502, "api_error", "no thought signature", true},
	} {
		t.Run(name, func(t *testing.T) {
			before := tc.e
			got := messages.Translate(&tc.e)
			if tc.e != before {
				t.Errorf("the error itself has become %+v", tc.e)
			}
			if got.HTTPStatus() != tc.status || got.Repeatable() != tc.repeat || got.RetryAfter != before.RetryAfter {
				t.Errorf("status %d, repeatable %v, after %v; want %d, %v", got.HTTPStatus(), got.Repeatable(), got.RetryAfter, tc.status, tc.repeat)
			}
			var body struct {
				Type  string
				Error struct{ Type, Message string }
				ID    string `json:"request_id"`
			}
			text := messages.Messages().AppendError([]byte("x"), got, "req_1")
			if err := json.Unmarshal(text[1:], &body); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if body.Type != "error" || body.Error.Type != tc.kind || body.ID != "req_1" || !strings.HasPrefix(body.Error.Message, tc.text) {
				t.Errorf("the error is %s, want %s: %s…", text, tc.kind, tc.text)
			}
			said := before.Text
			for _, lead := range []string{"Anthropic refuses the request: ", "The messages are longer than the model's context: "} {
				said = strings.TrimPrefix(said, lead) // Anthropic's own words stand in front already
			}
			if !strings.Contains(body.Error.Message, strings.TrimSuffix(said, ".")) {
				t.Errorf("the error is %s, which lacks what was said: %s", text, before.Text)
			}
		})
	}
}

func TestErrorOfAThread(t *testing.T) {
	got := string(messages.Messages().AppendError(nil, &fault.Error{Kind: fault.Invalid, Code: "thread_unsupported_request", Param: "thread", Text: "thread: \"no\"\u2028"}, "req_1"))
	const want = `{"type":"error","error":{"type":"invalid_request_error","message":"thread: \"no\"\u2028","details":{"error_code":"thread_unsupported_request","unsupported":["thread"]}},"request_id":"req_1"}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestKeys(t *testing.T) {
	const missing = "No API key was sent. Send one in the header 'x-api-key: <key>' or 'Authorization: Bearer <key>'."
	for name, tc := range map[string]struct {
		authorization, own []string
		want               []string
		message            string // of the refusal; "": there are keys
	}{
		"x-api-key":                            {own: []string{"k"}, want: []string{"k"}},
		"a Bearer":                             {authorization: []string{"Bearer k"}, want: []string{"k"}},
		"both":                                 {authorization: []string{"Bearer a"}, own: []string{"b"}, want: []string{"a", "b"}},
		"both, the same":                       {authorization: []string{"Bearer a"}, own: []string{"a"}, want: []string{"a"}},
		"none":                                 {message: missing},
		"empty ones":                           {authorization: []string{""}, own: []string{""}, message: missing},
		"x-api-key beside another scheme":      {authorization: []string{"Basic x"}, own: []string{"k"}, want: []string{"k"}},
		"another scheme alone":                 {authorization: []string{"Basic x"}, message: "The Authorization header must have the form 'Bearer <key>'."},
		"x-api-key twice, the same":            {own: []string{"k", "k"}, want: []string{"k"}},
		"x-api-key twice, joined":              {own: []string{"k, k"}, want: []string{"k"}},
		"x-api-key twice":                      {own: []string{"k", "l"}, message: "The request has more than one header 'X-Api-Key'. Send one."},
		"x-api-key twice, beside a Bearer":     {authorization: []string{"Bearer a"}, own: []string{"k", "l"}, message: "The request has more than one header 'X-Api-Key'. Send one."},
		"two Bearers":                          {authorization: []string{"Bearer a", "Bearer b"}, message: "The request has more than one header 'Authorization'. Send one."},
		"two Bearers, beside a good x-api-key": {authorization: []string{"Bearer a", "Bearer b"}, own: []string{"k"}, message: "The request has more than one header 'Authorization'. Send one."},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", nil)
			r.Header["Authorization"], r.Header["X-Api-Key"] = tc.authorization, tc.own
			keys, err := messages.Messages().Keys(r)
			if !slices.Equal(keys, tc.want) {
				t.Errorf("the keys are %q, want %q", keys, tc.want)
			}
			said := ""
			if e, ok := err.(*fault.Error); ok && e.Kind == fault.Unauthenticated {
				said = e.Text
			}
			if said != tc.message || (err == nil) != (tc.message == "") {
				t.Errorf("the error is %v, want %q", err, tc.message)
			}
		})
	}
}

func TestModels(t *testing.T) {
	d := messages.Messages()
	for name, tc := range map[string]struct {
		models []dialect.Model
		want   string
	}{
		"none": {nil, `{"data":[],"has_more":false,"first_id":null,"last_id":null}`},
		"two": {
			[]dialect.Model{{ID: "granite-local", Operations: []string{"chat", "count"}, Capabilities: []string{"tools"}}, {ID: `a"b`}},
			`{"data":[{"type":"model","id":"granite-local","display_name":"granite-local","created_at":"1970-01-01T00:00:00Z","operations":["chat","count"],"capabilities":["tools"]},` +
				`{"type":"model","id":"a\"b","display_name":"a\"b","created_at":"1970-01-01T00:00:00Z"}],"has_more":false,"first_id":"granite-local","last_id":"a\"b"}`,
		},
	} {
		if got := string(d.AppendModels(nil, tc.models)); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
	if got, want := string(d.AppendModel(nil, dialect.Model{ID: "x"})), `{"type":"model","id":"x","display_name":"x","created_at":"1970-01-01T00:00:00Z"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
