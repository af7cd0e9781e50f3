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
	"github.com/kai-gateway/kai/plugins"
)

// templates are the files of a project that are not the worked example's. They
// end in ".tmpl", which keeps tools from taking them for what they will be.
//
//go:embed templates
var templates embed.FS

// pluginNew makes a project for a new adapter, offline.
func pluginNew(ctx context.Context, args []string, s streams) int {
	f := flag.NewFlagSet("plugin new", flag.ContinueOnError)
	lang := f.String("lang", "go", "")
	if code, ok := parse(f, args, 1, s.err); !ok {
		return code
	}
	if f.NArg() != 1 || f.Arg(0) == "" {
		return pluginUsage("new", s)
	}
	i := slices.IndexFunc(starters(), func(st starter) bool { return st.isCalled(*lang) })
	if i < 0 {
		fmt.Fprintf(s.err, "kai plugin new: there is no SDK for --lang %s; there are %s. Any other language that compiles to WebAssembly works too: docs/abi.md is the whole contract\n", shellWord(*lang), strings.Join(starterLanguages(), ", "))
		return exitUsage
	}
	dir := filepath.Clean(f.Arg(0))
	name := filepath.Base(dir)
	if !adapterName.MatchString(name) {
		fmt.Fprintf(s.err, "kai plugin new: %q can't be the name of an adapter and its new folder: take 2 to 50 lower-case letters, digits and -, a letter first and no - at the end, such as %s\n", name, likeName(name))
		return exitUsage
	}
	if slices.Contains(plugins.Names(), name) {
		fmt.Fprintf(s.err, "kai plugin new: %s is the name of an adapter that comes with Kai, and wherever a name is asked for it means that one: take another, such as %s\n", name, likeName(name))
		return exitUsage
	}
	if _, err := os.Lstat(dir); err == nil {
		return pluginFailed("new", fmt.Errorf("%s is there already, and nothing in it was changed: name a folder that is not there yet", dir), s)
	}
	st := starters()[i]
	if err := st.write(dir, name); err != nil {
		return pluginFailed("new", err, s)
	}
	fmt.Fprintf(s.out, "%s\n", dir)
	fmt.Fprintf(s.err, "kai: made an adapter called %s; next:\n\n  cd %s\n", name, shellWord(dir))
	if st.prepare != "" {
		fmt.Fprintf(s.err, "  %s\n", st.prepare)
	}
	fmt.Fprint(s.err, "  kai plugin build\n  kai plugin test\n\n")
	return exitDone
}

