package messages

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/plugins/anthropic"
	"github.com/kai-gateway/kai/plugins/demo"
	"github.com/kai-gateway/kai/plugins/gemini"
	"github.com/kai-gateway/kai/plugins/ollama"
	"github.com/kai-gateway/kai/plugins/openai"
	"github.com/kai-gateway/kai/plugins/openrouter"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// What clients really sent reaches every provider.
func TestRecordedRequestsSuitEveryAdapter(t *testing.T) {
	names, err := filepath.Glob("testdata/requests/*.json")
	if err != nil || len(names) < 30 {
		t.Fatalf("%d recorded requests: %v", len(names), err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(name)
		r, err := parse(b, strings.HasPrefix(base, "count-"), nil)
		if base == "claude-code-search-agent-files-03.json" { // which has a server tool
			if err == nil || !strings.HasPrefix(err.Error(), "tools.0: server tools are not available") {
				t.Errorf("%s: %v", base, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s is refused: %v", base, err)
			continue
		}
		for adapter, tc := range map[string]struct {
			plugin     *sdk.Plugin
			extensions []string
			options    string
			refuses    string // where a request with a document is refused
		}{
			"anthropic":  {anthropic.Plugin(), []string{extCache, extTopK, extNative}, `{}`, ""},
			"demo":       {demo.Plugin(), nil, `{"models":[]}`, ""},
			"gemini":     {gemini.Plugin(), []string{extTopK}, `{}`, ""},
			"ollama":     {ollama.Plugin(), []string{extTopK}, `{}`, "content"},
			"openai":     {openai.Plugin(), nil, `{}`, ""},
			"openrouter": {openrouter.Plugin(), []string{extCache, extTopK}, `{}`, ""},
		} {
			body := r.Body
			if r.Form != nil {
				if body, err = r.Form(func(name string) bool { return slices.Contains(tc.extensions, name) }); err != nil {
					t.Fatal(err)
				}
			}
			err := tc.plugin.Call(sdk.Input{Request: &sdk.Request{Op: abi.Chat, Stream: r.Stream, Options: sdk.JSON(tc.options), Body: body.Body("up")}}, func(int32, int32, []byte) {})
			var e *sdk.Error
			switch {
			case err == nil:
			case errors.As(err, &e) && tc.refuses != "" && strings.Contains(string(b), `"type":"document"`):
				if at := placeOf(e, r); !strings.HasPrefix(at, "messages.") || !strings.Contains(at, ".content.") {
					t.Errorf("%s: %s refuses a document at %q (%q)", base, adapter, at, e.Param)
				}
			default:
				t.Errorf("%s: %s refuses it: %v", base, adapter, err)
			}
		}
	}
}
