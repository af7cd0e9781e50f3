package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Model is an alias as it is shown to people.
type Model struct {
	Alias string // it may end in *, which stands for what clients write there
	Needs string // what must be done before it can answer, such as "set THE_KEY"; "": nothing that Kai knows of
}

// Models lists what is served, in the order of the configuration, those that end in * last.
func (h *Host) Models() []Model {
	g := h.acquire()
	defer g.release()
	return g.listed()
}

func (g *generation) listed() []Model {
	var list []Model
	for _, alias := range g.routes.Aliases() {
		list = append(list, Model{Alias: alias, Needs: g.needs(alias)})
	}
	for _, alias := range g.routes.Open() {
		list = append(list, Model{Alias: alias, Needs: g.needs(exampleName(alias))})
	}
	return list
}

// exampleName is a name that leads to an alias, for examples: itself, or with NAME where a
// client chooses.
func exampleName(alias string) string {
	if prefix, open := strings.CutSuffix(alias, "*"); open {
		return prefix + "NAME"
	}
	return alias
}

// needs says what must be done before an alias can answer; "": nothing that Kai knows of,
// at least for one of its targets.
func (g *generation) needs(alias string) (first string) {
	plan, err := g.routes.Plan(alias)
	if err != nil {
		return ""
	}
	for i, t := range plan.Targets {
		needs := g.providers[t.Provider].needs(t.Model)
		if needs == "" {
			return ""
		}
		if i == 0 {
			first = needs
		}
	}
	return first
}

// hasUpstream reports whether an alias leads to a provider that has an upstream.
func (g *generation) hasUpstream(alias string) bool {
	plan, err := g.routes.Plan(alias)
	return err == nil && slices.ContainsFunc(plan.Targets, func(t route.Target) bool { return g.providers[t.Provider].config.BaseURL != "" })
}

// Example returns the alias that examples name: demo if there is one, else the first that
// needs nothing, else the default one, else the first.
func (h *Host) Example() string {
	g := h.acquire()
	defer g.release()
	return g.example()
}

func (g *generation) example() string {
	list := g.listed()
	for _, fits := range []func(Model) bool{
		func(m Model) bool { return m.Alias == "demo" },
		func(m Model) bool { return m.Needs == "" },
		func(m Model) bool { return m.Alias == g.config.DefaultModel },
	} {
		if i := slices.IndexFunc(list, fits); i >= 0 {
			return exampleName(list[i].Alias)
		}
	}
	if len(list) == 0 {
		return "" // all are hidden
	}
	return exampleName(list[0].Alias)
}

// offered is what GET / shows of the models.
func (g *generation) offered() []api.Offered {
	var all []api.Offered
	for _, m := range g.listed() {
		all = append(all, api.Offered{Model: m.Alias, Needs: m.Needs})
	}
	return all
}

// models lists what the request's principal may use, and what each model can do: the
// operations that any of its targets has, and the capabilities that all of them have, as
// their adapters and options say.
func (g *generation) models(ctx context.Context) []dialect.Model {
	who := key.PrincipalFrom(ctx)
	var list []dialect.Model
	for _, alias := range g.routes.Aliases() {
		if plan, err := g.routes.Plan(alias); err == nil && who.MayUse(alias) {
			list = append(list, g.describe(plan))
		}
	}
	return list
}

// model returns a model that is listed, or one that an alias with * stands for, if the
// request's principal may use it.
func (g *generation) model(ctx context.Context, id string) (m dialect.Model, ok bool) {
	plan, err := g.routes.Plan(id)
	if id == "" || err != nil || !key.PrincipalFrom(ctx).MayUse(plan.Alias) {
		return dialect.Model{}, false
	}
	if !slices.Contains(g.routes.Aliases(), plan.Alias) && !slices.Contains(g.routes.Open(), plan.Alias) {
		return dialect.Model{}, false // it is hidden
	}
	return g.describe(plan), true
}

