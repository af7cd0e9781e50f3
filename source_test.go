package kai_test

import (
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/kai-gateway/kai"
)

// TestSDKIsWhole holds what authors are given against what is there.
func TestSDKIsWhole(t *testing.T) {
	found := 0
	err := fs.WalkDir(os.DirFS("."), "sdk", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path.Base(name) == "testdata" {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		found++
		if _, err := fs.Stat(kai.Source, name); err != nil {
			t.Errorf("%s is not embedded: name its folder in source.go", name)
		}
		return nil
	})
	if err != nil || found < 10 {
		t.Fatalf("found %d files of the SDK, %v", found, err)
	}
}
