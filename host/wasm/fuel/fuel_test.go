package fuel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// mustInstrument instruments a module that has to be accepted.
func mustInstrument(t testing.TB, module []byte, opts Options) *Module {
	t.Helper()
	m, err := Instrument(module, opts)
	if err != nil {
		t.Fatalf("Instrument: %v", err)
	}
	return m
}

// host is the host's side of the fuel. The zero value has none beside what the
// module's global holds.
type host struct {
	left  int64 // beside the slice
	slice int64
	turns int
	turn  func(api.Module) // called at each, if there is one
}

var errSpent = errors.New("nothing left to spend")

func (h *host) spend(_ context.Context, mod api.Module, _ []uint64) {
	h.turns++
	if h.turn != nil {
		h.turn(mod)
	}
	global := mod.ExportedGlobal(Global).(api.MutableGlobal)
	had := int64(global.Get())
	h.left += had
	if h.left < 0 || had == h.left && had < MaxLoopPrice {
		global.Set(uint64(min(h.left, -1)))
		panic(errSpent)
	}
	next := min(max(h.slice, MaxLoopPrice), h.left)
	h.left -= next
	global.Set(uint64(next))
}

// add makes the import of instrumented modules.
func (h *host) add(t testing.TB, r wazero.Runtime) {
	t.Helper()
	_, err := r.NewHostModuleBuilder(ImportModule).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(h.spend), nil, nil).Export(ImportName).Instantiate(context.Background())
	if err != nil {
		t.Fatal(err)
	}
}

// newRuntime is the engine as the gateway configures it, closed with the test.
func newRuntime(t testing.TB) wazero.Runtime { return newRuntimeWith(t, &host{}) }

func newRuntimeWith(t testing.TB, h *host) wazero.Runtime {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2))
	t.Cleanup(func() { r.Close(ctx) })
	h.add(t, r)
	return r
}

// mustInstantiate gives an instance and its fuel.
func mustInstantiate(t testing.TB, wasm []byte) (api.Module, api.MutableGlobal) {
	t.Helper()
	mod, err := newRuntime(t).Instantiate(context.Background(), wasm)
	if err != nil {
		t.Fatalf("instantiate: %v", err)
	}
	return mod, mod.ExportedGlobal(Global).(api.MutableGlobal)
}

func TestWhatNeverEndsRunsOutOfFuel(t *testing.T) {
	for name, m := range map[string]build{
		"an endless loop":           one(opLoop, blockEmpty, opBr, 0, opEnd),
		"an endless recursion":      one(opCall, 0),
		"a recursion of two":        two(one(opCall, 1), opCall, 0),
		"calls through the table":   withElement(one(opI32Const, 0, opCallIndir, 0, 0)),
		"calls that double":         doubling(24),
		"a loop in dead code's way": one(opBlock, blockEmpty, opBr, 0, opLoop, blockEmpty, opBr, 0, opEnd, opEnd, opLoop, blockEmpty, opBr, 0, opEnd),
		"a loop of memory.fill": one(slices.Concat(raw(opLoop, blockEmpty),
			raw(opI32Const, 0, opI32Const, 0, opI32Const, 0x80, 0x80, 4, opMisc, miscMemoryFill, 0),
			raw(opBr, 0, opEnd))...),
		"a loop of memory.copy": one(slices.Concat(raw(opLoop, blockEmpty),
			raw(opI32Const, 0, opI32Const, 0, opI32Const, 0x80, 0x80, 4, opMisc, miscMemoryCopy, 0, 0),
			raw(opBr, 0, opEnd))...),
		"a loop of table.grow": one(opLoop, blockEmpty,
			opRefNull, typeFunc, opI32Const, 1, opMisc, miscTableGrow, 0, 0x1a, opBr, 0, opEnd),
		"one table.grow by everything":  one(opRefNull, typeFunc, opI32Const, 0x7f, opMisc, miscTableGrow, 0, 0x1a),
		"one memory.grow by everything": one(opI32Const, 0x7f, opMemoryGrow, 0, 0x1a),
		"straight code in a small loop": one(slices.Concat(raw(opLoop, blockEmpty),
			drops(10_000), raw(opBr, 0, opEnd))...),
	} {
		t.Run(name, func(t *testing.T) {
			mod, left := mustInstantiate(t, mustInstrument(t, m.bytes(), Options{}).Wasm)
			left.Set(50_000)
			_, err := mod.ExportedFunction("run").Call(context.Background())
			if !errors.Is(err, errSpent) {
				t.Errorf("call: error = %v, want %v", err, errSpent)
			}
			if got := int64(left.Get()); got >= 0 {
				t.Errorf("fuel left = %d, want a negative value", got)
			}
		})
	}
}

