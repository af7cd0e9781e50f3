package chat

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
)

// problem is what is wrong with a part of a request.
type problem struct {
	at   string // the path of the part, as in "messages[2].role"
	must string // what it has to be
}

// within puts the path of what encloses the part before the part's own.
func (p *problem) within(path string) *problem {
	if p == nil {
		return nil
	}
	return &problem{path + p.at, p.must}
}

func (p *problem) error() *fault.Error {
	return &fault.Error{Kind: fault.Invalid, Param: p.at, Text: p.at + ": " + p.must}
}

// reading is what is noted while a request is read that was scanned before.
type reading struct {
	*notes
	translated            bool     // a dialect wrote the request: its messages and tools need no check
	problem               *problem // the first one in the body; nil if there is none
	at                    int      // where the value that has the problem begins
	logprobs, topLogprobs bool     // they are asked for
}

// read fills the fields of n from the scanned body and checks what Kai promises to check;
// everything else passes. A field that is null counts as absent. text is the body as adapters get
// it, in which messages are shorter.
//
//   - translated: messages and tools need no check
func (n *notes) read(text []byte, made bool) error {
	r := reading{notes: n, translated: made}
	whole := n.Whole()
	for i := range n.fields {
		at := atTemperature + body.Place(i)
		span := n.spanOf(at)
		if span.To == 0 || whole[span.From] == 'n' {
			continue
		}
		if p := r.readField(at, sdk.JSON(span.Of(whole))); p != nil {
			r.refuse(p.within(readFields[i]), span.From)
		}
	}
	if model := n.Doc.Model(); len(model) > 0 && model[0] != 'n' {
		// Decoded as adapters will decode it; gjson has its own way with lone surrogates.
		var ok bool
		if n.Model, ok = sdk.JSON(model).Str(); !ok {
			r.refuse(&problem{"model", "must be a string"}, n.Doc.ModelAt())
		}
	}
	hasMessages := n.list != (body.Span{})
	if hasMessages && !made && (r.problem == nil || n.list.From < r.at) {
		if p := checkMessages(n.messagesIn(text)); p != nil {
			r.refuse(p.within("messages"), n.list.From)
		}
	}
	switch {
	case r.problem != nil:
		return r.problem.error()
	case !hasMessages:
		return (&problem{"messages", "is required: an array of at least one message"}).error()
	case r.topLogprobs && !r.logprobs:
		return (&problem{"top_logprobs", "needs logprobs to be true"}).error()
	}
	return nil
}

// refuse notes the problem of a value that begins at i.
func (r *reading) refuse(p *problem, i int) {
	if r.problem == nil || i < r.at {
		r.problem, r.at = p, i
	}
}

// messagesIn returns the text that adapters get from the messages on.
func (n *notes) messagesIn(text []byte) []byte {
	if &text[0] == &n.Whole()[0] {
		return text[n.list.From:]
	}
	for f := body.FieldsOf(text); f.Next(); {
		if string(f.Key()) == "messages" {
			return text[f.At():]
		}
	}
	return nil
}

// readField reads a field of the top level. The problem's path is the one within the field.
// gjson sees only what the scan has accepted, and its paths are constants: it would read a
// client's string in a path as its own language.
func (r *reading) readField(at body.Place, v sdk.JSON) (p *problem) {
	switch at {
	case atTemperature:
		p = checkNumber(v, 0, 2)
	case atTopP:
		p = checkNumber(v, 0, 1)
	case atPresencePenalty, atFrequencyPenalty:
		p = checkNumber(v, -2, 2)
	case atN:
		r.choices, p = checkInt(v, 1, 128)
	case atMaxTokens, atMaxCompletionTokens:
		n, ok := v.Int()
		p = require(ok && n >= 1, "", "must be an integer of at least 1")
		r.maxOutput = max(r.maxOutput, n)
	case atLogprobs:
		r.logprobs, p = checkBool(v)
	case atTopLogprobs:
		var n int64
		n, p = checkInt(v, 0, 20)
		r.topLogprobs = n > 0
	case atSeed:
		_, ok := v.Int()
		p = require(ok, "", "must be an integer of 64 bits")
	case atStop:
		if r.emptyStop {
			v = stopOf(v) // as it will be sent
		}
		if v[0] != 'n' {
			p = checkStop(parsed(v))
		}
	case atStream:
		r.Stream, p = checkBool(v)
	case atStore:
		r.Store = string(v) == "true"
	case atStreamOptions:
		p = r.readStreamOptions(v)
	case atTools:
		if !r.translated {
			p = r.readTools(parsed(v))
		}
	case atToolChoice:
		p = require(v[0] == '"' || v[0] == '{', "", "must be a string such as auto, or an object that names a tool")
	case atResponseFormat:
		p = checkResponseFormat(parsed(v))
	}
	return p
}

