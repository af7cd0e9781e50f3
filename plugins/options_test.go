package plugins_test

import (
	"testing"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/plugins/anthropic"
	"github.com/kai-gateway/kai/plugins/gemini"
	"github.com/kai-gateway/kai/plugins/ollama"
	"github.com/kai-gateway/kai/plugins/openai"
	"github.com/kai-gateway/kai/plugins/openrouter"
)

// What an adapter says of its options must be what the gateway lets in.
func TestOptionsAreAllowed(t *testing.T) {
	for name, options := range map[string]string{
		"anthropic":  anthropic.Plugin().Manifest.Options,
		"gemini":     gemini.Plugin().Manifest.Options,
		"ollama":     ollama.Plugin().Manifest.Options,
		"openai":     openai.Plugin().Manifest.Options,
		"openrouter": openrouter.Plugin().Manifest.Options,
	} {
		if err := config.CheckOptionsSchema(options); err != nil {
			t.Errorf("the options of %s: %v", name, err)
		}
	}
}
