package schema

import (
	"encoding/json"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestOpenAPIIsTheYAMLInItsOrder(t *testing.T) {
	got, err := OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(got) {
		t.Fatalf("OpenAPI() is not JSON: %.200s", got)
	}
	var fromJSON, fromYAML any
	if err := json.Unmarshal(got, &fromJSON); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(openAPI, &fromYAML); err != nil {
		t.Fatal(err)
	}
	a, errA := json.Marshal(fromJSON)
	b, errB := json.Marshal(fromYAML)
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Errorf("OpenAPI() says something else than openapi.yaml (%v, %v)", errA, errB)
	}
	last := -1
	for _, member := range []string{`"openapi":`, `"info":`, `"/v1/chat/completions":`, `"/v1/models":`, `"/health":`, `"components":`} {
		at := strings.Index(string(got), member)
		if at <= last {
			t.Errorf("OpenAPI() has %s at %d, want it after %d", member, at, last)
		}
		last = at
	}
}