// parsed returns a value as gjson reads it.
func parsed(value sdk.JSON) gjson.Result { return gjson.Parse(textOf(value)) }

func require(ok bool, at, must string) *problem {
	if ok {
		return nil
	}
	return &problem{at, must}
}

func checkBool(v sdk.JSON) (bool, *problem) {
	value, ok := v.Bool()
	return value, require(ok, "", "must be true or false")
}

func checkNumber(v sdk.JSON, low, high float64) *problem {
	if n, ok := v.Float(); ok && low <= n && n <= high {
		return nil
	}
	return &problem{"", fmt.Sprintf("must be a number from %v to %v", low, high)}
}

func checkInt(v sdk.JSON, low, high int64) (int64, *problem) {
	if n, ok := v.Int(); ok && low <= n && n <= high {
		return n, nil
	}
	return 0, &problem{"", fmt.Sprintf("must be an integer from %d to %d", low, high)}
}

// each checks the elements of an array until the first problem.
func each(array gjson.Result, check func(gjson.Result) *problem) (p *problem) {
	n := 0
	array.ForEach(func(_, v gjson.Result) bool {
		if p = check(v); p != nil {
			p = inList(p, n)
		}
		n++
		return p == nil
	})
	return p
}

func checkStop(v gjson.Result) *problem {
	const must = "must be a string or an array of strings"
	if !v.IsArray() {
		return require(v.Type == gjson.String, "", must)
	}
	return each(v, func(s gjson.Result) *problem {
		return require(s.Type == gjson.String, "", "must be a string")
	})
}

func (r *Request) readStreamOptions(v sdk.JSON) (p *problem) {
	if v[0] != '{' {
		return &problem{"", `must be an object such as {"include_usage": true}`}
	}
	usage := v.Get("include_usage")
	if kind := usage.Kind(); kind == sdk.KindAbsent || kind == sdk.KindNull {
		return nil
	}
	r.IncludeUsage, p = checkBool(usage)
	return p.within(".include_usage")
}

var roles = []string{"system", "developer", "user", "assistant", "tool", "function"}

// checkMessages checks the messages that text begins with, until the first problem.
func checkMessages(text []byte) *problem {
	if text[0] != '[' {
		return &problem{"", "must be an array of messages"}
	}
	n := 0
	for list := body.ElementsOf(text); list.Next(); n++ {
		if p := checkMessage(&list); p != nil {
			return inList(p, n)
		}
	}
	return require(n > 0, "", "must hold at least one message")
}

// inList puts the number of the part before its path.
func inList(p *problem, n int) *problem { return p.within("[" + strconv.Itoa(n) + "]") }

