package config

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/race"
)

// withKey returns a configuration with one key set, in JSON, which is YAML. Lists
// on the way get one more entry, with a name.
func withKey(t *testing.T, path string, v any) string {
	t.Helper()
	root := map[string]any{
		"model_mapping": map[string]any{"a": map[string]any{"provider": "openrouter", "model": "m"}},
		"auth":          map[string]any{"enabled": true, "api_keys": []any{"another-key"}},
	}
	if strings.HasPrefix(path, "shared.") {
		root["shared"] = map[string]any{"url": "redis://redis", "secret": "another-secret-of-many"}
	}
	at := root
	segments := strings.Split(path, ".")
	for i, segment := range segments {
		if segment == strings.ToUpper(segment) {
			segment = "openrouter"
		}
		name, inList := strings.CutSuffix(segment, "[]")
		last := i == len(segments)-1
		var next any = map[string]any{"name": "n"}
		if name == "keys" {
			next = map[string]any{}
		}
		if !inList {
			next, _ = at[name].(map[string]any)
			if next.(map[string]any) == nil {
				next = map[string]any{}
			}
		}
		if last {
			next = v
		}
		if inList {
			list, _ := at[name].([]any)
			at[name] = append(list, next)
		} else {
			at[name] = next
		}
		at, _ = next.(map[string]any)
	}
	b, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// secretFields are the places of all secrets. An item of a list of secrets has
// one of its own.
func secretFields() (paths []string) {
	for _, f := range Fields() {
		switch {
		case !f.Secret:
		case f.Type == "list":
			paths = append(paths, f.Path+"[]")
		case f.Type == "mapping":
			paths = append(paths, f.Path+".NAME")
		default:
			paths = append(paths, f.Path)
		}
	}
	return paths
}

// long is a canary that is long enough for every secret.
const long = canary + "-of-some-length"

// secretSources are the ways to give a secret.
var secretSources = map[string]any{
	"as text":     long,
	"by variable": "${CANARY}",
	"by default":  "${NOT_SET:-" + long + "}",
	"by file":     map[string]any{"file": "canary"},
}

// brokenSecrets are what people write, and what stands in variables and files,
// where a secret belongs. None is one.
var brokenSecrets = map[string]any{
	"with a space":                  canary + " and more",
	"with a line break":             canary + "\n" + canary,
	"with a hidden character":       canary + "\u200b",
	"in quotes of its own":          `"` + canary + `"`,
	"in a reference":                "${" + canary + "}",
	"in a reference, as a name":     "${gsk_" + strings.ReplaceAll(canary, "-", "") + "AAAAbbbbCCCC11112222}",
	"in a reference that is open":   "${" + canary,
	"as a default of a default":     "${NOT_SET:-${" + canary + "}}",
	"as a list":                     []any{canary},
	"as a list of lists":            []any{[]any{canary}, canary},
	"as a mapping":                  map[string]any{"key": map[string]any{"value": canary}},
	"as a key":                      map[string]any{canary: nil},
	"as keys":                       map[string]any{canary: canary, canary + "2": []any{canary}},
	"as the key of a list":          []any{map[string]any{canary: canary}},
	"beside file":                   map[string]any{"file": "canary", canary: canary},
	"as the name of a file":         map[string]any{"file": canary},
	"as a file that is a list":      map[string]any{"file": []any{canary}},
	"as a file that is a mapping":   map[string]any{"file": map[string]any{canary: canary}},
	"in a reference of a file":      map[string]any{"file": "${" + canary + "}"},
	"in a file with a space":        map[string]any{"file": "space"},
	"in a file with quotes":         map[string]any{"file": "quotes"},
	"in a file that is not UTF-8":   map[string]any{"file": "binary"},
	"in a file that is too large":   map[string]any{"file": "large"},
	"in a file that cannot be read": map[string]any{"file": "unreadable"},
	"in a variable with a space":    "${SPACE}",
	"in a variable not UTF-8":       "${BINARY}",
	"in a variable with quotes":     "${QUOTES}",
}

// brokenDocuments are what YAML has to say something of itself; %s is for a place
// that a value can stand in.
var brokenDocuments = map[string]string{
	"a key given twice":           "{\"" + canary + "\": 1, \"" + canary + "\": 2}",
	"a key given twice in a list": "[{\"" + canary + "\": 1, \"" + canary + "\": 2}]",
	"a key with a reference":      "{\"${" + canary + "}\": 1}",
	"a key with a control":        "{\"" + canary + "\\u0007\": 1}",
	"an empty key below":          "{\"" + canary + "\": {\"\": 1}}",
	"a tag":                       "!" + canary + " x",
	"a tag below":                 "{\"" + canary + "\": !x 1}",
	"an alias of nothing":         "*" + canary,
	"an alias of itself":          "&a {\"" + canary + "\": *a}",
	"a merge of text":             "{\"" + canary + "\": {<<: 1}}",
	"an open quote":               "\"" + canary,
	"an open bracket":             "[" + canary,
	"a bare reference":            "${" + canary + "}",
	"a number":                    "{\"" + canary + "\": .inf}",
	"a second colon":              canary + ": " + canary + ": x",
	"a mapping too deep":          strings.Repeat("{\""+canary+"\": ", maxDepth+2) + "1" + strings.Repeat("}", maxDepth+2),
}

func secretOptions() Options {
	o := testOptions()
	o.LookupEnv = func(name string) (string, bool) {
		v, ok := map[string]string{
			"CANARY": long, "SPACE": canary + " x", "BINARY": canary + "\xff", "QUOTES": "'" + canary + "'",
		}[name]
		return v, ok
	}
	o.ReadFile = func(path string) ([]byte, error) {
		content, ok := map[string]string{
			"canary": long + "\n", "space": canary + " x", "quotes": `"` + canary + `"`, "binary": canary + "\xff",
			"large": strings.Repeat(canary, maxSecretFile),
		}[path]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
		}
		return []byte(content), nil
	}
	return o
}

