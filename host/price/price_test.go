package price

import (
	"math"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/record"
)

func TestCosts(t *testing.T) {
	rates := &Rates{Input: 2_500_000, CachedInput: 1_250_000, CacheWrite: 3_000_000, Output: 10_000_000, Reasoning: 20_000_000}
	for name, tc := range map[string]struct {
		price *Price
		usage record.Usage
		want  record.Cost
	}{
		"input and output":     {New(rates, false), record.Usage{Input: 1000, Output: 100}, record.Cost{Nano: 2_500_000 + 1_000_000, Known: true}},
		"a cache and thoughts": {New(rates, false), record.Usage{Input: 1000, CachedInput: 400, CacheWrite: 100, Output: 100, Reasoning: 60}, record.Cost{Nano: 1_250_000 + 500_000 + 300_000 + 400_000 + 1_200_000, Known: true}},
		"parts that are more than the whole": {
			New(rates, false), record.Usage{Input: 10, CachedInput: 400, CacheWrite: 100, Output: 1, Reasoning: 60}, record.Cost{Nano: 12_500 + 20_000, Known: true},
		},
		"a part of a billionth counts as one":       {New(&Rates{Input: 1}, false), record.Usage{Input: 1}, record.Cost{Nano: 1, Known: true}},
		"nothing used":                              {New(rates, false), record.Usage{}, record.Cost{Known: true}},
		"an hour of sound":                          {New(&Rates{Sound: 360_000}, false), record.Usage{Sound: time.Hour}, record.Cost{Nano: 360_000_000, Known: true}},
		"a second of sound":                         {New(&Rates{Sound: 360_000}, false), record.Usage{Sound: time.Second}, record.Cost{Nano: 100_000, Known: true}},
		"a part of a billionth of sound":            {New(&Rates{Sound: 1}, false), record.Usage{Sound: time.Millisecond}, record.Cost{Nano: 1, Known: true}},
		"sound and tokens":                          {New(&Rates{Input: 1_000_000, Sound: 360_000}, false), record.Usage{Input: 1, Sound: time.Second}, record.Cost{Nano: 101_000, Known: true}},
		"sound that costs nothing":                  {New(&Rates{}, false), record.Usage{Sound: time.Hour}, record.Cost{Known: true}},
		"sound without a price":                     {New(&Rates{Input: 1, Sound: -1}, false), record.Usage{Input: 7, Sound: time.Hour}, record.Cost{}},
		"tokens where sound has no price":           {New(&Rates{Input: 1_000_000, Sound: -1}, false), record.Usage{Input: 1}, record.Cost{Nano: 1000, Known: true}},
		"sound of which the provider says the cost": {New(&Rates{Sound: -1}, true), record.Usage{Sound: time.Hour, Stated: record.Cost{Nano: 5, Known: true}}, record.Cost{Nano: 5, Known: true}},
		"more sound than there is":                  {New(&Rates{Sound: math.MaxInt64}, false), record.Usage{Sound: math.MaxInt64}, record.Cost{Nano: math.MaxInt64, Known: true}},
		"sound below zero":                          {New(&Rates{Sound: 5}, false), record.Usage{Sound: -5}, record.Cost{Known: true}},
		"pictures that nobody counts in tokens":     {New(&Rates{Input: 1_000_000, Picture: 40_000}, false), record.Usage{Input: 10, Output: 100, Pictures: 2, Estimated: true}, record.Cost{Nano: 80_000_000, Known: true}},
		"pictures where tokens cost nothing":        {New(&Rates{Picture: 40_000}, false), record.Usage{Input: 10, Output: 100, Pictures: 1}, record.Cost{Nano: 40_000_000, Known: true}},
		"pictures that are counted in tokens":       {New(&Rates{Output: 1_000_000, Picture: 40_000}, false), record.Usage{Output: 100, Pictures: 1}, record.Cost{Nano: 100_000, Known: true}},
		"pictures whose price is that of tokens":    {New(&Rates{Output: 1_000_000}, false), record.Usage{Output: 100, Pictures: 1, Estimated: true}, record.Cost{Nano: 100_000, Known: true}},
		"pictures without a price":                  {New(&Rates{Output: 1_000_000, Picture: -1}, false), record.Usage{Output: 100, Pictures: 1, Estimated: true}, record.Cost{}},
		"counted pictures without a price":          {New(&Rates{Output: 1_000_000, Picture: -1}, false), record.Usage{Output: 100, Pictures: 1}, record.Cost{Nano: 100_000, Known: true}},
		"speech":                                    {New(&Rates{Speech: 15_000_000}, false), record.Usage{Characters: 1000}, record.Cost{Nano: 15_000_000, Known: true}},
		"speech that nobody counts in tokens":       {New(&Rates{Input: 1_000_000, Speech: 15_000_000}, false), record.Usage{Input: 250, Characters: 1000, Estimated: true}, record.Cost{Nano: 15_000_000, Known: true}},
		"speech without a price":                    {New(&Rates{Input: 1_000_000, Speech: -1}, false), record.Usage{Input: 250, Characters: 1000, Estimated: true}, record.Cost{}},
		"more pictures than there are":              {New(&Rates{Picture: math.MaxInt64}, false), record.Usage{Pictures: math.MaxInt64}, record.Cost{Nano: math.MaxInt64, Known: true}},
		"free":                                      {Free(), record.Usage{Input: 1 << 40, Stated: record.Cost{Nano: 5, Known: true}}, record.Cost{Known: true}},
		"no price":                                  {nil, record.Usage{Input: 7}, record.Cost{}},
		"the provider's own figure":                 {New(nil, true), record.Usage{Input: 7, Stated: record.Cost{Nano: 5, Known: true}}, record.Cost{Nano: 5, Known: true}},
		"no figure of the provider's":               {New(nil, true), record.Usage{Input: 7}, record.Cost{}},
		"no figure, but a price beside":             {New(rates, true), record.Usage{Input: 1}, record.Cost{Nano: 2500, Known: true}},
		"the provider's before the price":           {New(rates, true), record.Usage{Input: 1, Stated: record.Cost{Nano: 9, Known: true}}, record.Cost{Nano: 9, Known: true}},
		"the provider's figure of a cut answer":     {New(rates, true), record.Usage{Input: 1, Stated: record.Cost{Nano: 9, Known: true}, Estimated: true}, record.Cost{Nano: 2500, Known: true}},
		"a figure that nobody asked for":            {New(rates, false), record.Usage{Input: 1, Stated: record.Cost{Nano: 9, Known: true}}, record.Cost{Nano: 2500, Known: true}},
		"more than there is, without wrapping over": {New(&Rates{Input: math.MaxInt64}, false), record.Usage{Input: math.MaxInt64}, record.Cost{Nano: math.MaxInt64, Known: true}},
		"counts below zero":                         {New(rates, false), record.Usage{Input: -5, Output: -5, CachedInput: -1, Reasoning: -1}, record.Cost{Known: true}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.price.Of(tc.usage); got != tc.want {
				t.Errorf("Of(%+v) = %+v, want %+v", tc.usage, got, tc.want)
			}
		})
	}
}

