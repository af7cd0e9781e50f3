package main

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"

	"github.com/kai-gateway/kai/cmd/internal/author"
)

// pluginBuild compiles the adapter in a folder, checks it, and writes its manifest, and
// its transcript if it has one for that, into custom sections.
func pluginBuild(ctx context.Context, args []string, s streams) int {
	f := flag.NewFlagSet("plugin build", flag.ContinueOnError)
	out := f.String("o", "", "")
	if code, ok := parse(f, args, 1, s.err); !ok {
		return code
	}
	dir := "."
	if f.NArg() == 1 {
		dir = f.Arg(0)
	}
	if err := author.CheckOut("-o", *out); err != nil {
		return pluginFailed("build", err, s)
	}
	if *out != "" {
		if err := author.Writable(filepath.Dir(author.ModulePath(*out, dir, "a"))); err != nil {
			return pluginFailed("build", fmt.Errorf("-o %s: %w", *out, err), s)
		}
	}
	b, err := author.Build(ctx, dir, s.err)
	if err != nil {
		return pluginFailed("build", err, s)
	}
	where := author.ModulePath(*out, dir, b.Manifest.Name)
	if err := b.Write(where); err != nil {
		return pluginFailed("build", err, s)
	}
	if b.Warning != "" {
		fmt.Fprintln(s.err, "kai: warning: "+b.Warning)
	}
	fmt.Fprintf(s.err, "kai: built %s %s from %s: %s, %s\n",
		b.Manifest.Name, b.Manifest.Version, b.Language, where, author.Bytes(int64(len(b.Module))))
	return exitDone
}
