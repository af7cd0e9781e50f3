package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // containers often lack the names of time zones
)

// CallLimits bound what a key, a group, the callers of an alias, or all callers of the gateway
// may use. Zero values set no limit.
type CallLimits struct {
	Requests     Rates `json:"requests"`
	Tokens       Rates `json:"tokens"` // of input and output
	InputTokens  Rates `json:"input_tokens"`
	OutputTokens Rates `json:"output_tokens"`
	Concurrent   *int  `json:"concurrent"` // requests at one time; nil: any number
}

// Rates are several rates, all of which hold. A rate of 0 forbids.
type Rates []Rate

// UnmarshalJSON reads a rate or a list of them.
func (r *Rates) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte("[")) {
		return json.Unmarshal(b, (*[]Rate)(r))
	}
	var one Rate
	err := json.Unmarshal(b, &one)
	*r = Rates{one}
	return err
}

// Budget is how much money may be spent in periods of the calendar.
type Budget struct {
	Day   *Money  `json:"day"` // nil: any
	Week  *Money  `json:"week"`
	Month *Money  `json:"month"`
	Total *Money  `json:"total"` // ever
	Warn  float64 `json:"warn"`  // the part of it from which on the log says so
	Then  string  `json:"then"`  // the alias to which requests go when it is spent; "": they are refused
}

// Pricing says how money is counted.
type Pricing struct {
	Currency string         `json:"currency"` // a label
	Timezone string         `json:"timezone"`
	Zone     *time.Location `json:"-"` // of Timezone
}

func (l *loader) pricing(root *value) Pricing {
	p := Pricing{Zone: time.UTC}
	v := root.get("pricing")
	if !l.decode("#Pricing", v, "pricing", &p) {
		return p
	}
	zone, err := time.LoadLocation(p.Timezone)
	if err != nil || p.Timezone == "" || strings.EqualFold(p.Timezone, "local") {
		l.fault(v.get("timezone"), "pricing.timezone", "must be the name of a time zone, such as Europe/Berlin or UTC")
		return p
	}
	p.Zone = zone
	return p
}

// ledger reads where counts are kept. Budgets that neither it nor a shared store remembers
// are worth a warning.
func (l *loader) ledger(root *value, shared Shared) string {
	v := root.get("ledger")
	if v.isText() && shared.Enabled {
		l.fault(v, "ledger", "can't be beside shared, which keeps the counts of all gateways: remove one of them")
	}
	if !v.isText() && root.get("shared") != nil {
		return ""
	}
	if !v.isText() {
		for _, b := range (*l.budgets)[:min(1, len(*l.budgets))] {
			b.report.warn(b.value.place, b.path, "is forgotten at every restart: give the configuration a ledger, the path of a file that remembers what was spent, or a shared store")
		}
		return ""
	}
	if filepath.IsAbs(v.scalar) {
		return v.scalar
	}
	return filepath.Join(l.dir, v.scalar)
}

// limits reads the limits of the whole gateway.
func (l *loader) limits(root *value) (all CallLimits) {
	v := root.get("limits")
	l.checkRates(v, "limits")
	l.decode("#CallLimits", v, "limits", &all)
	return all
}

// checkRates checks that no two rates of one list have the same unit of time. It must come
// before the section is decoded.
func (l *loader) checkRates(v *value, path string) {
	if v == nil || v.kind != mapping {
		return
	}
	for _, e := range v.entries {
		seen := map[string]bool{}
		for i, item := range e.value.elements() {
			_, unit, _ := strings.Cut(item.scalar, "/")
			if seen[unit] && item.isText() {
				l.fault(item, joinIndex(join(path, e.key), i), "is the second rate for that unit of time: keep the lower one")
			}
			seen[unit] = true
		}
	}
}

