package config

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// FuzzKeysFile reads any bytes as a file of keys, and edits them: nothing panics, problems
// have a place, and an edited file has the key that was added and those that were there.
func FuzzKeysFile(f *testing.F) {
	for _, seed := range []string{
		"", "[]", "- a\n- {name: b, key: c}\n", "# x\n- name: a\n  keys:\n  - {sha256: ab, until: 2027-01-01T00:00:00Z}\n", "- &a {name: a, key: x}\n- *a\n",
		"- {name: a, 1: x, sha256: ab}\n", "- {name: a, keys: [{1: x, sha256: ab}, {sha256: ac}]}\n",
		"- |\n  a\n- \"b\n  c\"\n", "---\n- a\n...\n", "- {name: a, sha256: " + strings.Repeat("ab", 32) + "}\n- {name: ä, sha256: " + strings.Repeat("cd", 32) + ", models: [a]}\n",
		"- {name: a, keys: [{key: x, until: 2020-01-01T00:00:00Z}, {key: y}, {key: z, until: 2020-01-02T00:00:00Z}]}\n",
		"- name: a\r\n  keys:\r\n  - key: x\r\n    until: 2020-01-01T00:00:00Z\r\n  - {key: y, until: 2050-01-01T00:00:00Z}\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		cfg, err := withKeysFile(withFile, file)
		var problems *Problems
		if errors.As(err, &problems) {
			for _, p := range problems.List {
				if p.Message == "" || p.Line < 1 || p.Column < 1 {
					t.Errorf("%q: %+v", file, p)
				}
			}
		}
		added := NewKey{Name: "added-by-the-test", SHA256: Digest{1}}
		out, _, editErr := AddKey([]byte(file), true, added)
		if editErr == nil && err == nil {
			after, err := withKeysFile(withFile, string(out))
			if err != nil || len(after.Auth.Keys) != len(cfg.Auth.Keys)+1 {
				t.Errorf("%q became %q: %v", file, out, err)
			}
		}
		ends := time.Unix(1_800_000_000, 0)
		if out, err := RotateKey([]byte(file), true, Rotation{Name: "a", SHA256: Digest{2}, Now: ends, Until: ends}); err == nil && string(out) == file {
			t.Errorf("%q has not changed", file)
		}
	})
}
