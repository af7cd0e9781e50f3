package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/plugins"
	"github.com/kai-gateway/kai/sdk/abi"
)

// swaps measures how long a gateway takes, after the file of a module was replaced, until it
// serves with the new module. The gateway also has providers with shipped adapters.
func (b *bench) swaps(ctx context.Context) error {
	if !b.wants("swap") {
		return nil
	}
	b.say("swap: an adapter given by path is replaced")
	// More modules than the gateway keeps in memory, so that after a turn through all of
	// them, each is only in the cache on disk.
	builds, err := b.builds(8)
	if err != nil {
		return err
	}
	live, config := b.file("live.wasm"), b.file("swap.yaml")
	yaml := fmt.Sprintf("providers: {mine: {plugin: %q, base_url: %q}}\nmodel_mapping:\n", live, "http://"+b.upstream.addr)
	for _, provider := range []string{"mine", "demo", "ollama", "openrouter"} {
		yaml += fmt.Sprintf("  %s: {provider: %s, model: m}\n", provider, provider)
	}
	if err := errors.Join(os.WriteFile(config, []byte(yaml), 0o600), os.WriteFile(live, builds[0], 0o600)); err != nil {
		return err
	}
	p, err := observe(ctx, b.kai, config, b.file("cache"))
	if err != nil {
		return err
	}
	defer p.stop()
	if _, err := p.loaded("mine"); err != nil { // the others wait until they are asked
		return err
	}
	var cached, kept, cpu []float64
	for n := 1; n <= 4*b.rounds && ctx.Err() == nil; n++ {
		ms, spent, err := b.swap(p, live, builds[n%len(builds)])
		if err != nil {
			return fmt.Errorf("swap: %w", err)
		}
		cached, cpu = append(cached, ms), append(cpu, spent)
	}
	// From here on it goes back and forth between two modules.
	for n := 4*b.rounds + 1; n <= 8*b.rounds+1 && ctx.Err() == nil; n++ {
		ms, _, err := b.swap(p, live, builds[(4*b.rounds+n%2)%len(builds)])
		if err != nil {
			return fmt.Errorf("swap: %w", err)
		}
		kept = append(kept, ms)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.report.values("swap", "compiled by an earlier start", cached, "ms", 200)
	b.report.values("", "CPU of it", cpu, "ms", 0)
	b.report.values("", "back to the one before", kept[1:], "ms", 200)
	return nil
}

// builds returns modules of one adapter in Go. Only their digests are different.
func (b *bench) builds(n int) ([][]byte, error) {
	module, err := plugins.Module("openrouter")
	if err != nil {
		return nil, err
	}
	all := make([][]byte, n)
	for i := range all {
		if all[i], err = fuel.WithCustomSection(module, "build", []byte{byte(i)}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// swap replaces the file by a rename. It returns the milliseconds until the log says that
// the new module serves, and how many of them the gateway had a processor.
func (b *bench) swap(p *observed, live string, module []byte) (took, cpu float64, err error) {
	if err := os.WriteFile(live+".new", module, 0o600); err != nil {
		return 0, 0, err
	}
	time.Sleep(300 * time.Millisecond) // until the last swap is over, and its garbage collected
	before, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	if err := os.Rename(live+".new", live); err != nil {
		return 0, 0, err
	}
	want := fmt.Sprintf("%x", sha256.Sum256(module))
	e, err := p.loaded("mine")
	if err == nil && !strings.HasPrefix(want, e.SHA256) {
		err = fmt.Errorf("the module %s was swapped in instead of %s", e.SHA256, want)
	}
	if err != nil {
		return 0, 0, err
	}
	if _, err := p.until("reloaded"); err != nil {
		return 0, 0, err
	}
	end := time.Now()
	time.Sleep(100 * time.Millisecond) // for the collection
	after, err := p.cpu()
	took, cpu = end.Sub(begin).Seconds()*1e3, (after-before).Seconds()*1e3
	if b.verbose {
		b.say("  swapped in after %.0f ms, %.0f ms of CPU", took, cpu)
	}
	return took, cpu, err
}

// loads measures how long adapters that are not written in Go take to load when a changed
// configuration names them: from the module's bytes to an instance that has its options, as
// the log says. Each time is measured with a fresh gateway, which has the adapter's code in
// its cache on disk at best.
func (b *bench) loads(ctx context.Context) error {
	if !b.wants("load") {
		return nil
	}
	name := "load"
	for _, l := range []struct{ name, dir string }{{"Rust", "rust"}, {"C", "c"}} {
		b.say("load: an adapter in %s", l.name)
		module := b.file(l.dir + ".wasm")
		out, err := exec.CommandContext(ctx, b.kai, "plugin", "build", filepath.Join(b.examples, l.dir), "-o", module).CombinedOutput()
		if err != nil {
			b.report.row(name, l.name, nil, "skipped: "+reason(out), "", true)
			name = ""
			continue
		}
		yaml := fmt.Sprintf("providers: {mine: {plugin: %q, base_url: %q}}\nmodel_mapping: {m: {provider: mine, model: m}}\n", module, "http://"+b.upstream.addr)
		var cold, warm []float64
		for i := range b.rounds {
			cache := b.file(fmt.Sprintf("%s-%d", l.dir, i))
			for _, times := range []*[]float64{&cold, &warm} {
				ms, err := b.load(ctx, cache, yaml)
				if err != nil {
					return fmt.Errorf("load: %w", err)
				}
				*times = append(*times, ms)
			}
		}
		b.report.values(name, l.name+", never compiled before", cold, "ms", 50)
		b.report.values("", l.name+", compiled by an earlier start", warm, "ms", 50)
		name = ""
	}
	return nil
}

// load returns how many milliseconds the only adapter of a configuration takes to load.
func (b *bench) load(ctx context.Context, cache, yaml string) (float64, error) {
	config := b.file("load.yaml")
	if err := os.WriteFile(config, []byte("model_mapping: {m: {provider: demo, model: m}}\n"), 0o600); err != nil {
		return 0, err
	}
	p, err := observe(ctx, b.kai, config, cache)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	if err := p.ready(ctx); err != nil {
		return 0, err
	}
	time.Sleep(300 * time.Millisecond) // until the start is over, and its garbage collected
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		return 0, err
	}
	e, err := p.loaded("mine")
	return e.Duration, err
}

// reason returns the last message of "kai plugin build", without what to install.
func reason(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	why, _, _ := strings.Cut(strings.TrimPrefix(lines[len(lines)-1], "kai plugin build: "), ": ")
	return why
}

// idleProviders is how many providers are added to one, to see what they cost.
const idleProviders = 8

// idle measures how much memory a provider costs that nobody uses, compared with one
// instance of its adapter.
func (b *bench) idle(ctx context.Context) error {
	if !b.wants("idle") {
		return nil
	}
	b.say("idle: %d more providers", idleProviders)
	builds, err := b.builds(1 + idleProviders)
	if err != nil {
		return err
	}
	var same, other []string // the modules of the providers
	for i, module := range builds {
		file := b.file(fmt.Sprintf("idle-%d.wasm", i))
		if err := os.WriteFile(file, module, 0o600); err != nil {
			return err
		}
		same, other = append(same, b.file("idle-0.wasm")), append(other, file)
	}
	costs := samples{}
	for range (b.rounds + 1) / 2 {
		instance, err := b.instance(ctx, builds[0])
		if err != nil {
			return err
		}
		costs.add("instance", instance)
		one, err := b.idleWith(ctx, same[:1])
		if err != nil {
			return err
		}
		for kind, modules := range map[string][]string{"same": same, "other": other} {
			all, err := b.idleWith(ctx, modules)
			if err != nil {
				return err
			}
			costs.add(kind, (all-one)/idleProviders)
		}
	}
	b.report.idle("idle", "a provider more, the same adapter", costs, "same", idleAim)
	b.report.idle("", "with the code of another adapter in Go", costs, "other", 0)
	return nil
}

// idleWith returns the MiB of memory of a gateway that has a provider for each module and
// has had no request.
func (b *bench) idleWith(ctx context.Context, modules []string) (float64, error) {
	config := b.file("idle.yaml")
	providers, models := "providers:\n", "model_mapping:\n"
	for i, module := range modules {
		providers += fmt.Sprintf("  p%d: {plugin: %q, base_url: %q}\n", i, module, "http://"+b.upstream.addr)
		models += fmt.Sprintf("  m%d: {provider: p%d, model: m}\n", i, i)
	}
	if err := os.WriteFile(config, []byte(providers+models), 0o600); err != nil {
		return 0, err
	}
	p, err := startGateway(ctx, kai, b.kai, config, b.file("cache"), b.file("idle.log"))
	if err != nil {
		return 0, err
	}
	defer p.stop()
	if err := p.ready(ctx); err != nil {
		return 0, err
	}
	time.Sleep(2 * time.Second)
	size, err := p.held()
	if b.verbose {
		b.say("  %d providers: %.1f MiB", len(modules), float64(size)/(1<<20))
	}
	return float64(size) / (1 << 20), err
}

// instance returns how many MiB an instance takes after it has served a request: its own
// memory, and what the engine keeps for it. To see that, more instances are needed than a
// gateway would have, so they are made here.
func (b *bench) instance(ctx context.Context, module []byte) (float64, error) {
	const instances = 16
	e := wasm.New(wasm.Options{CacheDir: filepath.Join(b.file("cache"), "kai", "wasm")})
	defer e.Close()
	a := e.Adapter("idle", module, wasm.AdapterOptions{Fresh: true})
	defer a.Close()
	if err := a.Wait(ctx, time.Minute); err != nil {
		return 0, err
	}
	debug.FreeOSMemory()
	before, err := memoryOf(os.Getpid(), "RssAnon:")
	if err != nil {
		return 0, err
	}
	var out wasm.Batch
	for range instances {
		mine, end := a.ForRequest()
		defer end()
		if _, err := mine.Request(ctx, abi.Chat, false, []byte("{}"), chatBody("m", false, "Hello!"), &out); err != nil {
			return 0, err
		}
	}
	debug.FreeOSMemory()
	after, err := memoryOf(os.Getpid(), "RssAnon:")
	return float64(after-before) / instances / (1 << 20), err
}
