package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// builtInProviders exist without being listed. What a file lists under their
// names overrides them field by field.
func builtInProviders() []Provider {
	return []Provider{
		{Name: "ollama", Plugin: "ollama", BaseURL: "http://localhost:11434"},
		{Name: "openrouter", Plugin: "openrouter", BaseURL: "https://openrouter.ai/api/v1", Unset: "OPENROUTER_API_KEY"},
		{Name: "demo", Plugin: "demo"},
	}
}

func builtInProvider(name string) (Provider, bool) {
	all := builtInProviders()
	i := slices.IndexFunc(all, func(p Provider) bool { return p.Name == name })
	if i < 0 {
		return Provider{}, false
	}
	return all[i], true
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

// names gives the providers that models can name.
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

// firstUse gives the value that names a provider first, or nil.
func firstUse(models *value, provider string) *value {
	if models == nil {
		return nil
	}
	for _, e := range models.entries {
		if name := e.value.get("provider"); name.isText() && name.scalar == provider {
			return name
		}
	}
	return nil
}

type providerForm struct {
	Timeouts struct {
		Connect   duration
		FirstByte duration `json:"first_byte"`
		Idle      duration
	}
	Proxy     string
	Log       string
	SHA256    string
	Isolation string
	Limits    struct {
		Memory       size
		KeptMemory   size `json:"kept_memory"`
		Input        size
		Fuel         int64
		Output       size
		StreamOutput size `json:"stream_output"`
		State        int
		LogLines     int `json:"log_lines"`
		Instances    int
	}
}

// provider puts a provider together. listed says that the file has it: e is its
// entry, else e stands where a model names it.
func (l *loader) provider(e entry, path string, listed bool) *upstream {
	v := e.value
	u := &upstream{}
	u.Provider, _ = builtInProvider(e.key)
	u.Name = e.key

	plugin := v.get("plugin")
	u.adapter = l.pluginOf(u, plugin, e.place, path, listed)
	l.baseURL(u, v, plugin, e.place, path)
	l.apiKey(u, v.get("api_key"), e.place, path)

	timeouts := v.get("timeouts")
	for _, name := range [...]string{"connect", "first_byte", "idle"} {
		l.checkDuration(timeouts.get(name), join(join(path, "timeouts"), name), time.Millisecond)
	}
	l.checkProxy(v.get("proxy"), join(path, "proxy"))
	limits := v.get("limits")
	for _, name := range [...]string{"memory", "kept_memory", "input", "output", "stream_output"} {
		l.checkSize(limits.get(name), join(join(path, "limits"), name), 1<<30, "1GiB")
	}

	var f providerForm
	if l.decode("#Provider", v, path, &f) {
		u.Timeouts = Timeouts{
			Connect:   time.Duration(f.Timeouts.Connect),
			FirstByte: time.Duration(f.Timeouts.FirstByte),
			Idle:      time.Duration(f.Timeouts.Idle),
		}
		u.Proxy, u.Log = f.Proxy, f.Log
		u.SHA256, u.Isolate = strings.ToLower(f.SHA256), f.Isolation == "request"
		if a := u.adapter; u.SHA256 != "" && a != nil && a.SHA256 != "" && a.SHA256 != u.SHA256 {
			l.fault(v.get("sha256"), join(path, "sha256"), "is not the digest of the module, which is "+a.SHA256+": check where the module comes from, or name its digest")
		}
		u.Limits = Limits{
			Memory: int64(f.Limits.Memory), KeptMemory: int64(f.Limits.KeptMemory), Input: int(f.Limits.Input),
			Fuel: f.Limits.Fuel, Output: int(f.Limits.Output), StreamOutput: int64(f.Limits.StreamOutput),
			State: f.Limits.State, LogLines: f.Limits.LogLines, Instances: f.Limits.Instances,
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

// usable reports whether there is a value of a kind that can be looked at
// further.
func (v *value) usable(k kind) bool { return v != nil && !v.bad && v.kind == k }

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
		p, _ := builtInProvider(u.Plugin)
		u.BaseURL = p.BaseURL
	}
}

// badBaseURL says why a text cannot be where requests go.
func badBaseURL(s string) string {
	if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		return "must start with http:// or https://"
	}
	parsed, err := url.Parse(s)
	switch {
	case err != nil:
		return "is not a URL: check its host, its port and its % signs"
	case parsed.User != nil:
		return "must not hold a user name or a password: a key goes into api_key"
	case strings.Contains(s, "#"):
		return "must not hold a fragment (# and what follows)"
	case parsed.Hostname() == "":
		return "has no host after http:// or https://"
	case strings.ContainsAny(s, " \\") || strings.ContainsFunc(s, forbidden):
		return "must not hold spaces, backslashes or control characters"
	case parsed.Port() != "" && !validPort(parsed.Port()):
		return "has a port that is not a number from 1 to 65535"
	}
	return ""
}

func validPort(s string) bool {
	_, err := netip.ParseAddrPort("0.0.0.0:" + s)
	return err == nil && s != "0"
}

func onThisMachine(baseURL string) bool {
	parsed, err := url.Parse(baseURL)
	if err != nil {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(parsed.Hostname()), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// apiKey settles the key that a provider is called with. Without one in the file
// the built-in variable counts; at is for what has no place of its own.
func (l *loader) apiKey(u *upstream, v *value, at place, path string) {
	path = join(path, "api_key")
	switch {
	case v != nil && v.kind != null:
		s := l.secrets[v]
		u.APIKey, u.Unset = s.Secret, s.unset
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
	case given && !u.adapter.Secret:
		l.warn(at, path, "is not used: the adapter of this provider sends no key")
	case !given && u.APIKey.IsZero() && u.Unset == "" && u.adapter.Secret && !onThisMachine(u.BaseURL):
		l.warn(at, path, "is missing: requests to this provider go out without a key")
	case !u.APIKey.IsZero() && strings.HasPrefix(u.BaseURL, "http://") && !onThisMachine(u.BaseURL):
		l.warn(at, path, "goes over the network unencrypted, since base_url starts with http://")
	}
}

// checkProxy checks the URL of a proxy. A password there would be in every
// place that prints a configuration.
func (l *loader) checkProxy(v *value, path string) {
	if !v.isText() || v.scalar == "none" || v.scalar == "environment" {
		return
	}
	parsed, err := url.Parse(v.scalar)
	switch {
	case err != nil || parsed.Hostname() == "":
		l.fault(v, path, "is not the URL of a proxy, such as http://proxy.example.com:3128")
	case parsed.User != nil:
		l.fault(v, path, "must not hold a user name or a password: put this URL into the variable HTTPS_PROXY and write proxy: environment")
	case parsed.Port() != "" && !validPort(parsed.Port()):
		l.fault(v, path, "has a port that is not a number from 1 to 65535")
	}
}

// models reads model_mapping, which is the heart of a configuration.
func (l *loader) models(root *value, providers upstreams) []Model {
	v := root.get("model_mapping")
	if v == nil || v.kind != mapping || v.bad {
		return nil
	}
	if len(v.entries) == 0 && !v.partial {
		l.fault(v, "model_mapping", "is empty: map at least one alias to {provider, model}")
	}
	var list []Model
	for _, e := range v.entries {
		path := join("model_mapping", e.key)
		m := Model{Alias: e.key, Options: json.RawMessage("{}")}
		if model := e.value.get("model"); model.isText() {
			m.Model = model.scalar
		}
		if name := e.value.get("provider"); name.isText() {
			m.Provider = name.scalar
			u := providers.find(name.scalar)
			if u == nil {
				l.fault(name, join(path, "provider"), unknownName("provider", name, providers.names()))
				continue
			}
			m.Options = l.modelOptions(u, e, path)
		}
		list = append(list, m)
	}
	return list
}

func (l *loader) defaultModel(root *value) string {
	v := root.get("default_model")
	if !v.isText() || !l.knownAlias(v, "default_model", root.get("model_mapping")) {
		return ""
	}
	return v.scalar
}

// knownAlias reports, and says so, whether a text is an alias of model_mapping.
func (l *loader) knownAlias(v *value, path string, models *value) bool {
	if models == nil || models.kind != mapping || models.get(v.scalar) != nil {
		return true
	}
	var aliases []string
	for _, e := range models.entries {
		aliases = append(aliases, e.key)
	}
	l.fault(v, path, unknownName("model", v, aliases))
	return false
}

// unknownName says that a name refers to nothing, and what it may have meant.
func unknownName(what string, v *value, known []string) string {
	message := fmt.Sprintf("there is no %s of this name", what)
	if !v.foreign && len(v.scalar) <= 64 {
		message = fmt.Sprintf("there is no %s %q", what, v.scalar)
		if best := Closest(v.scalar, known); best != "" {
			return message + fmt.Sprintf("; did you mean %q?", best)
		}
	}
	const most = 20
	if len(known) > most {
		known = append(slices.Clone(known[:most]), "…")
	}
	return message + "; there are " + strings.Join(known, ", ")
}
