package author

import (
	"embed"
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

// templates are the files of a project that are not from the worked example. Their names
// end in ".tmpl", so that tools don't take them for Go modules and the like.
//
//go:embed templates
var templates embed.FS

// adapterName matches what can be the name of a folder, a Go module, a crate and a provider.
var adapterName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,48}[a-z0-9]$`)

// CheckName returns an error if an adapter, and the folder of its project, can't have this
// name.
func CheckName(name string) error {
	switch {
	case !adapterName.MatchString(name):
		return fmt.Errorf("%q can't be the name of an adapter and its new folder: take 2 to 50 lower-case letters, digits and -, a letter first and no - at the end, such as %s", name, likeName(name))
	case slices.Contains(plugins.Names(), name):
		return fmt.Errorf("%s is the name of an adapter that comes with Kai, and wherever a name is asked for it means that one: take another, such as %s", name, likeName(name))
	}
	return nil
}

// likeName returns a name that an adapter may have, and that is similar to the given one.
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

// otherBytes matches what can't be in the name of an adapter.
var otherBytes = regexp.MustCompile(`[^a-z0-9]+`)

// isCalled reports whether name is one of the names of the starter's language.
func (st Starter) isCalled(name string) bool {
	name = strings.ToLower(strings.TrimSpace(name))
	return name == st.lang || slices.Contains(st.also, name)
}

// FindStarter returns the starter for a language, by any of the language's names.
func FindStarter(language string) (Starter, error) {
	for _, st := range starters() {
		if st.isCalled(language) {
			return st, nil
		}
	}
	return Starter{}, fmt.Errorf("there is no SDK for --lang %s; there are %s. Any other language that compiles to WebAssembly works too: docs/abi.md is the whole contract", ShellWord(language), strings.Join(Languages(), ", "))
}

// Languages returns the names of the languages that there are starters for.
func Languages() []string {
	var names []string
	for _, st := range starters() {
		names = append(names, st.lang)
	}
	return names
}

// starterTranscripts are the example's transcripts that every project begins with.
var starterTranscripts = []string{"stream", "whole", "tools", "option", "error-429"}

// Write makes the project in dir, completely or not at all.
func (st Starter) Write(dir, name string) error {
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

// project returns the project's files, by their paths.
func (st Starter) project(name string) (map[string]string, error) {
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
		name, st.language, st.source, st.needs, st.Prepare, goVersion(),
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

// copySource adds a file of Kai's source, or all files below a folder. It leaves out Go
// tests, and the SDKs of other languages.
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

// goVersion returns the version of Go in Kai's go.mod.
func goVersion() string {
	text, _ := fs.ReadFile(kai.Source, "go.mod")
	for line := range strings.Lines(string(text)) {
		if version, ok := strings.CutPrefix(line, "go "); ok {
			return strings.TrimSpace(version)
		}
	}
	panic("go.mod names no version")
}
