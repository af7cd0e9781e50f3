// Command bench measures what Kai costs, compared with the simplest gateway there can be.
//
// It starts several processes on loopback: a mock upstream, the gateway as it ships, the
// same gateway with its adapters linked in and not sandboxed, a bare
// httputil.ReverseProxy, and, for Ollama's answers, a plain translator that uses
// encoding/json. It sends them the same load in turns and reads from /proc what each took.
// The absolute numbers depend on the machine and the hour. The ratios of one run can be
// compared with those of another.
//
// docs/benchmarks.md explains the scenarios and how to read the table. The
// program needs Linux.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// roles are the other processes that this program can be. It starts itself again for each.
var roles = map[string]func(base string) handler{
	"upstream":   func(string) handler { return newUpstream() },
	"proxy":      func(base string) handler { return newProxy(base) },
	"translator": func(base string) handler { return newTranslator(base) },
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	var o options
	role := f.String("role", "", "be one of the other processes: upstream, proxy, translator")
	base := f.String("base", "", "the upstream's URL, for -role proxy and translator")
	f.StringVar(&o.kai, "kai", "bin/kai", "the gateway")
	f.StringVar(&o.native, "native", "bin/kai-linked", "the gateway with linked adapters; \"\" leaves it out")
	f.StringVar(&o.config, "config", "config/api.yaml", "the configuration that starts are measured with")
	f.StringVar(&o.examples, "examples", "examples/adapters", "the adapters in other languages, whose loading is measured")
	only := f.String("only", "", "scenarios to run, separated by commas; default: all")
	f.IntVar(&o.rounds, "rounds", 5, "how often each process has its turn in a scenario")
	f.DurationVar(&o.slice, "slice", time.Second, "how long a turn takes")
	f.DurationVar(&o.soak, "soak", 0, "instead of the scenarios, keep up two steady loads for so long each, with everything on, and watch memory, descriptors and goroutines; 10m is usual")
	f.BoolVar(&o.verbose, "v", false, "print every turn")
	f.Usage = func() {
		fmt.Fprintf(stderr, "Usage: bench [flags]\n\nScenarios: %s\nWith -soak: %s\n\n", strings.Join(sections(), ", "), strings.Join(loadNames(), ", "))
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return 2
	}
	if *role != "" {
		return serveRole(*role, *base, stdin, stdout, stderr)
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	if err := o.check(); err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute+2*o.soak)
	defer cancel()
	o.progress = stderr
	if err := measure(ctx, o, stdout); err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}
