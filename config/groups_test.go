package config

import (
	"reflect"
	"strings"
	"testing"
)

// threeModels are aliases that begin alike, and one that doesn't.
const threeModels = "model_mapping:\n  gpt-4: {provider: demo, model: m}\n  gpt-5: {provider: demo, model: m}\n  local: {provider: demo, model: m}\n  ollama/*: {provider: demo, model: \"*\"}\n  ollama/fast: {provider: demo, model: m}\n"

func TestWhatKeysMayUse(t *testing.T) {
	for name, tc := range map[string]struct {
		groups, key string
		want        []string
	}{
		"without a list it is everything":                {key: `{name: k, key: x}`},
		"an alias":                                       {key: `{name: k, key: x, models: [local]}`, want: []string{"local"}},
		"what begins alike":                              {key: `{name: k, key: x, models: ["gpt-*"]}`, want: []string{"gpt-4", "gpt-5"}},
		"each once, in the order of model_mapping":       {key: `{name: k, key: x, models: [local, gpt-5, "gpt*"]}`, want: []string{"gpt-4", "gpt-5", "local"}},
		"an alias that ends in a star is meant alone":    {key: `{name: k, key: x, models: ["ollama/*"]}`, want: []string{"ollama/*"}},
		"a shorter beginning takes it and its like":      {key: `{name: k, key: x, models: ["ollama*"]}`, want: []string{"ollama/*", "ollama/fast"}},
		"what its group may use":                         {groups: `{g: {models: [local]}}`, key: `{name: k, key: x, group: g}`, want: []string{"local"}},
		"no more than its group":                         {groups: `{g: {models: ["gpt-*"]}}`, key: `{name: k, key: x, group: g, models: [gpt-5, local]}`, want: []string{"gpt-5"}},
		"no more than the groups above":                  {groups: `{top: {models: [gpt-4, local]}, mid: {parent: top}, g: {parent: mid, models: ["gpt-*"]}}`, key: `{name: k, key: x, group: g}`, want: []string{"gpt-4"}},
		"a group without a list leaves the key its own":  {groups: `{g: {}}`, key: `{name: k, key: x, group: g, models: [local]}`, want: []string{"local"}},
		"groups that limit nothing leave everything":     {groups: `{top: {}, g: {parent: top}}`, key: `{name: k, key: x, group: g}`},
		"a group may stand before the one that is above": {groups: `{g: {parent: top}, top: {models: [local]}}`, key: `{name: k, key: x, group: g}`, want: []string{"local"}},
	} {
		t.Run(name, func(t *testing.T) {
			src := "auth: {enabled: true, api_keys: [" + tc.key + "]"
			if tc.groups != "" {
				src += ", groups: " + tc.groups
			}
			cfg := mustParse(t, src+"}\n"+threeModels)
			if got := cfg.Auth.Keys[0].Allowed; !reflect.DeepEqual(got, tc.want) {
				t.Errorf("it may use %q, want %q", got, tc.want)
			}
		})
	}
}

func TestGroupsAreInChains(t *testing.T) {
	cfg := mustParse(t, "auth: {enabled: true, api_keys: [{name: k, key: x, group: g}], groups: {top: {}, g: {parent: mid}, mid: {parent: top}}}\n"+models)
	if got, want := cfg.Auth.Groups, []Group{{Name: "top"}, {Name: "g", Parent: "mid"}, {Name: "mid", Parent: "top"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("groups %+v, want %+v", got, want)
	}
	if got, want := cfg.Auth.Chain(cfg.Auth.Keys[0].Group), []string{"g", "mid", "top"}; !reflect.DeepEqual(got, want) {
		t.Errorf("the chain is %q, want %q", got, want)
	}
	if got := cfg.Auth.Chain(""); got != nil {
		t.Errorf("without a group it is %q", got)
	}
	eight := "a: {}, b: {parent: a}, c: {parent: b}, d: {parent: c}, e: {parent: d}, f: {parent: e}, g: {parent: f}, h: {parent: g}"
	cfg = mustParse(t, "auth: {enabled: true, api_keys: [{name: k, key: x, group: h}], groups: {"+eight+"}}\n"+models)
	if got := strings.Join(cfg.Auth.Chain("h"), ""); got != "hgfedcba" {
		t.Errorf("the chain is %s", got)
	}
}

func TestAPatternThatMatchesNothingIsToldOf(t *testing.T) {
	cfg := mustParse(t, "auth: {enabled: true, api_keys: [{name: k, key: x, models: [local, \"clade-*\"]}]}\n"+threeModels)
	if got := strings.Join(cfg.Warnings, "\n"); got != `api.yaml:1:68: auth.api_keys[0].models[1]: no alias begins so: it allows nothing` {
		t.Errorf("warnings: %s", got)
	}
}
