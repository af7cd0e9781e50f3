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

// This file is about the folder of an adapter, in which its sources are, its transcripts,
// and the module that was built from them.

// moduleSuffix is the end of the names of modules.
const moduleSuffix = ".wasm"

// folderModule returns the path of the module in a folder.
func folderModule(dir string) (string, error) {
	found, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*"+moduleSuffix))
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if _, err := languageOf(dir); err != nil {
			return "", err
		}
		return "", wrongUsage("%s holds no module yet: %s makes it", folderName(dir), Command("build", dir))
	}
	return "", wrongUsage("%s holds several modules: name one of %s", folderName(dir), strings.Join(found, ", "))
}

// folderName returns how a sentence names a folder.
func folderName(dir string) string {
	if dir == "." {
		return "this folder"
	}
	return dir
}

// escapeGlob returns a pattern that matches only the path.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// NamedModule returns the file that a command line means by MODULE, or the name of an
// adapter that comes with Kai. "" means the module in this folder.
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
	return "", wrongUsage("%s is neither a .wasm file, nor a folder with one, nor an adapter that comes with Kai (%s)", name, strings.Join(plugins.Names(), ", "))
}

// ReadModule reads a module that NamedModule has found.
func ReadModule(name string) ([]byte, error) {
	module, err := live.NewFiles(live.Source{Module: plugins.Module}).Module(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = wrongUsage("there is no %s (\"kai plugin build\" makes the module of an adapter)", name)
	}
	if err == nil && !bytes.HasPrefix(module, []byte("\x00asm")) {
		err = wrongUsage("%s is no WebAssembly module (\"kai plugin build\" makes the module of an adapter)", name)
	}
	return module, err
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// ModulePath returns the path for the module of an adapter: the file out, or a file in the
// folder out. If out is "", it is in the adapter's own folder.
func ModulePath(out, dir, name string) string {
	if out == "" {
		out = dir
	}
	if isFolder(out) || strings.HasSuffix(out, "/") {
		return filepath.Join(out, name+moduleSuffix)
	}
	return out
}

// CheckOut refuses a name for a module that no gateway would accept.
func CheckOut(flag, out string) error {
	if out == "" || isFolder(out) || strings.HasSuffix(out, "/") ||
		strings.HasSuffix(out, moduleSuffix) || strings.HasSuffix(out, moduleSuffix+".gz") {
		return nil
	}
	return wrongUsage("%s %s is no folder and doesn't end in .wasm, as the names of modules do", flag, out)
}

// skipped are files and folders that compilers write. The first build of a Rust project,
// for example, leaves a Cargo.lock, which is no reason to build again.
var skipped = map[string]bool{"node_modules": true, "target": true, "build": true, "Cargo.lock": true}

// walkSources calls do for every file in an adapter's folder that a person may have
// written. Files that disappear meanwhile are left out.
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

// newerSource returns the source that was saved last, if that was after the module beside
// it was built, or else "". If the module is not beside sources, nothing is known of them.
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

// compiled reports whether the content of a file goes into the module.
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

// Stale returns a message if the module is older than its sources, or else "".
func Stale(module string) string {
	source := newerSource(module)
	if source == "" {
		return ""
	}
	return fmt.Sprintf("%s is older than %s: %s makes it anew", module, source, Command("build", filepath.Dir(module)))
}

// transcriptFolders are the folders that an adapter's transcripts may be in, beside its
// module or its sources.
var transcriptFolders = []string{"testdata", "transcripts"}

// TranscriptsBeside finds the folder of a module's transcripts, if the command line doesn't
// name it.
func TranscriptsBeside(module string) (string, error) {
	for _, name := range transcriptFolders {
		dir := filepath.Join(filepath.Dir(module), name)
		if hasTranscripts(dir) {
			return dir, nil
		}
	}
	return "", wrongUsage("there are no transcripts beside %s, in testdata or transcripts; name their folder, or make one with \"kai plugin record\"", module)
}

func hasTranscripts(dir string) bool {
	files, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*.txtar"))
	return len(files) > 0
}

// Command returns a "kai plugin" command, in quotes, that can be pasted into a shell. "." is
// left out of its arguments, because it is the default.
func Command(name string, args ...string) string {
	text := "kai plugin " + name
	for _, arg := range args {
		if arg != "." {
			text += " " + ShellWord(arg)
		}
	}
	return `"` + text + `"`
}

// ShellWord quotes a word if a shell would not take it as it is.
func ShellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./,:@%+=", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
