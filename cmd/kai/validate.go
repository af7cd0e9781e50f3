package main

import (
	"flag"
	"fmt"
	"io"
)

// validate checks a configuration and prints every problem.
func validate(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("validate", flag.ContinueOnError)
	if code, ok := parse(f, args, 1, stderr); !ok {
		return code
	}
	c, _, ok := loadConfig(f.Arg(0), stderr)
	if !ok {
		return exitUsage
	}
	for _, w := range c.Warnings {
		fmt.Fprintf(stderr, "kai: warning: %s\n", w)
	}
	name := c.File
	if name == "" {
		name = "the built-in configuration"
	}
	fmt.Fprintf(stdout, "%s is valid: %d models, %d providers\n", name, len(c.Models), len(c.Providers))
	return exitDone
}
