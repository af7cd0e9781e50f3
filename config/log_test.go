package config

import (
	"strings"
	"testing"
)

// TestALogWithWordsOfProvidersIsWarnedOf asks for them in one place, in the other, and in both.
func TestALogWithWordsOfProvidersIsWarnedOf(t *testing.T) {
	for level, want := range map[string]bool{"debug": true, "info": false} {
		for log, both := range map[string]bool{"debug": want, "warn": false} {
			c := mustParse(t, "log: {level: "+level+"}\nproviders:\n  up: {plugin: ollama, base_url: \"http://127.0.0.1:1\", log: "+log+"}\nmodel_mapping:\n  m: {provider: up, model: m}\n")
			if got := strings.Join(c.Warnings, "\n"); strings.Contains(got, "1:14: log.level: shows what providers say") != both || both && !strings.HasSuffix(got, ": up") {
				t.Errorf("with the level %s and a provider's log at %s, the warnings are %q", level, log, got)
			}
		}
	}
}