// describe says what a model can do.
func (g *generation) describe(plan *route.Plan) dialect.Model {
	m := dialect.Model{ID: plan.Name}
	for i, t := range plan.Targets {
		profile := g.providers[t.Provider].described()
		for _, op := range profile.Operations(t.Options) {
			if native := abi.OpNamed(op); native == abi.Stored || native == abi.CountMessages || native == abi.CountResponses || native.Native() && !(t.Native && g.speaks(native, &t, profile)) {
				continue
			}
			if !slices.Contains(m.Operations, op) {
				m.Operations = append(m.Operations, op)
			}
		}
		if i == 0 {
			m.Capabilities = slices.Clone(profile.Capabilities)
		}
		m.Capabilities = slices.DeleteFunc(m.Capabilities, func(c string) bool { return !slices.Contains(profile.Capabilities, c) })
	}
	return m
}

// unknownModel adds to the error for an unknown alias which alias may have been meant, of
// those that the request's principal may use.
func (g *generation) unknownModel(ctx context.Context, alias string, err error) error {
	var e *fault.Error
	if alias == "" || !errors.As(err, &e) {
		return err
	}
	told := *e
	told.Text += g.suggest(ctx, alias)
	return &told
}

// maxNamed is how many models an error names.
const maxNamed = 10

// aliasesServing returns the aliases that have an operation and that the request's principal may
// use, those that end in * last.
func (g *generation) aliasesServing(ctx context.Context, op abi.Op) (aliases []string) {
	for _, m := range g.models(ctx) {
		if slices.Contains(m.Operations, op.String()) {
			aliases = append(aliases, m.ID)
		}
	}
	who := key.PrincipalFrom(ctx)
	for _, open := range g.routes.Open() {
		plan, err := g.routes.Plan(exampleName(open))
		if err == nil && who.MayUse(open) && slices.Contains(g.describe(plan).Operations, op.String()) {
			aliases = append(aliases, open)
		}
	}
	return aliases
}

// suggest returns the end of a message about an unknown alias.
func (g *generation) suggest(ctx context.Context, alias string) string {
	var known []string
	for _, m := range g.models(ctx) {
		known = append(known, m.ID)
	}
	best := config.Closest(alias, known)
	who := key.PrincipalFrom(ctx)
	for _, open := range g.routes.Open() {
		if !who.MayUse(open) {
			continue
		}
		if prefix := strings.TrimSuffix(open, "*"); alias == open || alias == prefix {
			return fmt.Sprintf("; '%s' stands for every name that begins with '%s': write one in place of the *", open, prefix)
		}
		known = append(known, open)
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean '%s'?", best)
	case len(known) == 0 || len(known) > maxNamed:
		return "; GET " + api.ModelsPath + " lists those there are."
	}
	return "; there are " + strings.Join(known, ", ")
}

// withModels adds to the options of an adapter without an upstream the models that have
// one and that the request's principal may use.
func (g *generation) withModels(ctx context.Context, options []byte) []byte {
	who := key.PrincipalFrom(ctx)
	out := []byte(`{"models":[`)
	for _, m := range g.listed() {
		if !g.hasUpstream(m.Alias) || !who.MayUse(m.Alias) {
			continue
		}
		if out[len(out)-1] == '}' {
			out = append(out, ',')
		}
		out = append(sdk.AppendQuote(append(out, `{"id":`...), m.Alias), `,"needs":`...)
		out = append(sdk.AppendQuote(out, m.Needs), '}')
	}
	out = append(out, ']')
	if rest := strings.TrimPrefix(strings.TrimSpace(string(options)), "{"); len(strings.TrimSpace(rest)) > 1 {
		return append(append(out, ','), rest...)
	}
	return append(out, '}')
}

// needs says what must be done before a model of the provider can answer; "": nothing
// that Kai knows of.
func (p *provider) needs(model string) string {
	if p.config.Unset != "" {
		return "set " + p.config.Unset + " in Kai's environment and start it again"
	}
	if _, err := p.adapter.Status(); err != nil {
		return "mend its adapter, which could not be loaded; the log says why"
	}
	if p.config.BaseURL == "" {
		return ""
	}
	return strings.ReplaceAll(p.profile.Setup, "{model}", model)
}
