package messages

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
)

// Messages is the dialect of Anthropic's API.
func Messages() *dialect.Dialect {
	return &dialect.Dialect{
		Keys: dialect.EitherKey, Challenge: "Bearer",
		Translate: translate, AppendError: appendError, IDHeader: "request-id", Marker: "Anthropic-Version",
		AppendModel: appendModel, AppendModels: appendModels,
	}
}

// appendError appends an error in Anthropic's shape, on one line:
//
//	{"type":"error","error":{"type":"overloaded_error","message":"…"},"request_id":"req_…"}
//
// It is valid JSON whatever the fields hold.
func appendError(dst []byte, e *fault.Error, requestID string) []byte {
	dst = append(dst, `{"type":"error","error":{"type":"`...)
	dst = append(dst, typeOf(e.HTTPStatus())...)
	dst = append(dst, `","message":`...)
	dst = dialect.AppendErrorString(dst, e.Text)
	if e.Code == codeThread {
		dst = append(dst, `,"details":{"error_code":"`+codeThread+`","unsupported":["thread"]}`...)
	}
	dst = append(dst, `},"request_id":`...)
	dst = dialect.AppendErrorString(dst, requestID)
	return append(dst, '}')
}

// typeOf returns Anthropic's type of an error with an HTTP status.
func typeOf(status int) string {
	switch status {
	case 401:
		return "authentication_error"
	case 402:
		return "billing_error"
	case 403:
		return "permission_error"
	case 404:
		return "not_found_error"
	case 408, 504:
		return "timeout_error"
	case 413:
		return "request_too_large"
	case 429:
		return "rate_limit_error"
	case 529:
		return "overloaded_error"
	}
	if status < 500 {
		return "invalid_request_error"
	}
	return "api_error"
}

// translate gives an error the status and the words by which clients of this API know what
// to do: Claude Code shortens a conversation, asks for fewer tokens, or leaves out what it
// thought, only where it recognizes Anthropic's own words.
func translate(e *fault.Error) *fault.Error {
	t := *e
	switch status := e.HTTPStatus(); {
	case e.Kind == fault.UnknownModel, e.Kind == fault.Missing:
		t.OwnStatus = 404
	case status == 503 && (e.Kind == fault.Busy || e.Kind == fault.Full):
		t.OwnStatus = 529
	case e.Kind == fault.Context && status != 413:
		t.OwnStatus, t.Text = 400, tooLong(e.Text)
	case status == 400 || status == 422:
		t.Text = atPlace(e.Param, refused(e.Text))
	}
	return &t
}

// atPlace returns a text that begins with the place of the request that it is about.
func atPlace(place, text string) string {
	if place == "" || strings.HasPrefix(text, place) {
		return text
	}
	return place + ": " + text
}

// counts finds numbers of tokens in what a provider says.
type counts struct {
	pattern *regexp.Regexp
	words   func(n []int) string
}

// find returns the words for the first that applies, "" if none does.
func find(all []counts, text string) string {
	for _, c := range all {
		m := c.pattern.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		n := make([]int, len(m)-1)
		for i := range n {
			n[i], _ = strconv.Atoi(m[i+1]) // digits; if there are too many, the number doesn't matter
		}
		return c.words(n)
	}
	return ""
}

const tooLongLead = "prompt is too long: "

// longPrompt says that a prompt is longer than the context.
func longPrompt(prompt, limit int) string {
	return fmt.Sprintf(tooLongLead+"%d tokens > %d maximum", prompt, limit)
}

// longSum says that a prompt leaves too little of the context for the answer.
func longSum(prompt, answer, limit int) string {
	if prompt >= limit {
		return longPrompt(prompt, limit)
	}
	return fmt.Sprintf("input length and `max_tokens` exceed context limit: %d + %d > %d, decrease input length or `max_tokens` and try again", prompt, answer, limit)
}

