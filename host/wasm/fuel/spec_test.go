package fuel

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/kai-gateway/kai/internal/testkit/race"
)

// specCommand is one command of a .json file that wast2json made of a script of
// the WebAssembly specification's test suite.
type specCommand struct {
	Type       string
	Line       int
	Name       string
	Filename   string
	ModuleType string `json:"module_type"`
	As         string
	Action     struct {
		Type   string
		Module string
		Field  string
		Args   []specValue
	}
}

type specValue struct {
	Type     string
	LaneType string `json:"lane_type"`
	Value    any
}

// words gives the value as the engine's stack holds it: two words for a vector.
func (v specValue) words(t *testing.T) []uint64 {
	number := func(s string, bits int) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			signed, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				t.Fatalf("argument %v: %v", v, err)
			}
			n = uint64(signed)
		}
		return n & (1<<bits - 1)
	}
	switch v.Type {
	case "i32", "f32":
		return []uint64{number(v.Value.(string), 32)}
	case "i64", "f64":
		return []uint64{number(v.Value.(string), 64)}
	case "externref", "funcref":
		if v.Value == nil || v.Value == "null" {
			return []uint64{0}
		}
		return []uint64{number(v.Value.(string), 64) + 1} // 0 is null
	case "v128":
		lanes := v.Value.([]any)
		bits, words := 128/len(lanes), make([]uint64, 2)
		for i, l := range lanes {
			words[i*bits/64] |= number(l.(string), bits) << (i * bits % 64)
		}
		return words
	}
	t.Fatalf("argument of type %q", v.Type)
	return nil
}

// world runs a script with modules as they are or instrumented.
type world struct {
	runtime wazero.Runtime
	named   map[string]api.Module
	last    api.Module
}

// outcome is what an action gave, in a form that can be compared: references are
// addresses and tell only whether they are null.
func (w *world) outcome(t *testing.T, c specCommand) string {
	mod := w.last
	if c.Action.Module != "" {
		mod = w.named[c.Action.Module]
	}
	if c.Action.Type == "get" {
		return fmt.Sprint(mod.ExportedGlobal(c.Action.Field).Get())
	}
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.words(t)...)
	}
	f := mod.ExportedFunction(c.Action.Field)
	results, err := f.Call(context.Background(), args...)
	if err != nil {
		trap, _, _ := strings.Cut(err.Error(), "\n") // the rest is a trace
		return trap
	}
	at := 0
	for _, vt := range f.Definition().ResultTypes() {
		switch byte(vt) {
		case typeFunc:
			results[at] = min(results[at], 1)
		case typeV128:
			at++
		}
		at++
	}
	return fmt.Sprint(results)
}

// withMemory gives a module without a memory an empty one, as most modules of
// the suite have none and an adapter must.
func withMemory(module []byte) []byte {
	r := newReader(module)
	for r.err == nil {
		s := section{start: len(module)}
		if r.left() > 0 {
			s = r.section()
		}
		if r.err != nil || s.id == sectionMemory && s.start < len(module) {
			return module
		}
		known := int(s.id) < len(sectionOrder)
		if s.start == len(module) || known && sectionOrder[s.id] > sectionOrder[sectionMemory] {
			return slices.Concat(module[:s.start], raw(sectionMemory, 3, 1, 0, 0), module[s.start:])
		}
	}
	return module
}

// specDirs finds the suite inside the engine's module, versions 1 and 2.
func specDirs(t testing.TB) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatalf("find the engine's module: %v", err)
	}
	suite := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
	return []string{filepath.Join(suite, "v1", "testdata"), filepath.Join(suite, "v2", "testdata")}
}

// specSlice lets nearly every charge of the suite call the host.
const specSlice = 3

// specCounts says how much of the suite was compared, and why the rest was not.
type specCounts struct {
	modules, actions int            // compared
	invalid          int            // invalid or unlinkable modules that we refuse
	passedOn         int            // those of them that we don't and the engine judges
	refused          map[string]int // modules by reason
	skipped          int            // actions on refused modules
}

