package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	c, err := Parse("test.yaml", []byte(`
limits: {concurrent: 0, requests: 10/s}
pricing: {timezone: Europe/Berlin}
model_mapping: {a: {provider: demo, model: m, price: free, limits: {tokens: [2M/h, 100k/m]}}}
ledger: var/ledger.db
auth:
  enabled: true
  groups: {team: {limits: {input_tokens: 0/d}, budget: {month: 20.5, then: a}}}
  api_keys: [{name: app, key: k, group: team, limits: {output_tokens: 5/m}, budget: {day: 0.000001, total: 7, warn: 0.5}}]
`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	group, key := c.Auth.Groups[0], c.Auth.Keys[0]
	tokens := c.Models[0].Limits.Tokens
	if *c.Limits.Concurrent != 0 || !slices.Equal(c.Limits.Requests, Rates{{10, time.Second}}) || c.Limits.Tokens != nil ||
		!slices.Equal(tokens, Rates{{2_000_000, time.Hour}, {100_000, time.Minute}}) ||
		!slices.Equal(group.Limits.InputTokens, Rates{{0, 24 * time.Hour}}) || *group.Budget.Month != 20_500_000 || group.Budget.Then != "a" || group.Budget.Warn != 0.8 || group.Budget.Day != nil ||
		!slices.Equal(key.Limits.OutputTokens, Rates{{5, time.Minute}}) || *key.Budget.Day != 1 || *key.Budget.Total != 7_000_000 || key.Budget.Warn != 0.5 ||
		c.Pricing.Zone.String() != "Europe/Berlin" || c.Pricing.Currency != "USD" || c.Ledger != "var/ledger.db" {
		t.Errorf("the configuration is %+v; the group %+v, the key %+v", c, group, key)
	}
}

// keyed is a configuration with a key that has something, and with models.
func keyed(key, models string) string {
	return "auth: {enabled: true, api_keys: [{name: n, key: k, " + key + "}]}\nmodel_mapping:\n" + models
}

const (
	freeModel, unpricedModel = "  f: {provider: demo, model: m, price: free}\n", "  u: {provider: demo, model: m}\n"
	budgetsAreForgotten      = "is forgotten at every restart"
)

// parsings are configurations by what they show, and what is said of them: the error, or
// a part of the warnings; "": nothing.
type parsings map[string]struct{ yaml, want string }

func (all parsings) check(t *testing.T) {
	for name, tc := range all {
		t.Run(name, func(t *testing.T) {
			c, err := Parse("test.yaml", []byte(tc.yaml), Options{})
			switch got := ""; {
			case err != nil:
				if got = err.Error(); got != tc.want {
					t.Errorf("got  %s\nwant %s", got, tc.want)
				}
			default:
				if got = strings.Join(c.Warnings, "\n"); (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
					t.Errorf("the warnings are %q, want %q", got, tc.want)
				}
			}
		})
	}
}

func TestLimitsThatCantBeMeant(t *testing.T) {
	parsings{
		"two rates for one unit":   {"limits: {requests: [5/s, 9/m, 6/s]}\nmodel_mapping:\n" + freeModel, "test.yaml:1:31: limits.requests[2]: is the second rate for that unit of time: keep the lower one"},
		"no rate":                  {"limits: {requests: 5}\nmodel_mapping:\n" + freeModel, "test.yaml:1:20: limits.requests: must be a rate such as 600/m, or a list of them; add a unit of time, as in 600/m"},
		"a time zone that is none": {"pricing: {timezone: Mars/Base}\nmodel_mapping:\n" + freeModel, "test.yaml:1:21: pricing.timezone: must be the name of a time zone, such as Europe/Berlin or UTC"},
		"a budget of nothing":      {keyed("budget: {warn: 0.5}", freeModel), "test.yaml:1:60: auth.api_keys[0].budget: has no amount: give it a day, week, month or total"},
		"parts of a millionth":     {keyed("budget: {day: 0.0000001}", freeModel), "test.yaml:1:66: auth.api_keys[0].budget.day: must have at most 6 decimals"},
		"then where it costs": {
			keyed("budget: {day: 1, then: c}", freeModel+"  c: {provider: demo, model: m, price: {input: 1, output: 0}}\n"),
			"test.yaml:1:75: auth.api_keys[0].budget.then: must be an alias with price: free, since anything else would be paid out of the budget that is spent",
		},
		"then to nowhere": {keyed("budget: {day: 1, then: g}", freeModel), "test.yaml:1:75: auth.api_keys[0].budget.then: there is no model \"g\"; did you mean \"f\"?"},
		"then to what is forbidden": {
			keyed("budget: {day: 1, then: g}, models: [f]", freeModel+"  g: {provider: demo, model: m, price: free}\n"),
			"test.yaml:1:75: auth.api_keys[0].budget.then: must be an alias that may be used by those whose budget it is",
		},
		"a ledger that remembers": {"ledger: /tmp/l\n" + keyed("budget: {day: 1}", freeModel), ""},
	}.check(t)
}

func TestTrapWhatHasNoPriceIsFree(t *testing.T) {
	parsings{
		"no price": {keyed("budget: {day: 1}", freeModel+unpricedModel), "test.yaml:1:60: auth.api_keys[0].budget: needs to know the price of all that it may be spent for: give each target price: free, or one with input and output, of model_mapping.u"},
		"a price that may be missing": {
			keyed("budget: {day: 1}", "  r: {provider: demo, model: m, price: reported}\n"),
			"test.yaml:1:60: auth.api_keys[0].budget: needs to know the price of all that it may be spent for: give each target price: free, or one with input and output, of model_mapping.r",
		},
		"no price by another alias": {
			keyed("budget: {day: 1}, models: [a]", freeModel+unpricedModel+"  a: {targets: [{alias: f}, {alias: u, tier: 2}]}\n"),
			"test.yaml:1:60: auth.api_keys[0].budget: needs to know the price of all that it may be spent for: give each target price: free, or one with input and output, of model_mapping.a",
		},
		"no price behind a *": {
			keyed("budget: {day: 1}", "  \"x/*\": {provider: demo, model: \"*\"}\n"),
			"test.yaml:1:60: auth.api_keys[0].budget: needs to know the price of all that it may be spent for: give each target price: free, or one with input and output, of model_mapping.\"x/*\"",
		},
		"no price, of a group": {
			"auth: {enabled: true, api_keys: [{name: n, key: k, group: low}], groups: {top: {budget: {day: 1}}, low: {parent: top, models: [f]}}}\nmodel_mapping:\n" + freeModel + unpricedModel,
			"test.yaml:1:89: auth.groups.top.budget: needs to know the price of all that it may be spent for: give each target price: free, or one with input and output, of model_mapping.u",
		},
		"no price of what may not be used": {keyed("budget: {day: 1}, models: [f]", freeModel+unpricedModel), budgetsAreForgotten},
		"a price where none is reported":   {keyed("budget: {day: 1}", "  r: {provider: demo, model: m, price: {reported: true, input: 1, output: 1}}\n"), budgetsAreForgotten},
	}.check(t)
}
