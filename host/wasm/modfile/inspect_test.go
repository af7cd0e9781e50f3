package modfile

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

func TestInspect(t *testing.T) {
	module := mustRead(t, "../testdata/example/lines.wasm")
	d, err := Inspect(module)
	if err != nil {
		t.Fatal(err)
	}
	if d.Manifest != nil || len(d.Problems) != 0 {
		t.Errorf("manifest %v, problems %v; want neither", d.Manifest, d.Problems)
	}
	if !slices.Equal(d.Imports, []string{"kai_v1.emit"}) || !slices.Contains(d.Exports, abi.ExportEvent) {
		t.Errorf("imports %v, exports %v", d.Imports, d.Exports)
	}
	if d.MemoryMin != 64<<10 || d.MemoryMax != 128<<20 || d.Instrumented <= len(module) {
		t.Errorf("memory %d to %d, %d bytes instrumented of %d", d.MemoryMin, d.MemoryMax, d.Instrumented, len(module))
	}
}

func TestInspectNamesEveryProblem(t *testing.T) {
	// The header, a memory and nothing else: a module, but no adapter.
	memory := []byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x00\x01")
	d, err := Inspect(memory)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Problems) != 1 || !strings.Contains(d.Problems[0].Error(), abi.ExportHandshake) {
		t.Errorf("problems = %v, want one that names %s", d.Problems, abi.ExportHandshake)
	}
	// The same with an export kai_abi_v2, the memory.
	later := append(bytes.Clone(memory), "\x07\x0e\x01\x0akai_abi_v2\x02\x00"...)
	if d, err := Inspect(later); err != nil || len(d.Problems) != 1 || !strings.Contains(d.Problems[0].Error(), "it speaks ABI v2, and this Kai speaks v1") {
		t.Errorf("a module of a later ABI: problems = %v, %v", d.Problems, err)
	}
	if _, err := Inspect([]byte("no module")); err == nil {
		t.Error("what is no module was inspected without an error")
	}
}

func mustRead(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
