package dialect

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/fault"
)

func TestOpenAIError(t *testing.T) {
	for name, tc := range map[string]struct {
		err  fault.Error
		want string
	}{
		"param and code are null when empty": {
			err:  fault.Error{Kind: fault.Invalid, Text: "Model 'invalid-model' not found in configuration"},
			want: `{"error":{"message":"Model 'invalid-model' not found in configuration","type":"invalid_request_error","param":null,"code":null}}`,
		},
		"all four fields": {
			err:  fault.Error{Kind: fault.Unauthenticated, Param: "p", Code: "invalid_api_key", Text: "m"},
			want: `{"error":{"message":"m","type":"authentication_error","param":"p","code":"invalid_api_key"}}`,
		},
		"the zero kind is a server error": {
			err:  fault.Error{Text: "m"},
			want: `{"error":{"message":"m","type":"server_error","param":null,"code":null}}`,
		},
		"quotes, control characters and line separators are escaped": {
			err:  fault.Error{Text: "a\"b\\c\nd\x00\x1f\x7f\u2028\u2029é"},
			want: `{"error":{"message":"a\"b\\c\nd\u0000\u001f\u007f\u2028\u2029é","type":"server_error","param":null,"code":null}}`,
		},
		"bytes that are not UTF-8 are replaced": {
			err:  fault.Error{Text: "a\xffb\xe2\x82"},
			want: `{"error":{"message":"a\ufffdb\ufffd\ufffd","type":"server_error","param":null,"code":null}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(AppendOpenAIError([]byte("x"), &tc.err, ""))
			if got != "x"+tc.want {
				t.Errorf("AppendOpenAIError = %s, want x%s", got, tc.want)
			}
		})
	}
}

func FuzzOpenAIError(f *testing.F) {
	f.Add("plain")
	f.Add("\"\\\n\x00\x7f\u2028\xff")
	f.Fuzz(func(t *testing.T, message string) {
		out := AppendOpenAIError(nil, &fault.Error{Text: message}, "")
		var got struct{ Error struct{ Message string } }
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("AppendOpenAIError(%q) = %q: %v", message, out, err)
		}
		want := message
		if !utf8.ValidString(message) {
			want = string([]rune(message))
		}
		if got.Error.Message != want {
			t.Errorf("AppendOpenAIError(%q) reads back as %q", message, got.Error.Message)
		}
		if strings.ContainsAny(string(out), "\n\r\u2028\u2029") || !utf8.Valid(out) {
			t.Errorf("AppendOpenAIError(%q) = %q holds a line end or bytes that are not UTF-8", message, out)
		}
	})
}
