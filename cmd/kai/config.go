package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/plugins"
)

// defaultFile is read when nobody names a configuration and it exists.
const defaultFile = "config/api.yaml"

// loadConfig finds and reads the configuration. file is what the command line
// names, or "". When it fails it says why on stderr.
func loadConfig(file string, modules *modules, stderr io.Writer) (*config.Config, bool) {
	c, err := readConfig(file, modules)
	for _, line := range problemLines(err) {
		fmt.Fprintln(stderr, line)
	}
	return c, err == nil
}

// readConfig is loadConfig for callers who report problems themselves.
func readConfig(file string, modules *modules) (*config.Config, error) {
	options := config.Options{
		Shipped: plugins.Names(), OptionsSchema: modules.schema,
		ReadFile: modules.file,
	}
	if file == "" {
		file = os.Getenv("KAI_CONFIG")
	}
	if file == "" {
		if _, err := os.Stat(defaultFile); errors.Is(err, fs.ErrNotExist) {
			return config.Default(options), nil
		}
		file = defaultFile
	}
	return config.Load(file, options)
}

// problemLines says what is wrong, a line each; none for nil.
func problemLines(err error) []string {
	var problems *config.Problems
	switch {
	case err == nil:
		return nil
	case errors.As(err, &problems):
		lines := make([]string, len(problems.List))
		for i, p := range problems.List {
			lines[i] = p.String()
		}
		return lines
	}
	return []string{"kai: " + err.Error()}
}

const maxModule = 16 << 20

// modules gives a configuration the files that it is made of, each as it was when
// it was first asked for, and the modules of its adapters.
type modules struct {
	files   map[string]source // those asked for, by path
	ahead   map[string]file   // those read, whether asked for or not
	shipped map[string][]byte // by the adapter's name

	// uninspected leaves it to whoever loads a module to find out whether it is an
	// adapter. Inspecting one takes a third of the time to load it.
	uninspected bool
}

func newModules() *modules {
	return &modules{files: map[string]source{}, ahead: map[string]file{}, shipped: map[string][]byte{}}
}

// get gives the module of a shipped adapter or of a .wasm file.
func (m *modules) get(plugin string) ([]byte, error) {
	if strings.HasSuffix(plugin, ".wasm") {
		b, err := m.file(plugin)
		if err == nil && len(b) > maxModule {
			err = fmt.Errorf("%s is larger than %d MiB", plugin, maxModule>>20)
		}
		return b, err
	}
	b, ok := m.shipped[plugin]
	if !ok {
		var err error
		if b, err = plugins.Module(plugin); err != nil {
			return nil, err
		}
		m.shipped[plugin] = b
	}
	return b, nil
}

// file gives what a file holds, at most maxRead bytes of it.
func (m *modules) file(path string) ([]byte, error) {
	f := m.read(path)
	m.files[path] = f.source
	return f.content, f.err
}

// read reads a file that may be asked for.
func (m *modules) read(path string) file {
	f, ok := m.ahead[path]
	if !ok {
		f = readFile(path)
		m.ahead[path] = f
	}
	return f
}

// forget drops what was read, when nobody will ask for it again.
func (m *modules) forget() {
	clear(m.ahead)
	clear(m.shipped)
}

// read gives one module.
func read(plugin string) ([]byte, error) { return newModules().get(plugin) }

// schema tells package config what an adapter's manifest says. A module without
// one in its custom section takes its options unchecked: only running it tells.
func (m *modules) schema(plugin, dir string) (config.Adapter, error) {
	given := strings.HasSuffix(plugin, ".wasm")
	if given && !filepath.IsAbs(plugin) {
		plugin = filepath.Join(dir, plugin)
	}
	module, err := m.get(plugin)
	if given && errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no %s (\"kai plugin build\" makes the module of an adapter)", plugin)
	}
	if err != nil {
		return config.Adapter{}, err
	}
	if given && !m.uninspected {
		if err := checkModule(module); err != nil {
			return config.Adapter{}, err
		}
	}
	manifest, found, err := wasm.ReadManifest(module)
	if err != nil {
		return config.Adapter{}, err
	}
	if !found {
		return config.Adapter{}, config.ErrUnknownAdapter
	}
	p := manifest.Profile()
	return config.Adapter{
		OptionsCUE: p.Options, DefaultBaseURL: p.DefaultBaseURL, Secret: p.Auth.Header != "",
		SHA256: fmt.Sprintf("%x", sha256.Sum256(module)),
	}, nil
}

// checkModule says why a module is no adapter.
func checkModule(module []byte) error {
	about, err := wasm.Inspect(module)
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
