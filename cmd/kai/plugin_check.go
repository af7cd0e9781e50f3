package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kai-gateway/kai/cmd/internal/conform"
	"github.com/kai-gateway/kai/host/wasm"
)

// pluginTest runs the conformance kit over a module.
func pluginTest(ctx context.Context, args []string, s streams) int {
	f := flag.NewFlagSet("plugin test", flag.ContinueOnError)
	update := f.Bool("update", false, "")
	if code, ok := parse(f, args, 2, s.err); !ok {
		return code
	}
	name, transcripts, err := tested(f.Args())
	if err != nil {
		return pluginFailed("test", err, s)
	}
	old := stale(name)
	if old != "" && *update {
		return pluginFailed("test", errors.New(old+"; nothing was written, since an older adapter doesn't tell what to expect of this one"), s)
	}
	module, err := readModule(name)
	if err != nil {
		return pluginFailed("test", err, s)
	}
	if transcripts == "" {
		if transcripts, err = transcriptsBeside(name); err != nil {
			return pluginFailed("test", err, s)
		}
	}
	ok, err := conformance(ctx, module, transcripts, *update, s.out)
	if old != "" { // where the report doesn't push it off the screen
		fmt.Fprintln(s.err, "kai: warning: "+old)
	}
	if err != nil {
		if _, wrong := errors.AsType[*wasm.LoadError](err); wrong {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return pluginFailed("test", err, s)
	}
	if !ok {
		return exitFailed
	}
	return exitDone
}

// tested takes apart what to test: a module, transcripts, both, or what is in this
// folder. transcripts is "" if none are named.
func tested(args []string) (module, transcripts string, err error) {
	if len(args) == 2 {
		module, err = namedModule(args[0])
		return module, args[1], err
	}
	name := ""
	if len(args) == 1 {
		name = args[0]
	}
	switch {
	case filepath.Ext(name) == ".txtar":
		module, err = folderModule(filepath.Dir(filepath.Dir(name)))
		return module, name, err
	case isFolder(name) && slices.Contains(transcriptFolders, filepath.Base(name)) && holdsTranscripts(name):
		module, err = folderModule(filepath.Dir(filepath.Clean(name)))
		return module, name, err
	}
	module, err = namedModule(name)
	return module, "", err
}

// transcriptsIn gives the transcripts of a folder, or the one that is named.
func transcriptsIn(path string) ([]string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no %s: name the folder of the transcripts, or one of them", path)
	case err != nil:
		return nil, err
	case info.IsDir():
		if !holdsTranscripts(path) {
			if beside, err := transcriptsBeside(filepath.Join(path, "module")); err == nil {
				path = beside // the folder of the adapter itself
			}
		}
		return conform.Files(path)
	}
	return []string{path}, nil
}

// conformance tests a module with the transcripts at path and writes what it
// found to w.
func conformance(ctx context.Context, module []byte, path string, update bool, w io.Writer) (ok bool, err error) {
	files, err := transcriptsIn(path)
	if err != nil {
		return false, err
	}
	r, err := conform.Run(ctx, conform.Options{Module: module, CacheDir: wasm.DefaultCacheDir(), Update: update}, files)
	if err != nil {
		return false, err
	}
	printReport(w, r)
	return !r.Failed(), nil
}

// maxFailures bounds what is shown of one transcript.
const maxFailures = 5

func printReport(w io.Writer, r *conform.Report) {
	width, failed, variations := 0, 0, 0
	var most wasm.Cost
	for _, x := range r.Results {
		width = max(width, len(filepath.Base(x.File)))
	}
	for _, x := range r.Results {
		variations += x.Variations
		if x.Cost.Fuel > most.Fuel {
			most.Fuel, most.Budget = x.Cost.Fuel, x.Cost.Budget
		}
		most.Memory = max(most.Memory, x.Cost.Memory)
		mark := "ok  "
		if len(x.Failures) > 0 {
			mark = "FAIL"
			failed++
		}
		note := ""
		if x.Cost.Budget > 0 {
			note = fmt.Sprintf("  %4d variations, %s", x.Variations, costText(x.Cost))
		}
		if x.Updated {
			note += ", written anew"
		}
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%s %-*s%s", mark, width, filepath.Base(x.File), note), " "))
		for i, f := range x.Failures {
			if i == maxFailures {
				fmt.Fprintf(w, "     and %d more\n", len(x.Failures)-i)
				break
			}
			fmt.Fprintf(w, "     %s:\n       %s\n", f.Check, strings.ReplaceAll(f.Text, "\n", "\n       "))
		}
	}
	fmt.Fprintf(w, "\n%s %s: ", r.Manifest.Name, r.Manifest.Version)
	if failed > 0 {
		fmt.Fprintf(w, "%d of %d transcripts failed", failed, len(r.Results))
	} else {
		fmt.Fprintf(w, "all %d transcripts passed", len(r.Results))
	}
	if most.Budget > 0 {
		fmt.Fprintf(w, ", with %d variations; a call took %s", variations, costText(most))
	}
	fmt.Fprintln(w)
}

// costText writes what calls took at most: "at most 41200 fuel (0.08 % of its
// budget) and 2.2 MiB".
func costText(c wasm.Cost) string {
	return fmt.Sprintf("at most %d fuel (%.2f %% of its budget) and %s", c.Fuel, 100*float64(c.Fuel)/float64(c.Budget), bytesText(int64(c.Memory)))
}
