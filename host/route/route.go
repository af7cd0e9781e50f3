// Package route turns the model alias of a client's request into the provider
// and the upstream model that serve it.
//
// A Table is built once from the configuration and never changes; a reload
// builds a new one. The package does no I/O and knows nothing of HTTP.
package route

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/kai-gateway/kai/host/fault"
)

// Target is where requests for one alias go.
type Target struct {
	Alias    string // the client's "model", compared byte for byte
	Provider string // a key of the configuration's providers
	Model    string // the upstream's name of the model
	Options  []byte // the adapter's options of this model, JSON; nil: none
}

// Table holds the targets in the order of the configuration. It is safe for
// concurrent use.
type Table struct {
	targets  map[string]Target
	aliases  []string
	fallback string
}

// New builds a table. defaultAlias is the alias of requests that name no model;
// "" means that every request must name one.
//
// An empty or repeated alias and a default that no target has are errors: the
// configuration's checks find them first, with their place in the file.
func New(targets []Target, defaultAlias string) (*Table, error) {
	t := &Table{
		targets:  make(map[string]Target, len(targets)),
		aliases:  make([]string, 0, len(targets)),
		fallback: defaultAlias,
	}
	for _, target := range targets {
		if target.Alias == "" {
			return nil, fmt.Errorf("a target of provider %q has no alias", target.Provider)
		}
		if _, ok := t.targets[target.Alias]; ok {
			return nil, fmt.Errorf("alias %q has two targets", target.Alias)
		}
		t.targets[target.Alias] = target
		t.aliases = append(t.aliases, target.Alias)
	}
	if _, ok := t.targets[defaultAlias]; !ok && defaultAlias != "" {
		return nil, fmt.Errorf("default model %q has no target", defaultAlias)
	}
	return t, nil
}

// Plan is the list of targets that may answer a request for an alias.
type Plan struct {
	Alias   string
	Targets []Target // most preferred first; never empty; must not be changed
}

// Plan returns the plan for alias, or for the default model when alias is "". The error is
// as Resolve's.
func (t *Table) Plan(alias string) (Plan, error) {
	target, err := t.Resolve(alias)
	if err != nil {
		return Plan{}, err
	}
	return Plan{Alias: target.Alias, Targets: []Target{target}}, nil
}

// Resolve returns the target of alias, or of the default model when alias is "".
// Its Options belong to the table and must not be changed.
//
// The error is a *fault.Error with status 400, for an unknown alias and for an
// empty one without a default model.
func (t *Table) Resolve(alias string) (Target, error) {
	if alias == "" {
		if t.fallback == "" {
			return Target{}, &fault.Error{
				Kind:  fault.Invalid,
				Param: "model",
				Text:  "you must provide a model parameter",
			}
		}
		alias = t.fallback
	}
	target, ok := t.targets[alias]
	if !ok {
		return Target{}, &fault.Error{
			Kind: fault.UnknownModel,
			Text: "Model '" + printable(alias) + "' not found in configuration",
		}
	}
	return target, nil
}

// Aliases lists every alias in the order of the configuration. The caller must
// not change it.
func (t *Table) Aliases() []string { return t.aliases }

// maxShown is how many characters of a client's alias an error repeats.
const maxShown = 100

// printable makes a client's text safe for messages on terminals and in logs: characters
// that are not printable become U+FFFD, and a long text is cut.
func printable(s string) string {
	shown := 0
	for i := range s {
		if shown == maxShown {
			s = s[:i] + "…"
			break
		}
		shown++
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
