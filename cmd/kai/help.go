package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/kai-gateway/kai/config"
)

// programCommand is one of the program's commands.
type programCommand struct {
	name    string
	usage   string   // what follows "kai"
	about   string   // what it does, in one line
	more    string   // the rest of its help: flags, examples
	choices []string // what its argument may be, for shells to complete; nil: a file
	run     func(ctx context.Context, args []string, s streams) int
}

// commands returns the commands in the order in which a new user needs them.
func commands() []programCommand {
	return []programCommand{
		{
			name: "serve", usage: "serve [--config FILE] [--host HOST] [--port PORT]", about: "serve the API",
			more: `  --config FILE   the configuration; default: $KAI_CONFIG, else config/api.yaml if it
                  exists, else a built-in one that serves 127.0.0.1 only
  --host HOST     serve this address instead of server.host
  --port PORT     serve this port instead of server.port; 0 is any that is free

The log goes to standard error: text on a terminal, else JSON. SIGTERM or Ctrl-C
lets requests finish, a second one ends them. A changed configuration is taken
while Kai runs.

Example:

  kai serve --config config/api.yaml --port 9001 &
  curl http://localhost:9001/v1/chat/completions -H 'Content-Type: application/json' \
    -d '{"model":"demo","messages":[{"role":"user","content":"Hello!"}]}'
`,
			run: func(ctx context.Context, args []string, s streams) int { return serve(ctx, args, s.out, s.err) },
		},
		validateCommand(),
		{
			name: "reload", usage: "reload [--config FILE] [--port PORT]", about: "have a running gateway read its files again",
			more: `  --config FILE   the gateway that serves this configuration; default: $KAI_CONFIG, else
                  config/api.yaml if it exists, else the only gateway that runs
  --port PORT     the gateway on this port; with --config it must be that file's

It says which gateway it reached and what it serves. The gateway reads its files
itself, with its own environment. If it refuses them, the problems are printed, what
was served before goes on, and the exit code is 1. It warns of what needs a start.

Example:

  kai reload --config config/api.yaml
`,
			run: func(_ context.Context, args []string, s streams) int { return reload(args, s.out, s.err) },
		},
		targetsCommand(),
		keysCommand(),
		usageCommand(),
		{
			name: "plugin", usage: "plugin COMMAND", about: `write, test and ship adapters; "kai help plugin" tells more`,
			run: plugin,
		},
		{
			name: "completion", usage: "completion bash|zsh|fish", about: "print what makes a shell complete commands and flags",
			more: `Examples, each for the shell that reads it:

  echo 'eval "$(kai completion bash)"' >> ~/.bashrc
  echo 'eval "$(kai completion zsh)"' >> ~/.zshrc      # behind compinit
  kai completion fish > ~/.config/fish/completions/kai.fish
`,
			choices: shells, run: printCompletion,
		},
		{
			name: "version", usage: "version", about: "print the version, and the commit it was built from if the build knew it",
			more: `The commit is known of a build in a clone. It is unknown where Go or git can't tell it: in
a further worktree of git, in a folder of another user, and without .git.
`,
			run: func(_ context.Context, args []string, s streams) int { return printVersion(args, s.out, s.err) },
		},
		{
			name: "help", usage: "help [COMMAND]", about: "print this, or how a command is used",
			run: printHelp,
		},
	}
}

func findCommand(name string) (programCommand, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return programCommand{}, false
}

func commandNames() (names []string) {
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return names
}

// help lists the commands.
func help() string {
	var b strings.Builder
	b.WriteString("Kai is a gateway to local and hosted language models, with OpenAI's and Anthropic's APIs.\n\nUsage:\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  kai %s\n                          %s\n", c.usage, c.about)
	}
	b.WriteString(`
"kai help COMMAND" tells more of one. The configuration is FILE, else $KAI_CONFIG, else
config/api.yaml if it exists, else a built-in one that serves 127.0.0.1 only.

Example:

  kai serve &
  curl http://localhost:9000/v1/chat/completions -H 'Content-Type: application/json' \
    -d '{"model":"demo","messages":[{"role":"user","content":"Hello!"}]}'
`)
	return b.String()
}

// help returns how the command is used.
func (c programCommand) help() string {
	text := fmt.Sprintf("Usage:\n\n  kai %s\n\n%s.\n", c.usage, strings.ToUpper(c.about[:1])+c.about[1:])
	if c.more != "" {
		text += "\n" + c.more
	}
	return text
}

