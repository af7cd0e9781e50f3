package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/kai-gateway/kai/cmd/internal/author"
	"github.com/kai-gateway/kai/cmd/internal/conform"
)

// pluginDev builds and tests an adapter at every change, until ctx ends. It puts modules
// that pass where a gateway sees them.
func pluginDev(ctx context.Context, args []string, s streams) int {
	f := flag.NewFlagSet("plugin dev", flag.ContinueOnError)
	out := f.String("out", "", "")
	if code, ok := parse(f, args, 1, s.err); !ok {
		return code
	}
	dir := "."
	if f.NArg() == 1 {
		dir = f.Arg(0)
	}
	d := author.Dev{
		Dir: dir, Out: *out, Compiler: s.err, Says: []io.Writer{s.out, s.err},
		Report: func(r *conform.Report) { printReport(s.out, r) },
		Note:   func(text string) { fmt.Fprintln(s.err, "kai: "+text) },
		Failed: func(err error) {
			stays := ""
			if *out != "" {
				stays = "what is at " + *out + " stays; "
			}
			fmt.Fprintf(s.err, "kai plugin dev: %v\nkai: %swaiting for the next save\n", err, stays)
		},
	}
	if err := d.Check(); err != nil {
		return pluginFailed("dev", err, s)
	}
	fmt.Fprintf(s.err, "kai: watching %s; Ctrl-C ends it\n", dir)
	d.Run(ctx)
	return exitDone
}
