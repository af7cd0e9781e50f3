package modfile

import (
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

const counting = `{"name":"n","version":"1","adapters":[{"provider":"p","ops":["chat","later"],"optional_ops":{"count":"tokenize"}}]}`

func TestOptionalOperations(t *testing.T) {
	m, err := ParseManifest([]byte(counting))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		options string
		counts  bool
	}{
		"no options":             {"", false},
		"without the option":     {`{"other":"x"}`, false},
		"the option is null":     {`{"tokenize":null}`, false},
		"the option is false":    {`{"tokenize":false}`, false},
		"the option is empty":    {`{"tokenize":""}`, false},
		"the option is true":     {`{"tokenize":true}`, true},
		"the option has a value": {`{"other":"x","tokenize":"vllm"}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			want := []string{"chat", "later"}
			if tc.counts {
				want = append(want, "count")
			}
			if got := m.Profile().Operations([]byte(tc.options)); !slices.Equal(got, want) {
				t.Errorf("Operations(%s) = %v, want %v", tc.options, got, want)
			}
			if got := m.Profile().Serves(abi.Count, []byte(tc.options)); got != tc.counts {
				t.Errorf("Serves(count, %s) = %v, want %v", tc.options, got, tc.counts)
			}
			if !m.Profile().Serves(abi.Chat, []byte(tc.options)) || m.Profile().Serves(abi.Embeddings, nil) || m.Profile().Serves(0, nil) {
				t.Error("chat and nothing else is served whatever the options")
			}
		})
	}
}

func TestOptionalOperationsNeedTheirOption(t *testing.T) {
	_, err := ParseManifest([]byte(strings.Replace(counting, `"tokenize"`, `""`, 1)))
	if err == nil || !strings.Contains(err.Error(), "optional_ops must name an option") {
		t.Errorf("error = %v", err)
	}
}

func TestExtensions(t *testing.T) {
	const manifest = `{"name":"n","version":"1","adapters":[{"provider":"p","ops":["chat"],"extensions":["top_k"]}]}`
	m, err := ParseManifest([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	if p := m.Profile(); !p.Takes("top_k") || p.Takes("cache_control") || p.Takes("") {
		t.Errorf("it takes %v", p.Extensions)
	}
	many := strings.Replace(manifest, `"top_k"`, strings.Repeat(`"x",`, maxRouting)+`"x"`, 1)
	if _, err := ParseManifest([]byte(many)); err == nil || !strings.Contains(err.Error(), "extensions has more than 128 names") {
		t.Errorf("error = %v", err)
	}
}
