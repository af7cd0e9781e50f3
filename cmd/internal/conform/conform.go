// Package conform is the conformance kit for adapters. It replays transcripts through the
// sandbox, the stream engine and a whole gateway. Then it replays them again with
// everything going wrong that goes wrong in practice.
//
// It knows an adapter only by its module and its transcripts, so it checks what must be
// true of every adapter: no input breaks a call, no answer is a success before its last
// finish, an upstream's failure becomes an error, and equal input gives equal output,
// whatever an instance did before.
//
// It makes its own upstream on the loopback interface and connects to nothing else.
package conform

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// Options configures Run. Module is required.
type Options struct {
	Module   []byte
	CacheDir string // where compiled code is kept; default: it is not kept
	Update   bool   // write the expectations of transcripts instead of comparing with them
}

// Report has the results of Run.
type Report struct {
	Manifest modfile.Manifest
	SHA256   [sha256.Size]byte
	Results  []Result // in the order of the files
}

// Result is the result of one transcript.
type Result struct {
	File       string
	Calls      int       // how many calls of the adapter all replays made
	Variations int       // how many replays had something changed
	Cost       wasm.Cost // the most fuel of any call, with its limit, and the most memory after any call
	Updated    bool      // the file was written
	Failures   []Failure
}

// Failure is something an adapter should not do.
type Failure struct {
	Check string // what was tried, for example "upstream sends null"
	Text  string // what happened, perhaps several lines
}

// Failed reports whether any transcript failed.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Results, func(x Result) bool { return len(x.Failures) > 0 })
}

// Files returns the transcripts in a folder, sorted.
func Files(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s holds no transcripts (*.txtar)", dir)
	}
	return files, err
}

// Run tests a module with the transcripts in files. The report says what the adapter does
// wrong. The error says that the module can't be loaded, or that the context has ended.
func Run(ctx context.Context, o Options, files []string) (*Report, error) {
	log := &keptLog{key: adapterText}
	engine := wasm.New(wasm.Options{CacheDir: o.CacheDir, Logger: slog.New(log)})
	defer engine.Close()
	module, err := modfile.WithoutTranscript(o.Module)
	if err != nil {
		return nil, err
	}
	k := &kit{engine: engine, module: module, update: o.Update, log: log}

	// The first adapter has the manifest, and keeps the module compiled.
	first := engine.Adapter("adapter", module, wasm.AdapterOptions{LogLevel: slog.LevelDebug})
	defer first.Close()
	if err := first.Wait(ctx, 2*time.Minute); err != nil {
		return nil, err
	}
	k.manifest = first.Manifest()
	report := &Report{Manifest: k.manifest, SHA256: sha256.Sum256(o.Module)}

	gateways := &gateways{kit: k, cacheDir: o.CacheDir, models: map[served]map[string]bool{}, running: map[served]*gateway{}}
	defer gateways.close()
	for _, file := range files {
		if t, err := open(file); err == nil {
			gateways.expect(t)
		}
	}
	used := map[string]*guest{}
	framing := &misframed{map[abi.Framing][]wrongFraming{}, map[abi.Framing]bool{}}
	defer func() {
		for _, g := range used {
			g.close()
		}
	}()
	for _, file := range files {
		report.Results = append(report.Results, Result{File: file})
		r := &report.Results[len(report.Results)-1]
		t, err := open(file)
		if err != nil {
			r.fail("the transcript can be read", "%v", err)
			continue
		}
		c := check{ctx: ctx, kit: k, gateways: gateways, transcript: t, result: r}
		if !c.checkTranscript() {
			continue // no gateway would ask the adapter with these options
		}
		// One instance replays all transcripts with the same options. So if one of
		// them leaves something behind, it shows in the next.
		options := string(t.Options())
		if used[options] == nil {
			used[options], err = k.guest(ctx, []byte(options))
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if err != nil {
				r.fail("the options are accepted", "%v", err)
				delete(used, options)
				continue
			}
		}
		c.guest = used[options]
		c.run()
		c.checkFraming(framing, len(report.Results)-1)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	framing.report(report.Results)
	// With Update, the file of the transcript in the module may just have been written.
	if _, found, _ := modfile.ReadTranscript(o.Module); found && !o.Update {
		report.Results = append(report.Results, embedded(ctx, engine, o.Module))
	}
	return report, nil
}

// embedded tests a module with the transcript in it, as a gateway that loads it does.
func embedded(ctx context.Context, engine *wasm.Engine, module []byte) Result {
	r := Result{File: "(in the module)"}
	a := engine.Adapter("adapter", module, wasm.AdapterOptions{LogLevel: slog.LevelDebug})
	defer a.Close()
	if err := a.Wait(ctx, 2*time.Minute); err != nil {
		r.fail("a gateway takes the module", "%v; build it again", err)
	}
	return r
}

func (r *Result) fail(check, format string, args ...any) {
	r.Failures = append(r.Failures, Failure{check, strings.TrimRight(fmt.Sprintf(format, args...), "\n")})
}

// fixture is a transcript with its file.
type fixture struct {
	*transcript.Transcript
	file string
	text []byte
}

func open(file string) (*fixture, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	t, err := transcript.Parse(text)
	if err != nil {
		return nil, err
	}
	return &fixture{t, file, text}, nil
}

// lineOf returns the line of the file with which a section begins, counted from 1.
func (t *fixture) lineOf(section string) int {
	n := 1
	for line := range bytes.Lines(t.text) {
		n++
		inner, begins := bytes.CutPrefix(bytes.TrimRight(line, "\n"), []byte("-- "))
		inner, ends := bytes.CutSuffix(inner, []byte(" --"))
		if begins && ends && string(bytes.TrimSpace(inner)) == section {
			return n
		}
	}
	return 1
}

// model returns the model that the client asks for.
func (t *fixture) model() string {
	var asked struct{ Model string }
	// If this is not a request, the gateway will say so.
	if json.Unmarshal(t.Get(transcript.SectionClient), &asked) != nil || asked.Model == "" {
		return noModel
	}
	return asked.Model
}

// with returns a copy in which one section is replaced: the n-th of that name.
func (t *fixture) with(section string, n int, data []byte) *fixture {
	changed := &transcript.Transcript{Comment: t.Comment, Sections: slices.Clone(t.Sections)}
	changed.Set(section, n, data)
	return &fixture{changed, t.file, nil}
}
