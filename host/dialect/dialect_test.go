package dialect

import (
	"errors"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/fault"
)

func TestOpenAIKey(t *testing.T) {
	const (
		missing   = "No API key was sent. Send one in the header 'Authorization: Bearer <key>'."
		empty     = "The key in the Authorization header is empty. Is the variable set that it should come from?"
		malformed = "The Authorization header must have the form 'Bearer <key>'."
		repeated  = "The request has more than one header 'Authorization'. Send one."
	)
	for name, tc := range map[string]struct {
		headers []string
		want    string
		message string // of the refusal; "": there is a key
	}{
		"a key":                                {headers: []string{"Bearer alice"}, want: "alice"},
		"a key with spaces":                    {headers: []string{"Bearer bob with a space"}, want: "bob with a space"},
		"the scheme in lower case":             {headers: []string{"bearer alice"}, want: "alice"},
		"the scheme in upper case":             {headers: []string{"BEARER alice"}, want: "alice"},
		"space around the key":                 {headers: []string{"Bearer   alice "}, want: "alice"},
		"no header":                            {message: missing},
		"an empty header":                      {headers: []string{""}, message: missing},
		"a scheme without a key":               {headers: []string{"Bearer"}, message: empty},
		"a scheme with a blank key":            {headers: []string{"Bearer  "}, message: empty},
		"a key without a scheme":               {headers: []string{"alice"}, message: malformed},
		"another scheme":                       {headers: []string{"Basic alice"}, message: malformed},
		"the scheme without a space":           {headers: []string{"Beareralice"}, message: malformed},
		"two keys in one header":               {headers: []string{"Bearer alice, Bearer bob"}, want: "alice, Bearer bob"},
		"the header twice, the same":           {headers: []string{"Bearer alice", "Bearer alice"}, want: "alice"},
		"the header twice, joined":             {headers: []string{"Bearer alice, Bearer alice"}, want: "alice"},
		"two keys":                             {headers: []string{"Bearer alice", "Bearer bob"}, message: repeated},
		"the header twice, the first is empty": {headers: []string{"", "Bearer alice"}, message: repeated},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", nil)
			r.Header["Authorization"] = tc.headers
			keys, err := OpenAI().Keys(r)
			key := strings.Join(keys, " and ")
			if key != tc.want {
				t.Errorf("the key of %q is %q, want %q", tc.headers, key, tc.want)
			}
			var got *fault.Error
			errors.As(err, &got)
			want := &fault.Error{Kind: fault.Unauthenticated, Code: "invalid_api_key", Text: tc.message}
			if tc.message == "" {
				want = nil
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the error for %q is %+v, want %+v", tc.headers, got, want)
			}
		})
	}
}

func TestAKeyInAnthropicsHeaderIsNotCalledMissing(t *testing.T) {
	r := httptest.NewRequest("GET", "/v1/models", nil)
	r.Header.Set("X-Api-Key", "alice")
	if _, err := OpenAI().Keys(r); err == nil || !strings.Contains(err.Error(), "anthropic-version") || strings.Contains(err.Error(), "alice") {
		t.Errorf("the error is %v, want one that says where the key is read", err)
	}
}
