package author

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/kai-gateway/kai/cmd/internal/conform"
	"github.com/kai-gateway/kai/host/wasm"
)

// Tested returns what the arguments of "kai plugin test" mean: a module, transcripts, both,
// or what is in this folder. If transcripts is "", none were named, and TranscriptsBeside
// finds them.
func Tested(args []string) (module, transcripts string, err error) {
	if len(args) == 2 {
		module, err = NamedModule(args[0])
		return module, args[1], err
	}
	name := ""
	if len(args) == 1 {
		name = args[0]
	}
	switch {
	case filepath.Ext(name) == ".txtar":
		module, err = folderModule(filepath.Dir(filepath.Dir(name)))
		return module, name, err
	case isFolder(name) && slices.Contains(transcriptFolders, filepath.Base(name)) && hasTranscripts(name):
		module, err = folderModule(filepath.Dir(filepath.Clean(name)))
		return module, name, err
	}
	module, err = NamedModule(name)
	return module, "", err
}

// transcriptsIn returns the transcripts in a folder, or the one that path names.
func transcriptsIn(path string) ([]string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, wrongUsage("there is no %s: name the folder of the transcripts, or one of them", path)
	case err != nil:
		return nil, err
	case info.IsDir():
		if !hasTranscripts(path) {
			if beside, err := TranscriptsBeside(filepath.Join(path, "module")); err == nil {
				path = beside // path is the adapter's own folder
			}
		}
		return conform.Files(path)
	}
	return []string{path}, nil
}

// Test tests a module with the transcripts at path, which is a folder or one transcript.
func Test(ctx context.Context, module []byte, path string, update bool) (*conform.Report, error) {
	files, err := transcriptsIn(path)
	if err != nil {
		return nil, err
	}
	return conform.Run(ctx, conform.Options{Module: module, CacheDir: wasm.DefaultCacheDir(), Update: update}, files)
}
