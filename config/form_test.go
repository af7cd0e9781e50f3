package config

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"cuelang.org/go/cue"
)

// testSchema has what config.cue does not have yet, too.
const testSchema = `
#Config: {
	section?: #Section
}
#Section: {
	wait:     *"10s" | #Duration @range("1s", "1m")
	most?:    #Size @size("1KiB")
	level:    "low" | *"high"
	count?:   int & >=2 & <=5
	headers?: {[string]: string} @secret() @key("NAME") @item("the text of a header")
	tokens?:  [...string] @secret(optional)
	pass?:    string @secret()
}
#Duration: =~"^[0-9]+(s|m)$"
#Size: int & >=1 | =~"^[0-9]+ ?(B|KiB)$"
`

type testSection struct {
	Wait    Duration          `json:"wait"`
	Most    Size              `json:"most"`
	Level   string            `json:"level"`
	Count   int               `json:"count"`
	Headers map[string]Secret `json:"headers"`
	Tokens  []Secret          `json:"tokens"`
	Pass    Secret            `json:"pass"`
}

// parseSection reads a file of the test's schema.
func parseSection(t *testing.T, src string) (testSection, string) {
	t.Helper()
	l, err := newLoader("api.yaml", testOptions())
	if err != nil {
		t.Fatal(err)
	}
	l.schema = l.cue.CompileString(testSchema)
	if err := l.schema.Err(); err != nil {
		t.Fatal(err)
	}
	l.whole = &form{schema: l.definition("#Config")}
	root := readTree([]byte(src), l.whole, l.report)
	if root == nil {
		t.Fatal(l.problems)
	}
	l.cutSecrets(l.whole, root, "")
	l.check(l.whole, root, "", place{1, 1})
	var s testSection
	l.decode("#Section", root.get("section"), "section", &s)
	if len(l.problems) > 0 {
		return s, (&Problems{sortProblems(l.problems)}).Error()
	}
	return s, ""
}

