package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// environment is what the tests' configurations may refer to.
func environment(name string) (string, bool) {
	value, ok := map[string]string{
		"EMPTY":       "",
		"PORT":        "9001",
		"WORD":        "canary-7f3a-word",
		"TRUTH":       "true",
		"NOTHING":     "null",
		"KEY":         "canary-7f3a-key",
		"DIGITS":      "7312345678",
		"BROKEN_KEY":  "canary-7f3a with a space",
		"BINARY":      "canary-7f3a\xff",
		"PADDED_KEY":  " canary-7f3a-padded\r\n",
		"YAML":        "canary-7f3a: {a: b}",
		"OLLAMA_HOST": "http://ollama.example.com:11434",
	}[name]
	return value, ok
}

// adapters are the manifests the tests' configurations are checked against.
func adapters(plugin, dir string) (Adapter, error) {
	switch plugin {
	case "ollama":
		return Adapter{
			DefaultBaseURL: "http://localhost:11434",
			OptionsCUE: `
				// how long the model stays loaded
				keep_alive?: string | int
				num_ctx?:    int & >=1
				temperature?: number & >=0 & <=2
				mode: *"auto" | "fast" | "slow"
				stop?: [...string]
				name?: =~"^[a-z]+$"
				extra?: {seed?: int, ...}
			`,
		}, nil
	case "openrouter":
		return Adapter{DefaultBaseURL: "https://openrouter.ai/api/v1", Secret: true, OptionsCUE: `title?: string, models?: [...string]`}, nil
	case "demo":
		return Adapter{}, nil
	case "adapters/acme.wasm":
		return Adapter{Secret: true, OptionsCUE: `{region!: "eu" | "us"}`}, nil
	case "adapters/rogue.wasm":
		return Adapter{OptionsCUE: "a?: int\nb: a & 5"}, nil
	}
	return Adapter{}, errors.New("open " + filepath.Join(dir, plugin) + ": no such file or directory")
}

func testOptions() Options {
	return Options{LookupEnv: environment, OptionsSchema: adapters}
}

func mustParse(t *testing.T, src string) *Config {
	t.Helper()
	cfg, err := Parse("api.yaml", []byte(src), testOptions())
	if err != nil {
		t.Fatalf("Parse error:\n%v\nof\n%s", err, src)
	}
	return cfg
}

// models is the least a configuration needs.
const models = "model_mapping: {a: {provider: demo, model: m}}\n"

func TestSpecYAMLWorksUnchanged(t *testing.T) {
	cfg, err := Load("../testdata/config/valid/spec.yaml", testOptions())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.Server.Host, "0.0.0.0"; got != want {
		t.Errorf("host = %q, want %q", got, want)
	}
	if cfg.Server.Port != 9000 || cfg.Server.Workers != 4 {
		t.Errorf("port and workers = %d, %d, want 9000, 4", cfg.Server.Port, cfg.Server.Workers)
	}
	var aliases []string
	for _, m := range cfg.Models {
		aliases = append(aliases, m.Alias+" "+m.Provider+" "+m.Model)
	}
	if want := []string{"granite-local ollama granite4:tiny-h", "gpt-4 openrouter anthropic/claude-opus"}; !slices.Equal(aliases, want) {
		t.Errorf("models = %q, want %q", aliases, want)
	}
	if cfg.DefaultModel != "granite-local" || !cfg.CORS.Enabled || !slices.Equal(cfg.CORS.AllowOrigins, []string{"*"}) {
		t.Errorf("default model %q, cors %+v", cfg.DefaultModel, cfg.CORS)
	}
	if cfg.Auth.Enabled || !cfg.Auth.AllowNoAuth {
		t.Errorf("auth = %+v, want open and meant so", cfg.Auth)
	}
}

func TestDefaults(t *testing.T) {
	cfg := mustParse(t, models)
	want := Server{
		Host: "127.0.0.1", Hosts: []string{}, Port: 9000, Workers: defaultWorkers(),
		StreamHeadWait: Duration(10 * time.Second), WriteTimeout: Duration(time.Minute), ShutdownTimeout: Duration(30 * time.Second),
		ReadHeaderTimeout: Duration(10 * time.Second), ReadTimeout: Duration(time.Minute), LoadWait: Duration(30 * time.Second),
		MaxBody: 32 << 20, MaxBodies: 1 << 30,
	}
	if !reflect.DeepEqual(cfg.Server, want) {
		t.Errorf("server = %+v, want %+v", cfg.Server, want)
	}
	if len(cfg.Providers) != 1 || cfg.Providers[0].Name != "demo" {
		t.Fatalf("providers = %+v, want demo alone, the only one used", cfg.Providers)
	}
	p := cfg.Providers[0]
	if want := (Timeouts{Duration(10 * time.Second), Duration(10 * time.Minute), Duration(5 * time.Minute), 0}); p.Timeouts != want {
		t.Errorf("timeouts = %+v, want %+v", p.Timeouts, want)
	}
	if p.Log != "warn" || p.Proxy != "environment" || string(p.Options) != "{}" {
		t.Errorf("log %q, proxy %q, options %s", p.Log, p.Proxy, p.Options)
	}
}

