package openrouter

import (
	"errors"
	"testing"

	"github.com/kai-gateway/kai/sdk"
)

func TestFailureWithoutAStatus(t *testing.T) {
	for word, want := range map[string]struct {
		status int
		code   string
	}{
		"context_length_exceeded":    {400, "context_length_exceeded"},
		"max_tokens_exceeded":        {400, "max_tokens_exceeded"},
		"token_limit_exceeded":       {400, "token_limit_exceeded"},
		"string_too_long":            {400, "string_too_long"},
		"invalid_request":            {400, ""},
		"invalid_prompt":             {400, "invalid_prompt"},
		"content_policy_violation":   {400, "content_policy_violation"},
		"refusal":                    {400, "content_policy_violation"},
		"invalid_image":              {400, "invalid_image"},
		"image_too_large":            {400, "image_too_large"},
		"image_too_small":            {400, "image_too_small"},
		"unsupported_image_format":   {400, "unsupported_image_format"},
		"image_download_failed":      {400, "image_download_failed"},
		"image_not_found":            {400, "image_not_found"},
		"authentication":             {502, "upstream_auth"},
		"payment_required":           {502, "insufficient_quota"},
		"permission_denied":          {502, "upstream_auth"},
		"not_found":                  {404, "model_not_found"},
		"precondition_failed":        {400, ""},
		"payload_too_large":          {413, "request_too_large"},
		"unprocessable":              {422, ""},
		"rate_limit_exceeded":        {429, "rate_limit_exceeded"},
		"server":                     {502, "upstream_error"},
		"unmapped":                   {502, "upstream_error"},
		"provider_unavailable":       {502, "upstream_error"},
		"provider_overloaded":        {503, "overloaded"},
		"timeout":                    {504, "upstream_timeout"},
		"model_not_found":            {404, "model_not_found"},
		"wrong_endpoint":             {404, "model_not_found"},
		"no_endpoints":               {404, "model_not_found"},
		"model_deprecated":           {404, "model_not_found"},
		"model_unavailable_upstream": {404, "model_not_found"},
		"privacy_restricted":         {404, "model_not_found"},
		"constraint_filtered":        {400, ""},
		"free_variant_ended":         {404, "model_not_found"},
		"region_restricted":          {404, "model_not_found"},
		"capacity_exhausted":         {429, "rate_limit_exceeded"},
		"temporarily_unavailable":    {503, "upstream_error"},
		"server_error":               {502, "upstream_error"},
		"a word of next year":        {502, "upstream_error"},
	} {
		t.Run(word, func(t *testing.T) {
			for _, form := range []string{
				`{"message":"m","code":"` + word + `"}`,
				`{"message":"m","error_type":"` + word + `"}`,
				`{"message":"m","type":"` + word + `"}`,
				`{"message":"m","code":null,"metadata":{"error_type":"` + word + `"}}`,
				`{"message":"m","availability":{"code":"` + word + `"}}`,
			} {
				var e *sdk.Error
				if err := failure(0, nil, sdk.JSON(form)); !errors.As(err, &e) {
					t.Fatalf("failure(%s) = %v, want an *sdk.Error", form, err)
				}
				if e.Status != want.status || e.Code != want.code || e.Type != sdk.TypeOf(want.status) {
					t.Errorf("failure(%s) = %d %s %q, want %d %q", form, e.Status, e.Type, e.Code, want.status, want.code)
				}
			}
		})
	}
}

func TestTextsAboutTheAccountAreDropped(t *testing.T) {
	for in, want := range map[string]string{
		"No credits. Add more at https://openrouter.ai/credits":           "No credits.",
		"See https://openrouter.ai/settings/privacy. No endpoint is left": "No endpoint is left.",
		"See https://openrouter.ai/docs/x":                                "See https://openrouter.ai/docs/x.",
		"See openrouter.ai/docs/x or openrouter.ai/keys":                  "",
	} {
		if got := said(sdk.JSON(`"` + in + `"`)); got != want {
			t.Errorf("said(%q) = %q, want %q", in, got, want)
		}
	}
}
