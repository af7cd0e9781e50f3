// Command kai is an OpenAI-compatible gateway whose provider adapters are
// sandboxed WebAssembly modules.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/kai-gateway/kai/config"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// Exit codes of the program.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage or configuration
)

// run runs the program. Results go to stdout, and everything else to stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s := streams{stdin, stdout, stderr}
	if len(args) == 0 {
		fmt.Fprint(stderr, help())
		return exitUsage
	}
	name, args := args[0], args[1:]
	switch {
	case asksForHelp(name):
		name = "help"
	case name == "--version", name == "-v":
		name = "version"
	}
	c, ok := findCommand(name)
	switch {
	case !ok:
		fmt.Fprintf(stderr, "kai: there is no command %q%s\n", name, didYouMean(name, commandNames(), `"kai help" lists them`))
		return exitUsage
	case name != "plugin" && slices.ContainsFunc(args, asksForHelp): // plugin has commands of its own
		fmt.Fprint(stdout, c.help())
		return exitDone
	}
	return c.run(ctx, args, s)
}

// didYouMean returns the rest of a message about an unknown name: the known name that
// was probably meant, or else otherwise, which says where to look.
func didYouMean(name string, known []string, otherwise string) string {
	if best := config.Closest(name, known); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return "; " + otherwise
}
