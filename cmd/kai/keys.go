package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/live"
	"github.com/kai-gateway/kai/plugins"
)

func keysCommand() programCommand {
	return programCommand{
		name: "keys", usage: "keys new|rotate|list|hash", about: "make, replace and list the keys of clients",
		more: `  kai keys new NAME [--group GROUP] [--models A,B] [--expires WHEN] [--config FILE]
                  make a key, print it, and add its SHA-256 to the file of auth.keys_file
                  if the configuration names one, else to auth.api_keys. It is shown
                  this once. WHEN is an instant such as 2027-03-01T00:00:00Z, or how
                  long the key lives, such as 720h
  kai keys rotate NAME [--keep 24h] [--config FILE]
                  make another key for NAME and print it; older ones are refused
                  after --keep, or earlier if they were to be. --keep 0s ends them at
                  once
  kai keys list [--config FILE]
                  show names, groups, models, expiry and state, and no key or digest
  kai keys hash   print the SHA-256 of the key on standard input

A file is changed only if the result is a valid configuration. Its comments, its order
and its mode stay. A running gateway takes the change by itself.

Example:

  kai keys new app --group team-a --expires 2160h
`,
		choices: []string{"new", "rotate", "list", "hash", "--group", "--models", "--expires", "--keep", "--config"},
		run:     func(_ context.Context, args []string, s streams) int { return keys(args, s, time.Now()) },
	}
}

// keys runs one of the commands for the keys of clients.
func keys(args []string, s streams, now time.Time) int {
	commands := map[string]func([]string, streams, time.Time) int{"new": keysNew, "rotate": keysRotate, "list": keysList, "hash": keysHash}
	if len(args) == 0 {
		fmt.Fprintln(s.err, `kai keys: say what to do: new, rotate, list or hash; "kai help keys" tells more`)
		return exitUsage
	}
	run, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(s.err, "kai keys: there is no command %q%s\n", args[0], didYouMean(args[0], []string{"new", "rotate", "list", "hash"}, `"kai help keys" lists them`))
		return exitUsage
	}
	return run(args[1:], s, now)
}

// keysFlags returns the flags that most of the commands have.
func keysFlags(name string) (f *flag.FlagSet, configuration *string) {
	f = flag.NewFlagSet("keys "+name, flag.ContinueOnError)
	return f, f.String("config", "", "")
}

// named checks that a command was given the name of a key.
func named(f *flag.FlagSet, stderr io.Writer) bool {
	if f.Arg(0) == "" {
		fmt.Fprintf(stderr, "kai %s: name the key, such as kai %s app; \"kai help keys\" tells more\n", f.Name(), f.Name())
	}
	return f.Arg(0) != ""
}

func keysNew(args []string, s streams, now time.Time) int {
	f, configuration := keysFlags("new")
	group, models, expires := f.String("group", "", ""), f.String("models", "", ""), f.String("expires", "", "")
	if code, ok := parse(f, args, 1, s.err); !ok {
		return code
	}
	if !named(f, s.err) {
		return exitUsage
	}
	if err := config.CheckKeyName(f.Arg(0)); err != nil {
		fmt.Fprintf(s.err, "kai keys new: NAME %v\n", err)
		return exitUsage
	}
	made := key.Generate()
	k := config.NewKey{Name: f.Arg(0), SHA256: sha256.Sum256([]byte(made)), Group: *group}
	if *models != "" {
		k.Models = strings.Split(*models, ",")
	}
	var err error
	if k.Expires, err = instant(*expires, now); err != nil {
		fmt.Fprintf(s.err, "kai keys new: --expires: %v\n", err)
		return exitUsage
	}
	e, err := openKeyFiles(*configuration)
	if err == nil {
		err = e.write(e.preferred(), func(src []byte, alone bool) (out []byte, err error) {
			out, e.path, err = config.AddKey(src, alone, k)
			return out, err
		})
	}
	return e.report(f.Name(), made, err, s)
}

