package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kai-gateway/kai/cmd/internal/author"
)

// pluginNew makes a project for a new adapter, offline.
func pluginNew(ctx context.Context, args []string, s streams) int {
	f := flag.NewFlagSet("plugin new", flag.ContinueOnError)
	lang := f.String("lang", "go", "")
	if code, ok := parse(f, args, 1, s.err); !ok {
		return code
	}
	if f.NArg() != 1 || f.Arg(0) == "" {
		return pluginUsage("new", s)
	}
	st, err := author.FindStarter(*lang)
	dir := filepath.Clean(f.Arg(0))
	name := filepath.Base(dir)
	if err == nil {
		err = author.CheckName(name)
	}
	if err != nil {
		fmt.Fprintf(s.err, "kai plugin new: %v\n", err)
		return exitUsage
	}
	if _, err := os.Lstat(dir); err == nil {
		return pluginFailed("new", fmt.Errorf("%s is there already, and nothing in it was changed: name a folder that is not there yet", dir), s)
	}
	if err := st.Write(dir, name); err != nil {
		return pluginFailed("new", err, s)
	}
	fmt.Fprintf(s.out, "%s\n", dir)
	fmt.Fprintf(s.err, "kai: made an adapter called %s; next:\n\n  cd %s\n", name, author.ShellWord(dir))
	if st.Prepare != "" {
		fmt.Fprintf(s.err, "  %s\n", st.Prepare)
	}
	fmt.Fprint(s.err, "  kai plugin build\n  kai plugin test\n\n")
	return exitDone
}