// withElement puts function 0 into the table.
func withElement(m build) build {
	m.elements = entries(slices.Concat(raw(0), i32zero, raw(1, 0)))
	return m
}

// doubling makes n functions that each call the next one twice.
func doubling(n int) build {
	m := one(opCall, 1, opCall, 1)
	for i := 2; i < n; i++ {
		m = two(m, opCall, byte(i), opCall, byte(i))
	}
	return two(m)
}

func TestATrapOfTheGuestLeavesFuel(t *testing.T) {
	mod, left := mustInstantiate(t, mustInstrument(t, one(opUnreachable).bytes(), Options{}).Wasm)
	left.Set(100)
	if _, err := mod.ExportedFunction("run").Call(context.Background()); err == nil {
		t.Fatal("call: no error, want a trap")
	}
	if got := int64(left.Get()); got < 0 {
		t.Errorf("fuel left = %d, want what was not used", got)
	}
}

func TestPrices(t *testing.T) {
	four := one()
	four.codes = entries(functionWith(raw(1, 4, typeI64)))
	for name, tc := range map[string]struct {
		module build
		want   int64
	}{
		"a call costs 1":                                               {one(), 1},
		"4 locals cost 1 more":                                         {four, 2},
		"64 instructions cost 1 more":                                  {one(drops(32)...), 2},
		"256 instructions and 10 pay on the way":                       {one(drops(133)...), 1 + 4},
		"10,000 instructions cost 1 for 64":                            {one(drops(5_000)...), 1 + 156},
		"loads count eightfold":                                        {one(bytes.Repeat(raw(opI32Const, 0, 0x28, 2, 0, 0x1a), 7)...), 2},
		"a loop entered once costs 1":                                  {one(opLoop, blockEmpty, opEnd), 2},
		"the dearest way through an if counts":                         {one(slices.Concat(raw(opI32Const, 0, opIf, blockEmpty), drops(40), raw(opElse, opEnd))...), 2},
		"so does the one that leaves":                                  {one(slices.Concat(drops(32), raw(opI32Const, 0, opBrIf, 0, opReturn))...), 2},
		"what comes before an if counts behind it":                     {one(slices.Concat(drops(32), raw(opI32Const, 0, opIf, blockEmpty, opUnreachable, opEnd))...), 2},
		"and in its else":                                              {one(slices.Concat(drops(32), raw(opI32Const, 0, opIf, blockEmpty, opUnreachable, opElse, opEnd))...), 2},
		"a short way out doesn't pay for a long one":                   {one(slices.Concat(raw(opI32Const, 1, opBrIf, 0), drops(5_100))...), 4},
		"filling 0 bytes costs 1":                                      {one(fill(0)...), 2},
		"filling 4,096 bytes costs 64 more":                            {one(fill(4096)...), 2 + 64},
		"growing by nothing costs 16":                                  {one(opI32Const, 0, opMemoryGrow, 0, 0x1a), 1 + 16},
		"growing by a page costs 1,024 more":                           {one(opI32Const, 1, opMemoryGrow, 0, 0x1a), 1 + 16 + 1024},
		"a page that cannot be had costs as much":                      {one(opI32Const, 2, opMemoryGrow, 0, 0x1a), 1 + 16 + 2048},
		"growing a table by 64 entries costs 8 more":                   {one(opRefNull, typeFunc, opI32Const, 0xc0, 0, opMisc, miscTableGrow, 0, 0x1a), 1 + 16 + 8},
		"a debt is settled before a loop, not in it":                   {one(slices.Concat(drops(64), countdown(10))...), 1 + 2 + 10},
		"a small loop costs 1 an iteration":                            {one(countdown(1000)...), 1 + 1000},
		"a loop pays what is inside a block, the function the way out": {one(countdown(100, slices.Concat(raw(opBlock, blockEmpty), drops(32), raw(opEnd))...)...), 2 + 200},
	} {
		t.Run(name, func(t *testing.T) {
			mod, left := mustInstantiate(t, mustInstrument(t, tc.module.bytes(), Options{}).Wasm)
			left.Set(1 << 40)
			if _, err := mod.ExportedFunction("run").Call(context.Background()); err != nil {
				t.Fatalf("call: %v", err)
			}
			if got := 1<<40 - int64(left.Get()); got != tc.want {
				t.Errorf("used %d, want %d", got, tc.want)
			}
		})
	}
}

