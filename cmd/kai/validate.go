package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/kai-gateway/kai/host"
)

func validateCommand() programCommand {
	return programCommand{
		name: "validate", usage: "validate [[--config] FILE]", about: "check a configuration and print every problem",
		more: `FILE is the configuration; default: as for "kai serve". Every problem is a line with
file, line, column and a way out. The exit code is 0 if there is none, warnings or not,
and 2 if there is one.

The files that it names are looked at as this user, and none is made or changed. So a
ledger or an audit that this user may not write is a problem, too: run it as the user
that Kai runs as.

Example:

  kai validate config/api.yaml
`,
		run: func(_ context.Context, args []string, s streams) int { return validate(args, s.out, s.err) },
	}
}

// validate checks a configuration, and the files that it names, and prints every problem.
func validate(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("validate", flag.ContinueOnError)
	file := f.String("config", "", "")
	if code, ok := parse(f, args, 1, stderr); !ok {
		return code
	}
	switch {
	case *file != "" && f.NArg() > 0:
		fmt.Fprintf(stderr, "kai validate: the configuration is named twice, by --config and by %q: leave one out\n", f.Arg(0))
		return exitUsage
	case f.NArg() > 0:
		*file = f.Arg(0)
	}
	c, _, ok := loadConfig(*file, stderr)
	if !ok {
		return exitUsage
	}
	if err := host.Check(c); err != nil {
		printProblems(stderr, err)
		return exitUsage
	}
	for _, w := range c.Warnings {
		fmt.Fprintf(stderr, "kai: warning: %s\n", w)
	}
	name := c.File
	if name == "" {
		name = "the built-in configuration"
	}
	fmt.Fprintf(stdout, "%s is valid: %s, %s\n", name, count(len(c.Models), "model"), count(len(c.Providers), "provider"))
	return exitDone
}

// count writes a number of things, such as "1 model" and "2 models".
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprint(n, " ", thing)
}
