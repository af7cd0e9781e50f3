package live

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/config"
)

// TestWhatNeedsAStart changes one key after the other, and holds the table of the documentation
// against the keys that are told of.
func TestWhatNeedsAStart(t *testing.T) {
	const base = "model_mapping: {m: {provider: demo, model: m}}\n"
	parse := func(yaml string) *config.Config {
		t.Helper()
		c, err := config.Parse("kai.yaml", []byte(base+yaml), config.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	told := map[string]bool{}
	for name, tc := range map[string]struct {
		before, after string
		own           bool
		want          []string
	}{
		"nothing":                          {"", "", false, nil},
		"what a reload changes":            {"", "log: {level: warn, access: errors}\nserver: {read_timeout: 3s, max_body: 1MiB}\ncors: {enabled: false}", false, nil},
		"the address":                      {"", "server: {host: 127.0.0.2, port: 1}", false, []string{"server.host", "server.port"}},
		"an address that isn't served":     {"", "server: {host: 127.0.0.2, port: 1}", true, nil},
		"how long a head may take":         {"", "server: {read_header_timeout: 3s}", false, []string{"server.read_header_timeout"}},
		"an admin listener with a content": {"", "admin: {console: true}", false, []string{"admin.host", "admin.port"}},
		"no admin listener any more":       {"admin: {console: true}", "", false, []string{"admin.host", "admin.port"}},
		"its port":                         {"admin: {port: 1}", "admin: {port: 2}", false, []string{"admin.port"}},
		"its token":                        {"admin: {port: 1, token: a-token-of-ours}", "admin: {port: 1, token: another-token}", false, nil},
		"a ledger":                         {"", "ledger: a.db", false, []string{"ledger"}},
		"a shared store":                   {"", "shared: {url: \"redis://h\", secret: 0123456789abcdef}", false, []string{"shared"}},
		"its password": {
			"shared: {url: \"redis://h\", secret: 0123456789abcdef, password: a}", "shared: {url: \"redis://h\", secret: 0123456789abcdef, password: b}",
			false, []string{"shared"},
		},
		"its line":            {"shared: {url: \"redis://h\", secret: 0123456789abcdef}", "\n\nshared: {url: \"redis://h\", secret: 0123456789abcdef}", false, nil},
		"the form of the log": {"", "log: {format: text}", false, []string{"log.format"}},
	} {
		got := needStart(atStart(parse(tc.before)), parse(tc.after), tc.own)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
		for _, key := range got {
			told[key] = true
		}
	}

	b, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "\n## Changes\n")
	section, rows, _ := strings.Cut(section, "\n## ")
	var documented []string
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) == 4 && strings.Contains(cells[1], "`") {
			documented = append(documented, strings.Trim(cells[1], " `"))
		}
	}
	for i, k := range startKeys {
		if !told[k.key] {
			t.Errorf("no change of %s is tried above", k.key)
		}
		if i >= len(documented) || documented[i] != k.key {
			t.Fatalf("docs/configuration.md says that %q need a start; %s is missing there, or elsewhere", documented, k.key)
		}
	}
	if len(documented) != len(startKeys) {
		t.Errorf("docs/configuration.md says that %q need a start, and nothing here tells of the last", documented)
	}
	for line := range strings.Lines(rows) {
		key, _, _ := strings.Cut(strings.TrimPrefix(line, "| `"), "`")
		if strings.HasPrefix(line, "| `") && strings.Contains(line, "next start") && !told[key] {
			t.Errorf("docs/configuration.md says of %s that it changes with the next start, of which nothing tells", key)
		}
	}
}
