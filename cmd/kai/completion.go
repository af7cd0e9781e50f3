package main

import (
	"context"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// shells are those that there are completions for.
var shells = []string{"bash", "zsh", "fish"}

// printCompletion prints the script that makes a shell complete the program's commands.
func printCompletion(_ context.Context, args []string, s streams) int {
	f := flag.NewFlagSet("completion", flag.ContinueOnError)
	if code, ok := parse(f, args, 1, s.err); !ok {
		return code
	}
	switch f.Arg(0) {
	case "bash":
		fmt.Fprint(s.out, bashCompletion())
	case "zsh":
		fmt.Fprint(s.out, zshCompletion())
	case "fish":
		fmt.Fprint(s.out, fishCompletion())
	case "":
		fmt.Fprintf(s.err, "kai completion: name the shell: %s\n", strings.Join(shells, ", "))
		return exitUsage
	default:
		fmt.Fprintf(s.err, "kai completion: there is none for %q, but for %s\n", f.Arg(0), strings.Join(shells, ", "))
		return exitUsage
	}
	return exitDone
}

// completed is a command as a shell completes it.
type completed struct {
	name, about string
	words       []string    // its flags, and what its argument may be
	below       []completed // its own commands
}

// flagPattern finds the flags in a command's usage.
var flagPattern = regexp.MustCompile(`--?[a-z][a-z-]*`)

// completions returns all commands, with those of "kai plugin" below it.
func completions() (all []completed) {
	for _, c := range commands() {
		words := append(flagPattern.FindAllString(c.usage, -1), c.choices...)
		one := completed{name: c.name, about: c.about, words: words}
		switch c.name {
		case "plugin":
			for _, p := range pluginCommands() {
				about, _, _ := strings.Cut(p.about, "\n")
				one.below = append(one.below, completed{name: p.name, about: about, words: flagPattern.FindAllString(p.usage, -1)})
			}
		case "help":
			one.words = commandNames()
		}
		all = append(all, one)
	}
	return all
}

// belowPlugin returns the commands of "kai plugin".
func belowPlugin(all []completed) []completed {
	return all[slices.IndexFunc(all, func(c completed) bool { return c.name == "plugin" })].below
}

// namesOf returns the names of commands, separated by spaces.
func namesOf(all []completed) string {
	var names []string
	for _, c := range all {
		names = append(names, c.name)
	}
	return strings.Join(names, " ")
}

// writeCases writes a case for each command that has words of its own.
func writeCases(b *strings.Builder, format string, all []completed) {
	for _, c := range all {
		if c.below == nil {
			fmt.Fprintf(b, format, c.name, strings.Join(c.words, " "))
		}
	}
}

// bashCompletion returns the script for bash. Where it offers nothing, bash offers files.
func bashCompletion() string {
	var b strings.Builder
	cases := func(all []completed) { writeCases(&b, "        %s) words=%q ;;\n", all) }
	all := completions()
	below := belowPlugin(all)
	b.WriteString("# bash completion of kai\n_kai() {\n    local words=\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n")
	fmt.Fprintf(&b, "        words=%q\n    elif [ \"${COMP_WORDS[1]}\" = plugin ] && [ \"$COMP_CWORD\" -eq 2 ]; then\n", namesOf(all))
	fmt.Fprintf(&b, "        words=%q\n    elif [ \"${COMP_WORDS[1]}\" = plugin ]; then\n        case ${COMP_WORDS[2]} in\n", namesOf(below))
	cases(below)
	b.WriteString("        esac\n    else\n        case ${COMP_WORDS[1]} in\n")
	cases(all)
	b.WriteString(`        esac
    fi
    case ${COMP_WORDS[COMP_CWORD-1]} in
    --config|--out|-o) words= ;; # a file follows
    esac
    COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _kai kai
`)
	return b.String()
}

func zshCompletion() string {
	var b strings.Builder
	described := func(all []completed) {
		for _, c := range all {
			fmt.Fprintf(&b, "      %s\n", zshQuote(c.name+":"+c.about))
		}
	}
	cases := func(all []completed) { writeCases(&b, "    %s) fitting=(%s) ;;\n", all) }
	all := completions()
	below := belowPlugin(all)
	b.WriteString("#compdef kai\n_kai() {\n  local -a names fitting\n  if (( CURRENT == 2 )); then\n    names=(\n")
	described(all)
	b.WriteString("    )\n    _describe command names\n    return\n  fi\n  if [[ $words[2] == plugin ]] && (( CURRENT == 3 )); then\n    names=(\n")
	described(below)
	b.WriteString("    )\n    _describe command names\n    return\n  fi\n  if [[ $words[2] == plugin ]]; then\n    case $words[3] in\n")
	cases(below)
	b.WriteString("    esac\n  else\n    case $words[2] in\n")
	cases(all)
	b.WriteString(`    esac
  fi
  case $words[CURRENT-1] in
    --config|--out|-o) fitting=() ;; # a file follows
  esac
  (( $#fitting )) && compadd -- $fitting
  _files
}
compdef _kai kai
`)
	return b.String()
}

// zshQuote quotes a text for zsh.
func zshQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func fishCompletion() string {
	var b strings.Builder
	quote := func(text string) string { return "'" + strings.ReplaceAll(text, "'", `\'`) + "'" }
	words := func(when string, c completed) {
		for _, w := range c.words {
			switch name := strings.TrimLeft(w, "-"); {
			case name == w:
				fmt.Fprintf(&b, "complete -c kai -n %s -f -a %s\n", quote(when), w)
			case len(name) == 1:
				fmt.Fprintf(&b, "complete -c kai -n %s -s %s\n", quote(when), name)
			default:
				fmt.Fprintf(&b, "complete -c kai -n %s -l %s\n", quote(when), name)
			}
		}
	}
	for _, c := range completions() {
		fmt.Fprintf(&b, "complete -c kai -n __fish_use_subcommand -f -a %s -d %s\n", c.name, quote(c.about))
		for _, p := range c.below {
			fmt.Fprintf(&b, "complete -c kai -n %s -f -a %s -d %s\n",
				quote("__fish_seen_subcommand_from "+c.name+"; and not __fish_seen_subcommand_from "+namesOf(c.below)), p.name, quote(p.about))
			words("__fish_seen_subcommand_from "+c.name+"; and __fish_seen_subcommand_from "+p.name, p)
		}
		if c.below == nil {
			words("__fish_seen_subcommand_from "+c.name, c)
		}
	}
	return b.String()
}
