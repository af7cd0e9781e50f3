package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// FuzzParse checks of any text that reading it does not panic, takes bounded
// time, shows no secret, and gives either a complete configuration or problems
// with places inside of the text.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"../testdata/config/valid/*.yaml", "../testdata/config/invalid/*.yaml", "api.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		o := testOptions()
		o.LookupEnv = func(string) (string, bool) { return canary + "-from-environment", true }
		o.ReadFile = func(path string) ([]byte, error) {
			if strings.Contains(path, "none") {
				return nil, fs.ErrNotExist
			}
			return []byte(canary + "-from-file"), nil
		}
		start := time.Now()
		cfg, err := Parse("api.yaml", src, o)
		if took := time.Since(start); took > time.Minute { // what is not refused takes hours
			t.Errorf("took %v", took)
		}
		if err == nil {
			if len(cfg.Models) == 0 || len(cfg.Providers) == 0 || cfg.Server.Workers < 1 {
				t.Errorf("accepted an incomplete configuration: %+v", cfg)
			}
			for _, p := range cfg.Providers {
				if printed := fmt.Sprintf("%+v", p.APIKey); strings.Contains(printed, canary) {
					t.Errorf("a secret prints as %s", printed)
				}
			}
			for _, m := range cfg.Models {
				if m.Provider == "" || m.Model == "" || m.Options == nil {
					t.Errorf("accepted an incomplete model: %+v", m)
				}
			}
			return
		}
		var problems *Problems
		if !errors.As(err, &problems) || len(problems.List) == 0 {
			t.Fatalf("error %T %v, want problems", err, err)
		}
		lines := 1 + strings.Count(string(src), "\n") + strings.Count(string(src), "\r")
		for _, p := range problems.List {
			if strings.Contains(p.Message, "-from-environment") || strings.Contains(p.Message, "-from-file") {
				t.Errorf("a value from outside is shown: %s", p)
			}
			if p.Message == "" || p.Line < 1 || p.Column < 1 || p.Line > lines+1 {
				t.Errorf("a problem without a place in %d lines: %+v", lines, p)
			}
			if strings.Contains(p.Message, "schema/config.cue") {
				t.Errorf("CUE found what the walk did not: %s", p)
			}
		}
	})
}

// FuzzOptionsSchema checks of any CUE text that what is accepted compiles in
// bounded time.
func FuzzOptionsSchema(f *testing.F) {
	for _, src := range []string{"", "a?: int & >=1", `b: *"x" | "y"`, "c?: [...string], ...", "close({a?: 1})", "a: {b?: =~\"x\"}", "a: (1|2) & int", "if true {}", `"\(1)": 2`} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		start := time.Now()
		_ = CheckOptionsSchema(src)
		if took := time.Since(start); took > time.Minute { // what is not refused takes hours
			t.Errorf("took %v", took)
		}
	})
}
