package author

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/kai-gateway/kai/cmd/internal/conform"
	"github.com/kai-gateway/kai/host/wasm"
)

// Tested takes apart what a command line wants tested: a module, transcripts, both,
// or what is in this folder. transcripts is "" if none are named: TranscriptsBeside
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
	case isFolder(name) && slices.Contains(transcriptFolders, filepath.Base(name)) && holdsTranscripts(name):
		module, err = folderModule(filepath.Dir(filepath.Clean(name)))
		return module, name, err
	}
	module, err = NamedModule(name)
	return module, "", err
}

// transcriptsIn gives the transcripts of a folder, or the one that is named.
func transcriptsIn(path string) ([]string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no %s: name the folder of the transcripts, or one of them", path)
	case err != nil:
		return nil, err
	case info.IsDir():
		if !holdsTranscripts(path) {
			if beside, err := TranscriptsBeside(filepath.Join(path, "module")); err == nil {
				path = beside // the folder of the adapter itself
			}
		}
		return conform.Files(path)
	}
	return []string{path}, nil
}

// Test tests a module with the transcripts at path, a folder or one of them.
func Test(ctx context.Context, module []byte, path string, update bool) (*conform.Report, error) {
	files, err := transcriptsIn(path)
	if err != nil {
		return nil, err
	}
	return conform.Run(ctx, conform.Options{Module: module, CacheDir: wasm.DefaultCacheDir(), Update: update}, files)
}
