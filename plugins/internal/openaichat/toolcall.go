package openaichat

import (
	"github.com/kai-gateway/kai/sdk"
)

// toolCall is one element of "tool_calls", or a part of one in a stream.
type toolCall struct {
	index     int  // the server's; -1 at first if it states none
	counted   bool // the server states the index
	id        sdk.JSON
	name      sdk.JSON
	arguments sdk.JSON
	signature sdk.JSON
	extra     []byte // an object of unknown fields, without its closing bracket
}

// read reads the call that r is before.
func (c *toolCall) read(r *sdk.Reader) error {
	c.index = -1
	if k := r.Kind(); k != sdk.KindObject && k != sdk.KindNull {
		return errMalformed
	}
	for fields := r.Object(); r.Next(fields); {
		if string(r.Key()) == "function" && r.Kind() == sdk.KindObject {
			for function := r.Object(); r.Next(function); {
				switch string(r.Key()) {
				case "name":
					c.name = r.Value()
				case "arguments":
					c.arguments = r.Value()
				}
			}
			continue
		}
		v := r.Value()
		if IsNothing(v) {
			continue
		}
		switch key := r.Key(); string(key) {
		case "index":
			n, ok := v.Int()
			if !ok || n < 0 || n > maxItem {
				return errMalformed
			}
			c.index, c.counted = int(n), true
		case "id":
			c.id = v
		case "type", "function":
		default:
			// Clients send them back unmodified in the next turn. Google's OpenAI
			// layer has the signature of a thought there, and generation 3 of
			// Gemini refuses a call without it:
			// https://ai.google.dev/gemini-api/docs/thought-signatures
			if string(key) == "extra_content" {
				if c.signature = onlySignature(v); c.signature != nil {
					continue
				}
			}
			c.extra = AppendField(c.extra, key, v)
		}
	}
	return nil
}

// onlySignature returns the signature in Google's extra_content. It returns nil if there is
// none, or if there is anything else.
func onlySignature(content sdk.JSON) sdk.JSON {
	var signature sdk.JSON
	for google := sdk.Object(content); google.Next(); {
		if string(google.Key()) != "google" {
			return nil
		}
		for f := sdk.Object(google.Value()); f.Next(); {
			if string(f.Key()) != "thought_signature" || f.Value().Kind() != sdk.KindString {
				return nil
			}
			signature = f.Value()
		}
	}
	return signature
}

const maxItem = 1<<16 - 1 // the highest number that an emission can have

// emit states the call as number n of its choice. Ids may be missing or repeated; the gateway
// makes them unique.
func (c *toolCall) emit(choice, n int, out *sdk.Out) {
	if id, _ := c.id.Str(); id != "" {
		out.ToolID(choice, n, id)
	}
	if name, _ := c.name.Str(); name != "" {
		out.ToolName(choice, n, name)
	}
	if inside, ok := c.arguments.Inside(); ok {
		out.ToolArgsJSON(choice, n, inside)
	} else if c.arguments.Kind() == sdk.KindObject {
		out.ToolArgs(choice, n, c.arguments)
	}
	if inside, ok := c.signature.Inside(); ok {
		out.ToolSignatureJSON(choice, n, inside)
	}
	if len(c.extra) > 0 {
		out.ToolExtra(choice, n, append(c.extra, '}'))
	}
}

// hasArguments reports whether the part has some text of the arguments.
func (c *toolCall) hasArguments() bool {
	switch c.arguments.Kind() {
	case sdk.KindString:
		return len(c.arguments) > 2
	case sdk.KindObject:
		return true
	}
	return false
}
