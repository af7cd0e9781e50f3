package responses

import (
	"math"
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
)

// ownCodes are those of OpenAI's codes that say more than a kind does. Clients get them as
// a provider said them.
var ownCodes = map[string]bool{
	"server_is_overloaded": true, "slow_down": true, "vector_store_timeout": true, "cyber_policy": true, "bio_policy": true, "invalid_image": true, "invalid_image_format": true,
	"invalid_base64_image": true, "invalid_image_url": true, "image_too_large": true, "image_too_small": true, "image_parse_error": true,
	"image_content_policy_violation": true, "invalid_image_mode": true, "image_file_too_large": true, "unsupported_image_media_type": true, "empty_image_file": true,
	"failed_to_download_image": true, "image_file_not_found": true,
}

// failureCode returns the code of a failure in a stream. Clients decide by it whether to
// repeat the request, and after which pause.
func failureCode(e *fault.Error) string {
	status := e.HTTPStatus()
	switch {
	case ownCodes[e.Code]:
		return e.Code
	case e.Kind == fault.Context:
		return "context_length_exceeded"
	case e.Kind == fault.Quota:
		return "insufficient_quota"
	case e.Kind == fault.Rate || status == 429:
		return "rate_limit_exceeded"
	case e.Kind == fault.Busy:
		return "server_is_overloaded"
	case status >= 400 && status < 500 && !e.Repeatable():
		return "invalid_prompt"
	}
	return "server_error"
}

// failureText returns the text of a failure in a stream. There is no header to say when
// the request may be repeated, so clients read it in the text.
func failureText(e *fault.Error) string {
	if failureCode(e) != "rate_limit_exceeded" || e.RetryAfter <= 0 || strings.Contains(strings.ToLower(e.Text), "try again in") {
		return e.Text
	}
	seconds := math.Ceil(e.RetryAfter.Seconds()*1000) / 1000
	return strings.TrimSpace(e.Text + " Please try again in " + strconv.FormatFloat(seconds, 'f', -1, 64) + "s.")
}

// appendFailure appends the error of a response object.
func appendFailure(dst []byte, code, text string) []byte {
	dst = append(dst, `{"code":`...)
	dst = facts.AppendString(dst, code)
	dst = append(dst, `,"message":`...)
	dst = facts.AppendString(dst, text)
	return append(dst, '}')
}

// Fail appends the end of a stream that failed: an error in both shapes that clients look
// for, and the failed response with the items that were done. It ends no item: clients run
// a call that is done, and would then also repeat the request.
func (s *stream) Fail(dst []byte, e *fault.Error) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = true // for good: nothing may follow
	if p := s.passing; p != nil && p.shown {
		s.begun, s.seq, s.passedID = true, p.Passed(), p.passage.id
	}
	sent := s.seq
	dst = s.appendBegin(dst)

	shown := *e
	shown.Code, shown.Text = failureCode(e), failureText(e)
	nested := dialect.AppendOpenAIError(nil, &shown, "")
	dst = s.appendHead(dst, "error")
	dst = append(dst, `,"code":`...)
	dst = facts.AppendString(dst, shown.Code)
	dst = append(dst, `,"message":`...)
	dst = facts.AppendString(dst, shown.Text)
	dst = append(dst, `,"param":`...)
	if shown.Param == "" {
		dst = append(dst, "null"...)
	} else {
		dst = facts.AppendString(dst, shown.Param)
	}
	dst = append(dst, ',')
	dst = append(dst, nested[1:]...) // "error":{…}}
	dst = append(dst, "\n\n"...)

	o := object{status: statusFailed, failure: appendFailure(nil, shown.Code, shown.Text)}
	if s.events != nil && s.translated {
		o.items, o.tier = s.events.sentItems(sent), s.events.tier
	}
	dst = s.appendHead(dst, "response.failed")
	dst = append(dst, `,"response":`...)
	dst, _ = s.appendObject(dst, o)
	return append(dst, "}\n\n"...)
}

// sentItems returns the items that were done before the event with a number, or none if
// there is too little memory to send them once more.
func (e *events) sentItems(number int) (items []*outputItem) {
	size := 0
	for _, it := range e.items {
		if it.doneAt > 0 && it.doneAt < number {
			items = append(items, it)
			size += it.size()
		}
	}
	if e.facts.Hold(size) != nil {
		return nil
	}
	return items
}