func TestStartRunsOnItsOwnFuel(t *testing.T) {
	m := one(countdown(1000)...)
	m.start = raw(0)
	for name, tc := range map[string]struct {
		fuel  int64
		traps bool
	}{
		"enough":     {1001, false},
		"one short":  {1000, true},
		"by default": {0, true},
	} {
		t.Run(name, func(t *testing.T) {
			out := mustInstrument(t, m.bytes(), Options{StartFuel: tc.fuel})
			if !out.Start {
				t.Error("Start = false, want true")
			}
			_, err := newRuntime(t).Instantiate(context.Background(), out.Wasm)
			if (err != nil) != tc.traps {
				t.Errorf("instantiate: error = %v, want a trap: %v", err, tc.traps)
			}
		})
	}
}

func TestTablesAreCapped(t *testing.T) {
	grow := func(n int) build {
		m := one()
		m.types = entries(toI32)
		m.codes = entries(function(slices.Concat(raw(opRefNull, typeFunc),
			appendI64(raw(opI32Const), int64(n)), raw(opMisc, miscTableGrow, 0))...))
		return m
	}
	for name, tc := range map[string]struct {
		table []byte
		by    int
		want  int32 // what table.grow returns
	}{
		"up to the cap without a maximum":     {raw(typeFunc, 0, 1), 99, 1},
		"not beyond it":                       {raw(typeFunc, 0, 1), 100, -1},
		"nor beyond it with a higher maximum": {raw(typeFunc, 1, 1, 0xff, 1), 100, -1},
		"a lower maximum stays":               {raw(typeFunc, 1, 1, 50), 50, -1},
		"and can be reached":                  {raw(typeFunc, 1, 1, 50), 49, 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := grow(tc.by)
			m.tables = entries(tc.table)
			mod, _ := mustInstantiate(t, mustInstrument(t, m.bytes(), Options{MaxTableEntries: 100}).Wasm)
			got, err := mod.ExportedFunction("run").Call(context.Background())
			if err != nil || api.DecodeI32(got[0]) != tc.want {
				t.Errorf("table.grow = %v, %v, want %d", got, err, tc.want)
			}
		})
	}
}

