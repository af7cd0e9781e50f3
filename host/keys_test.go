package host_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestAGroupLimitsItsKeys asks with keys of groups for what they may use, by name, by
// another alias that leads there, and in lists.
func TestAGroupLimitsItsKeys(t *testing.T) {
	up := mock.Start(t, says("hello"))
	g, _ := configured(t, fmt.Sprintf(`
providers: {up: {plugin: openai, base_url: %q, api_key: x}}
model_mapping:
  cheap: {provider: up, model: small}
  dear: {provider: up, model: large}
  either: {targets: [{alias: dear}, {alias: cheap, tier: 2}]}
auth:
  enabled: true
  groups: {company: {models: [cheap, either]}, team: {parent: company}}
  api_keys:
    - {name: of-team, key: key-team, group: team}
    - {name: own, key: key-own, group: team, models: [cheap]}
    - {name: free, key: key-free}
`, up.URL))
	for who, may := range map[string][]string{"key-team": {"cheap", "either"}, "key-own": {"cheap"}, "key-free": {"cheap", "dear", "either"}} {
		for _, alias := range []string{"cheap", "dear", "either"} {
			want := http.StatusForbidden
			if slices.Contains(may, alias) {
				want = http.StatusOK
			}
			if res, answer := g.postAs(t, who, strings.Replace(answerOfM, `"m"`, `"`+alias+`"`, 1)); res.StatusCode != want {
				t.Errorf("%s asks for %s: %d %s, want %d", who, alias, res.StatusCode, answer, want)
			}
		}
	}
	before := len(up.Requests())
	g.postAs(t, "key-team", strings.Replace(answerOfM, `"m"`, `"either"`, 1))
	for _, asked := range up.Requests()[before:] {
		if strings.Contains(string(asked.Body), "large") {
			t.Error("the group's key was led to what it may not use")
		}
	}
}
