package main

import (
	"context"
	"embed"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/kai-gateway/kai"
)

// templates holds a folder for each language a project can be made in, named as
// --lang has it. Files end in ".tmpl", which keeps tools from taking them for
// what they will be.
//
//go:embed all:templates
var templates embed.FS

// sdkFolder is where a project keeps the SDK's source.
const sdkFolder = "kai-sdk"

// pluginNew makes a project for a new adapter, offline.
func pluginNew(ctx context.Context, args []string, s streams) int {
	f := flag.NewFlagSet("plugin new", flag.ContinueOnError)
	lang := f.String("lang", "go", "")
	if code, ok := parse(f, args, 1, s.err); !ok {
		return code
	}
	if f.NArg() != 1 {
		return pluginUsage("new", s)
	}
	known := templateLanguages()
	if !slices.Contains(known, *lang) {
		fmt.Fprintf(s.err, "kai plugin new: there is no template for --lang %s; there are %s\n", *lang, strings.Join(known, ", "))
		return exitUsage
	}
	dir := f.Arg(0)
	name := filepath.Base(filepath.Clean(dir))
	if !adapterName.MatchString(name) {
		fmt.Fprintf(s.err, "kai plugin new: %q can't be the name of an adapter: use lower-case letters, digits and -, beginning with a letter\n", name)
		return exitUsage
	}
	if _, err := os.Stat(dir); err == nil {
		fmt.Fprintf(s.err, "kai plugin new: %s is there already\n", dir)
		return exitFailed
	}
	if err := newProject(dir, name, *lang); err != nil {
		return pluginFailed("new", err, s)
	}
	fmt.Fprintf(s.out, "%s\n", dir)
	fmt.Fprintf(s.err, "kai: made an adapter called %s; next:\n\n  cd %s\n  kai plugin build\n  kai plugin test %s.wasm\n\n", name, dir, name)
	return exitDone
}

// adapterName is what can be a folder, a Go module, a crate and a provider's name.
var adapterName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,48}[a-z0-9]$`)

// templateLanguages lists the folders of templates, Go first.
func templateLanguages() []string {
	entries, _ := templates.ReadDir("templates")
	names := []string{"go"}
	for _, e := range entries {
		if e.Name() != "go" {
			names = append(names, e.Name())
		}
	}
	return names
}

// newProject writes the template of a language and its SDK into dir, all or
// nothing.
func newProject(dir, name, lang string) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".kai-new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	values := struct{ Name, Ident, GoVersion string }{
		Name: name, Ident: strings.ReplaceAll(name, "-", "_"), GoVersion: goVersion(),
	}
	from, err := fs.Sub(templates, path.Join("templates", lang))
	if err != nil {
		return err
	}
	err = fs.WalkDir(from, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(from, file)
		if err != nil {
			return err
		}
		t, err := template.New(file).Option("missingkey=error").Parse(string(text))
		if err != nil {
			return err
		}
		var b strings.Builder
		if err := t.Execute(&b, values); err != nil {
			return err
		}
		to := strings.TrimSuffix(file, ".tmpl")
		if path.Base(to) == "gitignore" {
			to = path.Join(path.Dir(to), ".gitignore")
		}
		return put(filepath.Join(tmp, filepath.FromSlash(to)), []byte(b.String()))
	})
	if err != nil {
		return err
	}
	if err := copySDK(filepath.Join(tmp, sdkFolder), lang); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

// goVersion is the version of the language that Kai and its SDK are written in.
func goVersion() string {
	text, _ := fs.ReadFile(kai.SDK, "go.mod")
	for line := range strings.Lines(string(text)) {
		if version, ok := strings.CutPrefix(line, "go "); ok {
			return strings.TrimSpace(version)
		}
	}
	panic("go.mod names no version")
}

// copySDK writes the source of a language's SDK to dir.
func copySDK(dir, lang string) error {
	err := fs.WalkDir(kai.SDK, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") && file != "LICENSE" || strings.HasSuffix(file, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(kai.SDK, file)
		if err != nil {
			return err
		}
		return put(filepath.Join(dir, filepath.FromSlash(file)), text)
	})
	if err != nil {
		return err
	}
	return put(filepath.Join(dir, "go.mod"), []byte("module github.com/kai-gateway/kai\n\ngo "+goVersion()+"\n"))
}

func put(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
