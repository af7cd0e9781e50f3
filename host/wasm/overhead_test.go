package wasm

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/plugins"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/sdktest"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// BenchmarkFuelOverhead gives the shipped adapters the chunks of their
// transcripts, with fuel and without by turns, and reports the ratio: 1.1 means
// that fuel costs 10 % of an adapter's CPU for a chunk. The aim is 1.15 at most. It can
// be less than 1, because the rewriting makes jumps shorter, too.
//
// "/text" is the chunks that are text and nothing else, which most of a stream
// is; "/all" is every chunk of every transcript. The demo has no upstream, and
// makes its chunks of requests. The best time of each transcript counts on
// either side, so that the machine's other work doesn't; it leaves out the
// guest's garbage collections. What the host does with emissions is left out, too.
func BenchmarkFuelOverhead(b *testing.B) {
	for _, name := range plugins.Names() {
		module, err := plugins.Module(name)
		if err != nil {
			b.Skip(err)
		}
		counted, err := fuel.Instrument(module, fuel.Options{StartFuel: modfile.StartFuel})
		if err != nil {
			b.Fatal(err)
		}
		plain, fueled := bare(b, module), bare(b, counted.Wasm)
		all, text := recordChunks(b, name, newAdapter(b, module, nil))
		b.Run(name+"/text", func(b *testing.B) { compareSides(b, plain, fueled, text) })
		b.Run(name+"/all", func(b *testing.B) { compareSides(b, plain, fueled, all) })
	}
}

// compareSides reports what fueled needs for the calls, compared to plain.
func compareSides(b *testing.B, plain, fueled *instance, streams [][]invocation) {
	if len(streams) == 0 {
		b.Skip("no such chunks")
	}
	best := make([][2]time.Duration, len(streams))
	for i := range best {
		best[i] = [2]time.Duration{1 << 62, 1 << 62}
	}
	c := nobody()
	for b.Loop() {
		for i, calls := range streams {
			for side, in := range []*instance{plain, fueled} {
				began := time.Now()
				for n := range calls {
					mustRun(b, c, in, &calls[n])
				}
				best[i][side] = min(best[i][side], time.Since(began))
			}
		}
	}
	var without, with time.Duration
	var chunks int
	for i, t := range best {
		without, with, chunks = without+t[0], with+t[1], chunks+len(streams[i])
	}
	b.ReportMetric(float64(with)/float64(without), "ratio")
	b.ReportMetric(1.15, "aim")
	b.ReportMetric(float64(with.Nanoseconds())/float64(chunks), "ns/chunk")
	b.ReportMetric(0, "ns/op") // of all chunks on both sides: of no use
}

// recordChunks gives the calls by which the adapter takes the chunks of its
// transcripts: all, and those that are text and nothing else; a list for each
// transcript that has any.
func recordChunks(b testing.TB, name string, a *Adapter) (all, text [][]invocation) {
	b.Helper()
	r := recorder{adapter: a}
	sdktest.Each(b, "../../testdata/transcripts/"+name+"/*.txtar", func(file string, tr *transcript.Transcript) {
		r.chunks, r.text = nil, nil
		if _, err := tr.Run(&r); err != nil {
			b.Fatalf("%s: %v", file, err)
		}
		if len(r.chunks) > 0 {
			all = append(all, r.chunks)
		}
		if len(r.text) > 0 {
			text = append(text, r.text)
		}
	})
	return all, text
}

// recorder replays transcripts in the sandbox and keeps the calls for chunks.
type recorder struct {
	adapter      *Adapter
	chunks, text []invocation
	batch        Batch
}

// Call implements transcript.Caller.
func (r *recorder) Call(in sdk.Input) ([]abi.Emission, error) {
	_, err := r.adapter.Call(context.Background(), in, &r.batch)
	out := r.batch.Clone()
	if err != nil || in.Response != nil {
		return out, err
	}
	only := func(k abi.Kind) bool {
		return len(out) > 0 && !slices.ContainsFunc(out, func(e abi.Emission) bool { return e.Kind != k })
	}
	asks := slices.ContainsFunc(out, func(e abi.Emission) bool { return e.Kind == abi.Request })
	if in.Event != nil || !asks {
		r.chunks = append(r.chunks, invocationOf(in))
	}
	if in.Event != nil && only(abi.Text) {
		r.text = append(r.text, invocationOf(in))
	}
	return out, nil
}