func TestDefaultIsTheFileOnLoopback(t *testing.T) {
	fromFile, err := Load("api.yaml", testOptions())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default(testOptions())
	if cfg.File != "" || cfg.Server.Host != "127.0.0.1" || cfg.Server.Port != 9000 {
		t.Errorf("file %q, host %q, port %d", cfg.File, cfg.Server.Host, cfg.Server.Port)
	}
	if len(cfg.Models) != len(fromFile.Models) || cfg.DefaultModel != fromFile.DefaultModel {
		t.Errorf("models %+v, want those of api.yaml", cfg.Models)
	}
	if last := cfg.Models[len(cfg.Models)-1].Alias; last != "demo" {
		t.Errorf("last model %q, want demo", last)
	}
}

func TestDefaultSurvivesAnUnusableVariable(t *testing.T) {
	o := testOptions()
	o.LookupEnv = func(name string) (string, bool) {
		return "two words", name == "OPENROUTER_API_KEY"
	}
	cfg := Default(o)
	if len(cfg.Warnings) != 1 {
		t.Errorf("warnings = %q, want one", cfg.Warnings)
	}
	if p := cfg.Providers[1]; p.Name != "openrouter" || p.Unset != "OPENROUTER_API_KEY" {
		t.Errorf("provider = %+v, want openrouter unconfigured", p)
	}
}

func TestLoadOfAMissingFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"), Options{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error = %v, want one that is os.ErrNotExist", err)
	}
}

func TestAVariableOfAnUnusedProviderDoesNotMatter(t *testing.T) {
	o := testOptions()
	o.LookupEnv = func(string) (string, bool) { return "two words", true }
	if _, err := Parse("api.yaml", []byte(models), o); err != nil {
		t.Error(err)
	}
	_, err := Parse("api.yaml", []byte("model_mapping: {a: {provider: openrouter, model: m}}\n"), o)
	want := "api.yaml:1:31: providers.openrouter.api_key: the variable OPENROUTER_API_KEY holds a space"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error = %v, want %s…", err, want)
	}
}

func TestShippedAdapters(t *testing.T) {
	o := testOptions()
	o.Shipped = []string{"demo"}
	_, err := Parse("api.yaml", []byte("model_mapping: {a: {provider: ollama, model: m}}\n"), o)
	want := "api.yaml:1:31: providers.ollama.plugin: the adapter ollama is not part of this program"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	o = testOptions()
	o.OptionsSchema = func(plugin, _ string) (Adapter, error) { return Adapter{}, errors.New("it was not built: run make") }
	_, err = Parse("api.yaml", []byte("model_mapping:\n  a: {provider: demo, model: m}\n  b: {provider: demo, model: m}\n"), o)
	want = "api.yaml:2:17: providers.demo.plugin: cannot be used: it was not built: run make"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestAnAdapterThatTellsNothingTakesAnyOptions(t *testing.T) {
	o := testOptions()
	o.OptionsSchema = func(string, string) (Adapter, error) { return Adapter{}, fmt.Errorf("x: %w", ErrUnknownAdapter) }
	cfg, err := Parse("api.yaml", []byte("model_mapping: {a: {provider: openrouter, model: m, options: {any: [thing]}}}\n"), o)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(cfg.Models[0].Options), `{"any":["thing"]}`; got != want || len(cfg.Warnings) > 0 {
		t.Errorf("options = %s, want %s; warnings %q", got, want, cfg.Warnings)
	}
}

func TestValid(t *testing.T) {
	files, err := filepath.Glob("../testdata/config/valid/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d configurations, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cfg, err := Load(file, Options{LookupEnv: environment, OptionsSchema: func(plugin, _ string) (Adapter, error) {
				return adapters(plugin, "")
			}})
			if err != nil {
				t.Fatal(err)
			}
			if cfg.File != file {
				t.Errorf("file = %q, want %q", cfg.File, file)
			}
		})
	}
}

func TestOnlyRegularFilesAreRead(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, filepath.Dir(pipe), "/dev/zero"} {
		if _, err := Load(path, Options{}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("Load(%s) = %v", path, err)
		}
		_, err := Parse("api.yaml", fmt.Appendf(nil, "auth: {enabled: true, api_keys: [{file: %q}]}\n%s", path, models), Options{})
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("a secret in %s: %v", path, err)
		}
	}
}

// TestNULs puts NULs into a configuration and into a secret's file.
func TestNULs(t *testing.T) {
	for _, src := range []string{"\x00\x00", models + "\x00\x00", "\x00\x00" + models, strings.ReplaceAll(models, "a", "\x00\x00")} {
		if _, err := Parse("api.yaml", []byte(src), Options{}); err == nil {
			t.Errorf("Parse(%q): no error", src)
		}
	}
}
