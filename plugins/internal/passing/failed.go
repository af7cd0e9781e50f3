package passing

import (
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// StatusOf returns the HTTP status that belongs to the code of a response that failed; 0 if
// the code isn't known, or says no more than that:
// https://platform.openai.com/docs/api-reference/responses/object#responses/object-error
func StatusOf(code string) int {
	switch code {
	case "rate_limit_exceeded":
		return 429
	case "server_is_overloaded", "slow_down":
		return 503
	case "vector_store_timeout":
		return 504
	case "invalid_prompt", "invalid_base64_image", "failed_to_download_image", "unsupported_image_media_type", "empty_image_file":
		return 400
	}
	if errortext.IsWord(code) && (strings.HasPrefix(code, "image_") || strings.HasPrefix(code, "invalid_image") || strings.HasSuffix(code, "_policy")) {
		return 400
	}
	return 0
}

// failed explains why a response failed. Clients get the server's own code if they know it,
// except for that of a request that is too long, which adapters tell by the text, too.
func (d *Dialect) failed(head sdk.Head, failure sdk.JSON) error {
	err := d.Failure(abi.Responses, head, failure)
	code, _ := failure.Get("code").Str()
	if e, ok := err.(*sdk.Error); ok && e.Code != "context_length_exceeded" {
		if status := StatusOf(code); status != 0 {
			e.Status, e.Type, e.Code = status, sdk.TypeOf(status), code
		}
	}
	return err
}