// TestAKeyIsDeclaredInTheSchemaAlone reads keys that nothing but a schema and a
// struct knows of.
func TestAKeyIsDeclaredInTheSchemaAlone(t *testing.T) {
	_, problems := parseSection(t, `
section:
  wait: 5s
  most: 1 KiB
  count: 3
  headers: {Authorization: "${KEY}", file: plain, X-Other: {file: keys/none}}
`)
	if want := "api.yaml:6:60: section.headers.X-Other: the file cannot be read: no such file or directory"; problems != want {
		t.Errorf("problems %q, want %q", problems, want)
	}
	got, problems := parseSection(t, `
section:
  wait: 5s
  most: 1 KiB
  count: 3
  headers: {Authorization: "${KEY}", file: plain}
  tokens: ["${KEY}", "${NOT_SET}", other]
  pass: "${DIGITS}"
`)
	if problems != "" {
		t.Fatal(problems)
	}
	if want := (testSection{
		Wait: Duration(5 * time.Second), Most: 1024, Level: "high", Count: 3,
		Headers: map[string]Secret{"Authorization": NewSecret("canary-7f3a-key"), "file": NewSecret("plain")},
		Tokens:  []Secret{NewSecret("canary-7f3a-key"), {}, NewSecret("other")},
		Pass:    NewSecret("7312345678"),
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
	for src, want := range map[string]string{
		"wait: 61s":                     "api.yaml:1:17: section.wait: must be at most 1m",
		"wait: 0s":                      "api.yaml:1:17: section.wait: must be at least 1s",
		"wait: 5":                       "api.yaml:1:17: section.wait: must be a duration with a unit, such as 10s",
		"most: 2KiB":                    "api.yaml:1:17: section.most: must be at most 1KiB",
		"most: 0B":                      "api.yaml:1:17: section.most: must be at least 1 byte",
		"most: much":                    "api.yaml:1:17: section.most: must be a size such as 1GiB, or a number of bytes",
		"level: middle":                 "api.yaml:1:18: section.level: must be low or high",
		"count: 6":                      "api.yaml:1:18: section.count: must be a whole number from 2 to 5",
		"headers: {a: 5}":               "api.yaml:1:24: section.headers.a: must be text: put it in quotes",
		"headers: {a: {canary-7f3a: }}": `api.yaml:1:24: section.headers.a: must be text in quotes, "${NAME}", or {file: path}`,
		`pass: "${NOT_SET}"`:            "api.yaml:1:17: section.pass: the variable NOT_SET is not set, or empty: set it, for this secret must be there",
	} {
		if _, got := parseSection(t, "section: {"+src+"}"); got != want {
			t.Errorf("%s:\n%s, want\n%s", src, got, want)
		}
	}
}

// TestSchemaAttributes reads every attribute of config.cue as the package does.
func TestSchemaAttributes(t *testing.T) {
	l, err := newLoader("api.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"must", "item", "key", "range", "size", "quantity", "secret", "default", "unless"}
	walk(l.whole, "", func(path string, f *form) {
		for _, a := range f.schema.Attributes(cue.FieldAttr) {
			if !slices.Contains(known, a.Name()) {
				t.Errorf("%s: nothing reads @%s(%s)", path, a.Name(), a.Contents())
			}
		}
		if b := f.bounds; b.unit == durations {
			least, ok := parseDuration(b.least)
			most, ok2 := parseDuration(b.most)
			if !ok || !ok2 || least >= most {
				t.Errorf("%s: the range from %q to %q has none", path, b.least, b.most)
			}
		}
		if _, ok := parseQuantity(f.bounds.most); f.bounds.unit == quantities && !ok {
			t.Errorf("%s: %q is no quantity", path, f.bounds.most)
		}
		if _, ok := parseSize(f.bounds.most); f.bounds.unit == sizes && !ok {
			t.Errorf("%s: %q is no size", path, f.bounds.most)
		}
	})
}

// TestStructsHaveTheSchemasFields compares the public structs with the schema:
// each key is a field of its type, and nothing else is.
func TestStructsHaveTheSchemasFields(t *testing.T) {
	l, err := newLoader("api.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	compareFields(t, l.whole, "", reflect.TypeFor[Config]())
}

func compareFields(t *testing.T, f *form, path string, typ reflect.Type) {
	t.Helper()
	keys := f.keys()
	declared := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(typ) {
		switch name := field.Tag.Get("json"); {
		case name == "-" || !field.IsExported():
		case keys.named[name] == nil:
			t.Errorf("%s.%s: the schema has no key %q", typ, field.Name, join(path, name))
		default:
			declared[name] = field.Type
		}
	}
	for _, key := range keys.fields {
		at := join(path, key.name)
		typ, ok := declared[key.name]
		if !ok && (at == "auth.api_keys[].key" || at == "auth.api_keys[].keys[].key") {
			continue // only its hash is kept
		}
		if !ok {
			t.Errorf("%s: no field of %s is for it", at, typ)
			continue
		}
		switch {
		case (key.bounds.unit == durations) != (typ == reflect.TypeFor[Duration]()):
			t.Errorf("%s is a %s: a Duration needs @range in the schema, and the other way round", at, typ)
		case (key.bounds.unit == sizes) != (typ == reflect.TypeFor[Size]()):
			t.Errorf("%s is a %s: a Size needs @size in the schema, and the other way round", at, typ)
		case key.typeWords() == "secret" != (typ == reflect.TypeFor[Secret]()):
			t.Errorf("%s is a %s: a Secret needs @secret in the schema, and the other way round", at, typ)
		}
		switch {
		case key.name == "options": // the adapter's
		case typ.Kind() == reflect.Struct && key.keys() != nil:
			compareFields(t, key, at, typ)
		case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct:
			if below := key.element().keys(); below != nil {
				compareFields(t, key.element(), at+"[]", typ.Elem())
			} else if key.keys() != nil { // else it holds texts, such as rates
				compareFields(t, key.keys().rest, at+"."+key.key, typ.Elem())
			}
		}
	}
}