func keysRotate(args []string, s streams, now time.Time) int {
	f, configuration := keysFlags("rotate")
	keep := f.Duration("keep", 24*time.Hour, "")
	if code, ok := parse(f, args, 1, s.err); !ok {
		return code
	}
	if !named(f, s.err) {
		return exitUsage
	}
	if *keep < 0 {
		fmt.Fprintf(s.err, "kai keys rotate: --keep %v is over already: write how long the old key is still taken, such as 24h, or 0s to end it at once\n", *keep)
		return exitUsage
	}
	made := key.Generate()
	digest, until := config.Digest(sha256.Sum256([]byte(made))), now.Add(*keep).Truncate(time.Second)
	e, err := openKeyFiles(*configuration)
	for _, file := range e.files() {
		err = e.write(file, func(src []byte, alone bool) ([]byte, error) {
			return config.RotateKey(src, alone, config.Rotation{Name: f.Arg(0), SHA256: digest, Now: now, Until: until})
		})
		if !errors.Is(err, config.ErrNoSuchKey) {
			break
		}
	}
	return e.report(f.Name(), made, err, s)
}

// instant reads when a key expires: an instant, or how long from now.
func instant(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d).Truncate(time.Second), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, errors.New("write an instant such as 2027-03-01T00:00:00Z, or a duration such as 720h")
	}
	if !t.After(now) {
		return t, errors.New("is over already, so the key would never be let in: write an instant to come")
	}
	return t, nil
}

// keyFiles are the files that keys are in: the configuration, and the one it names.
type keyFiles struct {
	configuration string
	keys          string // "": none
	changed       string // which write has changed
	open          bool   // nobody needs a key with what was written
	path          string // of a key that was added, as problems with it have it
}

func openKeyFiles(configuration string) (e keyFiles, err error) {
	e.configuration = configFile(configuration)
	if e.configuration == "" {
		return e, errors.New("there is no configuration to add keys to: name one with --config")
	}
	src, err := config.ReadFile(e.configuration)
	if err == nil {
		e.keys, err = config.KeysFile(e.configuration, src, os.LookupEnv)
	}
	return e, err
}

// preferred returns the file that new keys go to.
func (e *keyFiles) preferred() string { return cmp.Or(e.keys, e.configuration) }

// files returns those there are, the preferred one first.
func (e *keyFiles) files() (all []string) {
	for _, file := range []string{e.keys, e.configuration} {
		if file != "" {
			all = append(all, file)
		}
	}
	return all
}

// write changes a file, if the whole configuration is valid with the change.
func (e *keyFiles) write(file string, change func(src []byte, alone bool) ([]byte, error)) error {
	src, err := config.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && file == e.keys {
		err = nil // it is made
	}
	if err != nil {
		return err
	}
	out, err := change(src, file == e.keys)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	files := live.NewFiles(live.Source{
		File: func() string { return e.configuration }, Shipped: plugins.Names(), Module: plugins.Module, Instead: map[string][]byte{file: out},
	})
	c, err := files.Config()
	if err != nil {
		return err
	}
	e.changed, e.open = file, !c.Auth.Enabled
	return replaceFile(file, out)
}

