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
	listed  bool
	options *value   // as the file has them, nil for none
	adapter *adapter // nil when nothing is known of it
}

// upstreams are the listed providers in file order, then the built-in ones.
type upstreams []*upstream

func (u upstreams) find(name string) *upstream {
	i := slices.IndexFunc(u, func(p *upstream) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return u[i]
}

// used gives the listed providers and those that models use.
func (u upstreams) used(models []Model) []Provider {
	var list []Provider
	for _, p := range u {
		if p.listed || slices.ContainsFunc(models, func(m Model) bool { return m.Provider == p.Name }) {
			list = append(list, p.Provider)
		}
	}
	return list
}

func (u upstreams) names() []string {
	names := make([]string, len(u))
	for i, p := range u {
		names[i] = p.Name
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
			all = append(all, l.provider(e, path))
		}
	}
	for _, p := range builtInProviders() {
		if all.find(p.Name) == nil {
			u := l.provider(entry{p.Name, place{}, &value{kind: mapping}}, join("providers", p.Name))
			u.listed = false
			all = append(all, u)
		}
	}
	return all
}

type providerForm struct {
	Timeouts struct {
		Connect   duration
		FirstByte duration `json:"first_byte"`
		Idle      duration
	}
	Proxy string
	Log   string
}

func (l *loader) provider(e entry, path string) *upstream {
	v := e.value
	u := &upstream{listed: true}
	u.Provider, _ = builtInProvider(e.key)
	u.Name = e.key

	plugin := v.get("plugin")
	u.adapter = l.pluginOf(u, plugin, e, path)
	l.baseURL(u, v, plugin, e.place, path)
	l.apiKey(u, v.get("api_key"), path)

	timeouts := v.get("timeouts")
	for _, name := range [...]string{"connect", "first_byte", "idle"} {
		l.checkDuration(timeouts.get(name), join(join(path, "timeouts"), name), time.Millisecond)
	}
	l.checkProxy(v.get("proxy"), join(path, "proxy"))

	var f providerForm
	if l.decode("#Provider", v, path, &f) {
		u.Timeouts = Timeouts{
			Connect:   time.Duration(f.Timeouts.Connect),
			FirstByte: time.Duration(f.Timeouts.FirstByte),
			Idle:      time.Duration(f.Timeouts.Idle),
		}
		u.Proxy, u.Log = f.Proxy, f.Log
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
func (l *loader) pluginOf(u *upstream, plugin *value, e entry, path string) *adapter {
	path = join(path, "plugin")
	given := plugin != nil && plugin.kind != null
	name, at, shown := u.Plugin, e.place, true
	switch {
	case given && !plugin.isText():
		return nil
	case given:
		name, at, shown = plugin.scalar, plugin.place, !plugin.foreign
	case name == "":
		name = u.Name
	}
	shipped := slices.Contains(l.options.Shipped, name)
	switch {
	case shipped:
		u.Plugin = name
	case given && strings.HasSuffix(name, ".wasm"):
		u.Plugin = l.resolve(name)
	case given:
		message := "is neither a shipped adapter nor the path of a .wasm"
		if best := closest(name, l.options.Shipped); best != "" && shown {
			message += fmt.Sprintf("; did you mean %q?", best)
		} else {
			message += "; shipped are " + strings.Join(l.options.Shipped, ", ")
		}
		l.fault(plugin, path, message)
		return nil
	case e.place == place{}:
		return nil // a built-in provider whose adapter is not in this binary
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

// apiKey settles what a provider is called with.
func (l *loader) apiKey(u *upstream, v *value, path string) {
	path = join(path, "api_key")
	switch {
	case v != nil && v.kind != null:
		s := l.secrets[v]
		u.APIKey, u.Unset = s.Secret, s.unset
	case u.Unset != "":
		name := u.Unset
		v = &value{kind: text, scalar: "${" + name + "}"}
		s, err := l.readSecret(v, true)
		if err != nil {
			l.add(place{1, 1}, path, fmt.Sprintf("the variable %s %v", name, err))
		}
		u.APIKey, u.Unset = s.Secret, s.unset
		return
	}
	if u.adapter == nil || v == nil || v.bad {
		return
	}
	switch {
	case v.kind != null && !u.adapter.Secret:
		l.warn(v.place, path, "is not used: the adapter of this provider sends no key")
	case !u.APIKey.IsZero() && strings.HasPrefix(u.BaseURL, "http://") && !onThisMachine(u.BaseURL):
		l.warn(v.place, path, "goes over the network unencrypted, since base_url starts with http://")
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
			if u.Plugin != "" || u.listed {
				m.Options = l.modelOptions(u, e, path)
			} else {
				l.fault(name, join(path, "provider"), "its adapter is not part of this program")
			}
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
		if best := closest(v.scalar, known); best != "" {
			return message + fmt.Sprintf("; did you mean %q?", best)
		}
	}
	const most = 20
	if len(known) > most {
		known = append(slices.Clone(known[:most]), "…")
	}
	return message + "; there are " + strings.Join(known, ", ")
}
