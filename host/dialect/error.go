package dialect

import (
	"time"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/fault"
)

// AppendOpenAIError appends an error to dst in OpenAI's shape, all four fields
// present and one line long:
//
//	{"error":{"message":"…","type":"server_error","param":null,"code":null}}
//
// Bytes that are not UTF-8 become U+FFFD, so the result is valid JSON whatever the
// fields hold.
func AppendOpenAIError(dst []byte, e *fault.Error, _ string) []byte {
	typ := e.Type
	if typ == "" {
		typ = openAIType(e.HTTPStatus())
	}
	dst = append(dst, `{"error":{"message":`...)
	dst = AppendErrorString(dst, e.Text)
	dst = append(dst, `,"type":`...)
	dst = AppendErrorString(dst, typ)
	dst = append(dst, `,"param":`...)
	dst = appendErrorField(dst, e.Param)
	dst = append(dst, `,"code":`...)
	dst = appendErrorField(dst, e.Code)
	return append(dst, "}}"...)
}

// OpenAIEvents is what the streams of OpenAI's APIs have in common that end with [DONE], or
// without any mark. It is embedded in a [Stream].
type OpenAIEvents struct{}

// KeepAlive appends a comment, which clients skip.
func (OpenAIEvents) KeepAlive(dst []byte) []byte { return append(dst, ": keep-alive\n\n"...) }

// Fail appends the event that ends a stream after a failure: the error, without an end mark.
func (OpenAIEvents) Fail(dst []byte, e *fault.Error) []byte {
	dst = append(dst, "data: "...)
	dst = AppendOpenAIError(dst, e, "")
	return append(dst, "\n\n"...)
}

// openAIType returns OpenAI's type of an error with an HTTP status.
func openAIType(status int) string {
	switch {
	case status == 401:
		return "authentication_error"
	case status == 403:
		return "permission_error"
	case status == 404:
		return "not_found_error"
	case status == 429:
		return "rate_limit_error"
	case status >= 400 && status < 500:
		return "invalid_request_error"
	}
	return "server_error"
}

// appendErrorField appends a string that is null when empty.
func appendErrorField(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return AppendErrorString(dst, s)
}

// AppendErrorString appends s as a JSON string literal. It also escapes U+2028
// and U+2029, which some readers of event streams take for line ends.
func AppendErrorString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
			i++
		case c == '\n':
			dst = append(dst, `\n`...)
			i++
		case c < ' ' || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			i++
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				dst = append(dst, `\ufffd`...)
			case r == '\u2028':
				dst = append(dst, `\u2028`...)
			case r == '\u2029':
				dst = append(dst, `\u2029`...)
			default:
				dst = append(dst, s[i:i+size]...)
			}
			i += size
		}
	}
	return append(dst, '"')
}

// KeptApart is the error for ids that are all the caller's, but of what different providers
// keep.
func KeptApart() *fault.Error {
	return &fault.Error{
		Kind: fault.Invalid, Type: "invalid_request_error",
		Text: "The request names things that are kept at different providers, so that none of them has all. Name in one request only what one model's answers have told, and leave out the rest.",
	}
}

// NotRead is the error if the store that may know what a request names does not answer.
func NotRead(cause error) *fault.Error {
	return &fault.Error{
		Kind: fault.Full, RetryAfter: time.Second, Cause: cause,
		Text: "What was remembered can't be read at the moment, so Kai can't tell whether there is what the request names. Try again in a second.",
	}
}

// NotKept is the error for the id of something that a provider keeps, such as a file, if it
// is not the caller's. It doesn't tell whether there is such a thing.
func NotKept() *fault.Error {
	return &fault.Error{
		Kind: fault.NotFound, Type: "invalid_request_error",
		Text: "The request names something that does not exist, such as a file, a container or a vector store. What a provider keeps can be named only with the key that it was made with.",
	}
}
