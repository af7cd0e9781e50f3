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

// Source says where a gateway's configuration and its adapters come from.
type Source struct {
	// File returns the path of the configuration, or "" for the built-in one. It is
	// called each time the configuration is read.
	File func() string

	Shipped []string                          // the names of adapters that need no file
	Module  func(name string) ([]byte, error) // returns the module of a shipped adapter
	Instead map[string][]byte                 // content that stands for that of files, by path, to try it before it is written

	// Describe returns what is known of a shipped adapter without reading its module.
	// Default: its module is read.
	Describe func(name string) (modfile.Module, bool)
}

// Files are the files of one configuration and the modules of its adapters. Each
// file is read once, and stays as it was then. A new Files reads them again. Only one
// goroutine may use it at a time.
type Files struct {
	source  Source
	used    map[string]state  // the files that the configuration asked for, by path
	cache   map[string]file   // the files that were read, whether asked for or not
	shipped map[string][]byte // modules by the adapter's name

	// skipInspection leaves it to the loading of a module to find out whether it is
	// an adapter. Inspecting a module takes a third of the time that loading takes.
	skipInspection bool
}

// NewFiles returns Files that have read nothing yet.
func NewFiles(s Source) *Files {
	return &Files{source: s, used: map[string]state{}, cache: map[string]file{}, shipped: map[string][]byte{}}
}

// Config reads the configuration and everything that it names. The error is a
// *config.Problems if the files are to blame.
func (f *Files) Config() (*config.Config, error) {
	o := config.Options{Shipped: f.source.Shipped, OptionsSchema: f.schema, ReadFile: f.file}
	if name := f.source.File(); name != "" {
		return config.Load(name, o)
	}
	return config.Default(o), nil
}

// Module returns the module of a shipped adapter or of a .wasm file.
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

// file returns the content of a file, at most maxRead bytes of it, and records that
// the configuration uses it.
func (f *Files) file(path string) ([]byte, error) {
	read := f.read(path)
	f.used[path] = read.state
	return read.content, read.err
}

// read reads a file, or returns it from the cache.
func (f *Files) read(path string) file {
	read, ok := f.cache[path]
	if instead, has := f.source.Instead[path]; has && !ok {
		read, ok = file{content: instead}, true
	}
	if !ok {
		read = readFile(path)
		f.cache[path] = read
	}
	return read
}

// Forget frees the content of all files. Call it when nobody needs them any more.
func (f *Files) Forget() {
	clear(f.cache)
	clear(f.shipped)
}

// schema returns what package config has to know of an adapter, from its manifest. If
// the module has no manifest in a custom section, only running it would tell, and the
// options are not checked.
func (f *Files) schema(plugin, dir string) (config.Adapter, error) {
	isFile := strings.HasSuffix(plugin, ".wasm")
	if !isFile && f.source.Describe != nil {
		if m, ok := f.source.Describe(plugin); ok {
			return describe(m), nil
		}
	}
	if isFile && !filepath.IsAbs(plugin) {
		plugin = filepath.Join(dir, plugin)
	}
	module, err := f.Module(plugin)
	if isFile && errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no %s (\"kai plugin build\" makes the module of an adapter)", plugin)
	}
	if err != nil {
		return config.Adapter{}, err
	}
	if isFile && !f.skipInspection {
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
	return describe(modfile.Module{Manifest: manifest, Digest: sha256.Sum256(module)}), nil
}

func describe(m modfile.Module) config.Adapter {
	a := Describe(m.Manifest.Profile())
	a.SHA256 = fmt.Sprintf("%x", m.Digest)
	return a
}

// Describe returns what a configuration has to know of an adapter, except the digest
// of its module.
func Describe(p modfile.Profile) config.Adapter {
	return config.Adapter{OptionsCUE: p.Options, DefaultBaseURL: p.DefaultBaseURL, Secret: p.Auth.Header != ""}
}

// checkModule returns an error that says why a module is not an adapter, or nil if it
// is one.
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
