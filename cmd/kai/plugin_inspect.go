package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kai-gateway/kai/cmd/internal/author"
	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/sdk/abi"
)

// inspection is what "kai plugin inspect" shows. Its JSON is for programs, and only ever
// gains fields. Every field is always there; it is empty if the module doesn't say. The
// module was not run for it, unless Executed says so.
type inspection struct {
	module []byte

	Module       string       `json:"module"` // as the command line names it
	SHA256       string       `json:"sha256"`
	ABI          string       `json:"abi"`
	Name         string       `json:"name"`
	Version      string       `json:"version"`
	License      string       `json:"license"`
	Homepage     string       `json:"homepage"`
	Provider     string       `json:"provider"`
	Operations   []string     `json:"operations"`
	Capabilities []string     `json:"capabilities"`
	BaseURL      string       `json:"default_base_url"`
	Options      string       `json:"options"`
	PlainContent bool         `json:"plain_content"`
	Routing      []string     `json:"routing"`    // fields and types of tools that only clients with provider_routing may send
	Extensions   []string     `json:"extensions"` // of chat completions that it is given
	Packed       bool         `json:"manifest_in_section"`
	Transcript   bool         `json:"transcript_in_section"`
	Secret       *placement   `json:"secret"` // null: its requests get none
	Imports      []string     `json:"imports"`
	Exports      []string     `json:"exports"`
	Size         moduleSize   `json:"size"`
	Executed     bool         `json:"executed"` // the module was run to find this out
	Load         *loadTime    `json:"load"`     // null: the module was not run
	Granted      []permission `json:"granted"`
}

// placement says where the gateway puts the provider's secret.
type placement struct {
	Secret string `json:"secret"`
	Header string `json:"header"`
	Format string `json:"format"`
}

// moduleSize is in bytes.
type moduleSize struct {
	Module       int   `json:"module"`
	Instrumented int   `json:"instrumented"` // with the counting of fuel
	MemoryMin    int64 `json:"memory_min"`
	MemoryMax    int64 `json:"memory_max"`
}

// loadTime is how many milliseconds loading takes: from the module's bytes to an instance
// that can be called, including the replay of the module's transcript.
type loadTime struct {
	Cold   int64 `json:"cold_ms"`
	Cached int64 `json:"cached_ms"`
}

// permission says what the adapter gets of one kind of thing.
type permission struct {
	Thing string `json:"thing"`
	Grant string `json:"grant"`
}

