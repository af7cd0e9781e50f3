// Package repair helps adapters to send a conversation to a provider that accepts less
// than OpenAI. A client can't repair its history: a mistake that a model once made, or a
// text that a person left blank, would be refused in every later request.
package repair

import "github.com/kai-gateway/kai/sdk"

// invalidArguments is the field that holds a text that is no JSON object.
const invalidArguments = "_invalid_arguments"

// Arguments returns the arguments of a tool call as the object that most providers
// demand: {} if there are none, and {"_invalid_arguments": "the text"} for what a
// model wrote that is no JSON object, so that it can see its mistake.
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

// wholeCharacters returns JSON without escapes of half a character, which no
// provider reads. The gateway sees none in a request, but arguments are text in a
// text.
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

// Said returns the content of an assistant's message. One without has said why not,
// or spoken: its refusal or the transcript of its audio stands for it then.
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

// Blank reports whether the inside of a JSON string is nothing but white space.
func Blank(inside []byte) bool { return len(sdk.TrimSpaceEnd(inside)) == 0 }

// Stops returns the insides of the strings that an answer is to end at, which stop
// has one or several of, but for those that keep refuses.
func Stops(stop sdk.JSON, keep func(inside []byte) bool) (stops [][]byte) {
	add := func(v sdk.JSON) {
		if inside, ok := v.RawStr(); ok && keep(inside) {
			stops = append(stops, inside)
		}
	}
	if stop.Kind() == sdk.KindString {
		add(stop)
		return stops
	}
	for it := sdk.Array(stop); it.Next(); {
		add(it.Value())
	}
	return stops
}

// IsStop reports whether the inside of a JSON string is something to stop at:
// spaces alone are not, line ends are.
func IsStop(inside []byte) bool {
	text := sdk.AppendUnquote(nil, inside)
	for _, c := range text {
		if c != ' ' && c != '\t' {
			return true
		}
	}
	return false
}
