package schema

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openAPI []byte

// exampleModel is the model of all examples in openapi.yaml.
const exampleModel = "demo"

// OpenAPI returns the description of the gateway's HTTP API as JSON, with its
// members in the order of openapi.yaml. Its examples name model, so that they can
// be tried as they are.
func OpenAPI(model string) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(openAPI, &document); err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	if err := nameModel(document.Content[0], model); err != nil {
		return nil, err
	}
	out, err := appendJSON(nil, document.Content[0])
	if err != nil {
		return nil, fmt.Errorf("convert openapi.yaml: %w", err)
	}
	return out, nil
}

// nameModel puts model in place of the examples' own.
func nameModel(n *yaml.Node, model string) error {
	if n.Kind == yaml.ScalarNode {
		if n.Value == exampleModel {
			n.SetString(model)
			return nil
		}
		quoted, err := json.Marshal(model)
		if err != nil {
			return err
		}
		n.Value = strings.ReplaceAll(n.Value, "'"+exampleModel+"'", "'"+model+"'")
		n.Value = strings.ReplaceAll(n.Value, `"model":"`+exampleModel+`"`, `"model":`+string(quoted))
		return nil
	}
	for _, child := range n.Content {
		if err := nameModel(child, model); err != nil {
			return err
		}
	}
	return nil
}

// appendJSON appends a YAML node as JSON. Mappings keep their order, which
// decoding into a map would lose and which the reader of the document sees.
func appendJSON(dst []byte, n *yaml.Node) (_ []byte, err error) {
	switch n.Kind {
	case yaml.AliasNode:
		return appendJSON(dst, n.Alias)
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			key, err := json.Marshal(n.Content[i].Value)
			if err != nil {
				return nil, err
			}
			dst = append(append(dst, key...), ':')
			if dst, err = appendJSON(dst, n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, item := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendJSON(dst, item); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, err
	}
	scalar, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", n.Line, err)
	}
	return append(dst, scalar...), nil
}