func TestModuleDescribesTheOriginal(t *testing.T) {
	m := one()
	m.types = entries(nullary, raw(0x60, 2, typeI32, typeI64, 1, typeF64))
	m.imports = entries(slices.Concat(text("kai_v1"), text("emit"), raw(0, 1)))
	m.memories = entries(raw(0, 3))
	m.exports = entries(exportOf("run", Function, 1), exportOf("memory", Memory, 0), exportOf("emit", Function, 0))
	got := mustInstrument(t, m.bytes(), Options{})

	var lines []string
	for _, im := range got.Imports {
		lines = append(lines, "import "+im.Module+"."+im.Name+" "+im.Kind.String()+" "+fmt.Sprintf("%x -> %x", im.Type.Params, im.Type.Results))
	}
	for _, e := range got.Exports {
		line := "export " + e.Name + " " + e.Kind.String()
		if e.Kind == Function {
			line += " " + fmt.Sprintf("%x -> %x", e.Type.Params, e.Type.Results)
		}
		lines = append(lines, line)
	}
	want := []string{
		"import kai_v1.emit function 7f7e -> 7c",
		"export run function  -> ",
		"export memory memory",
		"export emit function 7f7e -> 7c",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if got.Memory != (Pages{Min: 3, Max: 65_536}) || got.Start {
		t.Errorf("Memory = %+v, Start = %v, want 3 to 65,536 pages and no start", got.Memory, got.Start)
	}
}

func TestCustomSections(t *testing.T) {
	module := one().bytes()
	for _, name := range []string{"name", ".debug_info", "kai.manifest"} {
		var err error
		if module, err = WithCustomSection(module, name, []byte("\x00\x02\x01a")); err != nil {
			t.Fatal(err)
		}
	}
	module, err := WithCustomSection(module, "kai.manifest", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	out := mustInstrument(t, module, Options{})
	for name, tc := range map[string]struct {
		section        string
		original, kept bool
		data           string
	}{
		"names stay":                      {"name", true, true, "\x00\x02\x01a"},
		"debug information goes":          {".debug_info", true, false, "\x00\x02\x01a"},
		"the manifest, as replaced, goes": {"kai.manifest", true, false, "{}"},
		"what is not there is not found":  {"other", false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if data, ok := CustomSection(module, tc.section); ok != tc.original || string(data) != tc.data {
				t.Errorf("CustomSection(%q) = %q, %v, want %q, %v", tc.section, data, ok, tc.data, tc.original)
			}
			if _, ok := CustomSection(out.Wasm, tc.section); ok != tc.kept {
				t.Errorf("section %q in the result: %v, want %v", tc.section, ok, tc.kept)
			}
		})
	}
	if n := bytes.Count(module, []byte("kai.manifest")); n != 1 {
		t.Errorf("%d sections kai.manifest, want 1", n)
	}
	if module, err = WithCustomSection(module, "kai.manifest", nil); err != nil || bytes.Contains(module, []byte("kai.manifest")) {
		t.Errorf("the section is still there after it was taken out (%v)", err)
	}
}

func TestNamesTheEngineMayNotSee(t *testing.T) {
	for name, tc := range map[string]struct {
		data string
		kept bool
	}{
		"of functions":                     {"\x01\x04\x01\x00\x01f", true},
		"of functions and globals":         {"\x01\x04\x01\x00\x01f\x07\x04\x01\x00\x01g", true},
		"a billion of them in six bytes":   {"\x01\x06\xff\xff\xff\xff\x03\x00", false},
		"more functions than a module has": {"\x01\x03\xd1\x86\x03", false},
		"of locals":                        {"\x02\x03\x01\x00\x00", false},
		"a subsection over its end":        {"\x01\x7f\x01\x00\x01f", false},
		"bytes behind the last one":        {"\x01\x05\x01\x00\x01fx", false},
	} {
		t.Run(name, func(t *testing.T) {
			module, err := WithCustomSection(one().bytes(), "name", []byte(tc.data))
			if err != nil {
				t.Fatal(err)
			}
			if _, kept := CustomSection(mustInstrument(t, module, Options{}).Wasm, "name"); kept != tc.kept {
				t.Errorf("kept = %v, want %v", kept, tc.kept)
			}
		})
	}
}

func TestCustomSectionOfMalformedModules(t *testing.T) {
	for name, module := range map[string][]byte{
		"nothing":               nil,
		"text":                  []byte("kai.manifest"),
		"a section cut off":     append(header[:], 0, 20, 12, 'k', 'a', 'i'),
		"a name over its bytes": append(header[:], 0, 3, 12, 'k', 'a'),
	} {
		t.Run(name, func(t *testing.T) {
			if data, ok := CustomSection(module, "kai.manifest"); ok {
				t.Errorf("CustomSection = %q, want none", data)
			}
			if _, err := WithCustomSection(module, "kai.manifest", nil); err == nil {
				t.Error("WithCustomSection: no error")
			}
		})
	}
}
