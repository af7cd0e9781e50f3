package author

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// Built is an adapter that was compiled, checked and packed.
type Built struct {
	Language string
	Module   []byte
	Manifest modfile.Manifest
	Warning  string // what is wrong with it, such as a transcript that it fails; usually ""

	begin time.Time // when the compiler started
}

// Write writes the module to path. Its time is that of the compiler's start, so that a
// source which is saved while the compiler runs is newer.
func (b *Built) Write(path string) error {
	return WriteFile(path, b.Module, b.begin)
}

// Build compiles the adapter in dir. The compiler's messages go to stderr.
func Build(ctx context.Context, dir string, stderr io.Writer) (*Built, error) {
	l, err := languageOf(dir)
	if err != nil {
		return nil, err
	}
	if err := l.installed(dir); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "kai-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	raw, begin := filepath.Join(tmp, "module.wasm"), time.Now()
	if err := l.compile(ctx, compilation{dir: dir, out: raw, tmp: tmp, stderr: stderr}); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if _, failed := errors.AsType[*exec.ExitError](err); failed {
			err = fmt.Errorf("%s doesn't compile; what is wrong is above, by paths in that folder (%w)", folderName(dir), err)
		}
		return nil, err
	}
	module, err := os.ReadFile(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: the compiler left no module: %w", l.name, err)
	}
	name, text, err := embedded(dir)
	if err != nil {
		return nil, err
	}
	p, err := wasm.Pack(ctx, module, wasm.PackOptions{Transcript: text, CacheDir: wasm.DefaultCacheDir()})
	if err != nil {
		return nil, err
	}
	if err := config.CheckOptionsSchema(p.Manifest.Profile().Options); err != nil {
		return nil, fmt.Errorf("the options of the manifest: %w", err)
	}
	if name := p.Manifest.Name; name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("the name in the manifest, %q, can't be that of a file: take letters, digits and -", name)
	}
	b := &Built{Language: l.name, Module: p.Module, Manifest: p.Manifest, begin: begin}
	if p.Differs != nil {
		b.Warning = fmt.Sprintf("no gateway will take this module, %v (%s; \"kai plugin test --update\" writes it anew, then build again)", p.Differs, name)
	}
	return b, nil
}

// embeddedName is the file of the transcript that goes into the module.
const embeddedName = "embedded.txtar"

// embedded reads the transcript that goes into the module of the adapter in dir. text is
// nil if there is none.
func embedded(dir string) (name string, text []byte, err error) {
	for _, folder := range transcriptFolders {
		name = filepath.Join(dir, folder, embeddedName)
		switch text, err = os.ReadFile(name); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return name, nil, err
		case len(text) > abi.MaxTranscript:
			return name, nil, fmt.Errorf("%s has %s; at most %s go into a module", name, Bytes(int64(len(text))), Bytes(abi.MaxTranscript))
		}
		if _, err := transcript.Parse(text); err != nil {
			return name, nil, fmt.Errorf("%s: %w", name, err)
		}
		return name, text, nil
	}
	return "", nil, nil
}
