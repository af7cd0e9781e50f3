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
