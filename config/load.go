package config

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"

	"github.com/kai-gateway/kai/schema"
)

//go:embed api.yaml
var builtIn []byte

// Options are what reading a configuration needs from outside. The zero value
// reads the real environment and real files and does not check adapters'
// options.
type Options struct {
	LookupEnv func(name string) (string, bool)  // default os.LookupEnv
	ReadFile  func(path string) ([]byte, error) // default ReadFile
	Now       func() time.Time                  // default time.Now; tells only what is warned of
	Shipped   []string                          // names of the adapters in the binary; default demo, ollama, openrouter

	// OptionsSchema tells what is known of an adapter: plugin is a name out of
	// Shipped or a module's path as the file has it, which is relative to dir.
	// Its error is reported at the place that names the adapter, except
	// ErrUnknownAdapter: then, and when OptionsSchema is nil, options are passed
	// on as they are.
	OptionsSchema func(plugin, dir string) (Adapter, error)
}

// Load reads the file at path and makes a configuration of it.
//
//   - path: relative paths in the file are relative to its directory
//   - error: *Problems when the content is at fault, else the error of reading
//
// See Parse.
func Load(path string, o Options) (*Config, error) {
	src, err := o.withDefaults().ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, src, o)
}

// Parse makes a configuration of src.
//
//   - name: the file's name in messages; relative paths in it are relative to its directory
//   - error: *Problems with everything that is wrong
//
// The same input, variables and files always give the same result, except for warnings
// of keys that have expired. The time is
// bounded for any input.
func Parse(name string, src []byte, o Options) (*Config, error) {
	l, err := newLoader(name, o)
	if err != nil {
		return nil, err
	}
	cfg := l.load(src)
	var list []Problem
	for _, r := range append([]*report{l.report}, l.more...) {
		list = append(list, sortProblems(r.problems)...)
	}
	if len(list) > 0 {
		return nil, &Problems{List: list}
	}
	cfg.File = name
	for _, r := range append([]*report{l.report}, l.more...) {
		for _, w := range sortProblems(r.warnings) {
			cfg.Warnings = append(cfg.Warnings, w.String())
		}
	}
	return cfg, nil
}

// Default returns the built-in configuration: the models of api.yaml in this
// folder, served on 127.0.0.1:9000 only. Options of adapters are not checked,
// since it has none. Should the environment make it unusable, it is taken as
// empty, and Warnings says why.
func Default(o Options) *Config {
	o.OptionsSchema = nil
	cfg, err := Parse("built-in configuration", builtIn, o)
	var problems *Problems
	if errors.As(err, &problems) {
		o.LookupEnv = func(string) (string, bool) { return "", false }
		if cfg, err = Parse("built-in configuration", builtIn, o); err == nil {
			for _, p := range problems.List {
				cfg.Warnings = append(cfg.Warnings, p.String())
			}
		}
	}
	if err != nil {
		panic(fmt.Sprintf("config: the built-in configuration is not valid: %v", err))
	}
	cfg.File = ""
	cfg.Server.Host = "127.0.0.1"
	cfg.Server.Workers = defaultWorkers()
	return cfg
}

func (o Options) withDefaults() Options {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = ReadFile
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Shipped == nil {
		o.Shipped = []string{"demo", "ollama", "openrouter"}
	}
	return o
}

// loader makes one configuration.
type loader struct {
	*report
	more     []*report // of other files that hold a part of the configuration
	options  Options
	dir      string // of the file
	cue      *cue.Context
	schema   cue.Value // the file of definitions
	secrets  map[*value]secret
	adapters map[string]*adapter // by the provider's plugin as the file has it
	whole    *form               // what the schema says of a file
	homes    []home              // for suggestions, see allHomes
	budgets  *[]budgetAt         // of all files, to be checked when the models are known
	bounds   Server              // which providers' limits are held against; zero if it has problems
}

func newLoader(name string, o Options) (*loader, error) {
	l := &loader{
		report:   &report{file: name},
		options:  o.withDefaults(),
		dir:      filepath.Dir(name),
		cue:      cuecontext.New(),
		secrets:  map[*value]secret{},
		budgets:  &[]budgetAt{},
		adapters: map[string]*adapter{},
	}
	l.schema = l.cue.CompileString(schema.Config, cue.Filename("schema/config.cue"))
	if err := l.schema.Err(); err != nil {
		return nil, fmt.Errorf("compile schema/config.cue: %w", err)
	}
	l.whole = &form{schema: l.definition("#Config")}
	return l, nil
}

// definition returns a definition of the schema, such as #Server.
func (l *loader) definition(name string) cue.Value {
	return l.schema.LookupPath(cue.MakePath(cue.Def(name)))
}

// load goes through the parts of a configuration. Each reports what it finds
// and goes on as far as it can, so that all problems are known at the end.
func (l *loader) load(src []byte) *Config {
	root := readTree(src, l.whole, l.report)
	if root == nil {
		return nil
	}
	l.cutSecrets(l.whole, root, "")
	l.check(l.whole, root, "", place{1, 1})

	cfg := &Config{
		Server: l.server(root),
		Auth:   l.auth(root),
		CORS:   l.cors(root),

		Cache:     l.cache(root),
		Responses: l.responses(root),
		Log:       l.log(root),
		Audit:     l.audit(root),
		Telemetry: l.telemetry(root),
		Limits:    l.limits(root),
		Pricing:   l.pricing(root),
	}
	l.bounds = cfg.Server
	cfg.Routing = l.routing(root.get("routing"), nil, "routing")
	providers := l.providers(root)
	cfg.Models = l.models(root, providers, cfg.Routing, cfg.Cache)
	l.checkBudgets(cfg.Models, root.get("model_mapping"))
	for _, u := range providers {
		cfg.Providers = append(cfg.Providers, u.Provider)
	}
	l.checkLog(root, cfg)
	cfg.Admin = l.admin(root, cfg.Server)
	cfg.DefaultModel = l.defaultModel(root)
	cfg.Shared = l.shared(root)
	cfg.Ledger = l.ledger(root, cfg.Shared)
	cfg.places = map[string]Problem{}
	for _, path := range openedLater {
		v := root
		for name := range strings.SplitSeq(path, ".") {
			v = v.get(name)
		}
		if v != nil {
			cfg.places[path] = l.problem(v.place, path, "")
		}
	}
	return cfg
}