// printHelp helps with everything, or with the command that args name.
func printHelp(ctx context.Context, args []string, s streams) int {
	if len(args) == 0 {
		fmt.Fprint(s.out, help())
		return exitDone
	}
	if args[0] == "plugin" {
		return plugin(ctx, append([]string{"help"}, args[1:]...), s)
	}
	c, ok := findCommand(args[0])
	if !ok {
		fmt.Fprintf(s.err, "kai help: there is no command %q%s\n", args[0], didYouMean(args[0], commandNames(), `"kai help" lists them`))
		return exitUsage
	}
	if len(args) > 1 && (len(args) > 2 || !slices.Contains(c.choices, args[1])) {
		fmt.Fprintf(s.err, "kai help: unexpected argument %q; \"kai help %s\" tells all of that command\n", args[len(args)-1], c.name)
		return exitUsage
	}
	fmt.Fprint(s.out, c.help())
	return exitDone
}

// version is the gateway's version, which its API and "kai version" show.
const version = "0.1.0"

func printVersion(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("version", flag.ContinueOnError)
	if code, ok := parse(f, args, 0, stderr); !ok {
		return code
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	fmt.Fprintf(stdout, "kai %s%s %s/%s %s\n", version, commitOf(info), runtime.GOOS, runtime.GOARCH, runtime.Version())
	return exitDone
}

// commitOf says in brackets from which commit a binary was built, or that this is unknown.
func commitOf(info *debug.BuildInfo) string {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	if commit == "" {
		return " (commit unknown)"
	}
	text := "commit " + commit[:min(12, len(commit))]
	if day, _, ok := strings.Cut(settings["vcs.time"], "T"); ok {
		text += " of " + day
	}
	if settings["vcs.modified"] == "true" {
		text += ", with changes"
	}
	return " (" + text + ")"
}

// parse parses flags, and refuses more than max arguments, and empty ones, as they come from
// variables that are not set. If ok is false, the command must end with the exit code.
func parse(f *flag.FlagSet, args []string, max int, stderr io.Writer) (code int, ok bool) {
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	var rest []string
	for {
		if err := f.Parse(args); err != nil {
			fmt.Fprintf(stderr, "kai %s: %s; \"kai %s --help\" shows the usage\n", f.Name(), flagProblem(f, err), f.Name())
			return exitUsage, false
		}
		if f.NArg() == 0 {
			break
		}
		rest, args = append(rest, f.Arg(0)), f.Args()[1:]
	}
	empty := ""
	f.Visit(func(g *flag.Flag) {
		if g.Value.String() == "" {
			empty = dashed(g.Name)
		}
	})
	if slices.Contains(rest, "") {
		empty = "an argument"
	}
	if empty != "" {
		fmt.Fprintf(stderr, "kai %s: %s is empty: write a value, or leave it out; \"kai %s --help\" shows the usage\n", f.Name(), empty, f.Name())
		return exitUsage, false
	}
	if len(rest) > max {
		hint := ""
		if f.Lookup("config") != nil {
			hint = " (a configuration is named with --config)"
		}
		fmt.Fprintf(stderr, "kai %s: unexpected argument %q%s; \"kai %s --help\" shows the usage\n", f.Name(), rest[max], hint, f.Name())
		return exitUsage, false
	}
	f.Parse(append([]string{"--"}, rest...))
	return exitDone, true
}

// flagProblem says what is wrong with a flag, and which flag may have been meant.
func flagProblem(f *flag.FlagSet, err error) string {
	if name, lacks := strings.CutPrefix(err.Error(), "flag needs an argument: -"); lacks {
		return dashed(strings.TrimPrefix(name, "-")) + " needs a value"
	}
	var value, name string
	invalid := strings.NewReplacer("invalid boolean value", "invalid value", " for -", " for flag -").Replace(err.Error())
	if n, _ := fmt.Sscanf(invalid, "invalid value %q for flag -%s", &value, &name); n == 2 {
		name = strings.TrimSuffix(name, ":")
		must := "must be true or false"
		switch f.Lookup(name).Value.(flag.Getter).Get().(type) {
		case int:
			must = "must be a whole number"
		case time.Duration:
			must = "must be a time such as 10s"
		}
		return fmt.Sprintf("%s %q %s", dashed(name), value, must)
	}
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return err.Error()
	}
	var known []string
	f.VisitAll(func(g *flag.Flag) { known = append(known, dashed(g.Name)) })
	text := "there is no flag " + dashed(strings.TrimPrefix(name, "-"))
	if len(known) == 0 {
		return text
	}
	if best := config.Closest(name, known); best != "" {
		return text + " (did you mean " + best + "?)"
	}
	return text + " (there are " + strings.Join(known, ", ") + ")"
}

// dashed writes a flag as people do: -o, --config.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
