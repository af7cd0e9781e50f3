package openrouter

import (
	"errors"
	"strings"
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
		"constraint_filtered":        {404, "model_not_found"},
		"free_variant_ended":         {404, "model_not_found"},
		"region_restricted":          {502, "upstream_auth"},
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

func TestClean(t *testing.T) {
	long := strings.Repeat("é", 600)
	for name, tc := range map[string]struct{ in, want string }{
		"a full stop is added":                {"No such thing", "No such thing."},
		"one that is there stays":             {"Try again later!", "Try again later!"},
		"lines are joined":                    {"a\r\n\tb\x00c", "a b c."},
		"a page is dropped":                   {" <!DOCTYPE html><p>no", ""},
		"a page within words is dropped":      {"502: <html><body>nginx", ""},
		"a link to the account":               {"No credits. Add more at https://openrouter.ai/credits", "No credits."},
		"a link to the account, first":        {"See https://openrouter.ai/settings/privacy. No endpoint is left", "No endpoint is left."},
		"a link to the documentation":         {"See https://openrouter.ai/docs/x", "See https://openrouter.ai/docs/x."},
		"a link to both":                      {"See openrouter.ai/docs/x or openrouter.ai/keys", ""},
		"a label of a key":                    {"Key sk-or-v1-abc...123 is off", "Key [key] is off."},
		"too long, cut between characters":    {long, long[:1000] + "…"},
		"nothing":                             {"", ""},
		"text of another alphabet gets a dot": {"错误", "错误."},
	} {
		t.Run(name, func(t *testing.T) {
			if got := clean(tc.in); got != tc.want {
				t.Errorf("clean(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func TestDigIsBounded(t *testing.T) {
	s := `"deep"`
	for range 20 {
		s = `{"error":` + s + `}`
	}
	if got := dig(sdk.JSON(s), maxDig); got != "" {
		t.Errorf("dig found %q below its bound", got)
	}
}

func TestMilliseconds(t *testing.T) {
	for in, want := range map[string]int64{
		"18": 18000, "3.719": 3719, `"2"`: 2000, "0.0001": 0, "0": 0, "-1": 0, "1e9": 0, "": 0, "null": 0,
		`"Wed, 21 Oct 2026 07:28:00 GMT"`: 0, "86400": 86400000,
	} {
		if got := milliseconds(sdk.JSON(in)); got != want {
			t.Errorf("milliseconds(%s) = %d, want %d", in, got, want)
		}
	}
}
