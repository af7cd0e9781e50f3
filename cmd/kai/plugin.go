package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// streams are a command's ends: results go to out, everything else to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// pluginCommand is one of the commands for authors of adapters.
type pluginCommand struct {
	name  string
	usage string // what follows "kai plugin"
	about string
	run   func(ctx context.Context, args []string, s streams) int
}

// pluginCommands are in the order in which an author needs them.
func pluginCommands() []pluginCommand {
	return []pluginCommand{
		{"new", "new NAME [--lang LANGUAGE]", "make the project of an adapter, offline; LANGUAGE: " + strings.Join(starterLanguages(), ", "), pluginNew},
		{"build", "build [DIR] [-o FILE]", "compile and check the adapter in DIR (default: here)", pluginBuild},
		{"test", "test MODULE [DIR] [--update]", "replay the transcripts in DIR (default: testdata or transcripts beside it) in the sandbox,\n                          with everything going wrong; --update writes what they expect", pluginTest},
		{"inspect", "inspect MODULE [--json]", "show what a module is, imports and would be granted", pluginInspect},
		{"dev", "dev [DIR] [--out FILE]", "build and test at every change, and put what passed at FILE (default: in DIR), where a running\n                          gateway picks it up", pluginDev},
		{"list", "list [--config FILE]", "list the adapters that the configuration uses and those that come with Kai", pluginList},
		{"record", "record --model ALIAS [--config FILE] [--stream] [-o FILE] < request.json", "send a request to the model's provider and save the exchange as a transcript,\n                          without the provider's secret", pluginRecord},
	}
}

// plugin is the family of commands for authors of adapters.
func plugin(ctx context.Context, args []string, s streams) int {
	if len(args) == 0 {
		fmt.Fprint(s.err, pluginHelp())
		return exitUsage
	}
	if args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		fmt.Fprint(s.out, pluginHelp())
		return exitDone
	}
	for _, c := range pluginCommands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], s)
		}
	}
	fmt.Fprintf(s.err, "kai plugin: there is no command %q; \"kai plugin\" lists them\n", args[0])
	return exitUsage
}

func pluginHelp() string {
	text := "Write, test and ship adapters for Kai (docs/plugins.md is a tutorial).\n\nUsage:\n\n"
	for _, c := range pluginCommands() {
		text += fmt.Sprintf("  kai plugin %s\n                          %s\n", c.usage, c.about)
	}
	return text + "\nMODULE is a .wasm file or the name of an adapter that comes with Kai.\n"
}

// pluginUsage says how a command is used, for whoever got it wrong.
func pluginUsage(name string, s streams) int {
	for _, c := range pluginCommands() {
		if c.name == name {
			fmt.Fprintf(s.err, "kai plugin %s: the usage is kai plugin %s\n", name, c.usage)
		}
	}
	return exitUsage
}

// pluginFailed says why a command failed.
func pluginFailed(name string, err error, s streams) int {
	fmt.Fprintf(s.err, "kai plugin %s: %v\n", name, err)
	return exitFailed
}
