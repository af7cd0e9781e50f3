package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Provider is an upstream and its adapter.
type Provider struct {
	Name    string          `json:"-"`
	Plugin  string          `json:"plugin"`   // a shipped adapter's name, or the path of a module, which always ends in ".wasm" and is ready to be opened
	BaseURL string          `json:"base_url"` // http or https without userinfo or fragment; "" when the adapter needs no upstream
	APIKey  Secret          `json:"api_key"`  // sent upstream; zero when there is none
	Unset   string          `json:"-"`        // the environment variable that would give APIKey; "" when it is configured or none is wanted
	Options json.RawMessage `json:"options"`  // the adapter's own, an object, checked and with defaults; required ones may be left to the models

	Timeouts Timeouts    `json:"timeouts"`
	Capacity Capacity    `json:"capacity"`
	Proxy    string      `json:"proxy"` // "none", "environment" or an http, https or socks5 URL
	HTTP     HTTPVersion `json:"http_version"`
	Log      string      `json:"log"` // what is passed on of the adapter's log: "off", "error", "warn", "info" or "debug"

	SHA256    string `json:"sha256"`    // the digest of the only module that may be used, in lower case; "" for any
	Isolation string `json:"isolation"` // "request": each request gets instances that no other one has used; else "call"
	Native    *bool  `json:"native"`    // requests in an API that the provider speaks itself go there as they are; nil: where it surely is the provider's
	Trace     bool   `json:"trace"`     // requests carry the trace that they are part of
	Limits    Limits `json:"limits"`

	plugin Problem // without a message: where the file names the plugin
}

// Problem places what turns out to be wrong with a provider's adapter only when
// it is loaded.
func (p Provider) Problem(message string) Problem {
	problem := p.plugin
	problem.Message = message
	return problem
}

// Same reports whether p and other are configured alike, wherever in a file.
func (p Provider) Same(other Provider) bool {
	p.plugin, other.plugin = Problem{}, Problem{}
	return reflect.DeepEqual(p, other)
}

// HTTPVersion is "auto", "1.1" or "2". A file may give it as a number.
type HTTPVersion string

// UnmarshalJSON reads a number or a text.
func (v *HTTPVersion) UnmarshalJSON(b []byte) error {
	*v = HTTPVersion(strings.Trim(string(b), `"`))
	return nil
}

// Limits bound what one provider and its adapter may take.
type Limits struct {
	Memory       Size     `json:"memory"`        // an instance's address space; 0 for wasm.Limits' default
	KeptMemory   Size     `json:"kept_memory"`   // an instance that uses more is not kept
	Input        Size     `json:"input"`         // given to one call
	Fuel         int64    `json:"fuel"`          // of one call at most; 0 for wasm.Limits' default
	Time         Duration `json:"time"`          // of a processor for one call, and the same again for each 4 MiB of its input
	Output       Size     `json:"output"`        // what one call may emit, beyond four bytes for each byte of input
	StreamOutput Size     `json:"stream_output"` // what all calls for one request may emit
	State        int      `json:"state"`         // bytes of a stream's state
	LogLines     int      `json:"log_lines"`     // a second
	Share        Size     `json:"share"`         // held for all requests to the provider, at least twice Server.MaxBody; 0: half of what all may hold
	Instances    int      `json:"instances"`     // kept while idle; 0 for Server.Workers
}

// Timeouts bound the parts of an exchange with an upstream; there is no limit
// for the whole of it.
type Timeouts struct {
	Connect   Duration `json:"connect"`
	FirstByte Duration `json:"first_byte"`
	Idle      Duration `json:"idle"`

	FirstToken Duration `json:"first_token"` // until the first content; 0: no limit
}

// builtInProviders exist without being listed. What a file lists under their
// names overrides them field by field.
func builtInProviders() []Provider {
	return []Provider{
		{Name: "ollama", Plugin: "ollama", BaseURL: "http://localhost:11434"},
		{Name: "openrouter", Plugin: "openrouter", BaseURL: "https://openrouter.ai/api/v1", Unset: "OPENROUTER_API_KEY"},
		{Name: "demo", Plugin: "demo"},
	}
}

