package config

import (
	"strings"
	"testing"
)

func TestClosest(t *testing.T) {
	names := []string{"host", "port", "workers", "api_key", "base_url", "max_body", "max_bodies"}
	for name, tc := range map[string]struct{ word, want string }{
		"a letter is missing":         {"hst", "host"},
		"a letter too many":           {"portt", "port"},
		"neighbours are swapped":      {"prot", "port"},
		"the first is swapped":        {"ohst", "host"},
		"another letter":              {"workerz", "workers"},
		"another case and separator":  {"BaseURL", "base_url"},
		"a dash":                      {"api-key", "api_key"},
		"a part of only one name":     {"url", "base_url"},
		"a part of several names":     {"max", ""},
		"nothing like it":             {"listen", ""},
		"two letters are like little": {"xy", ""},
		"the nearest of two":          {"max_bodys", "max_body"},
		"very long":                   {strings.Repeat("host", 1000), ""},
		"empty":                       {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Closest(tc.word, names); got != tc.want {
				t.Errorf("Closest(%q) = %q, want %q", tc.word, got, tc.want)
			}
		})
	}
}

func TestEditDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abcd", "badc", 2},
		{"kitten", "sitting", 3}, {"saturday", "sunday", 3}, {"abc", "ca", 3},
	} {
		if got := editDistance(tc.a, tc.b); got != tc.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
		if got := editDistance(tc.b, tc.a); got != tc.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tc.b, tc.a, got, tc.want)
		}
	}
}
