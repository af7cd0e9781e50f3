package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAddKeyKeepsTheRest(t *testing.T) {
	digest := sha256.Sum256([]byte("new"))
	added := "{name: app, sha256: " + hex.EncodeToString(digest[:]) + "}"
	for name, tc := range map[string]struct {
		alone     bool
		src, want string // + stands for the new entry
	}{
		"an empty file of keys":        {true, "", "- +\n"},
		"only a comment":               {true, "# ours", "# ours\n- +\n"},
		"an empty list":                {true, "# ours\n[]\n", "# ours\n- +\n\n"},
		"a list":                       {true, "# ours\n- {name: a, key: x} # first\n\n- name: b\n  key: y\n# end\n", "# ours\n- {name: a, key: x} # first\n\n- name: b\n  key: y\n- +\n# end\n"},
		"a list without a last line":   {true, "- {name: a, key: x}", "- {name: a, key: x}\n- +\n"},
		"an indented list":             {true, "  - {name: a, key: x}\n", "  - {name: a, key: x}\n  - +\n"},
		"a configuration without auth": {false, "model_mapping: {}\n", "model_mapping: {}\nauth:\n  enabled: true\n  api_keys:\n    - +\n"},
		"auth without keys":            {false, "auth:\n  enabled: true # on\n", "auth:\n  api_keys:\n    - +\n  enabled: true # on\n"},
		"no keys yet":                  {false, "auth:\n  api_keys: # none\n  enabled: true\n", "auth:\n  api_keys: # none\n    - +\n  enabled: true\n"},
		"an empty list of keys":        {false, "auth:\n  api_keys: []\n  enabled: true\n", "auth:\n  api_keys: \n    - +\n  enabled: true\n"},
		"lines as those of Windows":    {false, "auth:\r\n  enabled: true\r\n", "auth:\r\n  api_keys:\r\n    - +\r\n  enabled: true\r\n"},
		"keys":                         {false, "auth:\n  api_keys:\n  - {name: a, key: x} # ä\n\n  enabled: true\nserver: {port: 1}\n", "auth:\n  api_keys:\n  - {name: a, key: x} # ä\n  - +\n\n  enabled: true\nserver: {port: 1}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := AddKey([]byte(tc.src), tc.alone, NewKey{Name: "app", SHA256: digest})
			if want := strings.Replace(tc.want, "+", added, 1); err != nil || string(got) != want {
				t.Errorf("%v\n%s, want\n%s", err, got, want)
			}
		})
	}
	for name, src := range map[string]string{
		"in brackets": "auth:\n  api_keys: [{name: a, key: x}]\n", "in braces": "auth: {enabled: true}\n", "no YAML": "auth: {", "a text that goes on": "auth:\n  api_keys:\n  - |\n    key\n  enabled: true\n",
	} {
		if got, _, err := AddKey([]byte(src), false, NewKey{Name: "app", SHA256: digest}); err == nil {
			t.Errorf("%s: became %s", name, got)
		}
	}
}

func TestAddKeyWritesAllOfIt(t *testing.T) {
	k := NewKey{Name: "1e3", SHA256: sha256.Sum256([]byte("new")), Group: "true", Models: []string{"gpt-*", "a b"}, Expires: time.Date(2027, 1, 1, 1, 0, 0, 0, time.FixedZone("", 3600))}
	got, path, err := AddKey(nil, true, k)
	if want := "- {name: \"1e3\", sha256: " + hex.EncodeToString(k.SHA256[:]) + ", group: \"true\", models: [\"gpt-*\", \"a b\"], expires: 2027-01-01T00:00:00Z}\n"; err != nil || string(got) != want || path != "[0]" {
		t.Errorf("%v, %s\n%s, want\n%s", err, path, got, want)
	}
	if _, path, err := AddKey([]byte("auth:\n  api_keys:\n    - x\n    - y\n"), false, k); err != nil || path != "auth.api_keys[2]" {
		t.Errorf("the third key is %s, %v", path, err)
	}
}