// pluginInspect shows what a module is and what it would be granted. It doesn't run the
// module, unless --run says so.
func pluginInspect(ctx context.Context, args []string, s streams) int {
	f := flag.NewFlagSet("plugin inspect", flag.ContinueOnError)
	asJSON := f.Bool("json", false, "")
	run := f.Bool("run", false, "")
	if code, ok := parse(f, args, 1, s.err); !ok {
		return code
	}
	name, err := author.NamedModule(f.Arg(0))
	if err != nil {
		return pluginFailed("inspect", err, s)
	}
	i, err := inspect(name)
	if err == nil && *run {
		fmt.Fprintf(s.err, "kai: running %s in the sandbox, as a gateway that loads it does\n", i.Module)
		err = i.run(ctx)
	}
	if err != nil {
		return pluginFailed("inspect", err, s)
	}
	if *asJSON {
		e := json.NewEncoder(s.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(i); err != nil {
			return pluginFailed("inspect", err, s)
		}
		return exitDone
	}
	i.print(s.out)
	return exitDone
}

// inspect reads a module.
func inspect(name string) (*inspection, error) {
	module, err := author.ReadModule(name)
	if err != nil {
		return nil, err
	}
	d, err := modfile.Inspect(module)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(d.Problems) > 0 {
		text := make([]string, len(d.Problems))
		for i, p := range d.Problems {
			text[i] = "\n  " + p.Error()
		}
		return nil, fmt.Errorf("%s: not an adapter:%s", name, strings.Join(text, ""))
	}
	_, transcript, err := modfile.ReadTranscript(module)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	i := &inspection{
		module: module, Module: name, SHA256: fmt.Sprintf("%x", d.SHA256), ABI: "v1",
		Operations: []string{}, Capabilities: []string{}, Routing: []string{}, Extensions: []string{}, Packed: d.Manifest != nil,
		Imports: orEmpty(d.Imports), Exports: orEmpty(d.Exports), Transcript: transcript,
		Size: moduleSize{
			Module: len(module), Instrumented: d.Instrumented, MemoryMin: d.MemoryMin, MemoryMax: d.MemoryMax,
		},
		Granted: granted(d.Imports),
	}
	if d.Manifest != nil {
		return i, i.describe(*d.Manifest)
	}
	return i, nil
}

// describe fills in what the module says about itself.
func (i *inspection) describe(m modfile.Manifest) error {
	p := m.Profile()
	if err := config.CheckOptionsSchema(p.Options); err != nil {
		return fmt.Errorf("%s: the options of its manifest: %w", i.Module, err)
	}
	i.Name, i.Version, i.License, i.Homepage = m.Name, m.Version, m.License, m.Homepage
	i.Provider, i.Operations, i.Capabilities, i.BaseURL = p.Provider, p.Ops, orEmpty(p.Capabilities), p.DefaultBaseURL
	i.Options, i.PlainContent, i.Routing = strings.TrimSpace(p.Options), p.PlainContent, routed(p.Routing)
	i.Extensions = orEmpty(p.Extensions)
	if p.Auth.Header != "" {
		i.Secret = &placement{p.Auth.Secret, p.Auth.Header, p.Auth.Format}
	}
	return nil
}

// run runs the module. That shows how long it takes to load, and what it says about itself
// if it has no manifest that can be read.
func (i *inspection) run(ctx context.Context) error {
	m, load, err := timeLoading(ctx, i.module)
	if err != nil {
		return fmt.Errorf("%s: %w", i.Module, err)
	}
	i.Executed, i.Load = true, &load
	return i.describe(m)
}

// timeLoading loads the module twice. The second time, its code is in a cache on disk, as
// it is for a gateway that has loaded the module before.
func timeLoading(ctx context.Context, module []byte) (m modfile.Manifest, load loadTime, err error) {
	dir, err := os.MkdirTemp("", "kai-inspect-")
	if err != nil {
		return m, load, err
	}
	defer os.RemoveAll(dir)
	for _, ms := range []*int64{&load.Cold, &load.Cached} {
		begin := time.Now()
		e := wasm.New(wasm.Options{CacheDir: dir})
		a := e.Adapter("inspect", module, wasm.AdapterOptions{})
		if err = a.Wait(ctx, time.Minute); err == nil {
			m = a.Manifest()
			*ms = time.Since(begin).Milliseconds()
		}
		a.Close()
		e.Close()
		if err != nil {
			return m, load, err
		}
	}
	return m, load, nil
}

// granted says what an adapter gets of the things that programs usually have. For most of
// them that is nothing, whatever the module imports.
func granted(imports []string) []permission {
	random := "none, and it doesn't ask"
	if slices.Contains(imports, "wasi_snapshot_preview1.random_get") {
		random = "real random bytes"
	}
	return []permission{
		{"network", "none: it describes requests, which Kai sends to its provider's base_url and nowhere else"},
		{"secret", "none: Kai adds it after the request left the adapter"},
		{"files", "none"},
		{"environment", "none, no arguments either"},
		{"clock", "none: a counter that begins anew in every instance"},
		{"random", random},
		{"processor", "50 million units of fuel a call and 400 for each byte it is given, at most 4 billion or what that is for limits.input (limits.fuel); 2s, and as much again for each 4 MiB (limits.time)"},
		{"memory", "128 MiB of address space in each instance, or 16 times limits.input (limits.memory)"},
		{"log", "lines of 4 KiB, 20 a second, as the provider's log option allows"},
		{"other calls", "nothing: what an exchange must remember is 4 KiB that Kai keeps"},
	}
}

// routed lists the parts of a request that would choose at the upstream.
func routed(r modfile.Routing) []string {
	list := slices.Clone(orEmpty(r.Fields))
	for _, prefix := range r.Tools {
		list = append(list, "tools of type "+prefix+"…")
	}
	return list
}

func (i *inspection) print(w io.Writer) {
	line := func(key, format string, args ...any) {
		fmt.Fprintf(w, "  %-13s %s\n", key, fmt.Sprintf(format, args...))
	}
	described := i.Packed || i.Executed
	if described {
		fmt.Fprintf(w, "%s %s, an adapter for %s\n", i.Name, i.Version, i.Provider)
	} else {
		fmt.Fprintf(w, "%s, an adapter\n", i.Module)
	}
	line("sha256", "%s", i.SHA256)
	line("contract", "ABI %s%s", i.ABI, i.quick())
	if described {
		i.printDescription(line)
	}
	line("size", "%s, %s with the counting of fuel", author.Bytes(int64(i.Size.Module)), author.Bytes(int64(i.Size.Instrumented)))
	line("memory", "%s at first, at most %s", author.Bytes(i.Size.MemoryMin), author.Bytes(i.Size.MemoryMax))
	if i.Executed {
		line("loads in", "%d ms, %d ms from the cache", i.Load.Cold, i.Load.Cached)
		line("executed", "yes: its start, its manifest and its configuration, and the transcript in it, if there is one")
	} else {
		line("executed", "nothing of it; with --run it is loaded as a gateway does, which tells how long that takes")
	}
	switch {
	case i.Packed:
	case i.Executed:
		line("manifest", "told by running it; \"kai plugin build\" writes it where it can be read")
	default:
		line("manifest", "not where it can be read, so name, options and secret are unknown: --run asks the module;")
		line("", "\"kai plugin build\" writes it where it can be read")
	}
	if i.Transcript {
		line("transcript", "in the module; a gateway replays it before it takes the module")
	}
	fmt.Fprint(w, "\ngranted\n")
	for _, g := range i.Granted {
		line(g.Thing, "%s", g.Grant)
	}
	if described {
		fmt.Fprint(w, "\noptions\n")
		if i.Options == "" {
			fmt.Fprint(w, "  none\n")
		}
		for text := range strings.Lines(i.Options) {
			fmt.Fprintln(w, strings.TrimRight("  "+text, " \n"))
		}
	}
	for _, list := range []struct {
		title string
		names []string
	}{{"imports", i.Imports}, {"exports", i.Exports}} {
		fmt.Fprintf(w, "\n%s\n", list.title)
		for _, name := range list.names {
			fmt.Fprintf(w, "  %s\n", name)
		}
	}
}

// quick says by which of the contract's optional parts the module needs fewer calls.
func (i *inspection) quick() (text string) {
	if slices.Contains(i.Imports, abi.Module+"."+abi.ImportEmitAll) {
		text += "; states what it found in tables"
	}
	if slices.Contains(i.Exports, abi.ExportEvents) {
		text += "; takes several events in one call"
	}
	return text
}

// printDescription writes what the manifest says.
func (i *inspection) printDescription(line func(key, format string, args ...any)) {
	line("operations", "%s", strings.Join(i.Operations, ", "))
	if len(i.Capabilities) > 0 {
		line("capabilities", "%s", strings.Join(i.Capabilities, ", "))
	}
	if i.BaseURL != "" {
		line("base URL", "%s", i.BaseURL)
	}
	if i.Secret == nil {
		line("secret", "it is sent none")
	} else {
		line("secret", "%s, as the header %s: %s", i.Secret.Secret, i.Secret.Header, strings.Replace(i.Secret.Format, "{}", "…", 1))
	}
	if i.PlainContent {
		line("long content", "given to it whole")
	} else {
		line("long content", "given to it as references")
	}
	if len(i.Routing) > 0 {
		line("routing", "%s: only from keys with provider_routing", strings.Join(i.Routing, ", "))
	}
	if len(i.Extensions) > 0 {
		line("extensions", "%s: given to it beyond chat completions", strings.Join(i.Extensions, ", "))
	}
	if i.License != "" {
		line("license", "%s", i.License)
	}
	if i.Homepage != "" {
		line("homepage", "%s", i.Homepage)
	}
}

// orEmpty replaces a nil list by an empty one, which is [] in JSON.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
