package route

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

var (
	granite = Alias{Name: "granite-local", Sole: true, Entries: []Entry{{
		Target: Target{Provider: "ollama", Model: "granite4:tiny-h", Options: []byte(`{"num_ctx":8192}`)}, Weight: 1, Tier: 1,
	}}}
	gpt4 = Alias{Name: "gpt-4", Sole: true, Entries: []Entry{{Target: Target{Provider: "openrouter", Model: "anthropic/claude-opus"}, Weight: 1, Tier: 1}}}
)

func TestTableFindsAliases(t *testing.T) {
	unknown := func(shown string) *fault.Error {
		return &fault.Error{Kind: fault.UnknownModel, Text: "Model '" + shown + "' not found in configuration"}
	}
	for name, tc := range map[string]struct {
		fallback string
		alias    string
		want     Alias
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
			table := tableOf(t, tc.fallback, granite, gpt4)
			plan, err := table.Plan(tc.alias)
			if err == nil {
				got, want := plan.Targets[0], tc.want.Entries[0]
				if plan.Alias != tc.want.Name || got.Provider != want.Provider || got.Model != want.Model || string(got.Options) != string(want.Options) {
					t.Errorf("Plan(%.100q) = %+v, want %+v", tc.alias, plan, tc.want)
				}
			}
			var gotErr *fault.Error
			if errors.As(err, &gotErr); !reflect.DeepEqual(gotErr, tc.wantErr) {
				t.Errorf("Plan(%.100q) error = %+v, want %+v", tc.alias, gotErr, tc.wantErr)
			}
		})
	}
}

