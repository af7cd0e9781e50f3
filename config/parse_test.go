package config

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestReferences(t *testing.T) {
	for name, tc := range map[string]struct {
		src  string
		want any
		got  func(*Config) any
	}{
		"a plain reference to a number is a number": {
			"server:\n  port: ${PORT}\n", 9001, func(c *Config) any { return c.Server.Port },
		},
		"a plain reference to a truth value is one": {
			"cors:\n  enabled: ${TRUTH}\n", true, func(c *Config) any { return c.CORS.Enabled },
		},
		"a default has a type too": {
			"server:\n  port: ${PORT_NOT_SET:-9002}\n", 9002, func(c *Config) any { return c.Server.Port },
		},
		"a variable that is set but empty has the default": {
			"server:\n  host: \"${EMPTY:-localhost}\"\n", "localhost", func(c *Config) any { return c.Server.Host },
		},
		"a variable without a value that matters is the default of the field": {
			"server:\n  port: ${NOTHING}\n", 9000, func(c *Config) any { return c.Server.Port },
		},
		"text around a reference stays": {
			"providers:\n  ollama: {base_url: \"${OLLAMA_HOST}/v${PORT}\"}\n",
			"http://ollama.example.com:11434/v9001", func(c *Config) any { return c.Providers[0].BaseURL },
		},
		"$${ is a literal ${": {
			"providers:\n  ollama: {options: {keep_alive: \"$${KEY} $$ $ $${\"}}\n",
			`{"keep_alive":"${KEY} $$ $ ${","mode":"auto"}`, func(c *Config) any { return string(c.Providers[0].Options) },
		},
		"what a variable holds is not looked at again": {
			"providers:\n  ollama: {options: {keep_alive: \"$${${PORT}}\"}}\n",
			`{"keep_alive":"${9001}","mode":"auto"}`, func(c *Config) any { return string(c.Providers[0].Options) },
		},
		"a variable that looks like YAML is text": {
			"providers:\n  ollama:\n    options:\n      keep_alive: ${YAML}\n",
			`{"keep_alive":"canary-7f3a: {a: b}","mode":"auto"}`, func(c *Config) any { return string(c.Providers[0].Options) },
		},
		"a key of digits is text": {
			"providers:\n  openrouter:\n    api_key: ${DIGITS}\n", "7312345678", func(c *Config) any { return c.Providers[0].APIKey.Reveal() },
		},
		"space around a key from a variable is not the key's": {
			"providers:\n  openrouter:\n    api_key: ${PADDED_KEY}\n", "canary-7f3a-padded", func(c *Config) any { return c.Providers[0].APIKey.Reveal() },
		},
		"an unset variable leaves the provider unconfigured": {
			"providers:\n  openrouter:\n    api_key: ${KEY_NOT_SET}\n", "KEY_NOT_SET", func(c *Config) any { return c.Providers[0].Unset },
		},
		"an empty variable leaves the provider unconfigured": {
			"providers:\n  openrouter:\n    api_key: ${EMPTY}\n", "EMPTY", func(c *Config) any { return c.Providers[0].Unset },
		},
		"an empty default says that no key is wanted": {
			"providers:\n  openrouter:\n    api_key: \"${EMPTY:-}\"\n", " true", func(c *Config) any {
				return fmt.Sprint(c.Providers[0].Unset, " ", c.Providers[0].APIKey.IsZero())
			},
		},
		"a configured provider has no unset variable": {
			"providers:\n  openrouter:\n    api_key: ${KEY}\n", "", func(c *Config) any { return c.Providers[0].Unset },
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := mustParse(t, tc.src+models)
			if got := tc.got(cfg); got != tc.want {
				t.Errorf("got %v, want %v of\n%s", got, tc.want, tc.src)
			}
		})
	}
}

