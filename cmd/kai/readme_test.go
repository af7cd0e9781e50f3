package main

import (
	"os"
	"os/exec"
	"path/filepath"
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

// TestREADMEListsAllCommands holds the commands of README.md against those of "kai help".
func TestREADMEListsAllCommands(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range commandNames() {
		if !strings.Contains(string(text), "\nkai "+name) {
			t.Errorf("README.md does not list kai %s", name)
		}
	}
}

// TestEveryDocumentIsListed holds the list of documents against the folder.
func TestEveryDocumentIsListed(t *testing.T) {
	documents, err := os.ReadFile("../../docs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../docs/design/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, pages...) {
		path := strings.TrimPrefix(file, "../../docs/")
		if path != "README.md" && !strings.Contains(string(documents), "]("+path+")") {
			t.Errorf("docs/README.md has no link to %s", path)
		}
	}
}
