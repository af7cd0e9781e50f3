package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/kai-gateway/kai/cmd/internal/author"
	"github.com/kai-gateway/kai/cmd/internal/conform"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
)

// pluginTest runs the conformance kit over a module.
func pluginTest(ctx context.Context, args []string, s streams) int {
	f := flag.NewFlagSet("plugin test", flag.ContinueOnError)
	update := f.Bool("update", false, "")
	if code, ok := parse(f, args, 2, s.err); !ok {
		return code
	}
	name, transcripts, err := author.Tested(f.Args())
	if err != nil {
		return pluginFailed("test", err, s)
	}
	old := author.Stale(name)
	if old != "" && *update {
		return pluginFailed("test", errors.New(old+"; nothing was written, since an older adapter doesn't tell what to expect of this one"), s)
	}
	module, err := author.ReadModule(name)
	if err != nil {
		return pluginFailed("test", err, s)
	}
	if transcripts == "" {
		if transcripts, err = author.TranscriptsBeside(name); err != nil {
			return pluginFailed("test", err, s)
		}
	}
	r, err := author.Test(ctx, module, transcripts, *update)
	if err == nil {
		printReport(s.out, r)
	}
	if old != "" { // after the report, which could push it off the screen
		fmt.Fprintln(s.err, "kai: warning: "+old)
	}
	if err != nil {
		if _, wrong := errors.AsType[*modfile.LoadError](err); wrong {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return pluginFailed("test", err, s)
	}
	if r.Failed() {
		return exitFailed
	}
	return exitDone
}

// maxFailures is how many failures of one transcript are shown.
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
			most.Fuel, most.Limit = x.Cost.Fuel, x.Cost.Limit
		}
		most.Memory = max(most.Memory, x.Cost.Memory)
		mark := "ok  "
		if len(x.Failures) > 0 {
			mark = "FAIL"
			failed++
		}
		note := ""
		if x.Cost.Limit > 0 {
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
	if most.Limit > 0 {
		fmt.Fprintf(w, ", with %d variations; a call took %s", variations, costText(most))
	}
	fmt.Fprintln(w)
}

// costText says what calls cost at most: "at most 41200 fuel (0.08 % of its limit) and
// 2.2 MiB".
func costText(c wasm.Cost) string {
	return fmt.Sprintf("at most %d fuel (%.2f %% of its limit) and %s", c.Fuel, 100*float64(c.Fuel)/float64(c.Limit), author.Bytes(int64(c.Memory)))
}
