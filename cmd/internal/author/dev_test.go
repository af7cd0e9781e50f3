package author

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestDevSeesSourcesOnly writes what compilers, editors and kai itself leave in a
// folder: none of it is a change.
func TestDevSeesSourcesOnly(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("src/lib.rs")
	d := Dev{Dir: dir}
	if !d.changed() || d.changed() {
		t.Fatal("the first look is the only change")
	}
	for _, name := range []string{"Cargo.lock", "target/debug/x.rs", "node_modules/a/b.ts", "build/x", "x.wasm", ".git/index", "src/.lib.rs.swp", "src/lib.rs~", "dev.log"} {
		if write(name); d.changed() {
			t.Errorf("%s is a change", name)
		}
	}
	// Nor is what it says itself, wherever that goes.
	own, err := os.Create(filepath.Join(dir, "output.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	d.Says = []io.Writer{own}
	fmt.Fprintln(own, "waiting for the next save")
	if d.changed() {
		t.Error("its own output is a change")
	}
	for _, name := range []string{"src/main.rs", "testdata/a.txtar", "Cargo.toml"} {
		if write(name); !d.changed() {
			t.Errorf("%s is no change", name)
		}
	}
}
