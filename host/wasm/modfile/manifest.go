// Package modfile reads the files of modules: what an adapter's module says about
// itself, what it imports and exports, and the transcript that it may contain.
//
// It runs no module, so it needs no engine; package wasm has one. It isn't called
// module because nearly every function near it has a variable of that name.
package modfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Manifest is what a module says about itself (docs/abi.md, "Manifest").
type Manifest struct {
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	License  string    `json:"license"`
	Homepage string    `json:"homepage"`
	Adapters []Profile `json:"adapters"` // exactly one
}

// Profile is what a module says about its adapter.
type Profile struct {
	Provider       string            `json:"provider"`
	Ops            []string          `json:"ops"`
	OptionalOps    map[string]string `json:"optional_ops"` // to the option without which each is not served
	Capabilities   []string          `json:"capabilities"`
	DefaultBaseURL string            `json:"default_base_url"`
	Setup          string            `json:"setup"` // {model} stands for the upstream's model
	Auth           Auth              `json:"auth"`
	Options        string            `json:"options"` // CUE
	PlainContent   bool              `json:"plain_content"`
	KnowsModels    bool              `json:"knows_models"`
	Routing        Routing           `json:"routing"`
	Extensions     []string          `json:"extensions"` // what it takes beyond chat completions
	MaxInputs      map[string]int    `json:"max_inputs"` // to how many inputs one request may have, by operation
}

// Routing names the parts of a client's request that would choose the model, the
// provider or the account at the upstream.
type Routing struct {
	Fields []string `json:"fields"` // top-level fields, none of which are OpenAI's own
	Tools  []string `json:"tools"`  // beginnings of the types of tools
}

// Auth says where the host puts the provider's secret.
type Auth struct {
	Secret string `json:"secret"` // "api_key"
	Header string `json:"header"` // the header's name, in lower case
	Format string `json:"format"` // the header's value, with {} for the secret
}

// Profile returns the module's only adapter.
func (m Manifest) Profile() Profile { return m.Adapters[0] }

// Serves reports whether the adapter serves an operation with these options, a JSON
// object: those of a model, defaults included. It is asked for every request.
func (p Profile) Serves(op abi.Op, options []byte) bool {
	name := op.String()
	if slices.Contains(p.Ops, name) {
		return true
	}
	option := p.OptionalOps[name]
	return option != "" && !sdk.JSON(options).Get(option).Empty()
}

// Takes reports whether the adapter takes an extension of chat completions.
func (p Profile) Takes(extension string) bool { return slices.Contains(p.Extensions, extension) }

// Operations returns the names of what the adapter serves with these options, in the
// manifest's order, then by name.
func (p Profile) Operations(options []byte) []string {
	all := slices.Clone(p.Ops)
	for _, op := range slices.Sorted(maps.Keys(p.OptionalOps)) {
		if !sdk.JSON(options).Get(p.OptionalOps[op]).Empty() && !slices.Contains(all, op) {
			all = append(all, op)
		}
	}
	return all
}

// FindManifest returns the manifest in a module's custom section, JSON as it is.
func FindManifest(module []byte) (manifest []byte, found bool) {
	return fuel.CustomSection(module, abi.ManifestSection)
}

// ReadManifest reads the manifest in a module's custom section, without compiling the
// module. found is false if there is none. Then only running the module gives its
// manifest.
func ReadManifest(module []byte) (m Manifest, found bool, err error) {
	data, found := FindManifest(module)
	if !found {
		return Manifest{}, false, nil
	}
	m, err = ParseManifest(data)
	return m, true, err
}

// ParseManifest reads and checks a manifest.
func ParseManifest(data []byte) (Manifest, error) {
	var m Manifest
	if len(data) > abi.MaxManifest {
		return m, fmt.Errorf("manifest: %d bytes; at most %d are allowed", len(data), abi.MaxManifest)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	return m, m.check()
}

// maxRouting bounds each list of Routing, because every request is compared with them.
const maxRouting = 128

func (m Manifest) check() error {
	if m.Name == "" || m.Version == "" {
		return errors.New("manifest: name and version must be given")
	}
	if len(m.Adapters) != 1 {
		return fmt.Errorf("manifest: adapters has %d entries; a module holds exactly one adapter", len(m.Adapters))
	}
	p := m.Adapters[0]
	if p.Provider == "" {
		return errors.New("manifest: adapters[0].provider must be given")
	}
	if len(p.Ops) == 0 {
		return errors.New("manifest: adapters[0].ops must name an operation, such as \"chat\"")
	}
	for op, option := range p.OptionalOps {
		if op == "" || option == "" {
			return errors.New("manifest: optional_ops must name an option for each operation")
		}
	}
	if len(p.OptionalOps) > maxRouting {
		return fmt.Errorf("manifest: optional_ops has more than %d operations", maxRouting)
	}
	for op, n := range p.MaxInputs {
		if n < 1 {
			return fmt.Errorf("manifest: max_inputs.%s is %d; at least 1 must be allowed", op, n)
		}
	}
	if len(p.Routing.Fields) > maxRouting || len(p.Routing.Tools) > maxRouting {
		return fmt.Errorf("manifest: routing has more than %d fields or tools", maxRouting)
	}
	if len(p.Extensions) > maxRouting {
		return fmt.Errorf("manifest: extensions has more than %d names", maxRouting)
	}
	if slices.Contains(p.Routing.Fields, "") || slices.Contains(p.Routing.Tools, "") {
		return errors.New("manifest: routing has an empty name")
	}
	if len(p.Setup) > maxSetup || strings.ContainsFunc(p.Setup, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("manifest: setup must be a line of at most %d printable characters", maxSetup)
	}
	a := p.Auth
	if a == (Auth{}) {
		return nil
	}
	if a.Secret != "api_key" {
		return fmt.Errorf("manifest: auth.secret is %q; a provider's only secret is \"api_key\"", a.Secret)
	}
	if a.Header == "" || strings.ContainsFunc(a.Header, func(r rune) bool { return !strings.ContainsRune(headerBytes, r) }) {
		return fmt.Errorf("manifest: auth.header %q is no header name in lower case", a.Header)
	}
	if steers(a.Header) {
		return fmt.Errorf("manifest: auth.header %q steers the connection and is no place for a secret", a.Header)
	}
	if strings.Count(a.Format, "{}") != 1 || strings.ContainsFunc(a.Format, unicode.IsControl) {
		return fmt.Errorf("manifest: auth.format %q must hold one {} for the secret, and no control characters", a.Format)
	}
	return nil
}

// maxSetup is how many bytes setup may have, which clients are shown.
const maxSetup = 500

const headerBytes = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"

// steers reports whether a header decides where or how a request is sent. A secret in such a
// header could cut the request off or send it elsewhere.
func steers(header string) bool {
	switch header {
	case "accept-encoding", "connection", "content-encoding", "content-length", "expect", "host", "http2-settings",
		"keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "via":
		return true
	}
	return strings.HasPrefix(header, "proxy-")
}

// Value returns the value of the header for a secret.
func (a Auth) Value(secret string) string { return strings.Replace(a.Format, "{}", secret, 1) }
