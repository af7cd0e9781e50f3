package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/kai-gateway/kai/cmd/internal/author"
	"github.com/kai-gateway/kai/host/wasm"
)

// streams are a command's input and output. Results go to out, everything else to err.
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
		{"new", "new NAME [--lang LANGUAGE]", "make the project of an adapter, offline; LANGUAGE: " + strings.Join(author.Languages(), ", "), pluginNew},
		{"build", "build [DIR] [-o FILE]", "compile and check the adapter in DIR (default: here); its module goes to FILE, a .wasm file or a folder (default: DIR)", pluginBuild},
		{"test", "test [MODULE] [DIR] [--update]", "replay the transcripts in DIR (default: testdata or transcripts beside MODULE; or one .txtar file) in\n                          the sandbox, with everything going wrong; --update writes what they expect", pluginTest},
		{"inspect", "inspect [MODULE] [--run] [--json]", "show what a module is, imports and would be granted, without executing any of it; --run loads it\n                          in the sandbox, too, and tells how long that takes", pluginInspect},
		{"dev", "dev [DIR] [--out FILE]", "build and test at every change. The module is left in DIR, for the other commands; what passed goes\n                          to FILE as well, a .wasm file or a folder, where a running gateway picks it up", pluginDev},
		{"list", "list [--config FILE]", "list the adapters that the configuration uses and those that come with Kai", pluginList},
		{"record", "record [--model ALIAS] [--config FILE] [--stream] [--timeout 10s] [-o FILE.txtar] < request.json", "send a request to the model's provider and save the exchange as a transcript, without the\n                          provider's secret, also one that breaks off or falls silent for --timeout (default: the\n                          provider's timeouts); ALIAS: of the configuration (default: the request's model, else default_model)", pluginRecord},
	}
}

// plugin runs one of the commands for authors of adapters.
func plugin(ctx context.Context, args []string, s streams) int {
	if len(args) == 0 {
		fmt.Fprint(s.err, pluginHelp())
		return exitUsage
	}
	name, args := args[0], args[1:]
	if name == "help" && len(args) > 0 {
		name, args = args[0], []string{"--help"}
	}
	if name == "help" || asksForHelp(name) {
		fmt.Fprint(s.out, pluginHelp())
		return exitDone
	}
	for _, c := range pluginCommands() {
		if c.name != name {
			continue
		}
		if slices.ContainsFunc(args, asksForHelp) {
			fmt.Fprintf(s.out, "Usage:\n\n%s", c.help())
			return exitDone
		}
		return c.interruptible(ctx, args, s)
	}
	fmt.Fprintf(s.err, "kai plugin: there is no command %q%s\n", name, didYouMean(name, pluginNames(), `"kai plugin" lists them`))
	return exitUsage
}

func pluginNames() (names []string) {
	for _, c := range pluginCommands() {
		names = append(names, c.name)
	}
	return names
}

func asksForHelp(arg string) bool { return arg == "--help" || arg == "-help" || arg == "-h" }

// interruptible runs the command. A signal ends the command's context, so that it can
// clean up. A second signal ends the process.
func (c pluginCommand) interruptible(ctx context.Context, args []string, s streams) int {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores it
		signals = append(signals, syscall.SIGHUP)
	}
	signalled, stop := signal.NotifyContext(ctx, signals...)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	context.AfterFunc(signalled, func() {
		cancel(errInterrupted)
		stop()
	})
	code := c.run(ctx, args, s)
	if ctx.Err() != nil && code != exitDone {
		fmt.Fprintf(s.err, "kai plugin %s: interrupted\n", c.name)
	}
	return code
}

// errInterrupted is the cause of a command's context that a signal ended. interruptible
// tells the user.
var errInterrupted = errors.New("interrupted")

func pluginHelp() string {
	text := "Write, test and ship adapters for Kai (docs/plugins.md is a tutorial).\n\nUsage:\n\n"
	for _, c := range pluginCommands() {
		text += c.help()
	}
	return text + "\nMODULE is a .wasm file, a folder that holds one (default: this folder), or the\nname of an adapter that comes with Kai.\n"
}

// help returns how the command is used and what it does.
func (c pluginCommand) help() string {
	return fmt.Sprintf("  kai plugin %s\n                          %s\n", c.usage, c.about)
}

// pluginUsage says how a command is used, after wrong usage.
func pluginUsage(name string, s streams) int {
	for _, c := range pluginCommands() {
		if c.name == name {
			fmt.Fprintf(s.err, "kai plugin %s: the usage is kai plugin %s\n", name, c.usage)
		}
	}
	return exitUsage
}

// pluginFailed says why a command failed, and returns its exit code.
func pluginFailed(name string, err error, s streams) int {
	if errors.Is(err, errInterrupted) {
		return exitFailed
	}
	fmt.Fprintf(s.err, "kai plugin %s: %v%s\n", name, err, lastWords(err))
	if _, wrong := errors.AsType[*author.UsageError](err); wrong {
		return exitUsage
	}
	return exitFailed
}

// lastWords returns what a module wrote before it broke, as the rest of a message.
func lastWords(err error) string {
	var call *wasm.CallError
	if !errors.As(err, &call) {
		return ""
	}
	text := strings.TrimSpace(call.Stderr)
	if text == "" {
		return ""
	}
	return "\nit wrote: " + strings.ReplaceAll(text, "\n", "\n          ")
}
