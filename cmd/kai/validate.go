package main

import (
	"flag"
	"fmt"
	"io"

	"github.com/kai-gateway/kai/host"
)

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
