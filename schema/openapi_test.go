package schema

import (
	"encoding/json"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestOpenAPIIsTheYAMLInItsOrder(t *testing.T) {
	got, err := OpenAPI(exampleModel)
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

func TestExamplesNameTheModel(t *testing.T) {
	const model = `my "own"`
	got, err := OpenAPI(model)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(got) {
		t.Fatalf("OpenAPI(%q) is not JSON", model)
	}
	if n := strings.Count(string(got), `"model":"my \"own\""`); n < 4 { // three requests and an answer
		t.Errorf("%d examples name the model, want 4", n)
	}
	if !strings.Contains(string(got), `\"model\":\"my \\\"own\\\"\"`) {
		t.Error("the example of a stream does not name the model")
	}
	text := strings.ReplaceAll(string(got), "gpt-4o-mini-tts", "") // the demo doesn't speak
	for _, other := range []string{"demo", "granite-local", "gpt-4", "claude"} {
		if at := strings.Index(text, other); at >= 0 {
			t.Errorf("an example names another model: %s", text[max(0, at-60):at+60])
		}
	}
}
