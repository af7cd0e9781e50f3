package fuel

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/race"
)

// TestHeightsOfTheStack checks that the effort's idea of the stack is exact in
// valid modules, or too high where SIMD is used. Too low would be a way around
// the limit.
func TestHeightsOfTheStack(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	if testing.Short() {
		t.Skip("reads the specification's test suite")
	}
	ends := 0
	for _, module := range validModules(t) {
		p, err := parse(module, Options{}.withDefaults())
		if err != nil {
			continue // see TestSpecSuiteAgrees
		}
		for i := range p.bodies {
			ends += checkHeights(t, p, i)
		}
	}
	if ends < 10_000 {
		t.Errorf("only %d ends of blocks were compared", ends)
	}
}

// validModules gives the valid modules of the suite, and a Go guest.
func validModules(t *testing.T) (all [][]byte) {
	for _, dir := range specDirs(t) {
		files, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var script struct{ Commands []specCommand }
			if err := json.Unmarshal(text, &script); err != nil {
				t.Fatal(err)
			}
			for _, c := range script.Commands {
				if c.Type != "module" {
					continue
				}
				module, err := os.ReadFile(filepath.Join(dir, c.Filename))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, withMemory(module))
			}
		}
	}
	return append(all, buildGuest(t))
}

// checkHeights compares, wherever a block of a function is left at its end.
func checkHeights(t *testing.T, p *parsed, i int) (ends int) {
	b := p.bodies[i]
	r := reader{data: p.data, pos: b.code.body, end: b.code.end}
	var e effort
	e.begin(p, p.types[p.funcs[len(p.imports)+i]], int(b.first))
	simd := false
	for r.left() > 0 {
		in := r.next(e.branch)
		if in.op == opBr || in.op == opBrIf {
			e.branch(in.arg)
		}
		simd = simd || in.op == opSIMD
		if (in.op == opEnd || in.op == opElse) && e.reached() {
			want := e.labels[len(e.labels)-1].left
			if got := e.place.height; got < want || got > want && !simd {
				t.Errorf("function %d, offset %#x: %d operands, want %d", i, in.at, got, want)
				return ends
			}
			ends++
		}
		e.step(in)
	}
	return ends
}

// TestWhatCompilersMakeIsCheap holds the limits of effort to what they are for:
// real modules stay far away. For C++, Rust and larger programs in Go see
// docs/design/0002-fuel.md.
func TestWhatCompilersMakeIsCheap(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	modules := map[string][]byte{"a guest with encoding/json": buildGuest(t)}
	shipped, err := filepath.Glob("../../../plugins/dist/*.wasm.gz") // none before "make plugins"
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range shipped {
		modules[filepath.Base(file)] = unpack(t, file)
	}
	for name, module := range modules {
		p, err := parse(module, Options{}.withDefaults())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		t.Logf("%s: %v, one function %v", name, time.Duration(p.effort), time.Duration(p.dearest))
		if p.effort > maxAllEffort/4 || p.dearest > maxEffort/10 {
			t.Errorf("%s: compiling takes %v, one function %v; the limits are %v and %v", name,
				time.Duration(p.effort), time.Duration(p.dearest), time.Duration(maxAllEffort), time.Duration(maxEffort))
		}
	}
}

func unpack(t *testing.T, file string) []byte {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	module, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// TestEffortOfAModule shows that many functions below the limit of one are over
// that of all. What single functions are refused for is in TestInstrumentRefuses
// and, compiled, in package wasm.
func TestEffortOfAModule(t *testing.T) {
	ifs := slices.Concat(slices.Repeat(raw(opI32Const, 0, opIf, blockEmpty, opEnd), 4000))
	m := one(ifs...)
	if _, err := Instrument(m.bytes(), Options{}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		m = two(m, ifs...)
	}
	_, err := Instrument(m.bytes(), Options{})
	if err == nil || !strings.Contains(err.Error(), "all functions up to here take over 10s to compile") {
		t.Errorf("error = %v", err)
	}
}
