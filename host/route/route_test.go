package route

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/fault"
)

var (
	granite = Target{Alias: "granite-local", Provider: "ollama", Model: "granite4:tiny-h", Options: []byte(`{"num_ctx":8192}`)}
	gpt4    = Target{Alias: "gpt-4", Provider: "openrouter", Model: "anthropic/claude-opus"}
)

func TestTableResolve(t *testing.T) {
	unknown := func(shown string) *fault.Error {
		return &fault.Error{Kind: fault.UnknownModel, Text: "Model '" + shown + "' not found in configuration"}
	}
	for name, tc := range map[string]struct {
		fallback string
		alias    string
		want     Target
		wantErr  *fault.Error
	}{
		"an alias finds its target":          {alias: "gpt-4", want: gpt4},
		"a target keeps its options":         {alias: "granite-local", want: granite},
		"no alias takes the default":         {fallback: "granite-local", want: granite},
		"an alias wins over the default":     {fallback: "granite-local", alias: "gpt-4", want: gpt4},
		"an unknown alias is the documented": {alias: "invalid-model", wantErr: unknown("invalid-model")},
		"the default is not for unknown ones": {
			fallback: "granite-local", alias: "invalid-model", wantErr: unknown("invalid-model"),
		},
		"case matters":                   {alias: "GPT-4", wantErr: unknown("GPT-4")},
		"space is part of an alias":      {alias: " gpt-4", wantErr: unknown(" gpt-4")},
		"an upstream's name is no alias": {alias: "anthropic/claude-opus", wantErr: unknown("anthropic/claude-opus")},
		"no alias and no default": {
			wantErr: &fault.Error{Kind: fault.Invalid, Param: "model", Text: "you must provide a model parameter"},
		},
		"control characters are not repeated": {
			alias: "a\x1b[31m\r\nb\x00\u202e", wantErr: unknown("a\ufffd[31m\ufffd\ufffdb\ufffd\ufffd"),
		},
		"bytes that are no UTF-8 are not repeated": {alias: "a\xffb", wantErr: unknown("a\ufffdb")},
		"a long alias is cut between characters": {
			alias: strings.Repeat("é", 1<<20), wantErr: unknown(strings.Repeat("é", 100) + "…"),
		},
		"a hundred characters are shown whole": {
			alias: strings.Repeat("é", 100), wantErr: unknown(strings.Repeat("é", 100)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := New([]Target{granite, gpt4}, tc.fallback)
			if err != nil {
				t.Fatal(err)
			}
			got, err := table.Resolve(tc.alias)
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("Resolve(%.100q) = %+v, want %+v", tc.alias, got, tc.want)
			}
			var gotErr *fault.Error
			if errors.As(err, &gotErr); !reflect.DeepEqual(gotErr, tc.wantErr) {
				t.Errorf("Resolve(%.100q) error = %+v, want %+v", tc.alias, gotErr, tc.wantErr)
			}
		})
	}
}

func TestTableAliasesKeepTheOrder(t *testing.T) {
	table, err := New([]Target{granite, gpt4, {Alias: "a"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := table.Aliases(), []string{"granite-local", "gpt-4", "a"}; !slices.Equal(got, want) {
		t.Errorf("Aliases() = %q, want %q", got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		targets  []Target
		fallback string
		want     string
	}{
		"an empty alias":             {targets: []Target{{Provider: "ollama"}}, want: `a target of provider "ollama" has no alias`},
		"an alias with two targets":  {targets: []Target{gpt4, gpt4}, want: `alias "gpt-4" has two targets`},
		"a default without a target": {targets: []Target{gpt4}, fallback: "x", want: `default model "x" has no target`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(tc.targets, tc.fallback); err == nil || err.Error() != tc.want {
				t.Errorf("New error = %v, want %s", err, tc.want)
			}
		})
	}
}