// contexts are what providers say of a request that is too long for the model.
var contexts = []counts{
	// Anthropic
	{regexp.MustCompile(`exceed context limit: (\d{1,9}) \+ (\d{1,9}) > (\d{1,9})`), func(n []int) string { return longSum(n[0], n[1], n[2]) }},
	{regexp.MustCompile(`prompt is too long: (\d{1,9}) tokens > (\d{1,9})`), func(n []int) string { return longPrompt(n[0], n[1]) }},
	// OpenAI, vLLM, DeepSeek, OpenRouter: the sum, and last in brackets what the answer may have
	{
		regexp.MustCompile(`maximum context length is (\d{1,9}) tokens.*requested (?:about )?(\d{1,9}) tokens \([^)]*\D(\d{1,9}) (?:tokens )?(?:in|for) the (?:completion|output)`),
		func(n []int) string { return longSum(max(n[1]-n[2], 0), n[2], n[0]) },
	},
	// vLLM since 0.9
	{
		regexp.MustCompile(`too large: (\d{1,9})\..*maximum context length is (\d{1,9}) tokens and your request has (\d{1,9}) input tokens`),
		func(n []int) string { return longSum(n[2], n[0], n[1]) },
	},
	// SGLang
	{
		regexp.MustCompile(`maximum context length of (\d{1,9}) tokens.*?(\d{1,9}) tokens from the input messages and (\d{1,9}) tokens for the completion`),
		func(n []int) string { return longSum(n[1], n[2], n[0]) },
	},
	{regexp.MustCompile(`maximum context length is (\d{1,9}) tokens.*resulted in (\d{1,9}) tokens`), func(n []int) string { return longPrompt(n[1], n[0]) }},
	// vLLM since 0.10, NIM
	{
		regexp.MustCompile(`passed (\d{1,9}) input tokens and requested (\d{1,9}) output tokens.*context length is only (\d{1,9}) tokens`),
		func(n []int) string { return longSum(n[0], n[1], n[2]) },
	},
	// SGLang, Together
	{regexp.MustCompile(`\((\d{1,9}) tokens\) is longer than the model's context length \((\d{1,9}) tokens\)`), func(n []int) string { return longPrompt(n[0], n[1]) }},
	// TGI
	{regexp.MustCompile(`must have less than (\d{1,9}) tokens\. Given: (\d{1,9})`), func(n []int) string { return longPrompt(n[1], n[0]) }},
	{
		regexp.MustCompile("must be <= (\\d{1,9})\\. Given: (\\d{1,9}) `inputs` tokens and (\\d{1,9}) `max_new_tokens`"),
		func(n []int) string { return longSum(n[1], n[2], n[0]) },
	},
	// Mistral
	{regexp.MustCompile(`contains (\d{1,9}) tokens.*too large for model with (\d{1,9}) maximum context length`), func(n []int) string { return longPrompt(n[0], n[1]) }},
	// xAI
	{regexp.MustCompile(`maximum prompt length is (\d{1,9}) but the request contains (\d{1,9}) tokens`), func(n []int) string { return longPrompt(n[1], n[0]) }},
	// llama.cpp
	{regexp.MustCompile(`\((\d{1,9}) tokens\) is too large to process.*batch size: (\d{1,9})\)`), func(n []int) string { return longPrompt(n[0], n[1]) }},
	{regexp.MustCompile(`\((\d{1,9}) tokens\) exceeds the available context size \((\d{1,9}) tokens\)`), func(n []int) string { return longPrompt(n[0], n[1]) }},
	// Gemini
	{regexp.MustCompile(`input token count \((\d{1,9})\) exceeds the maximum number of tokens allowed \((\d{1,9})\)`), func(n []int) string { return longPrompt(n[0], n[1]) }},
}

// tooLong puts the words by which clients recognize a request that is too long before what
// a provider says of it.
func tooLong(text string) string {
	if words := find(contexts, text); words != "" {
		return inFront(words, text)
	}
	if strings.HasPrefix(text, tooLongLead) {
		return text
	}
	return tooLongLead + text
}

// inFront puts words before a text, unless they are there already: Anthropic itself uses
// them.
func inFront(words, text string) string {
	if _, behind, found := strings.Cut(text, words); found {
		return words + "." + strings.TrimPrefix(behind, ".")
	}
	return words + ". " + text
}

// longAnswer says that an answer shall have more tokens than the model can make.
func longAnswer(asked, limit int) string {
	return fmt.Sprintf("max_tokens: %d > %d, which is the maximum allowed number of output tokens for this model", asked, limit)
}

// limits are what providers say if max_tokens is more than the model can make.
var limits = []counts{
	// Anthropic
	{regexp.MustCompile(`max_tokens: (\d{1,9}) > (\d{1,9}), which is the maximum`), func(n []int) string { return longAnswer(n[0], n[1]) }},
	// OpenAI
	{regexp.MustCompile(`max_(?:completion_)?tokens is too large: (\d{1,9})\. This model supports at most (\d{1,9}) completion tokens`), func(n []int) string { return longAnswer(n[0], n[1]) }},
	// Gemini, whose range ends before its last number
	{regexp.MustCompile(`maxOutputTokens value of (\d{1,9}) but the supported range is from 1 \(inclusive\) to (\d{1,9}) \(exclusive\)`), func(n []int) string { return longAnswer(n[0], n[1]-1) }},
}

// signatureWords tell clients that they have to leave out what was thought.
const signatureWords = "Invalid `signature` in `thinking` block"

// refused puts the words from which clients learn what to change before what a provider
// says of a request.
func refused(text string) string {
	if words := find(limits, text); words != "" {
		return inFront(words, text)
	}
	lower := strings.ToLower(text)
	if !strings.Contains(text, signatureWords) && (strings.Contains(lower, "thought signature") || strings.Contains(lower, "thought_signature")) {
		return signatureWords + ": " + text
	}
	return text
}
