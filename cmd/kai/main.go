// Command kai is an OpenAI-compatible gateway whose provider adapters are
// sandboxed WebAssembly modules.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// Exit codes of the program.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage or configuration
)

// run is the program: results go to stdout, everything else to stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, help)
		return exitUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "serve":
		return serve(ctx, args, stdout, stderr)
	case "reload":
		return reload(args, stdout, stderr)
	case "validate":
		return validate(args, stdout, stderr)
	case "plugin":
		return plugin(ctx, args, streams{stdin, stdout, stderr})
	case "version", "--version", "-v":
		return printVersion(args, stdout, stderr)
	case "help", "--help", "-h":
		return printHelp(args, stdout, stderr)
	}
	fmt.Fprintf(stderr, "kai: there is no command %q; the commands are serve, reload, validate, plugin, version and help\n", name)
	return exitUsage
}
