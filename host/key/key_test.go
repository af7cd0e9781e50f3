package key

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

const (
	aliceKey = "sk-kai-alice"
	bobKey   = "sk-kai-bob with a space"
)

// digests are those of keys that count as one and never end.
func digests(keys ...string) (all []Digest) {
	for _, key := range keys {
		all = append(all, Digest{SHA256: sha256.Sum256([]byte(key))})
	}
	return all
}

// day is midnight of a day in March 2027.
func day(n int) time.Time { return time.Date(2027, 3, n, 0, 0, 0, 0, time.UTC) }

func newKeys() *Keys {
	return New([]Key{
		{Name: "alice", Digests: digests(aliceKey)},
		{Name: "bob", Digests: digests(bobKey), Models: NewModels([]string{"gpt-4"})},
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
			who, err := newKeys().Check(tc.key, day(1))
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
		if p, err := New(nil).Check(key, day(1)); err == nil {
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

func TestKeysThatAreRefused(t *testing.T) {
	keys := New([]Key{
		{Name: "alice", Digests: digests("alice"), Expires: day(10)},
		{Name: "bob", Digests: digests("bob"), Disabled: true},
		{Name: "carol", Digests: []Digest{{SHA256: sha256.Sum256([]byte("old")), Until: day(5)}, {SHA256: sha256.Sum256([]byte("new"))}}},
	})
	for name, tc := range map[string]struct {
		key  string
		at   time.Time
		name string
		says string // "": it is taken
	}{
		"before it expires":               {"alice", day(10).Add(-1), "alice", ""},
		"when it expires":                 {"alice", day(10), "alice", "This API key expired on 2027-03-10T00:00:00Z. Ask who runs the gateway for another."},
		"disabled":                        {"bob", day(1), "bob", "This API key is disabled. Ask who runs the gateway."},
		"the old key before its end":      {"old", day(4), "carol", ""},
		"the new key before that":         {"new", day(4), "carol", ""},
		"the old key at its end":          {"old", day(5), "carol", "This API key was replaced and expired on 2027-03-05T00:00:00Z. Use the one that took its place."},
		"the new key after that":          {"new", day(6), "carol", ""},
		"nobody else learns of their end": {"alic", day(11), "", "The API key is not one of this gateway's. Check the key your client sends."},
	} {
		t.Run(name, func(t *testing.T) {
			who, err := keys.Check(tc.key, tc.at)
			if who.Name != tc.name || (err == nil) != (tc.says == "") {
				t.Fatalf("Check = %+v, %v, want %q", who, err, tc.name)
			}
			var refused *fault.Error
			if errors.As(err, &refused) && (refused.Text != tc.says || refused.Code != "invalid_api_key" || refused.Kind != fault.Unauthenticated) {
				t.Errorf("error %+v, want %q", refused, tc.says)
			}
		})
	}
}

// BenchmarkCheck shows that a request costs the same, however many keys there are.
func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		keys := make([]Key, n)
		for i := range keys {
			keys[i] = Key{Name: "k", Digests: digests(fmt.Sprint("key ", i))}
		}
		known, now := New(keys), day(1)
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := known.Check("key 7", now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
