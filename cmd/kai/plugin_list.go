package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/plugins"
)

// pluginList lists the adapters that a configuration uses, and those that come with Kai.
func pluginList(ctx context.Context, args []string, s streams) int {
	f := flag.NewFlagSet("plugin list", flag.ContinueOnError)
	file := f.String("config", "", "")
	if code, ok := parse(f, args, 0, s.err); !ok {
		return code
	}
	c, files, ok := loadConfig(*file, s.err)
	if !ok {
		return exitUsage
	}
	users := map[string][]string{}
	var modules []string // .wasm files that the configuration names, in its order
	for _, p := range c.Providers {
		if users[p.Plugin] == nil && strings.HasSuffix(p.Plugin, ".wasm") {
			modules = append(modules, p.Plugin)
		}
		users[p.Plugin] = append(users[p.Plugin], p.Name)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ADAPTER\tVERSION\tSHA256\tUSED BY\tFROM")
	code := exitDone
	for _, plugin := range append(plugins.Names(), modules...) {
		from := "comes with Kai"
		if strings.HasSuffix(plugin, ".wasm") {
			from = plugin
		}
		module, err := files.Module(plugin)
		if err != nil {
			fmt.Fprintf(s.err, "kai plugin list: %v\n", err)
			code = exitFailed
			continue
		}
		name, version := strings.TrimSuffix(filepath.Base(plugin), ".wasm"), "?"
		manifest, found, err := modfile.ReadManifest(module)
		switch {
		case err != nil:
			fmt.Fprintf(s.err, "kai plugin list: %s: %v\n", plugin, err)
			code = exitFailed
		case found:
			name, version = manifest.Name, manifest.Version
		}
		by := strings.Join(users[plugin], ", ")
		if by == "" {
			by = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%x\t%s\t%s\n", name, version, sha256.Sum256(module), by, from)
	}
	if err := w.Flush(); err != nil {
		return exitFailed
	}
	return code
}
