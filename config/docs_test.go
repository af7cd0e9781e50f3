package config

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"cuelang.org/go/cue"
)

func readDocument(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEveryKeyIsDocumented holds the tables of docs/configuration.md against the
// schema: each key has a row, which tells its default.
func TestEveryKeyIsDocumented(t *testing.T) {
	l, err := newLoader("api.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(readDocument(t, "configuration.md")) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			key, _, _ := strings.Cut(rest, "`")
			rows[key] = line
		}
	}
	// Where the fields of a definition stand in a file.
	places := map[string]string{
		"#Config": "", "#Server": "server.", "#Provider": "providers.NAME.", "#Timeouts": "providers.NAME.timeouts.",
		"#Limits": "providers.NAME.limits.",
		"#Model":  "model_mapping.ALIAS.", "#Auth": "auth.", "#Key": "auth.api_keys[].", "#CORS": "cors.",
	}
	definitions, err := l.schema.Fields(cue.Definitions(true))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for definitions.Next() {
		if definitions.Value().IncompleteKind() != cue.StructKind {
			continue
		}
		name := definitions.Selector().String()
		prefix, known := places[name]
		if !known {
			t.Errorf("the test does not know where the fields of %s stand in a file", name)
			continue
		}
		fields, err := definitions.Value().Fields(cue.Optional(true))
		if err != nil {
			t.Fatal(err)
		}
		for fields.Next() {
			key := prefix + fields.Selector().Unquoted()
			documented[key] = true
			row, ok := rows[key]
			if !ok && prefix == "" { // a section has its own heading
				ok = strings.Contains(readDocument(t, "configuration.md"), "\n## "+key+"\n")
			}
			if !ok {
				t.Errorf("docs/configuration.md has no row for `%s`", key)
				continue
			}
			if d, has := fields.Value().Default(); has && d.IsConcrete() && d.IncompleteKind()&(cue.StructKind|cue.ListKind) == 0 {
				if want := "`" + strings.Trim(fmt.Sprint(d), `"`) + "`"; !strings.Contains(row, want) {
					t.Errorf("the row of `%s` does not tell its default %s", key, want)
				}
			}
		}
	}
	for key := range rows {
		if _, _, inside := strings.Cut(key, "."); inside && !strings.Contains(key, " ") && !documented[key] {
			t.Errorf("docs/configuration.md describes `%s`, which the schema does not have", key)
		}
	}
}

// TestDocumentedConfigurations reads every configuration that the documents show.
func TestDocumentedConfigurations(t *testing.T) {
	document := readDocument(t, "configuration.md")
	_, problems, _ := strings.Cut(document, "```text\n")
	problems, _, _ = strings.Cut(problems, "```")
	options := Options{
		LookupEnv: func(name string) (string, bool) { return "value-of-" + name, true },
		ReadFile: func(path string) ([]byte, error) {
			if strings.HasPrefix(path, "/run/secrets/") {
				return []byte("secret\n"), nil
			}
			return nil, fs.ErrNotExist
		},
	}
	blocks := strings.Split(document, "```yaml\n")[1:]
	if len(blocks) < 3 {
		t.Fatalf("only %d configurations were found", len(blocks))
	}
	for i, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		_, err := Parse("api.yaml", []byte(block), options)
		if want := i == len(blocks)-1; want != (err != nil) {
			t.Errorf("configuration %d: %v\n%s", i+1, err, block)
		}
		if err != nil && err.Error()+"\n" != problems {
			t.Errorf("the problems shown are\n%s, they would be\n%s", problems, err)
		}
	}
	options.Shipped = []string{"anthropic", "demo", "gemini", "ollama", "openai", "openrouter"}
	options.OptionsSchema = func(string, string) (Adapter, error) {
		return Adapter{OptionsCUE: "...", DefaultBaseURL: "https://api.example.com/v1", Secret: true}, nil
	}
	for name, want := range map[string]int{"deployment.md": 1, "../README.md": 4} {
		found := 0
		for _, block := range strings.Split(readDocument(t, name), "```yaml\n")[1:] {
			if block, _, _ = strings.Cut(block, "```"); !strings.Contains(block, "model_mapping:") {
				continue // of Kubernetes
			}
			found++
			if _, err := Parse("api.yaml", []byte(block), options); err != nil {
				t.Errorf("%s: %v\n%s", name, err, block)
			}
		}
		if found < want {
			t.Errorf("%s shows %d configurations, want %d", name, found, want)
		}
	}
}