func TestRotateKeyKeepsTheRest(t *testing.T) {
	digest := sha256.Sum256([]byte("new"))
	until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	rotate := func(src string) ([]byte, error) {
		return RotateKey([]byte(src), true, Rotation{Name: "a", SHA256: digest, Now: until.Add(-time.Hour), Until: until})
	}
	added := "{sha256: " + hex.EncodeToString(digest[:]) + "}"
	version := func(name string, until string) string { return "{sha256: " + name + ", until: " + until + "}" }
	const over, longOver = "2026-12-30T00:00:00Z", "2026-12-01T00:00:00Z"
	full, left := "", ""
	for i, day := range []string{"31", "28", "29", "30"} {
		one, two := version(fmt.Sprint("a", i), "2026-12-"+day+"T00:00:00Z"), version(fmt.Sprint("b", i), "2026-12-"+day+"T01:00:00Z")
		full += ", " + one + ", " + two
		if i != 1 {
			left += ", " + one
		}
		left += ", " + two
	}
	for name, tc := range map[string]struct {
		src, want string // + stands for the new key, ~ for the end
	}{
		"on one line":         {"- {name: a, sha256: abc, group: g} # mine\n- {name: b, key: x}\n", "- {name: a, keys: [+, {sha256: abc, until: ~}], group: g} # mine\n- {name: b, key: x}\n"},
		"on several":          {"- name: a\n  sha256: 'abc' # old\n  group: g\n", "- name: a\n  keys: [+, {sha256: abc, until: ~}] # old\n  group: g\n"},
		"a key of a variable": {"- name: a\n  key: ${KEY}\n", "- name: a\n  keys: [+, {key: \"${KEY}\", until: ~}]\n"},
		"once more": {
			"- {name: a, keys: [{sha256: abc}, " + version("abd", over) + "]}\n", "- {name: a, keys: [+, {sha256: abc, until: ~}, " + version("abd", over) + "]}\n",
		},
		"once more, on lines":  {"- name: a\n  keys:\n    - {sha256: abc}\n  group: g\n", "- name: a\n  keys:\n    - +\n    - {sha256: abc, until: ~}\n  group: g\n"},
		"each field on a line": {"- name: a\n  keys:\n    - sha256: abc\n  group: g\n", "- name: a\n  keys:\n    - +\n    - sha256: abc\n      until: ~\n  group: g\n"},
		"one that ends later": {
			"- {name: a, keys: [{sha256: abc}, " + version("abd", "2027-01-02T00:00:00+02:00") + ", " + version("abe", "'2028-01-01T00:00:00Z'") + "]}\n",
			"- {name: a, keys: [+, {sha256: abc, until: ~}, " + version("abd", "~") + ", " + version("abe", "~") + "]}\n",
		},
		"one that ends later, on lines": {
			"- name: a\n  keys:\n    - sha256: abc\n      until: 2027-06-01T00:00:00Z # in summer\n", "- name: a\n  keys:\n    - +\n    - sha256: abc\n      until: ~ # in summer\n",
		},
		"some that ended long ago": {
			"- {name: a, keys: [" + version("x", longOver) + ", " + version("y", longOver) + ", {sha256: abc}, " + version("z", longOver) + "]}\n", "- {name: a, keys: [+, {sha256: abc, until: ~}]}\n",
		},
		"all ended long ago": {"- {name: a, keys: [" + version("x", longOver) + ", " + version("y", longOver) + "], group: g}\n", "- {name: a, keys: [+], group: g}\n"},
		"some that ended long ago, on lines": {
			"- name: a\n  keys:\n    - sha256: x\n      until: " + longOver + " # lost\n    # the present one\n    - {sha256: abc}\n    - " + version("y", longOver) + "\n  group: g\n",
			"- name: a\n  keys:\n    - +\n    # the present one\n    - {sha256: abc, until: ~}\n  group: g\n",
		},
		"more than may be listed":            {"- {name: a, keys: [" + full[2:] + "]}\n", "- {name: a, keys: [+" + left + "]}\n"},
		"lines that end as those of Windows": {"- name: a\r\n  keys:\r\n    - {sha256: abc}\r\n", "- name: a\r\n  keys:\r\n    - +\r\n    - {sha256: abc, until: ~}\r\n"},
		"what can't be cut out, before what could": {
			"- {name: a, keys: [{until: " + longOver + ", key: {file: x}}, " + version("y", longOver) + ", {sha256: abc}]}\n",
			"- {name: a, keys: [+, {until: " + longOver + ", key: {file: x}}, " + version("y", longOver) + ", {sha256: abc, until: ~}]}\n",
		},
		"what can't be cut out of the middle": {"- {name: a, keys: [{sha256: abc}, {until: " + longOver + ", key: {file: x}}]}\n", "- {name: a, keys: [+, {sha256: abc, until: ~}, {until: " + longOver + ", key: {file: x}}]}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := rotate(tc.src)
			if want := strings.NewReplacer("+", added, "~", "2027-01-01T00:00:00Z").Replace(tc.want); err != nil || string(got) != want {
				t.Errorf("%v\n%s, want\n%s", err, got, want)
			}
		})
	}
	if _, err := rotate("- {name: b, key: x}\n"); !errors.Is(err, ErrNoSuchKey) {
		t.Errorf("a name that is not there: %v", err)
	}
	for name, src := range map[string]string{"a file": "- {name: a, key: {file: x}}\n", "an alias": "- &k {name: a, sha256: abc}\n- *k\n", "an end that is none": "- {name: a, keys: [{key: x, until: soon}]}\n"} {
		if got, err := rotate(src); err == nil {
			t.Errorf("%s: became %s", name, got)
		}
	}
}
