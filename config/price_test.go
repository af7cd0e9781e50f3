package config

import (
	"reflect"
	"testing"
)

func moneyOf(m Money) *Money { return &m }

func TestPrices(t *testing.T) {
	for name, tc := range map[string]struct {
		price string
		want  *Price
		fault string
	}{
		"none":                      {price: "", want: nil},
		"free":                      {price: "free", want: &Price{Free: true}},
		"reported":                  {price: "reported", want: &Price{Reported: true}},
		"reported, as a mapping":    {price: "{reported: true}", want: &Price{Reported: true}},
		"the rest follows":          {price: "{input: 2.50, output: 10}", want: &Price{Known: true, Input: 2_500_000, CachedInput: 2_500_000, CacheWrite: 2_500_000, Output: 10_000_000, Reasoning: 10_000_000}},
		"all parts":                 {price: "{input: 1, cached_input: 0.1, cache_write: 1.25, output: 4, reasoning: 5, reported: true}", want: &Price{Known: true, Reported: true, Input: 1e6, CachedInput: 1e5, CacheWrite: 125e4, Output: 4e6, Reasoning: 5e6}},
		"of sound":                  {price: "{input: 0, output: 0, audio_hour: 0.111}", want: &Price{Known: true, AudioHour: moneyOf(111_000)}},
		"of pictures and speech":    {price: "{input: 0, output: 0, image: 0.04, speech: 0}", want: &Price{Known: true, Image: moneyOf(40_000), Speech: moneyOf(0)}},
		"of sound alone":            {price: "{audio_hour: 0.36}", fault: "test.yaml:1:54: model_mapping.a.price: must have input and output, or be reported or free"},
		"nothing at all":            {price: "{input: 0, output: 0}", want: &Price{Known: true}},
		"six decimals, to the last": {price: "{input: 0.000001, output: 1}", want: &Price{Known: true, Input: 1, CachedInput: 1, CacheWrite: 1, Output: 1e6, Reasoning: 1e6}},
		"seven decimals":            {price: "{input: 0.0000001, output: 1}", fault: "test.yaml:1:62: model_mapping.a.price.input: must have at most 6 decimals"},
		"no output":                 {price: "{input: 1}", fault: "test.yaml:1:54: model_mapping.a.price: must have input and output, or be reported or free"},
		"neither this nor that":     {price: "{}", fault: "test.yaml:1:54: model_mapping.a.price: must have input and output, or be reported or free"},
		"reported beside a part":    {price: "{reported: true, cached_input: 1}", fault: "test.yaml:1:54: model_mapping.a.price: has prices but lacks input and output"},
		"another word":              {price: "cheap", fault: "test.yaml:1:54: model_mapping.a.price: must be free, reported, or a mapping with input and output"},
		"below zero":                {price: "{input: -1, output: 1}", fault: "test.yaml:1:62: model_mapping.a.price.input: must be an amount of money such as 2.50"},
	} {
		t.Run(name, func(t *testing.T) {
			member := ""
			if tc.price != "" {
				member = ", price: " + tc.price
			}
			c, err := Parse("test.yaml", []byte("model_mapping: {a: {provider: demo, model: m"+member+"}}"), Options{})
			if tc.fault != "" {
				if err == nil || err.Error() != tc.fault {
					t.Fatalf("the error is %v, want %s", err, tc.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Models[0].Price; !reflect.DeepEqual(got, tc.want) {
				t.Errorf("the price is %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestATargetsPriceIsTheAliasesUnlessItHasItsOwn(t *testing.T) {
	c, err := Parse("test.yaml", []byte("model_mapping: {a: {price: reported, targets: [{provider: demo, model: m}, {provider: demo, model: n, price: free}]}}"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if all := c.Models[0].Targets; !all[0].Price.Reported || !all[1].Price.Free {
		t.Errorf("the prices are %+v and %+v", all[0].Price, all[1].Price)
	}
}
