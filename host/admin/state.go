package admin

import "time"

// State is what GET /admin/v1/state answers. It has names of the configuration and words
// of the gateway's own.
type State struct {
	Version       string        `json:"version"`
	Started       time.Time     `json:"started"`
	Now           time.Time     `json:"now"`
	Health        string        `json:"health"` // as GET /health has it
	Auth          bool          `json:"auth"`   // clients need keys
	Example       string        `json:"example"`
	Port          int           `json:"port"` // of the API; 0: unknown
	Configuration Configuration `json:"configuration"`
	Models        []Model       `json:"models"`  // in the configuration's order
	Targets       []Target      `json:"targets"` // by name
	Providers     []Provider    `json:"providers"`
	Keys          []Key         `json:"keys"`      // the first 1,000
	MoreKeys      int           `json:"more_keys"` // that are not shown
	Groups        []Group       `json:"groups"`
	Limits        []Limit       `json:"limits"`   // of all callers together, by alias and of the gateway
	Currency      string        `json:"currency"` // of all money
	Cache         *Cache        `json:"cache"`    // null: there is none
	Shared        *Shared       `json:"shared"`   // null: this gateway counts alone
	Memory        Use           `json:"memory"`   // bytes, of all requests and answers and the adapters' memory
	Bodies        Use           `json:"bodies"`   // bytes of requests, which is a part of it
}

// Configuration is which one is served.
type Configuration struct {
	File       string   `json:"file"`       // its name; "": the built-in one
	Generation int64    `json:"generation"` // counted from the start
	Taken      int64    `json:"taken"`      // Unix milliseconds at which it was taken
	Refusals   int64    `json:"refusals"`   // since the start
	Refused    *Refusal `json:"refused"`    // null: the last one was taken
}

// Refusal is a configuration that was not taken.
type Refusal struct {
	At       time.Time `json:"at"`
	Problems []Problem `json:"problems"`
}

// Problem is one thing wrong with a configuration.
type Problem struct {
	Where   string `json:"where"` // file:line:column, or only the file
	Path    string `json:"path"`  // the key, such as providers.oa.base_url; "": none
	Message string `json:"message"`
}

// Model is an alias.
type Model struct {
	Alias    string  `json:"alias"`
	Hidden   bool    `json:"hidden"`
	Default  bool    `json:"default"`
	Sole     bool    `json:"sole"`  // it has one target, which is asked always
	Needs    string  `json:"needs"` // what must be done before it answers; "": nothing
	Attempts int     `json:"attempts"`
	Sticky   string  `json:"sticky"`
	Entries  []Entry `json:"entries"`
}

// Entry is what an alias leads to: a target, or all of another alias's.
type Entry struct {
	Target string `json:"target,omitempty"` // one of State.Targets
	Alias  string `json:"alias,omitempty"`
	Weight int    `json:"weight"`
	Tier   int    `json:"tier"`
}

// Target is how a target is doing.
type Target struct {
	Name   string   `json:"name"`  // provider/model
	State  string   `json:"state"` // "well", "cooling" or "trying"
	Only   string   `json:"only"`  // the operations in which it is so, such as "embeddings, images"; "": in all, or at least in answering
	But    []string `json:"but"`   // behind a * that doesn't cool, models that clients named and that do, the first ten
	Class  string   `json:"class"` // of the failure it cools for
	WaitMS int64    `json:"wait_ms"`
	Always bool     `json:"always"` // it is asked whatever its state is
	Recent Recent   `json:"recent"`
}

// Provider is a provider and its adapter.
type Provider struct {
	Name      string `json:"name"`
	State     string `json:"state"` // "ready", "unconfigured", "loading", "failed", "paused" or "unreachable"
	Needs     string `json:"needs"` // the variable that would make it configured
	Adapter   string `json:"adapter"`
	Version   string `json:"version"` // of the adapter
	Digest    string `json:"digest"`  // of its module, SHA-256
	Pinned    bool   `json:"pinned"`  // the configuration names the digest
	Isolation string `json:"isolation"`
	Instances int    `json:"instances"`
	Memory    Use    `json:"memory"`   // bytes, of its share
	Swaps     int64  `json:"swaps"`    // how often its module was replaced
	PausedMS  int64  `json:"pause_ms"` // for which it is paused
	Calls     Calls  `json:"calls"`
}

// Calls are those of an adapter in its sandbox, since the start.
type Calls struct {
	OK      int64 `json:"ok"`
	Failed  int64 `json:"failed"` // it stated an error
	Broken  int64 `json:"broken"` // it broke its contract
	Fuel    int64 `json:"fuel"`
	MaxFuel int64 `json:"max_fuel"` // of one call
}

// Key is a key of a client.
type Key struct {
	Name     string     `json:"name"`
	Group    string     `json:"group"`
	Models   []string   `json:"models"` // that it may use; empty: all
	Expires  *time.Time `json:"expires"`
	Disabled bool       `json:"disabled"`
	Limits   []Limit    `json:"limits"` // its own, without those of its group
}

// Group is a group of keys. What its keys use counts for it and for its parents.
type Group struct {
	Name   string  `json:"name"`
	Parent string  `json:"parent"` // "": none
	Limits []Limit `json:"limits"`
}

// Limit is a bound and what is used of it. Money is in units of the currency.
type Limit struct {
	Name string  `json:"name,omitempty"` // of the alias whose it is, in State.Limits; "" is the gateway
	What string  `json:"what"`           // requests, tokens, input_tokens, output_tokens, concurrent or money
	Per  string  `json:"per"`            // second, minute, hour or day of a window that slides; day, week, month or total of a budget; "": none
	Used float64 `json:"used"`
	Max  float64 `json:"max"`            // 0 forbids
	Warn float64 `json:"warn,omitempty"` // of a budget: from here on, the log has a warning
}

// Cache is how the cache of answers is doing.
type Cache struct {
	Entries  int64            `json:"entries"`
	Memory   Use              `json:"memory"`   // bytes
	Requests map[string]int64 `json:"requests"` // since the start, by what the cache did for them
}

// Shared is how the store that several gateways share is doing.
type Shared struct {
	Up       bool   `json:"up"`
	Replicas int    `json:"replicas"`  // that were seen last, this one included
	OnOutage string `json:"on_outage"` // what happens while it is away: local, deny or allow
	Errors   int64  `json:"errors"`    // since the start
}

// Use is how much of something is used.
type Use struct {
	Used int64 `json:"used"`
	Max  int64 `json:"max"` // 0: there is no bound
}
