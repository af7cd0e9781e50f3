package key

import (
	"context"
	"crypto/sha256"
	"errors"
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
		{Name: "bob", SHA256: sha256.Sum256([]byte(bobKey)), Models: NewModels([]string{"gpt-4"})},
	})
}

func TestCheck(t *testing.T) {
	alice := Principal{Name: "alice"}
	bob := Principal{Name: "bob", Models: NewModels([]string{"gpt-4"})}
	for name, tc := range map[string]struct {
		key  string
		want Principal // without a name: refused
	}{
		"a key":                           {key: aliceKey, want: alice},
		"a key with models":               {key: bobKey, want: bob},
		"a wrong key":                     {key: "sk-kai-mallory"},
		"the start of a key":              {key: "sk-kai-alic"},
		"a key in other case":             {key: "SK-KAI-ALICE"},
		"a key's hash instead of the key": {key: hexOf(aliceKey)},
		"two right keys, joined":          {key: aliceKey + ", Bearer " + bobKey},
		"none":                            {},
	} {
		t.Run(name, func(t *testing.T) {
			who, err := newKeys().Check(tc.key)
			if !reflect.DeepEqual(who, tc.want) {
				t.Errorf("Check(%q) = %+v, want %+v", tc.key, who, tc.want)
			}
			if tc.want.Name != "" {
				if err != nil {
					t.Errorf("Check(%q) error = %v", tc.key, err)
				}
				return
			}
			want := &fault.Error{
				Kind: fault.Unauthenticated, Code: "invalid_api_key",
				Text: "The API key is not one of this gateway's. Check the key your client sends.",
			}
			var got *fault.Error
			if errors.As(err, &got); !reflect.DeepEqual(got, want) {
				t.Errorf("Check(%q) error = %+v, want %+v", tc.key, got, want)
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
	for _, key := range []string{"", "Bearer", "x", "\x00"} {
		if p, err := New(nil).Check(key); err == nil {
			t.Errorf("Check(%q) = %+v, want an error", key, p)
		}
	}
}

func TestMayUse(t *testing.T) {
	for name, tc := range map[string]struct {
		models *Models
		alias  string
		want   bool
	}{
		"no list is every model": {alias: "gpt-4", want: true},
		"a listed model":         {models: NewModels([]string{"a", "gpt-4"}), alias: "gpt-4", want: true},
		"a model not listed":     {models: NewModels([]string{"a"}), alias: "gpt-4"},
		"an empty list is none":  {models: NewModels(nil), alias: "gpt-4"},
		"case matters":           {models: NewModels([]string{"GPT-4"}), alias: "gpt-4"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Principal{Models: tc.models}).MayUse(tc.alias); got != tc.want {
				t.Errorf("MayUse(%q) with %v = %t, want %t", tc.alias, tc.models, got, tc.want)
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