func TestNullSectionsHaveTheirDefaults(t *testing.T) {
	unplaced := func(c *Config) *Config {
		for i := range c.Providers {
			c.Providers[i].plugin = Problem{}
		}
		return c
	}
	want := unplaced(mustParse(t, models))
	got := unplaced(mustParse(t, "server:\nproviders:\ndefault_model:\nauth:\ncors:\n"+models))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = unplaced(mustParse(t, "server:\n  host:\n  port: ~\n  write_timeout: null\nproviders:\n  demo:\n    options:\n    timeouts:\n      idle:\nauth: {}\ncors: {enabled: }\n"+models))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestModelsKeepFileOrder(t *testing.T) {
	var src strings.Builder
	src.WriteString("model_mapping:\n")
	var want []string
	for _, alias := range []string{"zeta", "gpt-3.5-turbo", "anthropic/claude", "1", "true", "alpha:latest", "ümlaut", "u\u0308mlaut"} {
		fmt.Fprintf(&src, "  %q: {provider: demo, model: m}\n", alias)
		want = append(want, alias)
	}
	var got []string
	for _, m := range mustParse(t, src.String()).Models {
		got = append(got, m.Alias)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAliasesAndMergeKeys(t *testing.T) {
	cfg := mustParse(t, `
model_mapping:
  a: &a
    provider: ollama
    model: one
    options: &o {num_ctx: 1024, mode: fast}
  b:
    <<: *a
    model: two
  c: {<<: [{model: three}, *a], options: {<<: *o, num_ctx: 1}}
  d: *a
`)
	for i, want := range []Model{
		{Alias: "a", Provider: "ollama", Model: "one", Options: json.RawMessage(`{"num_ctx":1024,"mode":"fast"}`)},
		{Alias: "b", Provider: "ollama", Model: "two", Options: json.RawMessage(`{"num_ctx":1024,"mode":"fast"}`)},
		{Alias: "c", Provider: "ollama", Model: "three", Options: json.RawMessage(`{"num_ctx":1,"mode":"fast"}`)},
		{Alias: "d", Provider: "ollama", Model: "one", Options: json.RawMessage(`{"num_ctx":1024,"mode":"fast"}`)},
	} {
		got := cfg.Models[i]
		if got.Alias != want.Alias || got.Provider != want.Provider || got.Model != want.Model || !sameJSON(t, got.Options, want.Options) {
			t.Errorf("model %d = %+v %s, want %+v %s", i, got, got.Options, want, want.Options)
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return reflect.DeepEqual(x, y)
}

func TestOptions(t *testing.T) {
	src := `
providers:
  ollama:
    options: {num_ctx: 8192, temperature: 1.0, extra: {seed: 1}, stop: }
  acme: {plugin: adapters/acme.wasm, base_url: "https://example.com"}
model_mapping:
  a: {provider: ollama, model: m}
  b: {provider: ollama, model: m, options: {num_ctx: 1, extra: {other: "<&>"}}}
  c: {provider: acme, model: m, options: {region: eu}}
`
	for name, tc := range map[string]struct {
		check bool
		want  map[string]string
	}{
		"checked, they have the adapter's defaults": {true, map[string]string{
			"ollama": `{"num_ctx":8192,"temperature":1.0,"extra":{"seed":1},"mode":"auto"}`,
			"acme":   `{}`,
			"a":      `{"num_ctx":8192,"temperature":1.0,"extra":{"seed":1},"mode":"auto"}`,
			"b":      `{"num_ctx":1,"temperature":1.0,"extra":{"other":"<&>"},"mode":"auto"}`,
			"c":      `{"region":"eu"}`,
		}},
		"unchecked, they pass as they are": {false, map[string]string{
			"ollama": `{"num_ctx":8192,"temperature":1.0,"extra":{"seed":1}}`,
			"acme":   `{}`,
			"a":      `{"num_ctx":8192,"temperature":1.0,"extra":{"seed":1}}`,
			"b":      `{"num_ctx":1,"temperature":1.0,"extra":{"other":"<&>"}}`,
			"c":      `{"region":"eu"}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions()
			if !tc.check {
				o.OptionsSchema = nil
			}
			cfg, err := Parse("api.yaml", []byte(src), o)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]json.RawMessage{}
			for _, p := range cfg.Providers {
				got[p.Name] = p.Options
			}
			for _, m := range cfg.Models {
				got[m.Alias] = m.Options
			}
			for name, want := range tc.want {
				if !sameJSON(t, got[name], []byte(want)) {
					t.Errorf("options of %s = %s, want %s", name, got[name], want)
				}
			}
		})
	}
}

func TestProviders(t *testing.T) {
	cfg := mustParse(t, `
providers:
  zeta: {plugin: ollama}
  openrouter:
    api_key: "${KEY}"
    timeouts: {first_byte: 1m30s}
    proxy: http://proxy.example.com:3128
    log: "off"
  local: {plugin: openrouter, base_url: "http://127.0.0.1:8000/v1?x=1", api_key: "${EMPTY:-}"}
  acme: {plugin: adapters/acme.wasm, base_url: "http://[::1]:1", api_key: abc}
  plain: {plugin: openrouter, base_url: "http://example.com", api_key: "${KEY}"}
  needless: {plugin: ollama, api_key: "${KEY}"}
  keyless: {plugin: openrouter}
model_mapping:
  a: {provider: demo, model: m}
  b: {provider: ollama, model: m}
`)
	var got []string
	for _, p := range cfg.Providers {
		got = append(got, fmt.Sprint(p.Name, " ", p.Plugin, " ", p.BaseURL, " ", p.Proxy, " ", p.Log, " ", p.Timeouts.FirstByte, " ", p.APIKey.Reveal(), p.Unset))
	}
	want := []string{
		"zeta ollama http://localhost:11434 none warn 10m0s ",
		"openrouter openrouter https://openrouter.ai/api/v1 http://proxy.example.com:3128 off 1m30s canary-7f3a-key",
		"local openrouter http://127.0.0.1:8000/v1?x=1 none warn 10m0s ",
		"acme adapters/acme.wasm http://[::1]:1 none warn 10m0s abc",
		"plain openrouter http://example.com environment warn 10m0s canary-7f3a-key",
		"needless ollama http://localhost:11434 none warn 10m0s canary-7f3a-key",
		"keyless openrouter https://openrouter.ai/api/v1 environment warn 10m0s ",
		"ollama ollama http://localhost:11434 none warn 10m0s ",
		"demo demo  environment warn 10m0s ",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	wantWarnings := []string{
		"api.yaml:11:72: providers.plain.api_key: goes over the network unencrypted, since base_url starts with http://",
		"api.yaml:12:39: providers.needless.api_key: is not used: the adapter of this provider sends no key",
		"api.yaml:13:3: providers.keyless.api_key: is missing: requests to this provider go out without a key",
	}
	if !reflect.DeepEqual(cfg.Warnings, wantWarnings) {
		t.Errorf("warnings\n%s\nwant\n%s", strings.Join(cfg.Warnings, "\n"), strings.Join(wantWarnings, "\n"))
	}
}

// TestAKeyThatIsNotSetIsWarnedOf, where the file asks for one.
func TestAKeyThatIsNotSetIsWarnedOf(t *testing.T) {
	o := testOptions()
	o.OptionsSchema = func(plugin, dir string) (Adapter, error) {
		return Adapter{OptionsCUE: "...", Secret: plugin == "openrouter"}, nil
	}
	const form = "providers: {openrouter: {%s}}\nmodel_mapping: {a: {provider: openrouter, model: m}}\n"
	for given, want := range map[string]string{
		`api_key: "${NO_SUCH_KEY}"`:   "api.yaml:1:35: providers.openrouter.api_key: is missing, since the variable NO_SUCH_KEY is not set, or empty: until it is, this provider's models answer 503",
		`api_key: "${NO_SUCH_KEY:-}"`: "", // none is wanted
		`api_key: "${KEY}"`:           "",
		"":                            "", // the start says what each model needs
	} {
		c, err := Parse("api.yaml", fmt.Appendf(nil, form, given), o)
		if err != nil || strings.Join(c.Warnings, "\n") != want {
			t.Errorf("%s: %v, %q, want %q", given, err, c.Warnings, want)
		}
	}
}

func TestHTTPVersions(t *testing.T) {
	const form = "providers: {p: {plugin: ollama%s}}\nmodel_mapping: {a: {provider: p, model: m}}\n"
	for given, want := range map[string]HTTPVersion{
		"": "auto", ", http_version: ~": "auto", ", http_version: auto": "auto",
		", http_version: 1.1": "1.1", `, http_version: "1.1"`: "1.1", ", http_version: 2": "2", `, http_version: "2"`: "2",
	} {
		if got := mustParse(t, fmt.Sprintf(form, given)).Providers[0].HTTP; got != want {
			t.Errorf("%q is %q, want %q", given, got, want)
		}
	}
	for _, given := range []string{"1", "3", "1.0", "h2", "true", "[2]"} {
		_, err := Parse("api.yaml", fmt.Appendf(nil, form, ", http_version: "+given), Options{Shipped: []string{"ollama"}})
		if err == nil || !strings.Contains(err.Error(), "providers.p.http_version: must be auto, 1.1 or 2") {
			t.Errorf("%s: %v, want it refused", given, err)
		}
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"kai.yaml": "providers:\n  acme: {plugin: ./adapters/acme.wasm, base_url: \"https://example.com\", api_key: {file: key}}\n" +
			"auth: {enabled: true, api_keys: [{file: key}, {name: ci, key: {file: \"" + filepath.Join(dir, "key2") + "\"}}]}\n" + models,
		"key":  "\n first-key \r\n",
		"key2": "second-key",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var asked []string
	cfg, err := Load(filepath.Join(dir, "kai.yaml"), Options{OptionsSchema: func(plugin, from string) (Adapter, error) {
		asked = append(asked, plugin+" in "+from)
		return Adapter{Secret: true}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	p := cfg.Providers[0]
	if want := filepath.Join(dir, "adapters/acme.wasm"); p.Plugin != want {
		t.Errorf("plugin = %q, want %q", p.Plugin, want)
	}
	if want := "./adapters/acme.wasm in " + dir; asked[0] != want {
		t.Errorf("asked for %q, want %q", asked[0], want)
	}
	if got := p.APIKey.Reveal(); got != "first-key" {
		t.Errorf("key = %q, want first-key", got)
	}
	want := []Key{{Name: "key 1", SHA256: sha256.Sum256([]byte("first-key"))}, {Name: "ci", SHA256: sha256.Sum256([]byte("second-key"))}}
	if !reflect.DeepEqual(cfg.Auth.Keys, want) {
		t.Errorf("keys = %+v, want %+v", cfg.Auth.Keys, want)
	}
}

func TestAuth(t *testing.T) {
	hash := sha256.Sum256([]byte("hashed"))
	cfg := mustParse(t, models+fmt.Sprintf(`
auth:
  enabled: true
  api_keys:
    - plain
    - ${DIGITS}
    - {name: ci, key: "${KEY}", models: [a], provider_routing: true}
    - {name: laptop, sha256: "%X"}
`, hash))
	want := Auth{Enabled: true, Keys: []Key{
		{Name: "key 1", SHA256: sha256.Sum256([]byte("plain"))},
		{Name: "key 2", SHA256: sha256.Sum256([]byte("7312345678"))},
		{Name: "ci", SHA256: sha256.Sum256([]byte("canary-7f3a-key")), Models: []string{"a"}, Allowed: []string{"a"}, ProviderRouting: true},
		{Name: "laptop", SHA256: hash},
	}}
	if !reflect.DeepEqual(cfg.Auth, want) {
		t.Errorf("auth = %+v, want %+v", cfg.Auth, want)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{
		"1": 1, "33554432": 32 << 20, "32MiB": 32 << 20, "32 MiB": 32 << 20, "5MB": 5e6, "7KiB": 7 << 10, "7KB": 7000, "9B": 9, "1GiB": 1 << 30, "1GB": 1e9,
		"1073741824B": 1 << 30,
	} {
		cfg := mustParse(t, "server: {max_body: "+text+"}\n"+models)
		if cfg.Server.MaxBody != want {
			t.Errorf("max_body: %s = %d, want %d", text, cfg.Server.MaxBody, want)
		}
	}
	for text, want := range map[string]Size{"1TiB": 1 << 40, "1TB": 1e12, "1024GiB": 1 << 40} {
		cfg := mustParse(t, "server: {max_bodies: "+text+"}\n"+models)
		if cfg.Server.MaxBodies != want {
			t.Errorf("max_bodies: %s = %d, want %d", text, cfg.Server.MaxBodies, want)
		}
	}
}

func TestSecretNeverPrints(t *testing.T) {
	s := NewSecret(canary)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", s, "provider", Provider{APIKey: s})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", s, "provider", Provider{APIKey: s})
	marshalled, err := json.Marshal(Config{Providers: []Provider{{APIKey: s}}})
	if err != nil {
		t.Fatal(err)
	}
	out := log.String() + string(marshalled)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
		out += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, &s) + fmt.Sprintf(verb, Config{Providers: []Provider{{APIKey: s}}})
	}
	hex := fmt.Sprintf("%x", canary)
	for _, forbidden := range []string{canary, hex, strings.ToUpper(hex), "99 97 110"} {
		if strings.Contains(out, forbidden) {
			t.Errorf("the output holds %q:\n%s", forbidden, out)
		}
	}
	if s.Reveal() != canary || s.IsZero() || !(Secret{}).IsZero() {
		t.Error("Reveal or IsZero is wrong")
	}
}

func TestParseIsDeterministic(t *testing.T) {
	src, err := os.ReadFile("../testdata/config/invalid/many-at-once.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, first := Parse("x", src, testOptions())
	for range 10 {
		if _, again := Parse("x", src, testOptions()); again.Error() != first.Error() {
			t.Fatalf("got\n%v\nthen\n%v", first, again)
		}
	}
}

func TestBodiesAreAPartOfMemory(t *testing.T) {
	for text, want := range map[string]Size{
		"":                               1 << 30,
		"server: {max_memory: 256MiB}\n": 256 << 20,
		"server: {max_memory: 4GiB}\n":   1 << 30,
		"server: {max_memory: 4GiB, max_bodies: 2GiB}\n": 2 << 30,
	} {
		if got := mustParse(t, text+models).Server.MaxBodies; got != want {
			t.Errorf("%q: max_bodies = %d MiB, want %d MiB", text, got>>20, want>>20)
		}
	}
}