func TestAVersionNamesWhatAPriceSays(t *testing.T) {
	seen := map[string]bool{(*Price)(nil).Version(): true}
	for _, p := range []*Price{
		Free(), New(nil, true), New(&Rates{}, false), New(&Rates{}, true), New(&Rates{Input: 1}, false), New(&Rates{Output: 1}, false), New(&Rates{Reasoning: 1}, false),
		New(&Rates{Sound: 1}, false), New(&Rates{Sound: -1}, false), New(&Rates{Picture: 1}, false), New(&Rates{Picture: -1}, false), New(&Rates{Speech: 1}, false), New(&Rates{Speech: -1}, false),
	} {
		if seen[p.Version()] {
			t.Errorf("%+v has the version of another price", p)
		}
		seen[p.Version()] = true
	}
	if a, b := New(&Rates{Input: 1}, false), New(&Rates{Input: 1}, false); a.Version() != b.Version() {
		t.Error("the same price has two versions")
	}
}

func TestWhoseSoundHasAPrice(t *testing.T) {
	for p, want := range map[*Price]bool{
		nil: false, Free(): true, New(nil, true): false, New(&Rates{Sound: -1}, true): false, New(&Rates{}, false): true, New(&Rates{Sound: 1}, true): true,
	} {
		if got := p.KnowsSound(); got != want {
			t.Errorf("%+v: %v, want %v", p, got, want)
		}
	}
}
