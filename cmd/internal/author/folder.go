package author

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kai-gateway/kai/host/live"
	"github.com/kai-gateway/kai/plugins"
)

// This file knows the folder of an adapter: its sources, its transcripts, and the
// module that was built of them, which lies beside them.

// moduleSuffix is how the names of modules end that people are given to run.
const moduleSuffix = ".wasm"

// folderModule gives the module in a folder.
func folderModule(dir string) (string, error) {
	found, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*"+moduleSuffix))
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if _, err := languageOf(dir); err != nil {
			return "", err
		}
		return "", fmt.Errorf("%s holds no module yet: %s makes it", folderName(dir), Command("build", dir))
	}
	return "", fmt.Errorf("%s holds several modules: name one of %s", folderName(dir), strings.Join(found, ", "))
}

// folderName is a folder in a sentence.
func folderName(dir string) string {
	if dir == "." {
		return "this folder"
	}
	return dir
}

// escapeGlob makes of a path a pattern that matches it alone.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// NamedModule gives the file that a command line means by MODULE, or the name of an
// adapter that comes with Kai; "" is the module in this folder.
func NamedModule(name string) (string, error) {
	switch {
	case name == "":
		return folderModule(".")
	case strings.HasSuffix(name, moduleSuffix) && !isFolder(name):
		return name, nil
	case slices.Contains(plugins.Names(), name):
		return name, nil
	case isFolder(name):
		return folderModule(filepath.Clean(name))
	}
	if _, err := os.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return "", fmt.Errorf("%s is neither a .wasm file, nor a folder with one, nor an adapter that comes with Kai (%s)", name, strings.Join(plugins.Names(), ", "))
}

// ReadModule gives the bytes of a module that namedModule found.
func ReadModule(name string) ([]byte, error) {
	module, err := live.NewFiles(live.Source{Module: plugins.Module}).Module(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no %s (\"kai plugin build\" makes the module of an adapter)", name)
	}
	if err == nil && !bytes.HasPrefix(module, []byte("\x00asm")) {
		err = fmt.Errorf("%s is no WebAssembly module (\"kai plugin build\" makes the module of an adapter)", name)
	}
	return module, err
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// ModulePath says where the module of an adapter goes: to the file or into the
// folder out, by default into the adapter's own folder.
func ModulePath(out, dir, name string) string {
	if out == "" {
		out = dir
	}
	if isFolder(out) || strings.HasSuffix(out, "/") {
		return filepath.Join(out, name+moduleSuffix)
	}
	return out
}

// CheckOut refuses a file for a module that no gateway would take by its name.
func CheckOut(flag, out string) error {
	if out == "" || isFolder(out) || strings.HasSuffix(out, "/") ||
		strings.HasSuffix(out, moduleSuffix) || strings.HasSuffix(out, moduleSuffix+".gz") {
		return nil
	}
	return fmt.Errorf("%s %s is no folder and doesn't end in .wasm, as the names of modules do", flag, out)
}

// skipped are what compilers make of the sources, or write for them: the first
// build of a Rust project leaves a Cargo.lock, which is no change to build again for.
var skipped = map[string]bool{"node_modules": true, "target": true, "build": true, "Cargo.lock": true}

// walkSources calls do for every file in an adapter's folder that a person may have
// written. What is gone by the time it is looked at is left out.
func walkSources(dir string, do func(file string, e fs.DirEntry)) {
	filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		name := filepath.Base(file)
		hidden := strings.HasPrefix(name, ".") && file != dir
		switch {
		case err != nil:
			return nil
		case e.IsDir() && (hidden || skipped[name]):
			return fs.SkipDir
		case e.IsDir() || hidden || skipped[name]:
			return nil
		case strings.HasSuffix(name, moduleSuffix), strings.HasSuffix(name, "~"), strings.HasSuffix(name, ".log"):
			return nil
		}
		do(file, e)
		return nil
	})
}

// newerSource gives a source that was saved after the module beside it was built,
// "" if there is none. A module that lies elsewhere tells nothing of its sources.
func newerSource(module string) string {
	info, err := os.Stat(module)
	if err != nil {
		return ""
	}
	dir := filepath.Dir(module)
	if _, err := languageOf(dir); err != nil {
		return ""
	}
	newest, latest := "", info.ModTime()
	walkSources(dir, func(file string, e fs.DirEntry) {
		if !compiled(file) {
			return
		}
		if info, err := e.Info(); err == nil && info.ModTime().After(latest) {
			newest, latest = file, info.ModTime()
		}
	})
	return newest
}

// compiled reports whether what a file holds goes into the module.
func compiled(file string) bool {
	name := filepath.Base(file)
	switch filepath.Ext(name) {
	case ".md", ".yaml", ".yml":
		return false
	case ".txtar":
		return name == embeddedName
	}
	return name != "LICENSE" && !strings.HasSuffix(name, "_test.go")
}

// Stale says of a module that it is older than its sources, "" if it isn't.
func Stale(module string) string {
	source := newerSource(module)
	if source == "" {
		return ""
	}
	return fmt.Sprintf("%s is older than %s: %s makes it anew", module, source, Command("build", filepath.Dir(module)))
}

// transcriptFolders are where an adapter's transcripts may be, beside its module
// or its sources.
var transcriptFolders = []string{"testdata", "transcripts"}

// TranscriptsBeside finds the transcripts of a module that was given without.
func TranscriptsBeside(module string) (string, error) {
	for _, name := range transcriptFolders {
		dir := filepath.Join(filepath.Dir(module), name)
		if holdsTranscripts(dir) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("there are no transcripts beside %s, in testdata or transcripts; name their folder, or make one with \"kai plugin record\"", module)
}

func holdsTranscripts(dir string) bool {
	files, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*.txtar"))
	return len(files) > 0
}

// Command writes a command for authors so that it can be pasted into a shell.
// "." is this folder, which needs no naming.
func Command(name string, args ...string) string {
	text := "kai plugin " + name
	for _, arg := range args {
		if arg != "." {
			text += " " + ShellWord(arg)
		}
	}
	return `"` + text + `"`
}

// ShellWord quotes what a shell would take apart.
func ShellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./,:@%+=", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
