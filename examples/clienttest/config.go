package main

import (
	"fmt"
	"strings"
)

// scenarios are what the mock can answer, see provider.go. Each is a model of
// these providers: ollama/text, router/text.
var scenarios = []string{
	"text", "reasoning", "tools", "json", "endless", "held", "cut", "broken",
	"400", "401", "404", "429", "500", "once-429", "once-503", "script",
}

// scripted are further names of models that play a script. Clients send each of
// these models another kind of request.
var scripted = []struct{ alias, provider string }{
	{"openai/script", "openai"},
	{"anthropic/script", "anthropic"},
	{"gemini/script", "gemini"},
	{"gpt-5.5", "openai"},
	{"gpt-6-sol", "openai"},
	{"claude-opus-5-5", "anthropic"},
	{"claude-haiku-4-5", "openai"},
}

// openConfig is for anybody. Its head wait is long enough that early failures
// always get their own status.
func openConfig(upstream string) string {
	return "server: {host: 127.0.0.1, port: 0, shutdown_timeout: 1s, stream_head_wait: 60s}\n" +
		"auth: {allow_no_auth: true}\n" + models(upstream)
}

// guardedConfig wants keys: sk-everything or sk-other, or sk-demo for the model demo only.
// A stream's head comes after 50 ms; a body may have 64 KiB.
func guardedConfig(upstream string) string {
	return "server: {host: 127.0.0.1, port: 0, shutdown_timeout: 1s, stream_head_wait: 50ms, max_body: 64KiB}\n" +
		"auth:\n  enabled: true\n  api_keys:\n    - sk-everything\n    - {name: guest, key: sk-demo, models: [demo]}\n    - {name: other, key: sk-other}\n" + models(upstream)
}

// models maps the demo, every scenario, and two models that cannot answer: one
// whose provider has no key and one whose provider is not there.
func models(upstream string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `providers:
  ollama: {base_url: %q}
  router: {plugin: openrouter, base_url: "%s/api/v1", api_key: sk-upstream}
  locked: {plugin: openrouter, base_url: "%[2]s/api/v1", api_key: "${KAI_CLIENTTEST_NOT_SET}"}
  down: {plugin: ollama, base_url: "http://127.0.0.1:1"}
  openai: {base_url: "%[2]s/openai/v1", api_key: sk-upstream}
  anthropic: {base_url: "%[2]s/anthropic", api_key: sk-upstream}
  gemini: {base_url: "%[2]s/gemini/v1beta", api_key: sk-upstream}
  own-openai: {plugin: openai, base_url: "%[2]s/own/v1", api_key: sk-upstream, native: true}
  own-anthropic: {plugin: anthropic, base_url: "%[2]s/own", api_key: sk-upstream, native: true}
model_mapping:
  demo: {provider: demo, model: demo, options: {delay: 0}}
  locked: {provider: locked, model: text}
  down: {provider: down, model: text}
`, upstream, upstream)
	for _, s := range scenarios {
		fmt.Fprintf(&b, "  ollama/%s: {provider: ollama, model: %q}\n", s, s)
		fmt.Fprintf(&b, "  router/%s: {provider: router, model: %q}\n", s, s)
	}
	for _, m := range scripted {
		fmt.Fprintf(&b, "  %s: {provider: %s, model: script}\n", m.alias, m.provider)
	}
	b.WriteString("  openai/native: {provider: own-openai, model: gpt}\n  anthropic/native: {provider: own-anthropic, model: claude}\n")
	return b.String()
}
