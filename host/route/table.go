package route

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"
)

// Bounds of what aliases may lead to. The configuration's checks have the same, with the
// place in the file.
const (
	MaxReached = 256 // targets that an alias reaches, also by other aliases
	MaxDepth   = 8   // aliases that may lead to each other
)

// New builds a table. defaultAlias is the alias of requests that name no model; "" means
// that every request must name one. The table holds its targets' cells until it is
// closed.
//
// What is wrong with the aliases is an error without a place: the configuration's checks
// find it first.
func New(aliases []Alias, defaultAlias string, cells *Cells) (*Table, error) {
	t := &Table{exact: map[string]*Plan{}, defaultAlias: defaultAlias, cells: cells}
	byName := make(map[string]*Alias, len(aliases))
	for i := range aliases {
		a := &aliases[i]
		if a.Name == "" || byName[a.Name] != nil {
			return nil, wrong("alias %q is empty or there twice", a.Name)
		}
		byName[a.Name] = a
	}
	if byName[defaultAlias] == nil && defaultAlias != "" {
		return nil, wrong("the default model %q is no alias", defaultAlias)
	}
	for i := range aliases {
		a := &aliases[i]
		p, err := t.plan(a, byName)
		if err != nil {
			t.Close()
			return nil, err
		}
		list := &t.aliases
		if p.prefix != a.Name {
			t.wildcards = append(t.wildcards, p)
			list = &t.open
		} else {
			t.exact[a.Name] = p
		}
		if !a.Hidden {
			*list = append(*list, a.Name)
		}
	}
	slices.SortStableFunc(t.wildcards, func(a, b *Plan) int { return cmp.Compare(len(b.prefix), len(a.prefix)) })
	return t, nil
}

// reached is a target that an alias leads to, with its tiers from the outside in.
type reached struct {
	Target
	tiers []int
}

// plan makes the plan of an alias.
func (t *Table) plan(a *Alias, byName map[string]*Alias) (*Plan, error) {
	all, err := reach(a, byName, nil)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b reached) int { return slices.Compare(a.tiers, b.tiers) })
	prefix, open := strings.CutSuffix(a.Name, "*")
	p := &Plan{Alias: a.Name, Name: a.Name, Sole: a.Sole, OnPolicy: a.OnPolicy, Routing: a.Routing, prefix: prefix}
	seen := map[uint64]bool{}
	var last []int
	for _, r := range all {
		if seen[r.identity] {
			continue // two ways lead to it
		}
		seen[r.identity] = true
		if !slices.Equal(r.tiers, last) {
			p.tiers, last = append(p.tiers, tier{from: len(p.Targets)}), r.tiers
		}
		r.health = Health{provider: t.hold(cellKey{provider: r.Upstream, whole: true}), rule: &p.Routing.Cooldown}
		if !open || !strings.Contains(r.Model, "*") {
			r.health.model = t.hold(cellKey{provider: r.Upstream, model: r.Model})
		}
		p.Bounded = p.Bounded || r.Context > 0
		p.Targets = append(p.Targets, r.Target)
		p.tiers[len(p.tiers)-1].to = len(p.Targets)
	}
	for i := range p.tiers {
		p.tiers[i].balance = &balance{current: make([]float64, p.tiers[i].to-p.tiers[i].from)}
	}
	return p, nil
}

func (t *Table) hold(k cellKey) *Cell {
	t.held = append(t.held, k)
	return t.cells.hold(k)
}

// reach lists all targets of an alias, in the order in which they stand. path has the
// aliases that lead to this one.
func reach(a *Alias, byName map[string]*Alias, path []string) ([]reached, error) {
	switch {
	case len(a.Entries) == 0:
		return nil, wrong("alias %q has no target", a.Name)
	case slices.Contains(path, a.Name) || len(path) > MaxDepth:
		return nil, wrong("alias %q leads to itself, or by too many others", a.Name)
	}
	var all []reached
	for _, e := range a.Entries {
		if e.Alias == "" {
			r := reached{e.Target, []int{e.Tier}}
			r.weight, r.identity = e.Weight, identify(&e.Target)
			if len(path) > 0 {
				r.via = append(slices.Clone(path[1:]), a.Name)
			}
			all = append(all, r)
			continue
		}
		other := byName[e.Alias]
		if other == nil || strings.HasSuffix(e.Alias, "*") {
			return nil, wrong("alias %q leads to %q, which is no alias of one name", a.Name, e.Alias)
		}
		inner, err := reach(other, byName, append(slices.Clone(path), a.Name))
		if err != nil {
			return nil, err
		}
		all = append(all, inside(&e, inner)...)
	}
	if len(all) > MaxReached {
		return nil, wrong("alias %q leads to more than %d targets", a.Name, MaxReached)
	}
	return all, nil
}

// inside puts the targets of an alias in the place of the entry that names it. Those of the
// alias's first tier stand in the entry's tier beside other targets, and the rest follow.
// The entry's weight is divided among those of each tier.
func inside(e *Entry, inner []reached) []reached {
	ranks := make([][]int, 0, len(inner))
	for _, r := range inner {
		ranks = append(ranks, r.tiers)
	}
	slices.SortFunc(ranks, slices.Compare[[]int])
	ranks = slices.CompactFunc(ranks, slices.Equal[[]int])
	sums := make([]float64, len(ranks))
	place := make([]int, len(inner))
	for i, r := range inner {
		place[i] = slices.IndexFunc(ranks, func(tiers []int) bool { return slices.Equal(tiers, r.tiers) })
		sums[place[i]] += r.weight
	}
	for i := range inner {
		r := &inner[i]
		if sum := sums[place[i]]; sum > 0 {
			r.weight *= e.Weight / sum
		}
		r.tiers = []int{e.Tier}
		if place[i] > 0 {
			r.tiers = append(r.tiers, place[i])
		}
	}
	return inner
}

// identify returns a number for a target that is the same wherever it is configured
// alike.
func identify(t *Target) uint64 {
	h := fnv.New64a()
	for _, s := range []string{t.Provider, t.Model, string(t.Options)} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return h.Sum64()
}
