package errortext

import "github.com/kai-gateway/kai/sdk"

// Say gives an error its words: the adapter's, behind a colon the upstream's, and what can be done
// about it. The log gets all of them but the upstream's. It returns the error.
//
//   - lead: a sentence without its full stop
//   - said: what the upstream said, fit to show; "": nothing
//   - advice: further sentences, with a space before them; "": none
func Say(e *sdk.Error, lead, said, advice string) *sdk.Error {
	e.Own = lead + "." + advice
	if e.Message = e.Own; said != "" {
		e.Message = lead + ": " + said + advice
	}
	return e
}

// Upstream returns the error for a failure of the upstream. message must have nothing that the
// upstream said, since it is logged.
func Upstream(message string) *sdk.Error {
	return &sdk.Error{Status: 502, Type: sdk.ServerError, Code: "upstream_error", Message: message, Own: message}
}

// Foreign returns the error for a status that refuses the gateway, with a body that didn't
// come from the API. It has the body's text.
func Foreign(lead string, body sdk.JSON) *sdk.Error {
	e := Upstream("")
	e.NoRetry = true
	return Say(e, lead, Clean(string(body), nil), "")
}

// Reason returns a word as a sentence; "" for a text that is no word.
func Reason(word string) string {
	if !IsWord(word) {
		return ""
	}
	return word + "."
}
