// Package repair helps adapters to send a conversation to a provider that accepts less than
// OpenAI. Clients can't repair their history. Without this package, a mistake that a model
// once made, or a text that a person left blank, would be refused in every later request.
package repair

import "github.com/kai-gateway/kai/sdk"

// invalidArguments is the field for arguments that are not a JSON object.
const invalidArguments = "_invalid_arguments"

// Arguments returns the arguments of a tool call as an object, which most providers demand. It
// is {} if there are none. If the model wrote something that is not a JSON object, it is
// {"_invalid_arguments": "the text"}, so that the model can see its mistake.
func Arguments(c sdk.ToolCall) sdk.JSON {
	if object, ok := c.Object(); ok {
		return wholeCharacters(object)
	}
	var w sdk.Writer
	w.Reset(make([]byte, 0, len(c.Arguments)+32))
	w.Object()
	w.Key(invalidArguments)
	if c.Arguments.Kind() == sdk.KindString {
		w.Raw(c.Arguments)
	} else {
		w.String(string(c.Arguments))
	}
	w.End()
	return w.Bytes()
}

// wholeCharacters replaces escapes of half a character in JSON, which no provider can read.
// The gateway has already replaced them in the request, but arguments are JSON inside a string.
func wholeCharacters(v sdk.JSON) sdk.JSON {
	var out []byte
	for i := 0; i+6 <= len(v); i++ {
		if v[i] != '\\' {
			continue
		}
		end := i + 2
		if v[i+1] == 'u' {
			end = i + 6
			if v[i+2]|0x20 == 'd' && v[i+3] >= '8' { // a surrogate
				if pair := sdk.AppendUnquote(nil, v[i:min(len(v), i+12)]); len(pair) == 4 {
					end = i + 12
				} else {
					if out == nil {
						out = append(make([]byte, 0, len(v)), v...)
					}
					copy(out[i:], `\ufffd`)
				}
			}
		}
		i = end - 1
	}
	if out != nil {
		return out
	}
	return v
}

// Said returns the content of an assistant's message. If it has none, that is its refusal, or
// the transcript of its audio.
func Said(m sdk.Message) sdk.JSON {
	for p := range sdk.Parts(m.Content) {
		if inside, ok := p.Text.RawStr(); !ok || !Blank(inside) {
			return m.Content
		}
	}
	for _, v := range [...]sdk.JSON{m.Raw.Get("refusal"), m.Raw.Get("audio").Get("transcript")} {
		if inside, ok := v.RawStr(); ok && !Blank(inside) {
			return v
		}
	}
	return m.Content
}

// Blank reports whether the inside of a JSON string is only white space.
func Blank(inside []byte) bool { return len(sdk.TrimSpaceEnd(inside)) == 0 }

// Stops returns the strings at which an answer must end, as an array; nil if there are none.
// stop is a string or an array of strings, of which there may be millions. Strings whose
// inside keep refuses are left out.
func Stops(stop sdk.JSON, keep func(inside []byte) bool) sdk.JSON {
	var w sdk.Writer
	w.Reset(make([]byte, 0, len(stop)+len("[]")))
	w.Array()
	none := true
	add := func(v sdk.JSON) {
		if inside, ok := v.Inside(); ok && keep(inside) {
			w.RawString(inside)
			none = false
		}
	}
	if stop.Kind() == sdk.KindString {
		add(stop)
	} else {
		for it := sdk.Array(stop); it.Next(); {
			add(it.Value())
		}
	}
	if none {
		return nil
	}
	w.End()
	return w.Bytes()
}

// IsStop reports whether the inside of a JSON string can be a stop. Spaces and tabs alone
// can't, and line ends can.
func IsStop(inside []byte) bool {
	for len(inside) > 0 {
		switch {
		case inside[0] == ' ', inside[0] == '\t':
			inside = inside[1:]
		case hasPrefix(inside, `\t`):
			inside = inside[2:]
		case hasPrefix(inside, `\u0020`), hasPrefix(inside, `\u0009`):
			inside = inside[6:]
		default:
			return true
		}
	}
	return false
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}