func checkMessage(in *body.Elements) *problem {
	if in.Kind() != sdk.KindObject {
		return &problem{"", "must be an object with role and content"}
	}
	var role sdk.JSON
	var content, callID sdk.Kind
	var part *problem // what is wrong with a part of the content
	for f := in.Fields(); f.Next(); {
		switch string(f.Key()) {
		case "role":
			role = f.Value()
		case "content":
			if content, part = f.Kind(), nil; content == sdk.KindArray {
				part = checkParts(f.Elements())
			}
		case "tool_call_id":
			callID = f.Kind()
		}
	}
	var known bool
	var text [16]byte
	said, _ := role.AppendStr(text[:0])
	for _, one := range roles {
		known = known || string(said) == one
	}
	if !known {
		return &problem{".role", "must be one of " + strings.Join(roles, ", ")}
	}
	if string(said) == "tool" && callID != sdk.KindString {
		return &problem{".tool_call_id", "a tool message needs the id of the call it answers, a string"}
	}
	switch {
	case content == sdk.KindString:
		return nil
	case content == sdk.KindArray:
		return part.within(".content")
	case string(said) != "assistant":
		return &problem{".content", "must be a string or an array of content parts"}
	}
	return require(content == sdk.KindNull || content == sdk.KindAbsent, ".content", "must be a string, an array of content parts, or null")
}

func checkParts(list body.Elements) *problem {
	for n := 0; list.Next(); n++ {
		if p := checkPart(&list); p != nil {
			return inList(p, n)
		}
	}
	return nil
}

func checkPart(in *body.Elements) *problem {
	if in.Kind() != sdk.KindObject {
		return &problem{"", `must be an object such as {"type": "text", "text": "…"}`}
	}
	kind := sdk.KindAbsent
	for f := in.Fields(); f.Next(); {
		if kind == sdk.KindAbsent && string(f.Key()) == "type" {
			kind = f.Kind()
		}
	}
	return require(kind == sdk.KindString, ".type", "must be a string such as text or image_url")
}

func (r *Request) readTools(v gjson.Result) *problem {
	if !v.IsArray() {
		return &problem{"", "must be an array of tools"}
	}
	i := 0
	return each(v, func(tool gjson.Result) *problem {
		p := checkTool(tool)
		if p == nil {
			r.noteTool(i, tool)
		}
		i++
		return p
	})
}

// noteTool notes each type that a reader may see in a tool: the field may be there twice,
// and under a name that folds to type. A tool that isn't the client's own may name what the
// provider keeps, even in the place where others have their schema.
func (r *Request) noteTool(i int, tool gjson.Result) {
	theirs := false
	tool.ForEach(func(key, v gjson.Result) bool {
		if v.Type == gjson.String && v.Str != "function" && string(body.Fold([]byte(key.Str))) == "type" {
			r.tools = append(r.tools, foreignTool{i, string(body.Fold([]byte(v.Str)))})
			theirs = theirs || v.Str != "custom"
		}
		return true
	})
	if !theirs {
		return
	}
	tool.ForEach(func(key, v gjson.Result) bool {
		switch string(body.Fold([]byte(key.Str))) {
		case "function", "custom", "parameters":
			r.named.AddAll(sdk.JSON(v.Raw))
		}
		return true
	})
}

// checkTool accepts types that it does not know: they are the upstream's business.
func checkTool(v gjson.Result) *problem {
	if !v.IsObject() {
		return &problem{"", "must be an object with type and function"}
	}
	kind, function := v.Get("type"), v.Get("function")
	switch {
	case kind.Type != gjson.String:
		return &problem{".type", "must be a string such as function"}
	case kind.Str != "function":
		return nil
	case !function.IsObject():
		return &problem{".function", "must be an object with a name"}
	}
	return checkName(function.Get("name")).within(".function.name")
}

func checkName(v gjson.Result) *problem {
	return require(v.Type == gjson.String && v.Str != "", "", "must be a string that is not empty")
}

func checkResponseFormat(v gjson.Result) *problem {
	if !v.IsObject() {
		return &problem{"", `must be an object such as {"type": "json_object"}`}
	}
	switch kind := v.Get("type"); {
	case kind.Type == gjson.String && (kind.Str == "text" || kind.Str == "json_object"):
		return nil
	case kind.Type != gjson.String || kind.Str != "json_schema":
		return &problem{".type", "must be one of text, json_object, json_schema"}
	}
	schema := v.Get("json_schema")
	if !schema.IsObject() {
		return &problem{".json_schema", "must be an object with a name and a schema"}
	}
	return checkName(schema.Get("name")).within(".json_schema.name")
}
