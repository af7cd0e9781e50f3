package conform

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var built sync.Map // of modules, by folder: functions that compile them once

// Build returns an adapter in Go as a module.
func Build(t *testing.T, dir string) []byte {
	t.Helper()
	compile, _ := built.LoadOrStore(dir, sync.OnceValues(func() ([]byte, error) {
		out := filepath.Join(t.TempDir(), "adapter.wasm")
		cmd := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, dir)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, text)
		}
		return os.ReadFile(out)
	}))
	module, err := compile.(func() ([]byte, error))()
	if err != nil {
		t.Fatal(err)
	}
	return module
}
