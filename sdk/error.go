package sdk

// Error is a failure as an adapter states it: OpenAI's four fields and the HTTP
// status. The gateway turns it into an answer in the client's API, and decides by
// Code and Status whether another target may be asked.
//
// The zero values mean: Status 500, Type derived from Status, Code and Param
// null. Message is shown to clients, so it never holds an address, a key or a
// prompt; Err is the detail for the log and is never shown.
type Error struct {
	Status       int    // HTTP status
	Type         string // for example "invalid_request_error"
	Code         string // for example "model_not_found"; "" is null
	Param        string // the request's field at fault; "" is null
	Message      string
	RetryAfterMS int64 // milliseconds until a repeat may succeed; 0: unknown
	NoRetry      bool  // a repeat of the same request can't succeed, whatever Status says
	Err          error // what happened, for the log only

	// Own is what Message says in the adapter's own words, with nothing of the upstream's
	// and nothing of the request: it is logged, where Message is not. "": it is left out.
	Own string
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// The types of Error, as OpenAI and the gateway's documentation name them.
const (
	InvalidRequest      = "invalid_request_error"
	AuthenticationError = "authentication_error"
	PermissionError     = "permission_error"
	NotFoundError       = "not_found_error"
	RateLimitError      = "rate_limit_error"
	ServerError         = "server_error"
)

// TypeOf returns the type that belongs to an HTTP status.
func TypeOf(status int) string {
	switch {
	case status == 401:
		return AuthenticationError
	case status == 403:
		return PermissionError
	case status == 404:
		return NotFoundError
	case status == 429:
		return RateLimitError
	case status >= 400 && status < 500:
		return InvalidRequest
	}
	return ServerError
}
