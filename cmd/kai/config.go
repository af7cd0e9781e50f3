package main

import (
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
	options := config.Options{Shipped: plugins.Names(), OptionsSchema: modules.schema}
	if file == "" {
		file = os.Getenv("KAI_CONFIG")
	}
	if file == "" {
		if _, err := os.Stat(defaultFile); errors.Is(err, fs.ErrNotExist) {
			return config.Default(options), true
		}
		file = defaultFile
	}
	c, err := config.Load(file, options)
	var problems *config.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems.List {
			fmt.Fprintln(stderr, p)
		}
		return nil, false
	case err != nil:
		fmt.Fprintf(stderr, "kai: %v\n", err)
		return nil, false
	}
	return c, true
}

// modules reads adapters' modules, each once.
type modules struct {
	read map[string][]byte
}

func newModules() *modules { return &modules{read: map[string][]byte{}} }

// get gives the module of a shipped adapter or of a .wasm file.
func (m *modules) get(plugin string) ([]byte, error) {
	if b, ok := m.read[plugin]; ok {
		return b, nil
	}
	b, err := read(plugin)
	if err != nil {
		return nil, err
	}
	m.read[plugin] = b
	return b, nil
}

func read(plugin string) ([]byte, error) {
	if !strings.HasSuffix(plugin, ".wasm") {
		return plugins.Module(plugin)
	}
	const limit = 16 << 20
	f, err := os.Open(plugin)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(b) > limit {
		err = fmt.Errorf("%s is larger than %d MiB", plugin, limit>>20)
	}
	return b, err
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
	manifest, found, err := wasm.ReadManifest(module)
	if err != nil {
		return config.Adapter{}, err
	}
	if !found {
		return config.Adapter{}, config.ErrUnknownAdapter
	}
	p := manifest.Profile()
	return config.Adapter{OptionsCUE: p.Options, DefaultBaseURL: p.DefaultBaseURL, Secret: p.Auth.Header != ""}, nil
}
