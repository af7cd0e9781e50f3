package errortext

import (
	"testing"

	"github.com/kai-gateway/kai/sdk"
)

func TestIsPath(t *testing.T) {
	for said, want := range map[string]bool{
		"":                   true,
		"Not Found":          true,
		"404 page not found": true,
		"Not found.":         true,
		"File Not Found":     true,
		"Method Not Allowed": true,

		"Invalid URL (POST /v1/v1/chat/completions)":               true,
		"Unknown request URL: POST /openai/v1/v1/chat":             true,
		"Cannot POST /v1/models/x:generateContent":                 true,
		"Unexpected endpoint or method. (POST /v1/api/chat)":       true,
		"no Route matched with those values":                       true,
		"The requested URL /models/x was not found on this server": true,
		"Route POST:/v1/v1/messages not found":                     true,
		"POST /v1/v1/messages not found":                           true,
		"/v1/v1/messages does not exist":                           true,

		"model: claude-x": false,
		"The model `gpt-x` does not exist or you do not have access to it.": false,
		"model 'nope' not found": false,
		"models/x is not found for API version v1beta, or is not supported for generateContent.": false,
		"Resource not found":                   false, // OpenRouter's, of a model
		"Requested entity was not found.":      false,
		"No endpoints found for openai/gpt-x.": false,
		"File not found: file_123":             false,
		"Model not found: a/v1":                false,
	} {
		if got := IsPath(said); got != want {
			t.Errorf("IsPath(%q) = %v, want %v", said, got, want)
		}
	}
}

func TestIsForeign(t *testing.T) {
	for body, want := range map[string]bool{
		"": false, " \n": false, "{}": false, `"text"`: false, "[]": false, "null": false,
		"error code: 1020": true, "Forbidden": true, `{"error":`: true, "nginx": true,
	} {
		if got := IsForeign(sdk.JSON(body)); got != want {
			t.Errorf("IsForeign(%q) = %v, want %v", body, got, want)
		}
	}
	e := Foreign("Something refused it", sdk.JSON("error code: 1020"))
	if e.Status != 502 || e.Code != "upstream_error" || !e.NoRetry || e.Message != "Something refused it: error code: 1020." {
		t.Errorf("Foreign = %+v", e)
	}
}