// invocationOf gives the call for a request or event, with memory of its own.
func invocationOf(in sdk.Input) (i invocation) {
	if req := in.Request; req != nil {
		i = invocation{in: inRequest, op: req.Op, sections: [3][]byte{req.Options, req.Body}}
		if req.Stream {
			i.params[1] = abi.FlagStream
		}
	} else {
		ev := in.Event
		i = invocation{in: inEvent, op: ev.Op, sections: [3][]byte{in.State, ev.Name, ev.Data}}
		if ev.End {
			i.params[1] |= abi.FlagEnd
		}
		if ev.Done {
			i.params[1] |= abi.FlagDone
		}
	}
	i.params[0] = uint64(i.op)
	for n, s := range i.sections {
		i.sections[n] = bytes.Clone(s)
		i.params[2+n] = uint64(len(s)) // a request has two, and the export takes no more
	}
	return i
}

// bare instantiates a module, with fuel or without, in a host whose emit does
// nothing.
func bare(b *testing.B, wasm []byte) *instance {
	b.Helper()
	in := &instance{limits: &Limits{Time: time.Hour}, created: time.Now()}
	in.ctx = &callContext{Context: context.Background(), instance: in}
	r := wazero.NewRuntimeWithConfig(in.ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2))
	b.Cleanup(func() { r.Close(context.Background()) })
	if err := addWASI(in.ctx, r); err != nil {
		b.Fatal(err)
	}
	i32 := api.ValueTypeI32
	ignore := api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = emitOK })
	_, err := r.NewHostModuleBuilder(fuel.ImportModule).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(spendFunction), nil, nil).Export(fuel.ImportName).
		Instantiate(in.ctx)
	if err != nil {
		b.Fatal(err)
	}
	_, err = r.NewHostModuleBuilder(abi.Module).
		NewFunctionBuilder().WithGoModuleFunction(ignore, []api.ValueType{i32, i32, i32, i32}, []api.ValueType{i32}).Export(abi.ImportEmit).
		NewFunctionBuilder().WithGoModuleFunction(ignore, []api.ValueType{i32, i32}, []api.ValueType{i32}).Export(abi.ImportEmitAll).
		NewFunctionBuilder().WithGoModuleFunction(ignore, []api.ValueType{i32, i32, i32}, nil).Export(abi.ImportLog).
		Instantiate(in.ctx)
	if err != nil {
		b.Fatal(err)
	}
	in.begin(nobody(), fuelStart, 0)
	in.module, err = r.InstantiateWithConfig(in.ctx, wasm, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		b.Fatal(err)
	}
	in.memory, in.fuel = in.module.Memory(), unlimited{}
	if g := in.module.ExportedGlobal(fuel.Global); g != nil {
		in.fuel = g.(api.MutableGlobal)
	}
	in.buffer = in.module.ExportedFunction(abi.ExportBuffer)
	in.request = in.module.ExportedFunction(abi.ExportRequest)
	in.event = in.module.ExportedFunction(abi.ExportEvent)
	for _, name := range []string{"_initialize", abi.ExportHandshake, abi.ExportConfigure} {
		in.begin(nobody(), fuelStart, 0)
		in.stack = [5]uint64{}
		if err := in.module.ExportedFunction(name).CallWithStack(in.ctx, in.stack[:]); err != nil {
			b.Fatal(fmt.Errorf("%s: %w", name, err))
		}
		in.finish()
	}
	return in
}

// nobody is a caller in an engine that is idle.
func nobody() caller {
	return caller{ctx: context.Background(), seat: &seat{slots: newSlots(1), tenant: &tenant{}, wait: time.Hour}, pace: &pace{}}
}

// unlimited is the fuel of a module that counts none.
type unlimited struct{ api.MutableGlobal }

func (unlimited) Get() uint64 { return fuelStart }
func (unlimited) Set(uint64)  {}

// mustRun makes a call the way instance.call does, but for what was emitted.
func mustRun(b *testing.B, c caller, in *instance, i *invocation) {
	in.begin(c, fuelStart, 0)
	defer in.finish()
	if err := in.writeInput(&i.sections); err != nil {
		b.Fatal(err)
	}
	fn := in.event
	if i.in == inRequest {
		fn = in.request
	}
	in.stack = i.params
	if err := fn.CallWithStack(in.ctx, in.stack[:]); err != nil {
		b.Fatal(err)
	}
}
