package host_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

func TestDigestPin(t *testing.T) {
	module, err := testkit.Module("demo")
	if err != nil {
		t.Fatal(err)
	}
	right := fmt.Sprintf("%x", sha256.Sum256(module))
	config := "providers: {demo: {sha256: %q}}\nmodel_mapping: {m: {provider: demo, model: m}}\n"
	g := newGateway(t, fmt.Sprintf(config, strings.ToUpper(right)))
	if res, answer := g.post(t, wholly); res.StatusCode != 200 {
		t.Errorf("the pinned module does not serve: %d %s", res.StatusCode, answer)
	}
	wrong := strings.Repeat("0", 64)
	c := parse(t, fmt.Sprintf(config, wrong))
	if _, err := host.New(host.Options{Config: c, Module: testkit.Module}); err == nil || !strings.Contains(err.Error(), right) || !strings.Contains(err.Error(), "providers.demo.sha256") {
		t.Errorf("error = %v, want one that names the digest and the key", err)
	}
	if err := g.host.Swap(t.Context(), c, testkit.Module); err == nil {
		t.Error("a reload took a module that is not the pinned one")
	}
}

func TestIsolationServes(t *testing.T) {
	up := mock.Start(t, mock.NDJSON(line("one ")+line("two")+lastLine))
	g := newGateway(t, strings.Replace(ollamaAt(up.URL), "ollama: {", "ollama: {isolation: request, ", 1))
	for range 3 {
		if _, answer := g.post(t, streamed); content(t, answer) != "one two" {
			t.Errorf("got %s", answer)
		}
	}
}

func TestLimitsOfAProvider(t *testing.T) {
	up := mock.Start(t, mock.NDJSON(line(strings.Repeat("x", 2000))+line(strings.Repeat("y", 2000))+lastLine))
	for name, tc := range map[string]struct{ limits, says string }{
		"what all calls emit":  {"{stream_output: 3KB}", "limits.stream_output"},
		"what a call is given": {"{input: 1KB}", "limits.input"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, strings.Replace(ollamaAt(up.URL), "ollama: {", "ollama: {limits: "+tc.limits+", ", 1))
			if _, answer := g.post(t, streamed); !strings.Contains(answer, tc.says) || strings.Contains(answer, "[DONE]") {
				t.Errorf("got %.600s, want an error with %q", answer, tc.says)
			}
		})
	}
}
