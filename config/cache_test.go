package config

import (
	"strings"
	"testing"
	"time"
)

func TestCache(t *testing.T) {
	c := mustParse(t, `
cache: {ttl: 1h, scope: group}
model_mapping:
  plain: {provider: demo, model: m}
  own: {provider: demo, model: m, cache: {ttl: 5m, when: always}}
  none: {provider: demo, model: m, cache: false}
`)
	if want := (Cache{Enabled: true, Size: 256 << 20, TTL: Duration(time.Hour), Scope: "group", When: "deterministic", MaxEntry: 1 << 20, Shared: true}); c.Cache != want {
		t.Errorf("the section is %+v, want %+v", c.Cache, want)
	}
	for i, want := range []ModelCache{{TTL: Duration(time.Hour), When: "deterministic"}, {TTL: Duration(5 * time.Minute), When: "always"}, {Off: true}} {
		if got := c.Models[i].Cache; got != want {
			t.Errorf("%s: %+v, want %+v", c.Models[i].Alias, got, want)
		}
	}
	if c := mustParse(t, models); c.Cache.Enabled || !c.Models[0].Cache.Off {
		t.Errorf("without the section: %+v, %+v", c.Cache, c.Models[0].Cache)
	}
	if c := mustParse(t, models+"cache:\n"); c.Cache.Enabled {
		t.Error("a section without a value turns it on")
	}
	if c := mustParse(t, models+"cache: {scope: all}\n"); len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "api.yaml:2:16: cache.scope: lets every client see") {
		t.Errorf("the warnings are %q", c.Warnings)
	}
	for yaml, want := range map[string]string{
		"model_mapping: {a: {provider: demo, model: m, cache: {ttl: 1m}}}\n":                               "api.yaml:1:54: model_mapping.a.cache: needs a section cache, without which no answers are kept",
		"model_mapping: {a: {provider: demo, model: m, cache: false}}\n":                                   "api.yaml:1:54: model_mapping.a.cache: needs a section cache, without which no answers are kept",
		"model_mapping: {a: {provider: demo, model: m, cache: true}}\ncache: {}\n":                         "api.yaml:1:54: model_mapping.a.cache: must be false, or a mapping with ttl and when",
		models + "cache: {when: never}\n":                                                                  "api.yaml:2:15: cache.when: must be deterministic, always or asked",
		models + "cache: {scope: tenant, ttl: 0s}\n":                                                       "api.yaml:2:16: cache.scope: must be key, group or all\napi.yaml:2:29: cache.ttl: must be at least 1s",
		"model_mapping: {a: {provider: demo, model: m, cache: {size: 1MiB}}}\ncache: {max_entry: 65MiB}\n": "api.yaml:1:55: model_mapping.a.cache.size: unknown key; it belongs under cache\napi.yaml:2:20: cache.max_entry: must be at most 64MiB",
	} {
		if _, err := Parse("api.yaml", []byte(yaml), testOptions()); err == nil || err.Error() != want {
			t.Errorf("%s: got\n%v\nwant\n%s", yaml, err, want)
		}
	}
}
