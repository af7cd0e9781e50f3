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
		ReadFile: func(path string) ([]byte, error) { return modules.file(path, maxConfig) },
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

const (
	maxConfig = 1<<20 + 1 // one byte more than a configuration may have, so that it is noticed
	maxModule = 16 << 20
)

// modules reads adapters' modules, each once, and remembers which files a
// configuration is made of.
type modules struct {
	read  map[string][]byte
	files map[string]digest // by path; the zero digest is a file that can't be read
}

type digest = [sha256.Size]byte

func newModules() *modules { return &modules{read: map[string][]byte{}, files: map[string]digest{}} }

// get gives the module of a shipped adapter or of a .wasm file.
func (m *modules) get(plugin string) ([]byte, error) {
	if b, ok := m.read[plugin]; ok {
		return b, nil
	}
	var b []byte
	var err error
	if strings.HasSuffix(plugin, ".wasm") {
		b, err = m.file(plugin, maxModule+1)
		if err == nil && len(b) > maxModule {
			err = fmt.Errorf("%s is larger than %d MiB", plugin, maxModule>>20)
		}
	} else {
		b, err = plugins.Module(plugin)
	}
	if err != nil {
		return nil, err
	}
	m.read[plugin] = b
	return b, nil
}

// forget drops the modules, when nobody will ask for them again.
func (m *modules) forget() { clear(m.read) }

// read gives one module.
func read(plugin string) ([]byte, error) { return newModules().get(plugin) }

// file reads at most limit bytes of a file and remembers what it held.
func (m *modules) file(path string, limit int64) ([]byte, error) {
	b, err := readAtMost(path, limit)
	if err != nil {
		m.files[path] = digest{}
		return nil, err
	}
	m.files[path] = sha256.Sum256(b)
	return b, nil
}

func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// schema tells package config what an adapter's manifest says. A module without
// one in its custom section takes its options unchecked: only running it tells.
func (m *modules) schema(plugin, dir string) (config.Adapter, error) {
	if strings.HasSuffix(plugin, ".wasm") && !filepath.IsAbs(plugin) {
		plugin = filepath.Join(dir, plugin)
	}
	module, err := m.get(plugin)
	if err != nil {
		return config.Adapter{}, err
	}
	if strings.HasSuffix(plugin, ".wasm") {
		about, err := wasm.Inspect(module)
		if err != nil {
			return config.Adapter{}, err
		}
		var problems []string
		for _, p := range about.Problems {
			problems = append(problems, p.Error())
		}
		if len(problems) > 0 {
			return config.Adapter{}, errors.New("not an adapter: " + strings.Join(problems, "; "))
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