// builtInProvider returns one of them, or an empty one if there is none of that name.
func builtInProvider(name string) (p Provider) {
	for _, p := range builtInProviders() {
		if p.Name == name {
			return p
		}
	}
	return p
}

// providerName is what a name may look like: it goes into logs, into the keys of
// /health and into metrics.
var providerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// upstream is a provider while it is put together.
type upstream struct {
	Provider
	options *value   // as the file has them, nil for none
	adapter *adapter // nil when nothing is known of it
}

// upstreams are the listed providers in file order, then the built-in ones that
// models use.
type upstreams []*upstream

func (u upstreams) find(name string) *upstream {
	i := slices.IndexFunc(u, func(p *upstream) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return u[i]
}

// names returns the providers that models can name.
func (u upstreams) names() []string {
	var names []string
	for _, p := range u {
		names = append(names, p.Name)
	}
	for _, p := range builtInProviders() {
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}

func (l *loader) providers(root *value) upstreams {
	var all upstreams
	if v := root.get("providers"); v != nil && v.kind == mapping {
		for _, e := range v.entries {
			path := join("providers", e.key)
			if !providerName.MatchString(e.key) {
				l.add(e.place, path, "a provider's name is 1 to 64 letters, digits or . _ - and starts with a letter or digit")
				continue
			}
			all = append(all, l.provider(e, path, true))
		}
	}
	for _, p := range builtInProviders() {
		if user := firstUse(root.get("model_mapping"), p.Name); user != nil && all.find(p.Name) == nil {
			e := entry{p.Name, user.place, &value{kind: mapping, place: user.place}}
			all = append(all, l.provider(e, join("providers", p.Name), false))
		}
	}
	return all
}

// firstUse returns the value that names a provider first, or nil.
func firstUse(models *value, provider string) *value {
	if models == nil {
		return nil
	}
	for _, e := range models.entries {
		for _, v := range append([]*value{e.value}, e.value.get("targets").elements()...) {
			if name := v.get("provider"); name.isText() && name.scalar == provider {
				return name
			}
		}
	}
	return nil
}

// provider puts a provider together. listed says that the file has it: e is its
// entry, else e stands where a model names it.
func (l *loader) provider(e entry, path string, listed bool) *upstream {
	v := e.value
	u := &upstream{}
	l.decode("#Provider", v, path, &u.Provider)
	u.Name, u.SHA256 = e.key, strings.ToLower(u.SHA256)

	// What is not in the file comes from the built-in provider of the name, then
	// from the adapter.
	builtIn := builtInProvider(e.key)
	u.Plugin, u.BaseURL, u.Unset = builtIn.Plugin, builtIn.BaseURL, builtIn.Unset
	plugin := v.get("plugin")
	u.adapter = l.pluginOf(u, plugin, e.place, path, listed)
	l.baseURL(u, v, plugin, e.place, path)
	l.apiKey(u, v.get("api_key"), e.place, path)
	l.checkProxy(v.get("proxy"), join(path, "proxy"))
	if a := u.adapter; u.SHA256 != "" && a != nil && a.SHA256 != "" && a.SHA256 != u.SHA256 {
		l.fault(v.get("sha256"), join(path, "sha256"), "is not the digest of the module, which is "+a.SHA256+": check where the module comes from, or name its digest")
	}
	if share := u.Limits.Share; share > 0 && l.bounds.MaxBody > 0 {
		given, at := v.get("limits").get("share"), join(join(path, "limits"), "share")
		switch most := l.bounds.MaxMemory; {
		case most > 0 && share > most:
			l.fault(given, at, "must be at most server.max_memory, of which it is a part")
		case share < 2*l.bounds.MaxBody:
			l.fault(given, at, "must be at least twice server.max_body, for the largest request and the copy that is sent")
		}
	}
	if u.Proxy == "" {
		u.Proxy = "environment"
		if onThisMachine(u.BaseURL) {
			u.Proxy = "none"
		}
	}
	if v.get("options").usable(mapping) {
		u.options = v.get("options")
	}
	u.Options = l.providerOptions(u, path)
	return u
}

// pluginOf settles which adapter a provider uses and what is known of it.
func (l *loader) pluginOf(u *upstream, plugin *value, at place, path string, listed bool) *adapter {
	path = join(path, "plugin")
	given := plugin != nil && plugin.kind != null
	name, shown := u.Plugin, true
	switch {
	case given && !plugin.isText():
		return nil
	case given:
		name, at, shown = plugin.scalar, plugin.place, !plugin.foreign
	case name == "":
		name = u.Name
	}
	u.Provider.plugin = l.problem(at, path, "")
	shipped := slices.Contains(l.options.Shipped, name)
	switch {
	case shipped:
		u.Plugin = name
	case given && strings.HasSuffix(name, ".wasm"):
		u.Plugin = l.resolve(name)
	case given:
		message := "is neither a shipped adapter nor the path of a .wasm"
		if best := Closest(name, l.options.Shipped); best != "" && shown {
			message += fmt.Sprintf("; did you mean %q?", best)
		} else {
			message += "; shipped are " + strings.Join(l.options.Shipped, ", ")
		}
		l.fault(plugin, path, message)
		return nil
	case !listed:
		l.add(at, path, fmt.Sprintf("the adapter %s is not part of this program", name))
		return nil
	default:
		l.add(at, path, fmt.Sprintf("is missing: no adapter is called %q, so name one of %s, or the path of a .wasm", name, strings.Join(l.options.Shipped, ", ")))
		return nil
	}
	a, err := l.adapterOf(name)
	if err != nil {
		l.add(at, path, err.Error())
		return nil
	}
	return a
}

// baseURL settles where a provider's requests go.
func (l *loader) baseURL(u *upstream, v, plugin *value, at place, path string) {
	path = join(path, "base_url")
	given := v.get("base_url")
	switch {
	case given != nil && given.kind != null:
		if given.isText() {
			if message := badBaseURL(given.scalar); message != "" {
				l.fault(given, path, message)
			} else {
				u.BaseURL = given.scalar
			}
		}
	case plugin.isText() && strings.HasSuffix(u.Plugin, ".wasm"):
		l.add(at, path, "is missing: an adapter given by path may reach this address and no other, such as https://api.example.com/v1")
	case u.BaseURL == "" && u.adapter != nil && u.adapter.DefaultBaseURL != "":
		u.BaseURL = u.adapter.DefaultBaseURL
	case u.BaseURL == "" && u.adapter == nil:
		// The adapters that are shipped have the address of the provider of
		// their name.
		p := builtInProvider(u.Plugin)
		u.BaseURL = p.BaseURL
	}
}

// apiKey settles the key that a provider is called with. Without one in the file
// the built-in variable counts; at is for what has no place of its own.
func (l *loader) apiKey(u *upstream, v *value, at place, path string) {
	path = join(path, "api_key")
	switch {
	case v != nil && v.kind != null:
		u.Unset = l.secrets[v].unset
	case u.Unset != "":
		s, err := l.readSecret(&value{kind: text, scalar: "${" + u.Unset + "}"}, true)
		if err != nil {
			l.add(at, path, fmt.Sprintf("the variable %s %v", u.Unset, err))
		}
		u.APIKey, u.Unset = s.Secret, s.unset
	}
	given := v != nil && v.kind != null
	if given {
		at = v.place
	}
	switch {
	case u.adapter == nil || given && v.bad:
	case given && u.adapter.Secret && u.Unset != "":
		l.warn(at, path, "is missing, since the variable "+u.Unset+" is not set, or empty: until it is, this provider's models answer 503")
	case given && !u.adapter.Secret:
		l.warn(at, path, "is not used: the adapter of this provider sends no key")
	case !given && u.APIKey.IsZero() && u.Unset == "" && u.adapter.Secret && !onThisMachine(u.BaseURL):
		l.warn(at, path, "is missing: requests to this provider go out without a key")
	case !u.APIKey.IsZero() && strings.HasPrefix(u.BaseURL, "http://") && !onThisMachine(u.BaseURL):
		l.warn(at, path, "goes over the network unencrypted, since base_url starts with http://")
	}
}
