package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestOpenNamesAreEchoed asks an alias with * for one of its names. What the client is told is
// a name that it can send again; metrics have the alias, of which there are few.
func TestOpenNamesAreEchoed(t *testing.T) {
	up := mock.Start(t, mock.JSON(`{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`))
	g := newGateway(t, fmt.Sprintf("providers:\n  up: {plugin: openai, base_url: %q, api_key: a}\nmodel_mapping:\n  m/*: {provider: up, model: \"*\"}\n  m/listed: {provider: up, model: listed}\n", up.URL))
	for path, body := range map[string]string{
		"/v1/chat/completions": `{"model":"m/ok","messages":[{"role":"user","content":"x"}]}`,
		"/v1/responses":        `{"model":"m/ok","input":"x"}`,
		"/v1/messages":         `{"model":"m/ok","max_tokens":5,"messages":[{"role":"user","content":"x"}]}`,
	} {
		if status, answer := g.send(t, "POST", path, body); status != 200 || !strings.Contains(answer, `"model":"m/ok"`) {
			t.Errorf("%s: %d %s, want the name that was asked for", path, status, answer)
		}
	}
	if got := metric(t, g, `kai_requests_total{alias="m/*",cache="",status="200"}`); got != "3" {
		t.Errorf("metrics have %q requests of the alias, want 3", got)
	}
	if status, answer := g.send(t, "GET", "/v1/models/m/ok", ""); status != 200 || !strings.Contains(answer, `"id":"m/ok"`) {
		t.Errorf("the model is %d %s", status, answer)
	}
	if status, answer := g.send(t, "GET", "/v1/models", ""); status != 200 || !strings.Contains(answer, `"id":"m/listed"`) || strings.Contains(answer, "*") {
		t.Errorf("the list of models is %d %s, want no name that nobody can send", status, answer)
	}
	if status, _ := g.send(t, "GET", "/v1/models/n/ok", ""); status != 404 {
		t.Errorf("a model that isn't there is %d", status)
	}
	if _, answer := g.post(t, `{"model":"x","messages":[{"role":"user","content":"x"}]}`); !strings.Contains(answer, "there are m/listed, m/*") {
		t.Errorf("the error for an unknown model is %s", answer)
	}
	for _, model := range []string{"m/*", "m/"} {
		_, answer := g.post(t, `{"model":"`+model+`","messages":[{"role":"user","content":"x"}]}`)
		if !strings.Contains(answer, "'m/*' stands for every name that begins with 'm/': write one") {
			t.Errorf("the error for %s is %s", model, answer)
		}
	}
	if all := g.host.Models(); len(all) != 2 || all[1].Alias != "m/*" || all[1].Needs != "" {
		t.Errorf("the models are %v", all)
	}
	if got := newGateway(t, fmt.Sprintf("providers:\n  up: {plugin: openai, base_url: %q, api_key: a}\nmodel_mapping:\n  m/*: {provider: up, model: \"*\"}\n", up.URL)).host.Example(); got != "m/NAME" {
		t.Errorf("the example is %q", got)
	}
}

// TestOpenNamesAreNamedWhereAModelCant: an alias with * is among those that can, in its own form.
func TestOpenNamesAreNamedWhereAModelCant(t *testing.T) {
	g := newGateway(t, fmt.Sprintf("providers:\n  up: {plugin: openai, base_url: %q, api_key: a}\nmodel_mapping:\n  m/*: {provider: up, model: \"*\"}\n  demo: {provider: demo, model: demo}\n", mock.Nowhere(t)))
	if _, answer := g.postTo(t, "/v1/rerank", "", `{"model":"demo","query":"q","documents":["a"]}`); !strings.Contains(answer, "these can: m/*\"") {
		t.Errorf("the error is %s", answer)
	}
}

// TestTheDefaultModelIsNamedWhereItFails: a request whose model is misspelt as a field goes to it.
func TestTheDefaultModelIsNamedWhereItFails(t *testing.T) {
	g := newGateway(t, fmt.Sprintf("providers:\n  ollama: {base_url: %q}\ndefault_model: local\nmodel_mapping:\n  local: {provider: ollama, model: m}\n", mock.Nowhere(t)))
	for field, want := range map[string]bool{"modle": true, "model": false} {
		_, answer := g.post(t, `{"`+field+`":"local","messages":[{"role":"user","content":"x"}]}`)
		if got := strings.Contains(answer, "names no model, so it is for the default one, 'local'"); got != want || !strings.Contains(answer, "ollama pull m") {
			t.Errorf("with the field %s: %s", field, answer)
		}
	}
}
