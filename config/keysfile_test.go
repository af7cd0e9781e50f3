package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// withKeysFile parses a configuration with a file of keys.
func withKeysFile(auth, keys string) (*Config, error) {
	o := testOptions()
	o.ReadFile = func(path string) ([]byte, error) {
		switch path {
		case "etc/keys.yaml":
			return []byte(keys), nil
		case "etc/secret":
			return []byte("of-a-file\n"), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return Parse("etc/api.yaml", []byte(models+auth), o)
}

const withFile = "auth:\n  enabled: true\n  groups: {g: {}}\n  keys_file: keys.yaml\n  api_keys: [{name: first, key: first}]\n"

func TestKeysOfAFile(t *testing.T) {
	sum := func(key string) Digest { return sha256.Sum256([]byte(key)) }
	for name, tc := range map[string]struct {
		file string
		want []Key
	}{
		"comments alone are no keys": {"# none yet\n", nil},
		"a list that is empty":       {"[]\n", nil},
		"each form of a key": {
			fmt.Sprintf("# ours\n- {name: a, sha256: %x, group: g}\n- name: b\n  key: {file: secret}\n  expires: 2027-01-01T00:00:00Z\n- plain\n", sum("a")),
			[]Key{{Name: "a", SHA256: sum("a"), Group: "g"}, {Name: "b", SHA256: sum("of-a-file"), Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}, {Name: "keys_file 3", SHA256: sum("plain")}},
		},
		"entries that differ in name, digest and expiry": {
			fmt.Sprintf("- {name: a, sha256: %x, models: [a], expires: 2027-01-01T00:00:00Z}\n- {name: b, sha256: %x, models: [a], expires: 2028-01-01T00:00:00Z}\n", sum("a"), sum("b")),
			[]Key{
				{Name: "a", SHA256: sum("a"), Models: []string{"a"}, Allowed: []string{"a"}, Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
				{Name: "b", SHA256: sum("b"), Models: []string{"a"}, Allowed: []string{"a"}, Expires: time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)},
			},
		},
		"JSON": {fmt.Sprintf(`[{"name": "a", "sha256": "%x"}]`, sum("a")), []Key{{Name: "a", SHA256: sum("a")}}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := withKeysFile(withFile, tc.file)
			if err != nil {
				t.Fatal(err)
			}
			want := append([]Key{{Name: "first", SHA256: sum("first")}}, tc.want...)
			if !reflect.DeepEqual(cfg.Auth.Keys, want) {
				t.Errorf("keys\n%+v, want\n%+v", cfg.Auth.Keys, want)
			}
		})
	}
}

func TestProblemsOfAFileOfKeysHaveTheirPlace(t *testing.T) {
	good := "ab" + strings.Repeat("0", 61)
	many := &strings.Builder{}
	for i := range 2000 {
		fmt.Fprintf(many, "- {name: k%d, sha256: ab%062x, group: g}\n", i, i)
	}
	for name, tc := range map[string]struct{ auth, file, want string }{
		"there is none":                    {strings.Replace(withFile, "keys.yaml", "none.yaml", 1), "", "etc/api.yaml:5:14: auth.keys_file: etc/none.yaml cannot be read: file does not exist; a path is relative to the configuration's folder"},
		"it has no key, nor has the other": {"auth: {enabled: true, keys_file: keys.yaml}\n", "[]", "etc/api.yaml:2:34: auth.keys_file: has no key yet, nor has auth.api_keys: list at least one"},
		"a mapping":                        {withFile, "api_keys: [a]\n", "etc/keys.yaml:1:1: must be a list of keys such as - {name: …, sha256: …}, without a key above it"},
		"no YAML":                          {withFile, "- {name: a\n- b\n", "etc/keys.yaml:1:3: a { or [ that opens here is not closed, or a comma is missing before line 3"},
		"a name of the configuration":      {withFile, "- {name: first, key: x}\n", "etc/keys.yaml:1:10: [0].name: is the name of another key on line 6 of etc/api.yaml: take another name, or replace that key with \"kai keys rotate\""},
		"a key of the configuration":       {withFile, "- {name: x, key: first}\n", "etc/keys.yaml:1:3: [0]: is the same key as on line 6 of etc/api.yaml: remove one"},
		"a name of the file":               {withFile, "- {name: a, key: x}\n- {name: a, key: y}\n", "etc/keys.yaml:2:10: [1].name: is the name of another key on line 1: take another name, or replace that key with \"kai keys rotate\""},
		"no such group":                    {withFile, "- {name: a, key: x, group: h}\n", `etc/keys.yaml:1:28: [0].group: there is no group "h"; did you mean "g"?`},
		"a bad one among many that are alike": {withFile, many.String() + "- {name: bad, sha256: " + good + ", group: g}\n",
			"etc/keys.yaml:2001:23: [2000].sha256: must be 64 hexadecimal digits, as sha256sum prints them"},
		"no YAML far below":        {withFile, many.String() + "- {name: a\n- b\n", "etc/keys.yaml:2001:3: a { or [ that opens here is not closed, or a comma is missing before line 2003"},
		"a second document":        {withFile, many.String() + "---\n- a\n", "etc/keys.yaml:2001:1: a second YAML document begins here: a file of keys is one document, remove the --- line"},
		"an alias to far above":    {withFile, "- &a {name: a, key: x}\n" + many.String() + "- *a\n", "etc/keys.yaml:2002:3: an alias (*name) refers to an anchor that is not there, or too far above: write out what it stands for"},
		"what is given twice":      {withFile, many.String() + "- {name: a, sha256: " + strings.Repeat("cd", 32) + ", name: b}\n", "etc/keys.yaml:2001:87: [2000].name: is given twice, on line 2001 and on line 2001: keep one"},
		"the key is not shown":     {withFile, "- {name: a, kye: canary-7f3a}\n", `etc/keys.yaml:1:13: [0].kye: unknown key; did you mean "key"?`},
		"larger than can be meant": {withFile, strings.Repeat("#", maxKeysFile+1), "etc/keys.yaml:1:1: is larger than 16 MiB, the limit of a file of keys"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := withKeysFile(tc.auth, tc.file)
			var problems *Problems
			if !errors.As(err, &problems) || problems.Error() != tc.want {
				t.Errorf("problems\n%v, want\n%s", err, tc.want)
			}
		})
	}
	t.Run("of many wrong ones the first are told", func(t *testing.T) {
		_, err := withKeysFile(withFile, strings.Repeat("- {name: a}\n", 1000))
		if n := strings.Count(fmt.Sprint(err), "\n"); n > maxTold+2 || !strings.HasSuffix(fmt.Sprint(err), "what follows was not read, since so much is wrong above") {
			t.Errorf("%d lines: %v", n, err)
		}
	})
}

