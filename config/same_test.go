package config

import "testing"

// TestSameProvider: where a provider stands in a file is no part of it.
func TestSameProvider(t *testing.T) {
	p := Provider{Name: "p", Plugin: "openai", APIKey: Secret{text: []byte("one")}, plugin: Problem{File: "a.yaml", Line: 3}}
	moved, changed := p, p
	moved.plugin = Problem{File: "b.yaml", Line: 7}
	changed.APIKey = Secret{text: []byte("two")}
	if !p.Same(moved) {
		t.Error("it is another one after it moved")
	}
	if p.Same(changed) {
		t.Error("it is the same with another key")
	}
}
