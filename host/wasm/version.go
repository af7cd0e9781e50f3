package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// version is one compiled module, in a runtime of its own.
type version struct {
	digest   [sha256.Size]byte
	refs     int // guarded by Modules.mu
	manifest modfile.Manifest
	pages    uint32 // pages of memory that an instance begins with
	events   bool   // the module has kai_events
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	cache    wazero.CompilationCache

	transcript atomic.Pointer[transcript.Transcript] // the module's, until it was replayed; only loaders use it
}

// compile checks, instruments and compiles a module, and finds its manifest. What the cache
// has of it is not done again, and then the module is not even read. If the module has to
// run for its manifest, limits bound it. The error is a *modfile.LoadError, unless the module
// can't be read.
func compile(m modfile.Module, cache *codeCache, limits *Limits, c caller) (*version, error) {
	sections, wasm := cache.prepared(m.Digest)
	if wasm == nil {
		module, err := m.Read()
		if err != nil {
			return nil, err
		}
		if sections, wasm, err = prepare(module); err != nil {
			return nil, &modfile.LoadError{Err: err}
		}
		cache.keep(m.Digest, sections, wasm)
	}
	carried, _, err := modfile.ReadTranscript(sections)
	if err != nil {
		return nil, &modfile.LoadError{Err: err}
	}
	entry := cache.open(wasm)
	v, err := compileWith(wasm, entry)
	if entry != "" {
		if err == nil {
			cache.close(entry)
		} else if plain, plainErr := compileWith(wasm, ""); plainErr == nil {
			// The module is fine. The cache was to blame: its disk may be full.
			cache.warn("compiled adapters are not kept", err)
			cache.drop(entry)
			v, err = plain, nil
		}
	}
	if err != nil {
		return nil, &modfile.LoadError{Err: err}
	}
	v.digest = m.Digest
	v.transcript.Store(carried)
	for _, memory := range v.compiled.ExportedMemories() { // one, as CheckABI has seen
		v.pages = memory.Min()
	}
	_, v.events = v.compiled.ExportedFunctions()[abi.ExportEvents]
	if v.manifest, err = v.readManifest(sections, limits, c); err != nil {
		v.close()
		return nil, &modfile.LoadError{Err: err}
	}
	return v, nil
}

// prepare checks and instruments a module. sections is an empty module with what the
// loader reads of the original: its manifest and its transcript.
func prepare(module []byte) (sections, wasm []byte, err error) {
	m, err := fuel.Instrument(module, fuel.Options{StartFuel: modfile.StartFuel})
	if err != nil {
		return nil, nil, err
	}
	if err := modfile.CheckABI(m); err != nil {
		return nil, nil, err
	}
	sections, err = modfile.Sections(module)
	return sections, m.Wasm, err
}

func compileWith(wasm []byte, cacheDir string) (*version, error) {
	v := &version{}
	if err := v.compile(wasm, cacheDir); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// compilers is how many functions are compiled at once. A function that is made for it
// can take 300 MB to compile (see fuel/effort.go).
const compilers = 4

func (v *version) compile(wasm []byte, cacheDir string) (err error) {
	ctx := experimental.WithCompilationWorkers(context.Background(), min(runtime.GOMAXPROCS(0), compilers))
	if v.cache, err = openCache(cacheDir); err != nil {
		return err
	}
	v.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2).
		WithMemoryLimitPages(maxMemory>>16).
		WithCompilationCache(v.cache).
		WithDebugInfoEnabled(false))
	if err := addWASI(ctx, v.runtime); err != nil {
		return err
	}
	_, err = v.runtime.NewHostModuleBuilder(fuel.ImportModule).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(spendFunction), nil, nil).Export(fuel.ImportName).
		Instantiate(ctx)
	if err != nil {
		return err
	}
	i32 := func(n int) []api.ValueType {
		return []api.ValueType{api.ValueTypeI32, api.ValueTypeI32, api.ValueTypeI32, api.ValueTypeI32}[:n]
	}
	_, err = v.runtime.NewHostModuleBuilder(abi.Module).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(emitFunction), i32(4), i32(1)).Export(abi.ImportEmit).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(emitAllFunction), i32(2), i32(1)).Export(abi.ImportEmitAll).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(logFunction), i32(3), nil).Export(abi.ImportLog).
		Instantiate(ctx)
	if err != nil {
		return err
	}
	v.compiled, err = v.runtime.CompileModule(ctx, wasm)
	return err
}

// close frees the compiled code. No instance may be left.
func (v *version) close() {
	ctx := context.Background()
	if v.compiled != nil {
		v.compiled.Close(ctx)
	}
	if v.runtime != nil {
		v.runtime.Close(ctx)
	}
	if v.cache != nil {
		v.cache.Close(ctx)
	}
}