// adapterName is what can be a folder, a Go module, a crate and a provider's name.
var adapterName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,48}[a-z0-9]$`)

// likeName gives a name that an adapter may have and is like the one somebody
// wanted.
func likeName(name string) string {
	name = strings.Trim(otherBytes.ReplaceAllString(strings.ToLower(name), "-"), "-0123456789")
	name = strings.TrimRight(name[:min(len(name), 50)], "-")
	switch {
	case name == "":
		return "polly"
	case len(name) == 1, slices.Contains(plugins.Names(), name):
		return "my-" + name
	}
	return name
}

// otherBytes are what no name of an adapter has.
var otherBytes = regexp.MustCompile(`[^a-z0-9]+`)

// starter makes projects in one language: the worked example under another name,
// with the SDK beside it.
type starter struct {
	lang, language string
	also           []string    // what people call the language besides, in lower case
	needs          string      // to be installed, for people
	prepare        string      // what has to be run before the first build
	source         string      // the adapter, for people
	files          [][2]string // of the example and of the SDK: from where in Kai's source, to where in the project
	templates      [][2]string // the same for templates
	edits          []edit
}

// edit changes a file of the project. What it replaces stands there exactly once,
// or the example changed and the edit has to.
type edit struct{ file, old, new string }

// nameMark is the text in edits, which the project's name replaces.
const nameMark = "NAME"

func starters() []starter {
	return []starter{
		{
			lang: "go", also: []string{"golang"}, language: "Go", source: "adapter.go",
			needs: "Go " + goVersion() + " or later",
			files: [][2]string{
				{"examples/adapters/go/parrot.go", "adapter.go"},
				{"sdk", "kai-sdk/sdk"}, {"LICENSE", "kai-sdk/LICENSE"},
			},
			templates: [][2]string{
				{"go.mod.tmpl", "go.mod"}, {"sdk.mod.tmpl", "kai-sdk/go.mod"}, {"adapter_test.go.tmpl", "adapter_test.go"},
			},
			edits: []edit{
				{"adapter.go", "// Command parrot is an adapter for Parrot, the small upstream that README.md in\n// the folder above describes. It is the example of docs/sdk-go.md.\n",
					"// Command NAME is an adapter for Parrot, the small upstream that README.md\n// describes. Change it until it speaks your upstream's language.\n"},
				{"adapter.go", "Name:           \"parrot\"", "Name:           \"NAME\""},
				{"adapter.go", "Version:        \"1.0.0\"", "Version:        \"0.1.0\""},
				{"adapter.go", "Provider:       \"parrot\"", "Provider:       \"NAME\""},
			},
		},
		{
			lang: "rust", also: []string{"rs"}, language: "Rust", source: "src/lib.rs",
			needs: "cargo with the target wasm32-unknown-unknown (`rustup target add wasm32-unknown-unknown`, or Debian's cargo, libstd-rust-dev-wasm32 and lld)",
			files: [][2]string{
				{"examples/adapters/rust/Cargo.toml", "Cargo.toml"}, {"examples/adapters/rust/src", "src"},
				{"sdk/rust/Cargo.toml", "kai-sdk/Cargo.toml"}, {"sdk/rust/src", "kai-sdk/src"}, {"LICENSE", "kai-sdk/LICENSE"},
			},
			edits: []edit{
				{"Cargo.toml", `name = "parrot"`, `name = "NAME"`},
				{"Cargo.toml", `version = "1.0.0"`, `version = "0.1.0"`},
				{"Cargo.toml", `path = "../../../sdk/rust"`, `path = "kai-sdk"`},
				{"src/lib.rs", "//! An adapter for Parrot, the small upstream that README.md in the folder above\n//! describes. It is the example of docs/sdk-rust.md.\n",
					"//! An adapter for Parrot, the small upstream that README.md describes. Change it\n//! until it speaks your upstream's language.\n"},
				{"src/lib.rs", "\n        name: \"parrot\"", "\n        name: \"NAME\""},
				{"src/lib.rs", `version: "1.0.0"`, `version: "0.1.0"`},
				{"src/lib.rs", `provider: "parrot"`, `provider: "NAME"`},
			},
		},
		{
			lang: "assemblyscript", also: []string{"as", "asc", "ts", "typescript"}, language: "AssemblyScript", source: "assembly/index.ts", prepare: "npm install",
			needs: "Node.js 20 or later with npm, which fetches the compiler",
			files: [][2]string{
				{"examples/adapters/assemblyscript/package.json", "package.json"},
				{"examples/adapters/assemblyscript/asconfig.json", "asconfig.json"},
				{"examples/adapters/assemblyscript/assembly", "assembly"},
				{"sdk/assemblyscript/package.json", "kai-sdk/package.json"}, {"sdk/assemblyscript/assembly", "kai-sdk/assembly"},
				{"LICENSE", "kai-sdk/LICENSE"},
			},
			edits: []edit{
				{"package.json", `"name": "parrot"`, `"name": "NAME"`},
				{"package.json", `"version": "1.0.0"`, `"version": "0.1.0"`},
				{"asconfig.json", "../../../sdk/assemblyscript/assembly/abort", "kai-sdk/assembly/abort"},
				{"asconfig.json", "build/parrot.wasm", "build/NAME.wasm"},
				{"assembly/index.ts", "// An adapter for Parrot, the small upstream that README.md in the folder above\n// describes. It is the example of docs/sdk-assemblyscript.md.\n",
					"// An adapter for Parrot, the small upstream that README.md describes. Change it\n// until it speaks your upstream's language.\n"},
				{"assembly/index.ts", `"../../../../sdk/assemblyscript/assembly"`, `"../kai-sdk/assembly"`},
				{"assembly/index.ts", `"../../../../sdk/assemblyscript/assembly/exports"`, `"../kai-sdk/assembly/exports"`},
				{"assembly/index.ts", `new Manifest("parrot", "1.0.0", "parrot")`, `new Manifest("NAME", "0.1.0", "NAME")`},
			},
		},
		{
			lang: "c", language: "C", source: "adapter.c",
			needs: "clang 14 or later and lld",
			files: [][2]string{
				{"examples/adapters/c/parrot.c", "adapter.c"}, {"sdk/c/kai.h", "kai-sdk/kai.h"}, {"LICENSE", "kai-sdk/LICENSE"},
			},
			edits: []edit{
				{"adapter.c", "/* An adapter for Parrot, the small upstream that README.md in the folder above\n * describes. It is the example of docs/sdk-c.md. */\n",
					"/* An adapter for Parrot, the small upstream that README.md describes. Change it\n * until it speaks your upstream's language. */\n"},
				{"adapter.c", `"../../../sdk/c/kai.h"`, `"kai-sdk/kai.h"`},
				{"adapter.c", `.name = "parrot"`, `.name = "NAME"`},
				{"adapter.c", `.version = "1.0.0"`, `.version = "0.1.0"`},
				{"adapter.c", `.provider = "parrot"`, `.provider = "NAME"`},
			},
		},
	}
}

// isCalled reports whether a person means this language, however it is spelt.
func (st starter) isCalled(name string) bool {
	name = strings.ToLower(strings.TrimSpace(name))
	return name == st.lang || slices.Contains(st.also, name)
}

func starterLanguages() []string {
	var names []string
	for _, st := range starters() {
		names = append(names, st.lang)
	}
	return names
}

// Every project begins with these transcripts of the example.
var starterTranscripts = []string{"stream", "whole", "tools", "option", "error-429"}

// write makes the project in dir, all or nothing.
func (st starter) write(dir, name string) error {
	files, err := st.project(name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".kai-new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for file, text := range files {
		to := filepath.Join(tmp, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

// project gives the project's files by their paths.
func (st starter) project(name string) (map[string]string, error) {
	files := map[string]string{}
	for _, f := range st.files {
		if err := copySource(files, f[0], f[1]); err != nil {
			return nil, err
		}
	}
	for _, t := range starterTranscripts {
		if err := copySource(files, "testdata/transcripts/example/"+t+".txtar", "testdata/"+t+".txtar"); err != nil {
			return nil, err
		}
	}
	for _, e := range st.edits {
		if n := strings.Count(files[e.file], e.old); n != 1 {
			return nil, fmt.Errorf("the %s example has %q %d times in %s instead of once", st.language, e.old, n, e.file)
		}
		files[e.file] = strings.Replace(files[e.file], e.old, strings.ReplaceAll(e.new, nameMark, name), 1)
	}
	values := struct{ Name, Language, Source, Needs, Prepare, GoVersion string }{
		name, st.language, st.source, st.needs, st.prepare, goVersion(),
	}
	for _, t := range append(st.templates, [2]string{"README.md.tmpl", "README.md"}, [2]string{"gitignore.tmpl", ".gitignore"}, [2]string{"gitattributes.tmpl", ".gitattributes"}) {
		parsed, err := template.ParseFS(templates, "templates/"+t[0])
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		if err := parsed.Execute(&b, values); err != nil {
			return nil, err
		}
		files[t[1]] = b.String()
	}
	return files, nil
}

// copySource adds a file of Kai's source, or the files below a folder. Of folders
// of Go source the tests stay behind, and so do the SDKs of other languages.
func copySource(files map[string]string, from, to string) error {
	return fs.WalkDir(kai.Source, from, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if from == "sdk" && slices.Contains([]string{"rust", "assemblyscript", "c"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(file, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(kai.Source, file)
		if err != nil {
			return err
		}
		files[path.Join(to, strings.TrimPrefix(file, from))] = string(text)
		return nil
	})
}

// goVersion is the version of the language that Kai and its SDK are written in.
func goVersion() string {
	text, _ := fs.ReadFile(kai.Source, "go.mod")
	for line := range strings.Lines(string(text)) {
		if version, ok := strings.CutPrefix(line, "go "); ok {
			return strings.TrimSpace(version)
		}
	}
	panic("go.mod names no version")
}