// TestQuickKeysAreAsOthers reads each entry alone, which CUE checks, and behind one of its
// form, where it is taken for known: the outcome is the same.
func TestQuickKeysAreAsOthers(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	for _, entry := range []string{
		"{name: x, sha256: " + digest + "}", "{sha256: " + digest + ", name: x}", "{name: x, sha256: " + digest + ", group: g}",
		"{name: x, sha256: " + digest + ", group: \"g\", disabled: true}", "{name: x, sha256: " + digest + ", models: [a], provider_routing: true}",
		"{name: x, sha256: " + digest + ", models: [b]}", "{name: x, sha256: " + digest + ", group: nobody}", "{name: x y, sha256: " + digest + "}",
		"{name: x, sha256: " + digest + "0}", "{name: 5, sha256: " + digest + "}", "{name: \"5\", sha256: " + digest + "}", "{name: x, sha256: " + strings.Repeat("1", 64) + "}",
		"{name: x, sha256: " + digest + ", expires: 2027-01-01}", "{name: x, sha256: " + digest + ", expires: 2027-01-01T00:00:00z}",
		"{name: x, sha256: " + digest + ", expires: 2027-01-01T00:00:00Z}", "{name: x, sha256: " + digest + ", expires: 2027-01-01T24:00:00Z}",
		"{name: x, sha256: " + digest + ", expires: 2027-01-01T00:00:00,5Z}", "{name: x, sha256: " + digest + ", expires: 2027-01-01T00:00:00.0123456789Z}",
		"{name: x, sha256: " + digest + ", expires: 2027-01-01T00:00:00+24:00}", "{name: x, sha256: " + digest + ", disabled: \"true\"}",
		"{name: x, sha256: " + digest + ", group: \"${KEY}\"}", "{name: x}", "{name: x, sha256: }", "{name: , sha256: " + digest + "}", "{name: x, sha256: " + digest + ", group: }",
		"{name: x, sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855}",
	} {
		t.Run(entry, func(t *testing.T) {
			alone, err := withKeysFile(withFile, "- "+entry+"\n")
			front := strings.ReplaceAll(entry, digest, strings.Repeat("cd", 32))
			front = strings.NewReplacer("name: x", "name: other", "name: \"5\"", "name: \"6\"").Replace(front)
			behind, both := withKeysFile(withFile, "- "+front+"\n- "+entry+"\n")
			if (err == nil) != (both == nil) {
				t.Fatalf("alone: %v\nbehind another: %v", err, both)
			}
			if err == nil && !reflect.DeepEqual(alone.Auth.Keys[1], behind.Auth.Keys[2]) {
				t.Errorf("alone %+v\nbehind another %+v", alone.Auth.Keys[1], behind.Auth.Keys[2])
			}
		})
	}
}

// BenchmarkKeysFile reads files of keys, and tells the memory that it takes while reading.
func BenchmarkKeysFile(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		var file strings.Builder
		for i := range n {
			fmt.Fprintf(&file, "- {name: user-%06d, sha256: ab%062x, group: g, expires: 2027-01-01T00:00:%02dZ}\n", i, i, i%60)
		}
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				cfg, err := withKeysFile(withFile, file.String())
				if err != nil || len(cfg.Auth.Keys) != n+1 {
					b.Fatal(err)
				}
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				b.ReportMetric(float64(m.HeapSys)/(1<<20), "MiB-heap")
			}
		})
	}
}
