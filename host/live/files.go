package live

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/wasm/modfile"
)

const maxModule = 16 << 20

// Source is where a gateway's configuration and its adapters come from.
type Source struct {
	// File names the configuration, "" for the built-in one. It is asked each time
	// the configuration is read.
	File func() string

	Shipped []string                          // the names of adapters that need no file
	Module  func(name string) ([]byte, error) // gives the module of one of them
}

// Files are the files that a configuration is made of, each as it was when it was
// first read, and the modules of its adapters. Read again with another Files. It is
// for one goroutine.
type Files struct {
	source  Source
	asked   map[string]state  // those asked for, by path
	ahead   map[string]file   // those read, whether asked for or not
	shipped map[string][]byte // by the adapter's name

	// uninspected leaves it to whoever loads a module to find out whether it is an
	// adapter. Inspecting one takes a third of the time to load it.
	uninspected bool
}

// NewFiles reads nothing yet.
func NewFiles(s Source) *Files {
	return &Files{source: s, asked: map[string]state{}, ahead: map[string]file{}, shipped: map[string][]byte{}}
}

// Config reads the configuration and everything that it names. The error is
// *config.Problems where the files are to blame.
func (f *Files) Config() (*config.Config, error) {
	o := config.Options{Shipped: f.source.Shipped, OptionsSchema: f.schema, ReadFile: f.file}
	if name := f.source.File(); name != "" {
		return config.Load(name, o)
	}
	return config.Default(o), nil
}

// Module gives the module of a shipped adapter or of a .wasm file.
func (f *Files) Module(plugin string) ([]byte, error) {
	if strings.HasSuffix(plugin, ".wasm") {
		b, err := f.file(plugin)
		if err == nil && len(b) > maxModule {
			err = fmt.Errorf("%s is larger than %d MiB", plugin, maxModule>>20)
		}
		return b, err
	}
	b, ok := f.shipped[plugin]
	if !ok {
		var err error
		if b, err = f.source.Module(plugin); err != nil {
			return nil, err
		}
		f.shipped[plugin] = b
	}
	return b, nil
}

// file gives what a file holds, at most maxRead bytes of it.
func (f *Files) file(path string) ([]byte, error) {
	read := f.read(path)
	f.asked[path] = read.state
	return read.content, read.err
}

// read reads a file that may be asked for.
func (f *Files) read(path string) file {
	read, ok := f.ahead[path]
	if !ok {
		read = readFile(path)
		f.ahead[path] = read
	}
	return read
}

// Forget drops what was read, when nobody will ask for it again.
func (f *Files) Forget() {
	clear(f.ahead)
	clear(f.shipped)
}

// schema tells package config what an adapter's manifest says. A module without
// one in its custom section takes its options unchecked: only running it tells.
func (f *Files) schema(plugin, dir string) (config.Adapter, error) {
	given := strings.HasSuffix(plugin, ".wasm")
	if given && !filepath.IsAbs(plugin) {
		plugin = filepath.Join(dir, plugin)
	}
	module, err := f.Module(plugin)
	if given && errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no %s (\"kai plugin build\" makes the module of an adapter)", plugin)
	}
	if err != nil {
		return config.Adapter{}, err
	}
	if given && !f.uninspected {
		if err := checkModule(module); err != nil {
			return config.Adapter{}, err
		}
	}
	manifest, found, err := modfile.ReadManifest(module)
	if err != nil {
		return config.Adapter{}, err
	}
	if !found {
		return config.Adapter{}, config.ErrUnknownAdapter
	}
	a := Describe(manifest.Profile())
	a.SHA256 = fmt.Sprintf("%x", sha256.Sum256(module))
	return a, nil
}

// Describe gives what a configuration has to know of an adapter, but for the digest
// of its module.
func Describe(p modfile.Profile) config.Adapter {
	return config.Adapter{OptionsCUE: p.Options, DefaultBaseURL: p.DefaultBaseURL, Secret: p.Auth.Header != ""}
}

// checkModule says why a module is no adapter.
func checkModule(module []byte) error {
	about, err := modfile.Inspect(module)
	if err != nil {
		return err
	}
	var problems []string
	for _, p := range about.Problems {
		problems = append(problems, p.Error())
	}
	if len(problems) > 0 {
		return errors.New("not an adapter: " + strings.Join(problems, "; "))
	}
	return nil
}
