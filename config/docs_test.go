package config

import (
	"io/fs"
	"os"
	"strings"
	"testing"
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
// schema. Each key has a row: its meaning is written by hand, its type, default
// and range are the schema's. KAI_UPDATE=1 writes those.
func TestEveryKeyIsDocumented(t *testing.T) {
	document := readDocument(t, "configuration.md")
	lines := strings.Split(document, "\n")
	fields := map[string]Field{}
	for _, f := range Fields() {
		fields[f.Path] = f
	}
	documented := map[string]bool{}
	inTable := false
	for i, line := range lines {
		inTable = line == "| key | type | default | range | meaning |" || inTable && strings.HasPrefix(line, "|")
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
		if !inTable || len(cells) != 7 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		key := strings.Trim(cells[1], " `")
		f, ok := fields[key]
		if !ok {
			t.Errorf("docs/configuration.md describes `%s`, which the schema does not have", key)
			continue
		}
		documented[key] = true
		if strings.TrimSpace(cells[5]) == "" {
			t.Errorf("docs/configuration.md does not say what `%s` means", key)
		}
		lines[i] = "| `" + key + "` |"
		for _, cell := range []string{f.Type, defaultCell(f), strings.ReplaceAll(f.Range, "*", `\*`), strings.TrimSpace(cells[5])} {
			lines[i] += strings.TrimSuffix(" "+cell, " ") + " |"
		}
		lines[i] = strings.ReplaceAll(lines[i], "\x00", `\|`)
		if lines[i] != line && os.Getenv("KAI_UPDATE") == "" {
			t.Errorf("docs/configuration.md has\n%s\nby the schema it is\n%s\nKAI_UPDATE=1 go test ./config writes it", line, lines[i])
		}
	}
	for _, f := range Fields() {
		if section, key := describedElsewhere(f.Path); section != "" {
			if _, is := fields[section+"."+key]; !is {
				t.Errorf("`%s` is no key of `%s`, which docs/configuration.md says it is", f.Path, section)
			}
			continue
		}
		section := !strings.Contains(f.Path, ".") && f.Type == "mapping" && strings.Contains(document, "\n## "+f.Path+"\n")
		if !documented[f.Path] && !section {
			t.Errorf("docs/configuration.md has no row for it: write | `%s` | | | | what it means |", f.Path)
		}
	}
	if os.Getenv("KAI_UPDATE") != "" {
		if err := os.WriteFile("../docs/configuration.md", []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// describedElsewhere returns the section that describes the keys below a path that has the
// same; "" for none.
func describedElsewhere(path string) (section, key string) {
	for _, s := range []struct{ here, section string }{
		{"model_mapping.ALIAS.routing.", "routing"},
		{"model_mapping.ALIAS.targets[].price.", "model_mapping.ALIAS.price"},
		{"model_mapping.ALIAS.limits.", "limits"},
		{"auth.groups.GROUP.limits.", "limits"},
		{"auth.api_keys[].limits.", "limits"},
		{"auth.groups.GROUP.budget.", "auth.api_keys[].budget"},
	} {
		if _, key, ok := strings.Cut(path, s.here); ok {
			return s.section, key
		}
	}
	return "", ""
}

func defaultCell(f Field) string {
	if f.Required {
		return "required"
	}
	return f.Default
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
	for name, want := range map[string]int{"routing.md": 6, "limits.md": 2, "cache.md": 1, "deployment.md": 1, "../README.md": 4} {
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
