package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// chain is a configuration of aliases that lead to each other.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("model_mapping:\n")
	for i := range n {
		fmt.Fprintf(&b, "  a%d: {targets: [{alias: a%d}]}\n", i, i+1)
	}
	fmt.Fprintf(&b, "  a%d: {provider: demo, model: m}\n", n)
	return b.String()
}

// wide is a configuration with an alias of n targets of models, or of other aliases.
func wide(n int, target string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  wide-%d:\n    targets:\n", n)
	for i := range n {
		fmt.Fprintf(&b, "      - "+target+"\n", i)
	}
	return b.String()
}

// TestWhatTargetsMayBe has what testdata/config/invalid has not: bounds that take many
// lines, what is only warned of, and what is right.
func TestWhatTargetsMayBe(t *testing.T) {
	var nine strings.Builder
	nine.WriteString("model_mapping:\n")
	for i := range 9 {
		nine.WriteString(strings.Replace(wide(32, fmt.Sprintf("{provider: demo, model: m%d-%%d}", i)), "wide-32", fmt.Sprintf("w%d", i), 1))
	}
	for name, tc := range map[string]struct {
		yaml string
		want []string // errors, or warnings
	}{
		"eight aliases on the way": {chain(8), nil},
		"nine aliases on the way":  {chain(9), []string{"test.yaml:2:17: model_mapping.a0.targets: leads through more than 8 other aliases"}},
		"32 targets":               {"model_mapping:\n" + wide(32, "{provider: demo, model: m%d}"), nil},
		"33 targets":               {"model_mapping:\n" + wide(33, "{provider: demo, model: m%d}"), []string{"test.yaml:4:7: model_mapping.wide-33.targets: must have from 1 to 32 targets"}},
		"256 targets by others":    {nine.String() + "  all: {targets: [{alias: w0}, {alias: w1}, {alias: w2}, {alias: w3}, {alias: w4}, {alias: w5}, {alias: w6}, {alias: w7}]}\n", nil},
		"more targets by others": {
			nine.String() + "  all: {targets: [{alias: w0}, {alias: w1}, {alias: w2}, {alias: w3}, {alias: w4}, {alias: w5}, {alias: w6}, {alias: w7}, {alias: w8}]}\n",
			[]string{"test.yaml:308:18: model_mapping.all.targets: leads to more than 256 targets by other aliases"},
		},
		"every name": {"model_mapping:\n  \"*\": {provider: demo, model: \"*\"}\n", []string{
			`test.yaml:2:3: model_mapping."*": takes every name that clients make up; a prefix such as "ollama/*" is safer`,
		}},
		"a context of some": {"model_mapping:\n  a: {targets: [{provider: demo, model: m, context: 8k}, {provider: demo, model: n}]}\n", []string{
			"test.yaml:2:16: model_mapping.a.targets: has targets without a context beside some with one: after a request that is too long, only those that are known to take more are asked",
		}},
		"a context of some, the rest is the alias's":       {"model_mapping:\n  a: {context: 4k, targets: [{provider: demo, model: m, context: 8k}, {provider: demo, model: n}]}\n", nil},
		"neither failures nor their rate begin a cooldown": {"routing: {cooldown: {failures: 0, error_rate: 0}}\nmodel_mapping: {a: {targets: [{provider: demo, model: m}]}}\n", nil},
		"the same model in two tiers": {"model_mapping:\n  a: {targets: [{provider: demo, model: m}, {provider: demo, model: m, tier: 2}]}\n", []string{
			"test.yaml:2:45: model_mapping.a.targets[1]: is the same as targets[0]: raise that one's weight instead",
		}},
		"the same model with other options": {"model_mapping:\n  a: {targets: [{provider: ollama, model: m}, {provider: ollama, model: m, options: {num_ctx: 9}}]}\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Parse("test.yaml", []byte(tc.yaml), Options{OptionsSchema: adapters, Shipped: []string{"demo", "ollama"}})
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			} else {
				got = c.Warnings
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestRoutingIsInheritedKeyByKey: an alias says what is different, and the rest is the
// file's, and what that doesn't say has its default.
func TestRoutingIsInheritedKeyByKey(t *testing.T) {
	c, err := Parse("test.yaml", []byte(`
routing: {attempts: 3, backoff: {base: 1s}, cooldown: {failures: 7, window: 1m}}
model_mapping:
  a: {targets: [{provider: demo, model: m}], routing: {sticky: "header:X-Session", cooldown: {failures: 0}}}
  b: {targets: [{provider: demo, model: m}]}
`), Options{OptionsSchema: adapters, Shipped: []string{"demo"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Routing{
		Attempts: 3, Deadline: Duration(2 * time.Minute), Backoff: Backoff{Base: Duration(time.Second), Max: Duration(4 * time.Second)}, Sticky: "header:X-Session",
		Cooldown: Cooldown{
			Failures: 0, ErrorRate: 0.5, Window: Duration(time.Minute), MinRequests: 10,
			Base: Duration(5 * time.Second), Max: Duration(2 * time.Minute), Sticky: Duration(10 * time.Minute),
		},
	}
	if got := c.Models[0].Routing; got != want {
		t.Errorf("a: %+v, want %+v", got, want)
	}
	want.Sticky, want.Cooldown.Failures = "none", 7
	if got := c.Models[1].Routing; got != want {
		t.Errorf("b: %+v, want %+v", got, want)
	}
}

func TestAShippedAdapterThatIsNotListedIsNoUnknownName(t *testing.T) {
	o := testOptions()
	o.Shipped = []string{"demo", "ollama", "openrouter", "openai"}
	for name, want := range map[string]string{
		"openai": `there is no provider "openai": it is a shipped adapter, so list it under providers`,
		"opnai":  `there is no provider "opnai"; there are`,
	} {
		_, err := Parse("api.yaml", []byte("model_mapping: {m: {provider: "+name+", model: m}}\n"), o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
