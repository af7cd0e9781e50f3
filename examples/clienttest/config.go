package main

import (
	"fmt"
	"strings"
)

// scenarios are what the mock can answer, see provider.go. Each is a model of
// both providers: ollama/text, router/text.
var scenarios = []string{
	"text", "reasoning", "tools", "json", "endless", "held", "cut", "broken",
	"400", "401", "404", "429", "500", "once-429", "once-503",
}

// openConfig is for anybody. Its head wait is long enough that early failures
// always get their own status.
func openConfig(upstream string) string {
	return "server: {host: 127.0.0.1, port: 0, shutdown_timeout: 1s, stream_head_wait: 60s}\n" +
		"auth: {allow_no_auth: true}\n" + models(upstream)
}

// guardedConfig wants keys: sk-everything, or sk-demo for the model demo only.
// A stream's head comes after 50 ms; a body may have 64 KiB.
func guardedConfig(upstream string) string {
	return "server: {host: 127.0.0.1, port: 0, shutdown_timeout: 1s, stream_head_wait: 50ms, max_body: 64KiB}\n" +
		"auth:\n  enabled: true\n  api_keys:\n    - sk-everything\n    - {name: guest, key: sk-demo, models: [demo]}\n" + models(upstream)
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
model_mapping:
  demo: {provider: demo, model: demo, options: {delay: 0}}
  locked: {provider: locked, model: text}
  down: {provider: down, model: text}
`, upstream, upstream)
	for _, s := range scenarios {
		fmt.Fprintf(&b, "  ollama/%s: {provider: ollama, model: %q}\n", s, s)
		fmt.Fprintf(&b, "  router/%s: {provider: router, model: %q}\n", s, s)
	}
	return b.String()
}
