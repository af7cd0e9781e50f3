package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Group is what several keys share: what they may use, together with the groups above it.
type Group struct {
	Name   string   `json:"-"`
	Parent string   `json:"parent"` // the group above; "": none
	Models []string `json:"models"` // aliases, or what they begin with and a *; empty: all that Parent may use

	Limits CallLimits `json:"limits"` // of its keys together, and those of the groups below
	Budget *Budget    `json:"budget"` // likewise; nil: none
}

// maxGroups is how many groups a key may belong to, one above the other.
const maxGroups = 8

// Chain returns the groups that a key of a group belongs to: that one, its parent, and so
// on. There are none for "", and at most 8.
func (a *Auth) Chain(group string) (names []string) {
	for group != "" && len(names) < maxGroups {
		i := slices.IndexFunc(a.Groups, func(g Group) bool { return g.Name == group })
		if i < 0 {
			break
		}
		names, group = append(names, group), a.Groups[i].Parent
	}
	return names
}

// groups reads auth.groups, in the order of the file.
func (l *loader) groups(v, models *value) []Group {
	if v == nil || v.kind != mapping || v.bad {
		return nil
	}
	var all []Group
	for _, e := range v.entries {
		path := join("auth.groups", e.key)
		if !keyName.MatchString(e.key) {
			l.add(e.place, path, "a group's name is 1 to 64 letters, digits or . _ @ -")
			continue
		}
		g := Group{}
		l.checkSpending(e.value, path)
		l.decode("#Group", e.value, path, &g)
		g.Name = e.key
		if parent := e.value.get("parent"); parent.isText() {
			g.Parent = parent.scalar // to compare it with others, though something else may be wrong
			l.knownGroup(parent, join(path, "parent"), v)
		}
		l.checkModels(e.value.get("models"), join(path, "models"), models)
		all = append(all, g)
	}
	a := Auth{Groups: all}
	for _, g := range all {
		chain := a.Chain(g.Name)
		top := all[slices.IndexFunc(all, func(g Group) bool { return g.Name == chain[len(chain)-1] })]
		parent, path := v.get(g.Name).get("parent"), join(join("auth.groups", g.Name), "parent")
		switch i := slices.Index(chain[1:], g.Name); {
		case i >= 0:
			l.fault(parent, path, "leads in a circle: "+strings.Join(chain[:i+2], " → "))
		case len(chain) == maxGroups && top.Parent != "" && !slices.Contains(chain, top.Parent):
			l.fault(parent, path, fmt.Sprintf("leads through more than %d groups", maxGroups))
		}
	}
	return all
}

// knownGroup reports whether a text is a name in auth.groups, and adds a problem if it isn't.
func (l *loader) knownGroup(v *value, path string, groups *value) bool {
	var names []string
	if groups != nil && groups.kind == mapping {
		if groups.get(v.scalar) != nil {
			return true
		}
		for _, e := range groups.entries {
			names = append(names, e.key)
		}
	}
	if len(names) == 0 {
		l.fault(v, path, "there are no groups: list them under auth.groups")
		return false
	}
	l.fault(v, path, unknownName("group", v, names))
	return false
}

// checkModels checks the models that a key or a group is limited to: aliases, or what
// aliases begin with and a *. An empty list would mean all of them, which is hardly what
// it says.
func (l *loader) checkModels(v *value, path string, models *value) {
	if v == nil || v.kind != list || v.bad {
		return
	}
	if len(v.items) == 0 {
		l.fault(v, path, "is empty: list the aliases that may be used, or remove it for all of them")
	}
	for i, item := range v.items {
		at := joinIndex(path, i)
		if !item.isText() || !models.usable(mapping) {
			continue
		}
		switch stars := strings.Count(item.scalar, "*"); {
		case models.get(item.scalar) != nil:
		case stars > 1 || stars == 1 && !strings.HasSuffix(item.scalar, "*"):
			l.fault(item, at, "may have a * at its end only, where it stands for the rest of a name")
		case stars == 0:
			l.knownAlias(item, at, models)
		case len(matching(item.scalar, models)) == 0:
			l.warn(item.place, at, "no alias begins so: it allows nothing")
		}
	}
}

// matching returns the aliases that an entry of a list of models stands for: the one of
// that name, else, of an entry that ends in a *, all that begin so.
func matching(entry string, models *value) (aliases []string) {
	if models.get(entry) != nil {
		return []string{entry}
	}
	if prefix, ok := strings.CutSuffix(entry, "*"); ok {
		for _, e := range models.entries {
			if strings.HasPrefix(e.key, prefix) {
				aliases = append(aliases, e.key)
			}
		}
	}
	return aliases
}

// allowances knows which aliases keys and groups may use. Many keys have the same lists,
// so each is worked out once.
type allowances struct {
	auth   *Auth
	models *value
	known  map[string]allowance // by the lists that it is made of
}

// allowance is what a list allows, together with those of the groups above.
type allowance struct {
	aliases []string // nil: all
	limited bool
}

func newAllowances(auth *Auth, models *value) *allowances {
	if !models.usable(mapping) {
		models = &value{kind: mapping}
	}
	return &allowances{auth: auth, models: models, known: map[string]allowance{}}
}

// of returns what a key or a group may use: what its own models allow and those of the
// groups of its chain.
func (a *allowances) of(own, chain []string) allowance {
	id, _ := json.Marshal([][]string{own, chain})
	if all, done := a.known[string(id)]; done {
		return all
	}
	lists := [][]string{own}
	for _, name := range chain {
		i := slices.IndexFunc(a.auth.Groups, func(g Group) bool { return g.Name == name })
		lists = append(lists, a.auth.Groups[i].Models)
	}
	var all allowance
	for _, list := range lists {
		if len(list) > 0 {
			all = all.and(a.resolve(list))
		}
	}
	a.known[string(id)] = all
	return all
}

// resolve returns the aliases that a list stands for, in the order of model_mapping.
func (a *allowances) resolve(list []string) []string {
	listed := map[string]bool{}
	for _, entry := range list {
		for _, alias := range matching(entry, a.models) {
			listed[alias] = true
		}
	}
	aliases := []string{}
	for _, e := range a.models.entries {
		if listed[e.key] {
			aliases = append(aliases, e.key)
		}
	}
	return aliases
}

// and returns what both allow.
func (a allowance) and(aliases []string) allowance {
	if a.limited {
		aliases = slices.DeleteFunc(aliases, func(alias string) bool { return !slices.Contains(a.aliases, alias) })
	}
	return allowance{aliases, true}
}
