package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestREADMEAsksAllAPIs runs the requests that README.md shows against a gateway: one for
// each API, all of them to the model demo.
func TestREADMEAsksAllAPIs(t *testing.T) {
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") != "true" {
			t.Skipf("there is no %s", tool)
		}
	}
	p := start(t, "model_mapping: {demo: {provider: demo, model: demo}}\n")
	left := map[string]bool{"/v1/chat/completions": true, "/v1/responses": true, "/v1/messages": true}
	for _, s := range steps(t, "../../README.md") {
		address, isCurl := strings.CutPrefix(s.commands, "curl http://localhost:9000")
		if !isCurl {
			continue
		}
		path, _, _ := strings.Cut(address, " ")
		delete(left, path)
		command := strings.Replace(s.commands, "http://localhost:9000", strings.TrimSuffix(p.url, "/v1"), 1)
		out, err := exec.CommandContext(t.Context(), "bash", "-c", strings.Replace(command, "curl", "curl --silent --show-error --fail-with-body", 1)).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "This is Kai, an OpenAI-compatible gateway") {
			t.Errorf("README.md:%d: %v\n%s", s.line, err, out)
		}
	}
	if len(left) > 0 {
		t.Errorf("README.md shows no request to %v", left)
	}
}