func tableOf(t *testing.T, fallback string, aliases ...Alias) *Table {
	t.Helper()
	table, err := New(aliases, fallback, NewCells())
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// to is an entry for a provider of a weight and a tier; its model has the provider's name.
func to(provider string, weight float64, tier int) Entry {
	return Entry{Target: Target{Provider: provider, Upstream: provider, Model: provider}, Weight: weight, Tier: tier}
}

// by is an entry for another alias.
func by(alias string, weight float64, tier int) Entry {
	return Entry{Alias: alias, Weight: weight, Tier: tier}
}

func aliasOf(name string, entries ...Entry) Alias {
	return Alias{Name: name, Entries: entries, Routing: Routing{
		Deadline: time.Minute,
		Cooldown: Cooldown{Failures: 3, Window: 30 * time.Second, MinRequests: 10, Base: 5 * time.Second, Max: 2 * time.Minute, Sticky: 10 * time.Minute},
	}}
}

func TestAliasesKeepTheOrder(t *testing.T) {
	hidden := aliasOf("hidden", to("p", 1, 1))
	hidden.Hidden = true
	table := tableOf(t, "", granite, hidden, gpt4, aliasOf("x/*", to("p", 1, 1)), aliasOf("a", to("p", 1, 1)))
	if got, want := table.Aliases(), []string{"granite-local", "gpt-4", "a"}; !slices.Equal(got, want) {
		t.Errorf("Aliases() = %q, want %q", got, want)
	}
	if _, err := table.Plan("hidden"); err != nil {
		t.Errorf("a hidden alias is not served: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	many := make([]Entry, 32)
	for i := range many {
		many[i] = to(strconv.Itoa(i), 1, 1)
	}
	chain := []Alias{aliasOf("c0", to("p", 1, 1))}
	for i := range MaxDepth + 1 {
		chain = append(chain, aliasOf("c"+strconv.Itoa(i+1), by("c"+strconv.Itoa(i), 1, 1)))
	}
	wide := []Alias{aliasOf("w0", many...)}
	for i := range 9 {
		own := slices.Clone(many)
		for k := range own {
			own[k].Model = strconv.Itoa(i)
		}
		wide = append(wide, aliasOf("w"+strconv.Itoa(i+1), append([]Entry{by("w"+strconv.Itoa(i), 1, 1)}, own[1:]...)...))
	}
	for name, tc := range map[string]struct {
		aliases  []Alias
		fallback string
		want     string
	}{
		"an empty alias":             {aliases: []Alias{{}}, want: `routes: alias "" is empty or there twice`},
		"an alias twice":             {aliases: []Alias{gpt4, gpt4}, want: `routes: alias "gpt-4" is empty or there twice`},
		"an alias without targets":   {aliases: []Alias{{Name: "a"}}, want: `routes: alias "a" has no target`},
		"a default without a target": {aliases: []Alias{gpt4}, fallback: "x", want: `routes: the default model "x" is no alias`},
		"an alias that leads home":   {aliases: []Alias{aliasOf("a", by("b", 1, 1)), aliasOf("b", by("a", 1, 1))}, want: `routes: alias "a" leads to itself, or by too many others`},
		"a chain that is too long":   {aliases: chain, want: `routes: alias "c0" leads to itself, or by too many others`},
		"an alias that isn't there":  {aliases: []Alias{aliasOf("a", by("b", 1, 1))}, want: `routes: alias "a" leads to "b", which is no alias of one name`},
		"a wildcard as a target":     {aliases: []Alias{aliasOf("a", by("b*", 1, 1)), aliasOf("b*", to("p", 1, 1))}, want: `routes: alias "a" leads to "b*", which is no alias of one name`},
		"too many targets":           {aliases: wide, want: `routes: alias "w8" leads to more than 256 targets`},
	} {
		t.Run(name, func(t *testing.T) {
			cells := NewCells()
			if _, err := New(tc.aliases, tc.fallback, cells); err == nil || err.Error() != tc.want {
				t.Errorf("New error = %v, want %s", err, tc.want)
			}
			if len(cells.held) > 0 {
				t.Errorf("%d cells are held of a table that is none", len(cells.held))
			}
		})
	}
}

func TestPlanOfAliasesThatLeadToOthers(t *testing.T) {
	table := tableOf(t, "",
		aliasOf("a", to("p", 1, 1), by("b", 3, 1), to("q", 1, 2)),
		aliasOf("b", to("r", 1, 4), to("s", 2, 4), to("p", 1, 7), by("c", 1, 9)),
		aliasOf("c", to("t", 1, 1)))
	plan, err := table.Plan("a")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, tier := range plan.tiers {
		for _, target := range plan.Targets[tier.from:tier.to] {
			got = append(got, fmt.Sprintf("%d %s %g %v", i, target.Provider, target.weight, target.via))
		}
	}
	want := []string{"0 p 1 []", "0 r 1 [b]", "0 s 2 [b]", "1 t 3 [b c]", "2 q 1 []"}
	if !slices.Equal(got, want) {
		t.Errorf("the plan is %q, want %q", got, want)
	}
}

func TestNamesThatAStarTakes(t *testing.T) {
	open := func(alias, model string) Alias {
		a := aliasOf(alias, to("p", 1, 1))
		a.Entries[0].Model = model
		return a
	}
	table := tableOf(t, "", open("o/*", "*"), open("o/big-*", "large/*:free"), open("o/exact", "one"))
	for alias, want := range map[string]string{
		"o/a": "a", "o/a/b:c@d-e_f.g": "a/b:c@d-e_f.g", "o/big-x": "large/x:free", "o/exact": "one", "o/big-": "big-",
		"o/": "", "o": "", "o/a b": "", "o/../a": "", "o/ä": "", "o/a?b": "", "o/a%2f": "", "o/" + strings.Repeat("a", 201): "", "o/" + strings.Repeat("a", 200): strings.Repeat("a", 200),
	} {
		plan, err := table.Plan(alias)
		got := ""
		if err == nil {
			got = plan.Targets[0].Model
		}
		if got != want {
			t.Errorf("%q leads to %q (%v), want %q", alias, got, err, want)
		}
	}
}

func TestModelsThatClientsNameAreForgotten(t *testing.T) {
	cells := NewCells()
	table, err := New([]Alias{aliasOf("o/*", Entry{Target: Target{Provider: "p", Upstream: "p", Model: "*"}, Weight: 1, Tier: 1}), aliasOf("a", to("p", 1, 1))}, "", cells)
	if err != nil {
		t.Fatal(err)
	}
	cell := func(alias string) *Cell {
		plan, err := table.Plan(alias)
		if err != nil {
			t.Fatal(err)
		}
		_, model := plan.Targets[0].Health().Cells()
		return model
	}
	first := cell("o/first")
	if cell("o/first") != first {
		t.Error("a name has another cell the second time")
	}
	if cell("o/p") != cell("a") {
		t.Error("a model that an alias has by its name has two cells")
	}
	for i := range 2 * maxOpenModels {
		cell("o/" + strconv.Itoa(i))
	}
	if len(cells.open) > maxOpenModels || cells.lru.Len() != len(cells.open) {
		t.Errorf("%d cells are remembered, want at most %d", len(cells.open), maxOpenModels)
	}
	if cell("o/first") == first {
		t.Error("the first name is still remembered")
	}
}

func TestCellsOutliveTables(t *testing.T) {
	cells := NewCells()
	build := func(provider string) *Table {
		table, err := New([]Alias{aliasOf("a", to(provider, 1, 1), to("other", 1, 1))}, "", cells)
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	one := build("p")
	plan, _ := one.Plan("a")
	before, _ := plan.Targets[0].Health().Cells()
	two := build("p")
	one.Close()
	plan, _ = two.Plan("a")
	if after, _ := plan.Targets[0].Health().Cells(); after != before {
		t.Error("a reload forgets how a provider has done")
	}
	three := build("q")
	two.Close()
	plan, _ = three.Plan("a")
	if after, _ := plan.Targets[0].Health().Cells(); after == before {
		t.Error("another provider has the cell of the first")
	}
	three.Close()
	if len(cells.held) > 0 {
		t.Errorf("%d cells are held by nobody", len(cells.held))
	}
}

func TestResetForgetsWhatIsMeant(t *testing.T) {
	for name, tc := range map[string]struct {
		model   string // "": all
		whole   bool
		found   bool
		closed  string // which of the cells
		missing bool
	}{
		"a provider":                {whole: true, found: true, closed: "whole a b open"},
		"a model":                   {model: "a", found: true, closed: "whole a"},
		"a model that clients name": {model: "open", found: true, closed: "whole open"},
		"no model":                  {model: "c"},
		"no provider":               {whole: true, missing: true},
	} {
		t.Run(name, func(t *testing.T) {
			cells, now := NewCells(), time.Unix(1_700_000_000, 0)
			all := map[string]*Cell{
				"whole": cells.hold(cellKey{provider: "up", whole: true}), "a": cells.hold(cellKey{provider: "up", model: "a"}),
				"b": cells.hold(cellKey{provider: "up", model: "b"}), "open": cells.ofModel(cellKey{provider: "up", model: "open"}),
				"other": cells.hold(cellKey{provider: "other", whole: true}),
			}
			for _, c := range all {
				c.failed(now, fault.Auth, 0, false, &Cooldown{Sticky: time.Hour})
			}
			upstream := "up"
			if tc.missing {
				upstream = "none"
			}
			if found := cells.Reset(upstream, func(m string) bool { return tc.model == "" || m == tc.model }, tc.whole); found != tc.found {
				t.Errorf("Reset = %v, want %v", found, tc.found)
			}
			for name, c := range all {
				if want := slices.Contains(strings.Fields(tc.closed), name); (c.State(now) == Closed) != want {
					t.Errorf("the cell %s is closed: %v, want %v", name, !want, want)
				}
			}
		})
	}
}
