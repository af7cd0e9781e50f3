package main

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestTheServiceMayWriteWhatTheDocumentKeeps holds the paths of docs/deployment.md against the
// folders that the unit and the image make.
func TestTheServiceMayWriteWhatTheDocumentKeeps(t *testing.T) {
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	folders := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(State|Logs)Directory=(.+)$`).FindAllStringSubmatch(read("../../deploy/kai.service"), -1) {
		folders[map[string]string{"State": "/var/lib/", "Logs": "/var/log/"}[m[1]]+m[2]] = true
	}
	document := read("../../docs/deployment.md")
	kept := regexp.MustCompile(`(?m)^(?:ledger: |audit: \{file: )([^}\n]+)`).FindAllStringSubmatch(document, -1)
	if len(kept) != 2 {
		t.Errorf("docs/deployment.md shows %q, want a ledger and an audit", kept)
	}
	for _, k := range kept {
		if !folders[path.Dir(k[1])] {
			t.Errorf("docs/deployment.md keeps %s, but deploy/kai.service lets Kai write to %v alone", k[1], folders)
		}
	}
	inImage := regexp.MustCompile("A ledger and an audit go into `([^`]+)`").FindStringSubmatch(document)
	if inImage == nil || !strings.Contains(read("../../Containerfile"), "--chown=65532:65532 /empty "+inImage[1]+"\n") {
		t.Errorf("docs/deployment.md keeps them in %q of a container, where the image has no folder of its user", inImage)
	}
}
