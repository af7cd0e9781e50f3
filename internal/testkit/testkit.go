// Package testkit is what tests of whole gateways have in common: the shipped
// modules, configurations of them, a cache of compiled adapters, and a gateway that
// lives as long as its test. Only tests import it.
package testkit

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/live"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/plugins"
)

// CacheDir keeps compiled adapters for all tests of this process, or of several with
// the same KAI_TEST_CACHE. Main sets it.
var CacheDir string

// compiled is what Start's gateways share, so that a module is compiled once for all of them.
var compiled = wasm.NewModules(16)

// Main is for TestMain: it runs the tests of a package with a CacheDir.
func Main(m *testing.M) {
	home := os.Getenv("KAI_TEST_CACHE")
	if home == "" {
		var err error
		if home, err = os.MkdirTemp("", "kai-test-"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(home)
	}
	CacheDir = filepath.Join(home, "kai", "wasm")
	m.Run()
}

// Module gives modules as the program does: shipped ones by name, each decompressed
// once, others by path.
func Module(plugin string) ([]byte, error) {
	if strings.HasSuffix(plugin, ".wasm") {
		return os.ReadFile(plugin)
	}
	modules.mu.Lock()
	defer modules.mu.Unlock()
	if modules.read[plugin] == nil {
		m, err := plugins.Module(plugin)
		if err != nil {
			return nil, err
		}
		modules.read[plugin] = m
	}
	return modules.read[plugin], nil
}

var modules = struct {
	mu   sync.Mutex
	read map[string][]byte
}{read: map[string][]byte{}}

// Schema gives package config the manifests of the modules that Module gives.
func Schema(plugin, _ string) (config.Adapter, error) {
	module, err := Module(plugin)
	if err != nil {
		return config.Adapter{}, err
	}
	m, found, err := modfile.ReadManifest(module)
	if err != nil {
		return config.Adapter{}, err
	}
	if !found {
		return config.Adapter{}, config.ErrUnknownAdapter
	}
	return live.Describe(m.Profile()), nil
}

// Parse makes a configuration of YAML, in an empty environment.
func Parse(yaml string) (*config.Config, error) {
	return config.Parse("test.yaml", []byte(yaml), config.Options{
		Shipped: plugins.Names(), OptionsSchema: Schema,
		LookupEnv: func(string) (string, bool) { return "", false },
	})
}

// Log is a log that tests read while something writes it. The zero value is ready.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String gives what was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Reset gives up what was written so far.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = bytes.Buffer{}
}