// readManifest takes the manifest from the module's custom section. If there is none,
// it runs the module, within limits, to get the manifest.
func (v *version) readManifest(module []byte, limits *Limits, c caller) (modfile.Manifest, error) {
	if m, found, err := modfile.ReadManifest(module); found {
		return m, err
	}
	if err := c.seat.take(c.ctx); err != nil {
		return modfile.Manifest{}, err
	}
	defer c.seat.leave()
	in, err := v.instantiate(c, logger{}, limits, nil)
	if err != nil {
		return modfile.Manifest{}, err
	}
	defer in.close()
	var b Batch
	in.collect.begin(&b, inManifest, 0, 1<<20)
	status, err := in.call(c, in.module.ExportedFunction(abi.ExportManifest), &invocation{}, in.limits.fuel(0))
	if err != nil {
		return modfile.Manifest{}, fmt.Errorf("%s: %w", abi.ExportManifest, err)
	}
	if status != abi.StatusOK || len(b.Emissions) != 1 {
		return modfile.Manifest{}, fmt.Errorf("%s returned %d and emitted %d manifests instead of one", abi.ExportManifest, status, len(b.Emissions))
	}
	return modfile.ParseManifest(b.Emissions[0].Data)
}

// instantiate makes an instance for c, which has a slot, and does the handshake. grant
// counts the instance's memory and is released with it.
func (v *version) instantiate(c caller, log logger, limits *Limits, grant *memory.Grant) (in *instance, err error) {
	if err := limits.checkMemory(v.pages); err != nil {
		return nil, err
	}
	made := &instance{logs: log, limits: limits, created: time.Now()}
	in = made // after a panic, in is nil and made is not
	var linear experimental.LinearMemory
	free := func() {
		if linear != nil {
			linear.Free() // wazero doesn't, if instantiation fails
		}
	}
	in.ctx = &callContext{
		Context: experimental.WithMemoryAllocator(context.Background(),
			experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
				linear = allocate(min(most, uint64(limits.Memory)), grant, &made.refused, &made.full)
				return linear
			})),
		instance: in,
	}
	defer func() {
		if recover() != nil { // wazero panics if the allocator fails
			free()
			if in, err = nil, made.refused; err != nil {
				return
			}
			err = fmt.Errorf("the system has no %d MiB of address space for an instance", limits.Memory>>20)
		}
	}()
	in.begin(c, fuelStart, 0)
	module, err := v.runtime.InstantiateModule(in.ctx, v.compiled,
		wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		in.finish()
		free()
		if in.refused != nil {
			return nil, in.refused
		}
		return nil, fmt.Errorf("start function: %w", in.failed(err))
	}
	in.ctx.Context = context.Background() // the engine looks for values there with each call
	in.module, in.memory = module, module.Memory()
	in.fuel = module.ExportedGlobal(fuel.Global).(api.MutableGlobal)
	if start := module.ExportedFunction("_initialize"); start != nil {
		// It gets the fuel that the start section left.
		if err := in.run(start, in.stack[:]); err != nil {
			in.finish()
			in.close()
			return nil, fmt.Errorf("_initialize: %w", err)
		}
	}
	in.finish()
	in.buffer = module.ExportedFunction(abi.ExportBuffer)
	in.request = module.ExportedFunction(abi.ExportRequest)
	in.response = module.ExportedFunction(abi.ExportResponse)
	in.event = module.ExportedFunction(abi.ExportEvent)
	in.stacks = [5]stack{stackOf(in.buffer), stackOf(in.request), stackOf(in.response), stackOf(in.event)}
	if v.events {
		in.events = module.ExportedFunction(abi.ExportEvents)
		in.stacks[4] = stackOf(in.events)
	}

	var none Batch
	in.collect.begin(&none, inConfigure, 0, 1<<20)
	minor, err := in.call(c, module.ExportedFunction(abi.ExportHandshake), &invocation{}, in.limits.fuel(0))
	if err == nil && int32(minor) < 0 {
		err = errors.New("the handshake failed")
	}
	if err != nil {
		in.close()
		return nil, fmt.Errorf("%s: %w", abi.ExportHandshake, err)
	}
	return in, nil
}

// configure gives the instance its provider's options.
func (in *instance) configure(c caller, options []byte) error {
	var b Batch
	in.collect.begin(&b, inConfigure, 0, 1<<20)
	status, err := in.call(c, in.module.ExportedFunction(abi.ExportConfigure),
		&invocation{sections: [3][]byte{options}, params: [5]uint64{uint64(len(options))}}, in.limits.fuel(len(options)))
	if err != nil {
		return fmt.Errorf("%s: %w", abi.ExportConfigure, err)
	}
	if status != abi.StatusOK {
		text := "without saying why"
		if len(b.Emissions) > 0 {
			text = string(shorten(b.Emissions[0].Data))
		}
		return fmt.Errorf("%s returned %d, %s", abi.ExportConfigure, status, text)
	}
	return nil
}
