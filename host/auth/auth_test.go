package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/fault"
)

const (
	aliceKey = "sk-kai-alice"
	bobKey   = "sk-kai-bob with a space"
)

func newKeys() *Keys {
	return New([]Key{
		{Name: "alice", SHA256: sha256.Sum256([]byte(aliceKey))},
		{Name: "bob", SHA256: sha256.Sum256([]byte(bobKey)), Models: []string{"gpt-4"}},
	})
}

func TestAuthenticate(t *testing.T) {
	const (
		missing   = "No API key was sent. Send one in the header 'Authorization: Bearer <key>'."
		malformed = "The Authorization header must have the form 'Bearer <key>'."
		wrong     = "The API key is not one of this gateway's. Check the key your client sends."
		repeated  = "The request has more than one Authorization header. Send one."
	)
	alice := Principal{Name: "alice"}
	bob := Principal{Name: "bob", Models: []string{"gpt-4"}}
	for name, tc := range map[string]struct {
		headers []string
		want    Principal
		message string // of the refusal; "": let in
	}{
		"a key":                                {headers: []string{"Bearer " + aliceKey}, want: alice},
		"a key with models":                    {headers: []string{"Bearer " + bobKey}, want: bob},
		"the scheme in lower case":             {headers: []string{"bearer " + aliceKey}, want: alice},
		"the scheme in upper case":             {headers: []string{"BEARER " + aliceKey}, want: alice},
		"space around the key":                 {headers: []string{"Bearer   " + aliceKey + " "}, want: alice},
		"no header":                            {message: missing},
		"an empty header":                      {headers: []string{""}, message: missing},
		"a scheme without a key":               {headers: []string{"Bearer"}, message: malformed},
		"a scheme with a blank key":            {headers: []string{"Bearer  "}, message: malformed},
		"a key without a scheme":               {headers: []string{aliceKey}, message: malformed},
		"another scheme":                       {headers: []string{"Basic " + aliceKey}, message: malformed},
		"the scheme without a space":           {headers: []string{"Bearer" + aliceKey}, message: malformed},
		"a wrong key":                          {headers: []string{"Bearer sk-kai-mallory"}, message: wrong},
		"the start of a key":                   {headers: []string{"Bearer sk-kai-alic"}, message: wrong},
		"a key in other case":                  {headers: []string{"Bearer SK-KAI-ALICE"}, message: wrong},
		"a key's hash instead of the key":      {headers: []string{"Bearer " + hexOf(aliceKey)}, message: wrong},
		"two keys in one header":               {headers: []string{"Bearer " + aliceKey + ", Bearer " + bobKey}, message: wrong},
		"the header twice, the same":           {headers: []string{"Bearer " + aliceKey, "Bearer " + aliceKey}, want: alice},
		"the header twice, joined":             {headers: []string{"Bearer " + aliceKey + ", Bearer " + aliceKey}, want: alice},
		"two right keys":                       {headers: []string{"Bearer " + aliceKey, "Bearer " + bobKey}, message: repeated},
		"two right keys, joined":               {headers: []string{"Bearer " + aliceKey + ", Bearer " + bobKey}, message: wrong},
		"the header twice, the first is empty": {headers: []string{"", "Bearer " + aliceKey}, message: repeated},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/v1/chat/completions", nil)
			r.Header["Authorization"] = tc.headers
			ctx, err := newKeys().Authenticate(r)
			if tc.message == "" {
				if err != nil {
					t.Fatalf("Authenticate(%q) error = %v", tc.headers, err)
				}
				if got := PrincipalFrom(ctx); !reflect.DeepEqual(got, tc.want) {
					t.Errorf("Authenticate(%q) = %+v, want %+v", tc.headers, got, tc.want)
				}
				return
			}
			want := &fault.Error{Kind: fault.Unauthenticated, Code: "invalid_api_key", Text: tc.message}
			var got *fault.Error
			if errors.As(err, &got); !reflect.DeepEqual(got, want) {
				t.Errorf("Authenticate(%q) error = %+v, want %+v", tc.headers, got, want)
			}
			if ctx != nil {
				t.Errorf("Authenticate(%q) returned a context with its error", tc.headers)
			}
		})
	}
}

func hexOf(key string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range sha256.Sum256([]byte(key)) {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func TestNoKeysLetNobodyIn(t *testing.T) {
	for _, header := range []string{"", "Bearer", "Bearer x", "Bearer \x00"} {
		if p, err := New(nil).Check(header); err == nil {
			t.Errorf("Check(%q) = %+v, want an error", header, p)
		}
	}
}

func TestMayUse(t *testing.T) {
	for name, tc := range map[string]struct {
		models []string
		alias  string
		want   bool
	}{
		"no list is every model": {alias: "gpt-4", want: true},
		"a listed model":         {models: []string{"a", "gpt-4"}, alias: "gpt-4", want: true},
		"a model not listed":     {models: []string{"a"}, alias: "gpt-4"},
		"case matters":           {models: []string{"GPT-4"}, alias: "gpt-4"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Principal{Models: tc.models}).MayUse(tc.alias); got != tc.want {
				t.Errorf("MayUse(%q) with %q = %t, want %t", tc.alias, tc.models, got, tc.want)
			}
		})
	}
}

func TestPrincipalFromNothingIsAnybody(t *testing.T) {
	p := PrincipalFrom(context.Background())
	if p.Name != "" || !p.MayUse("gpt-4") {
		t.Errorf("PrincipalFrom(Background) = %+v, want a nameless one that may use every model", p)
	}
}
