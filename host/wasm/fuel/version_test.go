package fuel

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"testing"
)

// TestVersion instruments every module of the tests. If the results are not those of
// Version, raise it and put the new sum here.
func TestVersion(t *testing.T) {
	const want = "3 c41ba60e8d8a21c1"
	h := sha256.New()
	root := os.DirFS("../testdata")
	n := 0
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		module, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		if m, err := Instrument(module, Options{}); err == nil {
			fmt.Fprintf(h, "%s %d\n", path, len(m.Wasm))
			h.Write(m.Wasm)
			n++
		}
		return nil
	})
	if err != nil || n < 10 {
		t.Fatalf("%d modules were instrumented, %v", n, err)
	}
	if got := fmt.Sprint(Version, " ", hex.EncodeToString(h.Sum(nil)[:8])); got != want {
		t.Errorf("instrumented modules are those of %q, want %q", got, want)
	}
}
