package host

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/limit/ledger"
)

// TestCheckSaysWhatAStartWould checks configurations whose files can't be used, and opens
// the same files as a start does.
func TestCheckSaysWhatAStartWould(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole := filepath.Join(dir, "whole.db")
	f, _, err := ledger.Open(whole)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	used := filepath.Join(dir, "used.db")
	if f, _, err = ledger.Open(used); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sealed := filepath.Join(dir, "sealed")
	if err := os.Mkdir(sealed, 0o500); err != nil {
		t.Fatal(err)
	}
	junk := put("junk.db", strings.Repeat("no ledger ", 10_000))

	for name, tc := range map[string]struct {
		key, path string
		want      string // of the problem; "": there is none
		root      bool   // root may do it
	}{
		"a ledger that is made":              {"ledger", filepath.Join(dir, "new.db"), "", false},
		"a ledger that is there":             {"ledger", whole, "", false},
		"a ledger without anything in it":    {"ledger", put("empty.db", ""), "", false},
		"a ledger in a folder that is none":  {"ledger", filepath.Join(dir, "no", "l.db"), "test.yaml:2:9: ledger: can't be used: there is no folder " + dir + "/no: make it", false},
		"a ledger in a file":                 {"ledger", filepath.Join(junk, "l.db"), "ledger: can't be used: ", false},
		"a ledger that is a folder":          {"ledger", dir, "ledger: can't be used: " + dir + " is a folder: name a file in it", false},
		"a ledger that is junk":              {"ledger", junk, "ledger: can't be used: " + junk + ": it is no ledger, or a broken one: name another file", false},
		"a ledger that is cut":               {"ledger", put("short.db", "x"), ": it is no ledger", false},
		"a ledger where nothing may be made": {"ledger", filepath.Join(sealed, "l.db"), "ledger: can't be used: this user may make no file in the folder " + sealed, true},
		"an audit that is made":              {"audit", filepath.Join(dir, "a.jsonl"), "", false},
		"an audit to standard output":        {"audit", "stdout", "", false},
		"an audit to nowhere":                {"audit", os.DevNull, "", false},
		"an audit in a folder that is none":  {"audit", filepath.Join(dir, "no", "a"), "test.yaml:2:15: audit.file: can't be written: there is no folder ", false},
		"an audit that is a folder":          {"audit", dir, "audit.file: can't be written: " + dir + " is a folder", false},
		"an audit where nothing may be made": {"audit", filepath.Join(sealed, "a"), "audit.file: can't be written: this user may make no file in ", true},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.root && os.Geteuid() == 0 {
				t.Skip("root may do it")
			}
			yaml := "model_mapping: {m: {provider: demo, model: m}}\n"
			if tc.key == "ledger" {
				yaml += "ledger: " + tc.path + "\n"
			} else {
				yaml += "audit: {file: " + tc.path + "}\n"
			}
			c, err := config.Parse("test.yaml", []byte(yaml), config.Options{})
			if err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadDir(dir)
			checked := problemText(Check(c))
			if tc.want == "" && checked != "" || !strings.Contains(checked, tc.want) {
				t.Errorf("it says %q, want %q", checked, tc.want)
			}
			if after, _ := os.ReadDir(dir); len(after) != len(before) {
				t.Errorf("it made a file: %v", after)
			}
			h := &Host{log: slog.New(slog.DiscardHandler)}
			h.opts.Now = time.Now
			lines, err := h.openAudit(c)
			lines.Close()
			if err == nil {
				err = h.openLimits(c)
				h.ledger.close()
			}
			if opened := problemText(err); opened != checked {
				t.Errorf("it says %q, and a start %q", checked, opened)
			}
		})
	}
	t.Run("a ledger that another gateway has is fine, since that may be the one that serves", func(t *testing.T) {
		if err := Check(&config.Config{Ledger: used}); err != nil {
			t.Error(err)
		}
	})
	t.Run("all problems, in the order of the file", func(t *testing.T) {
		c, err := config.Parse("test.yaml", fmt.Appendf(nil, "ledger: %q\nmodel_mapping: {m: {provider: demo, model: m}}\naudit: {file: %q}\n", dir, dir), config.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if said := problemText(Check(c)); !strings.HasPrefix(said, "test.yaml:1:9: ledger: ") || !strings.Contains(said, "\ntest.yaml:3:15: audit.file: ") {
			t.Errorf("it says %s", said)
		}
	})
	t.Run("certificates", func(t *testing.T) {
		err := Check(&config.Config{Shared: config.Shared{CA: junk}})
		if !strings.Contains(problemText(err), "shared.ca: can't be used: "+junk+" has no certificate in PEM's form") {
			t.Error(err)
		}
		err = Check(&config.Config{Shared: config.Shared{CA: junk + "2"}})
		if !strings.Contains(problemText(err), "shared.ca: can't be used: open "+junk+"2: ") {
			t.Error(err)
		}
	})
}

// problemText returns what a *config.Problems says, "" for nil.
func problemText(err error) string {
	if problems, ok := errors.AsType[*config.Problems](err); ok {
		return problems.Error()
	}
	if err != nil {
		return "not a *config.Problems: " + err.Error()
	}
	return ""
}
