package fuel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// fuzzFuel is small: whatever runs on it ends at once, plain too.
const fuzzFuel = 2_000

// FuzzInstrument feeds any bytes to Instrument. It must not panic and its result
// must be small; the engine must think of the result what it thinks of the
// original; and what a call without arguments answers within its fuel must be
// what the original answers.
func FuzzInstrument(f *testing.F) {
	for _, m := range []build{
		one(),
		one(countdown(3, fill(100)...)...),
		withElement(one(opI32Const, 0, opCallIndir, 0, 0)),
		one(opRefNull, typeFunc, opI32Const, 5, opMisc, miscTableGrow, 0, opI32Const, 1, opMemoryGrow, 0, 0x1a, 0x1a),
		one(opI32Const, 0, opIf, blockEmpty, opUnreachable, opElse, opI32Const, 0, opBrTable, 1, 0, 1, opEnd),
		one(machine(raw(0, 1, 2, 2), raw(opI32Const, 0, opIf, blockEmpty, opI32Const, 1, opLocalSet, 0, opBr, 3, opEnd), jump(2, 1), nil)...),
		one(opI32Const, 3, opSIMD, 0x0f, opSIMD, 0x63, 0x1a, opI32Const, 0, opSIMD, 0, 4, 0, opSIMD, 0xce, 1, 0x1a),
	} {
		f.Add(m.bytes())
	}
	for _, dir := range specDirs(f) {
		files, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
		if err != nil {
			f.Fatal(err)
		}
		for i := 0; i < len(files); i += 25 {
			module, err := os.ReadFile(files[i])
			if err != nil {
				f.Fatal(err)
			}
			if len(module) < 1000 {
				f.Add(withMemory(module))
			}
		}
	}
	ctx := context.Background()
	limits := Options{MaxSize: 1 << 14, MaxFunctions: 100, MaxTableEntries: 1 << 15, StartFuel: 50}
	config := wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2).WithMemoryLimitPages(16)

	f.Fuzz(func(t *testing.T, module []byte) {
		m, err := Instrument(module, limits)
		if err != nil {
			return
		}
		if len(m.Wasm) > 2*limits.MaxSize {
			t.Errorf("%d bytes became %d", len(module), len(m.Wasm))
		}
		r := wazero.NewRuntimeWithConfig(ctx, config)
		defer r.Close(ctx)
		host := &host{left: fuzzFuel, slice: 50}
		host.add(t, r)
		p, err := parse(module, limits.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		plain, plainErr := r.CompileModule(ctx, keptSections(p))
		fueled, fueledErr := r.CompileModule(ctx, m.Wasm)
		if (plainErr == nil) != (fueledErr == nil) {
			t.Fatalf("compile: instrumented %v, plain %v", fueledErr, plainErr)
		}
		if plainErr != nil || !neverCapped(p) {
			return
		}
		compare(t, r, host, plain, fueled)
	})
}

// keptSections is the original without the custom sections that are dropped. The
// engine has its own mind about those: an empty one at the very end of a module
// is an error to it.
func keptSections(p *parsed) []byte {
	out := slices.Clone(header[:])
	for r := newReader(p.data); r.left() > 0; {
		if s := r.section(); s.id != sectionCustom || s.customName == "name" && p.names != nil {
			out = append(out, p.data[s.start:s.end]...)
		}
	}
	return out
}

// neverCapped reports whether no table can reach the cap on the fuel there is:
// the cap is one way in which an instrumented module is meant to differ.
func neverCapped(p *parsed) bool {
	for _, table := range p.tables {
		if int(table.min)+fuzzFuel<<tableGrowRate.shift > p.limits.MaxTableEntries {
			return false
		}
	}
	return true
}

// compare instantiates both and calls what has no parameters, the instrumented
// module first: only a call it ended within its fuel is made in the plain one,
// where it could last for ever.
func compare(t *testing.T, r wazero.Runtime, host *host, plain, fueled wazero.CompiledModule) {
	ctx := context.Background()
	anonymous := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	f, err := r.InstantiateModule(ctx, fueled, anonymous)
	if err != nil {
		return // perhaps for want of fuel, which nothing can tell now
	}
	p, err := r.InstantiateModule(ctx, plain, anonymous)
	if err != nil {
		t.Fatalf("instantiate: instrumented without error, plain %v", err)
	}
	for name, def := range p.ExportedFunctionDefinitions() {
		if len(def.ParamTypes()) > 0 {
			continue
		}
		got, gotErr := f.ExportedFunction(name).Call(ctx)
		if errors.Is(gotErr, errSpent) {
			return
		}
		want, wantErr := p.ExportedFunction(name).Call(ctx)
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%q: instrumented %v, plain %v", name, gotErr, wantErr)
		}
		if gotErr == nil && !hasReference(def) && fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%q: instrumented %v, plain %v", name, got, want)
		}
	}
}

// hasReference reports whether a result is an address, which differs.
func hasReference(def api.FunctionDefinition) bool {
	for _, vt := range def.ResultTypes() {
		if byte(vt) == typeFunc || byte(vt) == typeExtern {
			return true
		}
	}
	return false
}