func TestSpecSuiteAgrees(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	if testing.Short() {
		t.Skip("runs the specification's test suite twice")
	}
	got := specCounts{refused: map[string]int{}}
	for _, dir := range specDirs(t) {
		files, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no scripts in %s: %v", dir, err)
		}
		for _, file := range files {
			name := filepath.Base(filepath.Dir(dir)) + "/" + strings.TrimSuffix(filepath.Base(file), ".json")
			t.Run(name, func(t *testing.T) { runScript(t, file, &got) })
		}
	}
	// Exact, so that the test cannot come to compare nothing; a new version of the
	// engine may bring another suite.
	want := specCounts{
		modules: 2225, actions: 64_447, invalid: 1693, passedOn: 3036,
		refused: map[string]int{noMemory: 4, onlyFunctions: 150}, skipped: 168,
	}
	if got.modules != want.modules || got.actions != want.actions || got.invalid != want.invalid ||
		got.passedOn != want.passedOn || got.skipped != want.skipped || !maps.Equal(got.refused, want.refused) {
		t.Errorf("compared and refused:\n%+v\nwant:\n%+v", got, want)
	}
}

const (
	noMemory      = "0 memories, an adapter has exactly one"
	onlyFunctions = "only functions can be imported"
)

// reason gives the part of a refusal that is the same for all like it.
func reason(t *testing.T, err error) string {
	for _, r := range []string{noMemory, onlyFunctions} {
		if strings.Contains(err.Error(), r) {
			return r
		}
	}
	t.Errorf("refused for no known reason: %v", err)
	return err.Error()
}

func runScript(t *testing.T, file string, counts *specCounts) {
	dir := filepath.Dir(file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var script struct{ Commands []specCommand }
	if err := json.Unmarshal(text, &script); err != nil {
		t.Fatal(err)
	}
	imported, err := os.ReadFile(filepath.Join(dir, "..", "..", "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	plain, fueled := &world{named: map[string]api.Module{}}, &world{named: map[string]api.Module{}}
	for _, w := range []*world{plain, fueled} {
		w.runtime = newRuntimeWith(t, &host{left: 1 << 60, slice: specSlice})
		if _, err := w.runtime.InstantiateWithConfig(ctx, imported, wazero.NewModuleConfig().WithName("spectest")); err != nil {
			t.Fatal(err)
		}
	}
	read := func(c specCommand) []byte {
		b, err := os.ReadFile(filepath.Join(dir, c.Filename))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Instrument(b, Options{}); err != nil && strings.Contains(err.Error(), noMemory) {
			return withMemory(b)
		}
		return b
	}
	refused := map[string]bool{} // by name; "" is the last module
	for i, c := range script.Commands {
		switch c.Type {
		case "module":
			original := read(c)
			instrumented := original
			m, err := Instrument(original, Options{StartFuel: specSlice})
			if err == nil {
				instrumented = m.Wasm
				counts.modules++
			} else {
				// Other modules of the script may import from it.
				counts.refused[reason(t, err)]++
			}
			refused[""], refused[c.Name] = err != nil, err != nil
			as := ""
			if i+1 < len(script.Commands) && script.Commands[i+1].Type == "register" {
				as = script.Commands[i+1].As
			}
			for w, wasm := range map[*world][]byte{plain: original, fueled: instrumented} {
				config := wazero.NewModuleConfig().WithName(as).WithStartFunctions()
				mod, err := w.runtime.InstantiateWithConfig(ctx, wasm, config)
				if err != nil {
					t.Fatalf("line %d: instrumented %v: %v", c.Line, w == fueled, err)
				}
				w.last, w.named[c.Name] = mod, mod
			}
		case "action", "assert_return", "assert_trap", "assert_exhaustion":
			want, got := plain.outcome(t, c), fueled.outcome(t, c)
			if refused[c.Action.Module] {
				// Both are plain, but later modules may see what the action changed.
				counts.skipped++
				continue
			}
			counts.actions++
			if got != want {
				t.Errorf("line %d: %s: instrumented %s, plain %s", c.Line, c.Action.Field, got, want)
			}
		case "assert_invalid", "assert_malformed", "assert_unlinkable", "assert_uninstantiable":
			if c.ModuleType != "binary" && c.ModuleType != "" || !strings.HasSuffix(c.Filename, ".wasm") {
				continue
			}
			original := read(c)
			m, err := Instrument(original, Options{StartFuel: specSlice})
			if err != nil {
				counts.invalid++
				continue
			}
			counts.passedOn++
			config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
			_, plainErr := plain.runtime.InstantiateWithConfig(ctx, original, config)
			_, fueledErr := fueled.runtime.InstantiateWithConfig(ctx, m.Wasm, config)
			if (plainErr == nil) != (fueledErr == nil) {
				t.Errorf("line %d: instantiate: instrumented %v, plain %v", c.Line, fueledErr, plainErr)
			}
		case "register":
		default:
			t.Fatalf("line %d: unknown command %q", c.Line, c.Type)
		}
	}
}
