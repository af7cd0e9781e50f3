package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// canary is a secret that stands in many of the broken configurations, in the
// environment and in files.
const canary = "canary-7f3a"

// TestInvalid reads every broken configuration of testdata/config/invalid and
// compares the problems with the .txt beside it. KAI_UPDATE=1 rewrites those.
func TestInvalid(t *testing.T) {
	files, err := filepath.Glob("../testdata/config/invalid/*.yaml")
	if err != nil || len(files) < 60 {
		t.Fatalf("found %d broken configurations, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			o := testOptions()
			o.ReadFile = func(path string) ([]byte, error) {
				return os.ReadFile(filepath.Join("../testdata/config/invalid", path))
			}
			cfg, err := Parse(name, src, o)
			var problems *Problems
			if !errors.As(err, &problems) {
				t.Fatalf("Parse = %+v, %v, want problems", cfg, err)
			}
			got := problems.Error() + "\n"
			for _, forbidden := range []string{canary, "#Config", "REDACTED", "schema/config.cue"} {
				if strings.Contains(got, forbidden) {
					t.Errorf("the output holds %q:\n%s", forbidden, got)
				}
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if os.Getenv("KAI_UPDATE") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal([]byte(got), want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}
