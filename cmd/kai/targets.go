package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kai-gateway/kai/host"
)

func targetsCommand() programCommand {
	return programCommand{
		name: "targets", usage: "targets [--reset PROVIDER[/MODEL]] [--config FILE] [--port PORT]", about: "show how the targets of a running gateway are doing",
		more: `  --reset NAME    forget how a target has done, or all of a provider, so that it is asked
                  again at once; it prints nothing
  --config FILE, --port PORT
                  which gateway, as with "kai reload"

A target is a model of a provider. It is well, or it cools: it is left alone for a
while. When that is over, one request at a time is trying it. CLASS is that of the
failure it cools for, and WAIT is how long that lasts. Targets of aliases in the short
form, which have no other, are asked always. docs/routing.md tells more.

Example, after paying a bill:

  kai targets
  kai targets --reset openrouter
`,
		run: func(_ context.Context, args []string, s streams) int { return targets(args, s.out, s.err) },
	}
}

// targets shows how the targets of a running gateway are doing, or makes it forget how one
// did.
func targets(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("targets", flag.ContinueOnError)
	reset := f.String("reset", "", "")
	file := f.String("config", "", "")
	port := f.Int("port", -1, "")
	if code, ok := parse(f, args, 0, stderr); !ok {
		return code
	}
	fail := func(format string, args ...any) int {
		fmt.Fprintf(stderr, "kai targets: "+format+"\n", args...)
		return exitFailed
	}
	socket, who, err := findGateway(*file, *port)
	if err != nil {
		return fail("%v", err)
	}
	answer, err := ask(socket, "targets")
	if err != nil {
		return fail("%s does not answer: %v", who, err)
	}
	var all []host.TargetState
	if err := json.Unmarshal([]byte(answer), &all); err != nil {
		return fail("%s is of another version of Kai, which does not tell", who)
	}
	if *reset == "" {
		return printTargets(all, stdout)
	}
	switch answer, err := ask(socket, "reset "+*reset); {
	case err != nil:
		return fail("%s does not answer: %v", who, err)
	case answer != "ok":
		fail("there is no target %q%s", *reset, didYouMean(*reset, namesOfTargets(all), `"kai targets" lists them`))
		return exitUsage
	}
	return exitDone
}

// namesOfTargets returns what can be reset: each target, and each provider for all of its.
func namesOfTargets(all []host.TargetState) (names []string) {
	for _, t := range all {
		provider, _, _ := strings.Cut(t.Target, "/")
		names = append(names, t.Target, provider)
	}
	return names
}

func printTargets(all []host.TargetState, stdout io.Writer) int {
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TARGET\tSTATE\tCLASS\tWAIT\tALIASES")
	for _, t := range all {
		class, wait := "-", "-"
		if t.Class != "" {
			class = t.Class
		}
		if t.Wait > 0 {
			wait = max(time.Second, t.Wait.Round(time.Second)).String()
		}
		if t.Only != "" {
			t.State += " for " + t.Only
		}
		if len(t.But) > 0 {
			t.State += ", but not " + strings.Join(t.But, ", ")
		}
		if t.Always && t.State != "well" {
			t.State += ", asked nevertheless"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.Target, t.State, class, wait, strings.Join(t.Aliases, ", "))
	}
	if err := w.Flush(); err != nil {
		return exitFailed
	}
	return exitDone
}