// checkSpending checks the limits and the budget of a key or a group, before it is decoded.
func (l *loader) checkSpending(v *value, path string) {
	l.checkRates(v.get("limits"), join(path, "limits"))
	budget := v.get("budget")
	l.checkMoney(budget, join(path, "budget"))
	if budget == nil || budget.kind != mapping || budget.bad {
		return
	}
	given := func(period string) bool { p := budget.get(period); return p != nil && p.kind != null }
	if !slices.ContainsFunc([]string{"day", "week", "month", "total"}, given) && !budget.partial {
		l.fault(budget, join(path, "budget"), "has no amount: give it a day, week, month or total")
	}
}

// pricedness says of each alias what is known of the prices of what it may lead to.
type pricedness struct {
	unpriced map[string]bool // a target has no price that always leads to a cost
	free     map[string]bool // every target is free
	order    []string        // of the aliases in the file
}

func pricednessOf(models []Model) pricedness {
	byName := map[string]*Model{}
	for i := range models {
		byName[models[i].Alias] = &models[i]
	}
	p := pricedness{map[string]bool{}, map[string]bool{}, nil}
	for i := range models {
		alias := models[i].Alias
		p.free[alias] = true
		p.order = append(p.order, alias)
		p.visit(alias, &models[i], byName, map[string]bool{})
	}
	return p
}

// visit looks at everything that one alias leads to.
func (p pricedness) visit(alias string, m *Model, byName map[string]*Model, seen map[string]bool) {
	if seen[m.Alias] {
		return
	}
	seen[m.Alias] = true
	note := func(price *Price) {
		p.unpriced[alias] = p.unpriced[alias] || price == nil || !price.Free && !price.Known
		p.free[alias] = p.free[alias] && price != nil && price.Free
	}
	if len(m.Targets) == 0 {
		note(m.Price)
	}
	for _, t := range m.Targets {
		if other := byName[t.Alias]; other != nil {
			p.visit(alias, other, byName, seen)
		} else if t.Alias == "" {
			note(t.Price)
		}
	}
}

// budgetAt is where a budget stands, and for which aliases it may be spent.
type budgetAt struct {
	report  *report // of the file that it is in
	value   *value
	path    string
	allowed []string // nil: all
}

// expectPrices has a budget of a key or a group, if there is one, checked when the models
// are known.
func (l *loader) expectPrices(v *value, path string, allowed []string) {
	if budget := v.get("budget"); budget != nil && budget.kind == mapping && budget.sound() {
		*l.budgets = append(*l.budgets, budgetAt{l.report, budget, join(path, "budget"), allowed})
	}
}

// checkBudgets checks what budgets demand of the aliases that they may be spent for.
func (l *loader) checkBudgets(models []Model, mapped *value) {
	if len(*l.budgets) == 0 {
		return
	}
	p := pricednessOf(models)
	for _, b := range *l.budgets {
		in := *l
		in.report = b.report
		in.checkBudget(b, p, mapped)
	}
}

func (l *loader) checkBudget(b budgetAt, p pricedness, mapped *value) {
	allowed := func(alias string) bool { return b.allowed == nil || slices.Contains(b.allowed, alias) }
	if then, at := b.value.get("then"), join(b.path, "then"); then.isText() && l.knownAlias(then, at, mapped) {
		switch {
		case strings.HasSuffix(then.scalar, "*"):
			l.fault(then, at, "must be an alias of one name: this one stands for many")
		case !allowed(then.scalar):
			l.fault(then, at, "must be an alias that may be used by those whose budget it is")
		case slices.Contains(p.order, then.scalar) && !p.free[then.scalar]:
			l.fault(then, at, "must be an alias with price: free, since anything else would be paid out of the budget that is spent")
		}
	}
	var missing []string
	for _, alias := range p.order {
		if allowed(alias) && p.unpriced[alias] {
			missing = append(missing, join("model_mapping", alias))
		}
	}
	if n := len(missing); n > 0 {
		const most = 5
		if n > most {
			missing = append(missing[:most], fmt.Sprintf("%d more", n-most))
		}
		l.fault(b.value, b.path, "needs to know the price of all that it may be spent for: give each target price: free, or one with input and output, of "+strings.Join(missing, ", "))
	}
}
