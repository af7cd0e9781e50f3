// Package toolchoice reads tool_choice, for adapters whose upstream expresses it differently:
// https://platform.openai.com/docs/api-reference/chat/create#chat-create-tool_choice.
package toolchoice

import (
	"slices"

	"github.com/kai-gateway/kai/sdk"
)

// Choice is what tool_choice leaves to the model. The zero value is for a request without
// tool_choice.
type Choice struct {
	Mode  string   // "auto", "none" or "required"; "": not set
	Only  []string // the names of the functions that are left, each once; nil: all
	Named bool     // Only has one function, which must be called
}

// Parse reads a request's tool_choice. v may be absent. The error is an *sdk.Error.
func Parse(v sdk.JSON) (Choice, error) {
	if v.Kind() <= sdk.KindNull {
		return Choice{}, nil
	}
	if word, ok := v.Str(); ok {
		switch word {
		case "auto", "none", "required":
			return Choice{Mode: word}, nil
		}
		return Choice{}, malformed()
	}
	switch kind, _ := v.Get("type").Str(); kind {
	case "function":
		if name, ok := nameIn(v); ok {
			return Choice{Mode: "required", Only: []string{name}, Named: true}, nil
		}
	case "allowed_tools":
		allowed := v.Get("allowed_tools")
		c := Choice{Mode: "auto", Only: []string{}}
		if mode, _ := allowed.Get("mode").Str(); mode == "required" {
			c.Mode = mode
		}
		for it := sdk.Array(allowed.Get("tools")); it.Next(); {
			name, ok := nameIn(it.Value())
			if !ok {
				return Choice{}, malformed()
			}
			if !slices.Contains(c.Only, name) {
				c.Only = append(c.Only, name)
			}
		}
		return c, nil
	}
	return Choice{}, malformed()
}

func nameIn(tool sdk.JSON) (string, bool) { return tool.Get("function").Get("name").Str() }

// Leaves reports whether the model may call a function.
func (c Choice) Leaves(name string) bool { return c.Only == nil || slices.Contains(c.Only, name) }

// Unknown returns the error for a tool_choice that names a function which is not among the
// tools.
func Unknown() error { return refuse("tool_choice names a function that is not among the tools.") }

func malformed() error {
	return refuse(`tool_choice must be "none", "auto", "required" or name functions among the tools.`)
}

func refuse(message string) error {
	return &sdk.Error{Status: 400, Type: sdk.InvalidRequest, Param: "tool_choice", Message: message}
}