// TestNoSecretIsShown puts a canary where the schema has a secret, in every way
// there is to give one, and in every way to get it wrong, and looks for it in all
// that comes of it.
func TestNoSecretIsShown(t *testing.T) {
	places := secretFields()
	if len(places) < 3 {
		t.Fatalf("the schema has secrets only at %q", places)
	}
	if race.Enabled {
		places = places[:2] // one goroutine alone: make check runs all without the race detector
	}
	for _, path := range places {
		for name, v := range secretSources {
			src := withKey(t, path, v)
			cfg, err := Parse("api.yaml", []byte(src), secretOptions())
			if err != nil {
				t.Errorf("%s %s: %v: if other keys are required beside it, withKey has to add them\n%s", path, name, err, src)
				continue
			}
			if shown := everythingOf(cfg); holdsCanary(shown) {
				t.Errorf("%s %s: the configuration prints as %s", path, name, shown)
			}
		}
		broken := maps.Clone(secretSources)
		maps.Copy(broken, brokenSecrets)
		list, inList := strings.CutSuffix(path, "[]")
		for name, v := range broken {
			for _, wrong := range []any{v, []any{v}, map[string]any{"key": v}, map[string]any{"file": v}} {
				checkNothingShown(t, path, name, withKey(t, path, wrong))
				if inList {
					checkNothingShown(t, list, name, withKey(t, list, wrong))
				}
			}
		}
		for name, text := range brokenDocuments {
			checkNothingShown(t, path, name, strings.Replace(withKey(t, path, "HERE"), `"HERE"`, text, 1))
			checkNothingShown(t, list, name, strings.Replace(withKey(t, list, "HERE"), `"HERE"`, text, 1))
		}
	}
}

func checkNothingShown(t *testing.T, path, name, src string) {
	t.Helper()
	cfg, err := Parse("api.yaml", []byte(src), secretOptions())
	if err != nil && holdsCanary(err.Error()) {
		t.Errorf("%s %s:\n%v\nof %s", path, name, err, src)
	}
	if cfg != nil && holdsCanary(everythingOf(cfg)) {
		t.Errorf("%s %s: the configuration prints as %s", path, name, everythingOf(cfg))
	}
}

// holdsCanary reports whether any part of the canary is in a text. Keys stand
// without dashes where dashes cannot be.
func holdsCanary(s string) bool {
	return strings.Contains(s, "canary-") || strings.Contains(s, "canary7")
}

// everythingOf prints a configuration in every way there is.
func everythingOf(cfg *Config) string {
	var out strings.Builder
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "config", cfg)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "config", cfg)
	b, _ := json.Marshal(cfg)
	out.Write(b)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&out, verb, cfg)
		fmt.Fprintf(&out, verb, *cfg)
	}
	return out.String()
}
