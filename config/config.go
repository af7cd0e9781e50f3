// Package config reads the configuration of the gateway.
//
// A file is YAML. Its references (${NAME}, {file: path}) are filled in, the
// result is unified with schema/config.cue and checked against what the schema
// cannot say, and every problem is reported at once, each with its place in the
// file and a way out. A Config is complete: all defaults are in it. It is never
// changed after it was made.
//
// No message holds a secret, nor any other text of the file except names that
// have to be looked up: of keys, providers, models and adapters.
package config

// Config is a checked configuration with all defaults filled in. The fields of
// it and of its sections are the keys of schema/config.cue, which has their
// defaults; fields with the tag "-" are not in the file.
type Config struct {
	File         string     `json:"-"` // the file it came from; "" for the built-in defaults
	Server       Server     `json:"server"`
	Providers    []Provider `json:"providers"`     // those the file lists, in its order, then the built-in ones that models use
	Models       []Model    `json:"model_mapping"` // in file order, at least one
	Routing      Routing    `json:"routing"`       // how targets are tried where an alias doesn't say
	DefaultModel string     `json:"default_model"` // the alias used when a request names none; "" when requests must name one
	Auth         Auth       `json:"auth"`
	Limits       CallLimits `json:"limits"` // of the whole gateway
	Pricing      Pricing    `json:"pricing"`
	Ledger       string     `json:"ledger"` // an absolute path, or one from where the program runs; "": none
	Shared       Shared     `json:"shared"`
	CORS         CORS       `json:"cors"`
	Cache        Cache      `json:"cache"`
	Responses    Responses  `json:"responses"`
	Admin        Admin      `json:"admin"`
	Log          Log        `json:"log"`
	Audit        Audit      `json:"audit"`
	Telemetry    Telemetry  `json:"telemetry"`
	Warnings     []string   `json:"-"` // what works but is probably not meant, each with its place in the file

	places map[string]Problem // of what is opened only later; without messages
}

// openedLater are the keys whose files are opened only by who uses the configuration.
var openedLater = []string{"ledger", "audit.file", "shared.ca"}

// Problem places what turns out to be wrong with ledger, audit.file or shared.ca only when
// the file is opened.
func (c *Config) Problem(path, message string) Problem {
	p := c.places[path]
	p.Path, p.Message = path, message
	return p
}