// replaceFile replaces the content of a file in one step. Its mode and owner stay; a new file
// is readable by its owner alone. A link stays a link.
func replaceFile(path string, content []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if info, err := os.Stat(path); err == nil {
		keepOwner(f, info)
		if err := f.Chmod(info.Mode().Perm()); err != nil {
			f.Close()
			return err
		}
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// report prints a new key that is in the file now, or says why it is not.
func (e *keyFiles) report(name, made string, err error, s streams) int {
	if err != nil {
		for _, line := range problemLines(e.ofArguments(err)) {
			fmt.Fprintln(s.err, strings.Replace(line, "kai: ", "kai "+name+": ", 1))
		}
		fmt.Fprintf(s.err, "kai %s: nothing was changed\n", name)
		return exitUsage
	}
	fmt.Fprintf(s.err, "kai %s: %s has its digest; the key is shown this once\n", name, e.changed)
	if e.open {
		fmt.Fprintf(s.err, "kai: warning: %s: auth.enabled is false: nobody needs this key\n", e.configuration)
	}
	fmt.Fprintln(s.out, made)
	return exitDone
}

// ofArguments returns err, with the arguments of the command line that its problems are
// about instead of lines that no file has.
func (e *keyFiles) ofArguments(err error) error {
	problems, ok := errors.AsType[*config.Problems](err)
	if !ok || e.path == "" {
		return err
	}
	arguments := map[string]string{"name": "NAME", "group": "--group", "models": "--models", "expires": "--expires"}
	list := slices.Clone(problems.List)
	for i, p := range list {
		rest, _ := strings.CutPrefix(p.Path, e.path+".")
		field, _, _ := strings.Cut(rest, "[")
		if argument := arguments[field]; argument != "" {
			list[i] = config.Problem{File: "kai keys new", Path: argument, Message: p.Message}
		}
	}
	return &config.Problems{List: list}
}

func keysHash(args []string, s streams, _ time.Time) int {
	f := flag.NewFlagSet("keys hash", flag.ContinueOnError)
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		fmt.Fprintln(s.err, "kai keys hash: takes the key from standard input, since others can read a command line: kai keys hash < FILE")
		return exitUsage
	}
	if code, ok := parse(f, args, 0, s.err); !ok {
		return code
	}
	const most = 64 << 10
	b, err := io.ReadAll(io.LimitReader(s.in, most+1))
	given := strings.TrimRight(string(b), "\r\n")
	switch {
	case err != nil:
		fmt.Fprintf(s.err, "kai keys hash: read standard input: %v\n", err)
		return exitFailed
	case given == "" || len(b) > most || strings.ContainsAny(given, "\r\n"):
		fmt.Fprintln(s.err, "kai keys hash: standard input must have one key and nothing else")
		return exitUsage
	}
	if err := config.CheckKey(given); err != nil {
		fmt.Fprintf(s.err, "kai keys hash: what is on standard input %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(s.out, "%x\n", sha256.Sum256([]byte(given)))
	return exitDone
}

func keysList(args []string, s streams, now time.Time) int {
	f, configuration := keysFlags("list")
	if code, ok := parse(f, args, 0, s.err); !ok {
		return code
	}
	c, _, ok := loadConfig(*configuration, s.err)
	if !ok {
		return exitUsage
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tGROUP\tMODELS\tEXPIRES\tSTATE")
	for _, k := range c.Auth.Keys {
		models, expires := "all", "never"
		if k.Allowed != nil {
			models = strings.Join(k.Allowed, ",")
		}
		if !k.Expires.IsZero() {
			expires = k.Expires.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.Name, cmp.Or(k.Group, "-"), models, expires, keyState(&k, now))
	}
	w.Flush()
	if !c.Auth.Enabled && len(c.Auth.Keys) > 0 {
		fmt.Fprintf(s.err, "kai: warning: %s: auth.enabled is false: nobody needs these keys\n", c.File)
	}
	return exitDone
}

// keyState says whether a key is accepted, and whether it is being replaced.
func keyState(k *config.Key, now time.Time) string {
	over := func(end time.Time) bool { return !end.IsZero() && !now.Before(end) }
	var last time.Time // when the last of the old ones ends
	for _, v := range k.Keys {
		if !over(v.Until) && v.Until.After(last) {
			last = v.Until
		}
	}
	switch {
	case k.Disabled:
		return "disabled"
	case over(k.Expires):
		return "expired"
	case len(k.Keys) > 0 && !slices.ContainsFunc(k.Keys, func(v config.KeyVersion) bool { return !over(v.Until) }):
		return "expired"
	case !last.IsZero():
		return "old key until " + last.UTC().Format(time.RFC3339)
	}
	return "valid"
}
