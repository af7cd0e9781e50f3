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

import (
	"encoding/json"
	"errors"
	"time"
)

// Config is a checked configuration with all defaults filled in.
type Config struct {
	File         string // the file it came from; "" for the built-in defaults
	Server       Server
	Providers    []Provider // those the file lists, in its order, then the built-in ones that models use
	Models       []Model    // in file order, at least one
	DefaultModel string     // the alias used when a request names none; "" when requests must name one
	Auth         Auth
	CORS         CORS     //
	Warnings     []string // what works but is hardly meant, each with its place in the file
}

// Server says how the gateway listens and what it bears.
type Server struct {
	Host    string   // an IP address or a host name; default 127.0.0.1
	Hosts   []string // names the gateway is known by, besides its addresses, localhost and Host
	Port    int      // 0 to 65535, 0 is any free one; default 9000
	Workers int      // adapter instances kept per provider, at least 1; default the number of CPUs

	StreamHeadWait    time.Duration // how long the head of a stream waits for the first event; default 10s
	WriteTimeout      time.Duration // how long a client may not read; default 60s
	ShutdownTimeout   time.Duration // how long streams may finish at the end; default 30s
	ReadHeaderTimeout time.Duration // for the head of a request; default 10s
	ReadTimeout       time.Duration // for the body of a request; default 60s
	LoadWait          time.Duration // how long a request waits for an adapter that still compiles; default 30s

	MaxBody   int64 // bytes of one request's body; default 32 MiB
	MaxBodies int64 // bytes of all bodies together, at least MaxBody; default 1 GiB
}

// Provider is an upstream and the adapter that speaks its language.
type Provider struct {
	Name    string
	Plugin  string          // a shipped adapter's name, or the path of a module, which always ends in ".wasm" and is ready to be opened
	BaseURL string          // http or https without userinfo or fragment; "" when the adapter needs no upstream
	APIKey  Secret          // sent upstream; zero when there is none
	Unset   string          // the environment variable that would give APIKey; "" when it is configured or none is wanted
	Options json.RawMessage // the adapter's own, an object, checked and with defaults; required ones may be left to the models

	Timeouts Timeouts
	Proxy    string // "none", "environment" or an http, https or socks5 URL; default "none" for a loopback BaseURL, else "environment"
	Log      string // what is passed on of the adapter's log: "off", "error", "warn", "info" or "debug"; default "warn"

	SHA256  string // the digest of the only module that may be used, in lower case; "" for any
	Isolate bool   // each request gets instances that nobody else had
	Limits  Limits

	plugin Problem // without a message: where the file names the plugin
}

// Problem places what turns out to be wrong with a provider's adapter only when
// it is loaded.
func (p Provider) Problem(message string) Problem {
	problem := p.plugin
	problem.Message = message
	return problem
}

// Limits bound what one adapter may take.
type Limits struct {
	Memory       int64 // bytes of an instance's address space; default 128 MiB, at most 1 GiB
	KeptMemory   int64 // bytes over which an instance is not kept; default 32 MiB
	Input        int   // bytes given to one call; default 8 MiB
	Fuel         int64 // of one call at most; default 3e8
	Output       int   // bytes one call may emit beyond four for each byte of input; default 1 MiB
	StreamOutput int64 // bytes all calls for one request may emit; default 256 MiB
	State        int   // bytes of a stream's state; default 4096
	LogLines     int   // a second; default 20
	Instances    int   // kept while idle; default Server.Workers
}

// Timeouts bound the parts of an exchange with an upstream; there is no limit
// for the whole of it.
type Timeouts struct {
	Connect   time.Duration // default 10s
	FirstByte time.Duration // default 10m
	Idle      time.Duration // default 5m
}

// Model maps an alias that clients ask for to a model of a provider.
type Model struct {
	Alias    string
	Provider string          // the name of one of Config.Providers
	Model    string          // as the provider calls it
	Options  json.RawMessage // the provider's options with the model's own laid over them key by key, checked and with defaults
}

// Auth says who may call.
type Auth struct {
	Enabled     bool  // a key is required; then Keys is not empty
	AllowNoAuth bool  // running without keys is meant; always true when Enabled is false
	Keys        []Key // in file order
}

// Key is an API key of the gateway. Only its hash is kept.
type Key struct {
	Name   string   // as the file calls it, else "key 1" for the first of the list
	SHA256 [32]byte // of the key's bytes
	Models []string // the aliases it may use; empty means all

	ProviderRouting bool // its requests may choose models and providers at an upstream
}

// CORS says which web pages may call from a browser.
type CORS struct {
	Enabled      bool     // default true
	AllowOrigins []string // "*" or origins such as "https://app.example.com"; default ["*"]
}

// Options are what reading a configuration needs from outside. The zero value
// reads the real environment and real files and does not check adapters'
// options.
type Options struct {
	LookupEnv func(name string) (string, bool)  // default os.LookupEnv
	ReadFile  func(path string) ([]byte, error) // default os.ReadFile, with a limit
	Shipped   []string                          // names of the adapters in the binary; default demo, ollama, openrouter

	// OptionsSchema tells what is known of an adapter: plugin is a name out of
	// Shipped or a module's path as the file has it, which is relative to dir.
	// Its error is reported at the place that names the adapter, except
	// ErrUnknownAdapter: then, and when OptionsSchema is nil, options are passed
	// on as they are.
	OptionsSchema func(plugin, dir string) (Adapter, error)
}

// ErrUnknownAdapter says that an adapter is there, but tells nothing of itself
// until it runs.
var ErrUnknownAdapter = errors.New("the adapter says what it is only when it runs")

// Adapter is what the configuration needs to know of an adapter's manifest.
type Adapter struct {
	OptionsCUE     string // fields in CUE, see CheckOptionsSchema; "" takes no options
	DefaultBaseURL string // used for a shipped adapter; "" when it needs no upstream
	Secret         bool   // it sends an API key
	SHA256         string // of the module, in lower case; "" if unknown
}
