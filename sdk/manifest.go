package sdk

import (
	"errors"
	"strconv"

	"github.com/kai-gateway/kai/sdk/abi"
)

// Manifest says what a module is. docs/abi.md has its JSON form.
type Manifest struct {
	Name     string // the adapter's name, for people: "ollama"
	Version  string // for example "1.2.0"
	License  string // an SPDX expression
	Homepage string // where its documentation is
	Provider string // the upstream it speaks to: "ollama"

	Ops            []abi.Op // default: Chat
	OptionalOps    []OptionalOp
	MaxInputs      []MaxInputs
	Capabilities   []string // for example "tools", "vision", "reasoning": for people and routing
	DefaultBaseURL string   // a hint for shipped adapters; "" if there is no upstream
	Setup          string   // what must be done before a model can answer, such as "start it with 'x serve'"; {model} is the upstream's name
	Auth           Auth     // where the gateway puts the provider's secret; the zero value: it has none
	Options        string   // CUE for the options of the provider and of a model; "" allows none
	PlainContent   bool     // the adapter wants to see long content instead of references to it
	KnowsModels    bool     // for an adapter without upstream: its options get a member "models" (docs/abi.md)
	Routing        Routing  // how a request could ask the upstream for another model
	Extensions     []string // what it takes beyond chat completions (docs/abi.md): "cache_control"
}

// OptionalOp is an operation that the adapter serves only where an option is set: a
// server that can do it can't be told from one that can't.
type OptionalOp struct {
	Op     abi.Op
	Option string // its name among Options
}

// MaxInputs is how many inputs a request for an operation may have at most. The gateway
// cuts those with more. Since minor version 3.
type MaxInputs struct {
	Op abi.Op // Embeddings
	N  int
}

// Routing says by what a client's request that the adapter passes on would choose
// the model, the provider or the account that serves it. The gateway refuses
// these unless the client's key may choose.
type Routing struct {
	Fields []string // at the request's top, none of OpenAI's own: "models"
	Tools  []string // how the type of a tool begins: "openrouter:"
}

// Auth says where the gateway puts a provider's secret. The adapter sees neither.
type Auth struct {
	Secret string // the configuration's name for it: "api_key"
	Header string // in lower case: "authorization"
	Format string // with one {} for the secret: "Bearer {}"
}

func (m Manifest) check() error {
	switch {
	case m.Name == "":
		return errors.New("the manifest has no Name")
	case m.Version == "":
		return errors.New("the manifest of " + m.Name + " has no Version")
	case m.Provider == "":
		return errors.New("the manifest of " + m.Name + " has no Provider")
	}
	if n := len(m.AppendJSON(nil)); n > abi.MaxManifest {
		return errors.New("the manifest of " + m.Name + " has " + strconv.Itoa(n) + " bytes; at most " +
			strconv.Itoa(abi.MaxManifest) + " are allowed")
	}
	return nil
}

// AppendJSON appends the manifest in the form the gateway reads.
func (m Manifest) AppendJSON(dst []byte) []byte {
	field := func(key, value string) {
		if value != "" {
			dst = append(append(append(dst, '"'), key...), `":`...)
			dst = append(AppendQuote(dst, value), ',')
		}
	}
	list := func(key string, values []string) {
		dst = append(append(append(dst, '"'), key...), `":[`...)
		for i, v := range values {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendQuote(dst, v)
		}
		dst = append(dst, `],`...)
	}
	ops := m.Ops
	if len(ops) == 0 {
		ops = []abi.Op{abi.Chat}
	}
	names := make([]string, len(ops))
	for i, op := range ops {
		names[i] = op.String()
	}
	dst = append(dst, '{')
	field("name", m.Name)
	field("version", m.Version)
	field("license", m.License)
	field("homepage", m.Homepage)
	dst = append(dst, `"adapters":[{`...)
	field("provider", m.Provider)
	list("ops", names)
	if len(m.OptionalOps) > 0 {
		dst = append(dst, `"optional_ops":{`...)
		for _, o := range m.OptionalOps {
			field(o.Op.String(), o.Option)
		}
		dst[len(dst)-1] = '}'
		dst = append(dst, ',')
	}
	if len(m.MaxInputs) > 0 {
		dst = append(dst, `"max_inputs":{`...)
		for _, x := range m.MaxInputs {
			dst = append(AppendQuote(dst, x.Op.String()), ':')
			dst = append(strconv.AppendInt(dst, int64(x.N), 10), ',')
		}
		dst[len(dst)-1] = '}'
		dst = append(dst, ',')
	}
	list("capabilities", m.Capabilities)
	field("default_base_url", m.DefaultBaseURL)
	field("setup", m.Setup)
	if m.Auth.Header != "" {
		dst = append(dst, `"auth":{`...)
		field("secret", m.Auth.Secret)
		field("header", m.Auth.Header)
		field("format", m.Auth.Format)
		dst[len(dst)-1] = '}'
		dst = append(dst, ',')
	}
	field("options", m.Options)
	if len(m.Routing.Fields)+len(m.Routing.Tools) > 0 {
		dst = append(dst, `"routing":{`...)
		list("fields", m.Routing.Fields)
		list("tools", m.Routing.Tools)
		dst[len(dst)-1] = '}'
		dst = append(dst, ',')
	}
	if len(m.Extensions) > 0 {
		list("extensions", m.Extensions)
	}
	if m.KnowsModels {
		dst = append(dst, `"knows_models":true,`...)
	}
	dst = append(dst, `"plain_content":`...)
	dst = strconv.AppendBool(dst, m.PlainContent)
	return append(dst, `}]}`...)
}
