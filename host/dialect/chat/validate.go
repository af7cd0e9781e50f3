package chat

import (
	"fmt"
	"slices"
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

// read fills the fields of r from the scanned body and checks what Kai promises
// to check; everything else passes. A field that is null counts as absent. Messages that
// Kai has written, and the tools beside them, need no check.
//
// gjson sees only what scan has accepted. The paths it is given are constants: a
// client's string in one would be read as gjson's own language.
func (r *Request) read(text string, written bool) error {
	var p *problem
	var hasMessages, logprobs, topLogprobs bool
	gjson.Parse(text).ForEach(func(key, v gjson.Result) bool {
		if v.Type == gjson.Null {
			return true
		}
		name := key.Str
		if written && (name == "messages" || name == "tools") {
			hasMessages = hasMessages || name == "messages"
			return true
		}
		switch name {
		case "model":
			// Decoded as adapters will decode it; gjson has its own way with
			// lone surrogates.
			var ok bool
			r.Model, ok = sdk.JSON(r.Doc.Model()).Str()
			p = require(ok, name, "must be a string")
		case "messages":
			hasMessages = true
			p = checkMessages(v).within(name)
		case "temperature":
			p = checkNumber(v, 0, 2).within(name)
		case "top_p":
			p = checkNumber(v, 0, 1).within(name)
		case "presence_penalty", "frequency_penalty":
			p = checkNumber(v, -2, 2).within(name)
		case "n":
			p = checkInt(v, 1, 128).within(name)
			r.choices = v.Int()
		case "max_tokens", "max_completion_tokens":
			n, ok := integer(v)
			p = require(ok && n >= 1, name, "must be an integer of at least 1")
			r.maxOutput = max(r.maxOutput, int64(n))
		case "logprobs":
			p = checkBool(v).within(name)
			logprobs = v.Bool()
		case "top_logprobs":
			p = checkInt(v, 0, 20).within(name)
			topLogprobs = v.Num > 0
		case "seed":
			_, ok := integer(v)
			p = require(ok, name, "must be an integer of 64 bits")
		case "stop":
			p = checkStop(v).within(name)
		case "stream":
			p = checkBool(v).within(name)
			r.Stream = v.Bool()
		case "store":
			r.Store = v.Type == gjson.True
		case "stream_options":
			p = r.readStreamOptions(v).within(name)
		case "tools":
			p = r.readTools(v).within(name)
		case "tool_choice":
			p = require(v.Type == gjson.String || v.IsObject(), name,
				"must be a string such as auto, or an object that names a tool")
		case "response_format":
			p = checkResponseFormat(v).within(name)
		}
		return p == nil
	})
	if p == nil {
		p = require(hasMessages, "messages", "is required: an array of at least one message")
	}
	if p == nil {
		p = require(logprobs || !topLogprobs, "top_logprobs", "needs logprobs to be true")
	}
	if p != nil {
		return p.error()
	}
	return nil
}

func require(ok bool, at, must string) *problem {
	if ok {
		return nil
	}
	return &problem{at, must}
}

// present reports whether a field is there: null is absent.
func present(v gjson.Result) bool { return v.Type != gjson.Null }

func isBool(v gjson.Result) bool { return v.Type == gjson.True || v.Type == gjson.False }

// integer returns the value of an integer, however it is written: 1.0 is one.
func integer(v gjson.Result) (int64, bool) { return sdk.JSON(v.Raw).Int() }

func checkBool(v gjson.Result) *problem {
	return require(isBool(v), "", "must be true or false")
}

func checkNumber(v gjson.Result, low, high float64) *problem {
	if v.Type == gjson.Number && low <= v.Num && v.Num <= high {
		return nil
	}
	return &problem{"", fmt.Sprintf("must be a number from %v to %v", low, high)}
}

func checkInt(v gjson.Result, low, high int64) *problem {
	if n, ok := integer(v); ok && low <= n && n <= high {
		return nil
	}
	return &problem{"", fmt.Sprintf("must be an integer from %d to %d", low, high)}
}

// each checks the elements of an array until the first problem.
func each(array gjson.Result, check func(gjson.Result) *problem) (n int, p *problem) {
	array.ForEach(func(_, v gjson.Result) bool {
		if p = check(v); p != nil {
			p = p.within("[" + strconv.Itoa(n) + "]")
		}
		n++
		return p == nil
	})
	return n, p
}

func checkStop(v gjson.Result) *problem {
	const must = "must be a string or an array of strings"
	if !v.IsArray() {
		return require(v.Type == gjson.String, "", must)
	}
	_, p := each(v, func(s gjson.Result) *problem {
		return require(s.Type == gjson.String, "", "must be a string")
	})
	return p
}

func (r *Request) readStreamOptions(v gjson.Result) *problem {
	if !v.IsObject() {
		return &problem{"", `must be an object such as {"include_usage": true}`}
	}
	usage := v.Get("include_usage")
	if !present(usage) {
		return nil
	}
	r.IncludeUsage = usage.Bool()
	return checkBool(usage).within(".include_usage")
}

var roles = []string{"system", "developer", "user", "assistant", "tool", "function"}

func checkMessages(v gjson.Result) *problem {
	if !v.IsArray() {
		return &problem{"", "must be an array of messages"}
	}
	n, p := each(v, checkMessage)
	if p == nil {
		p = require(n > 0, "", "must hold at least one message")
	}
	return p
}

func checkMessage(m gjson.Result) *problem {
	if !m.IsObject() {
		return &problem{"", "must be an object with role and content"}
	}
	var role, content, callID gjson.Result
	m.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "role":
			role = v
		case "content":
			content = v
		case "tool_call_id":
			callID = v
		}
		return true
	})
	if role.Type != gjson.String || !slices.Contains(roles, role.Str) {
		return &problem{".role", "must be one of " + strings.Join(roles, ", ")}
	}
	if role.Str == "tool" && callID.Type != gjson.String {
		return &problem{".tool_call_id", "a tool message needs the id of the call it answers, a string"}
	}
	switch {
	case content.Type == gjson.String:
		return nil
	case content.IsArray():
		_, p := each(content, checkPart)
		return p.within(".content")
	case role.Str != "assistant":
		return &problem{".content", "must be a string or an array of content parts"}
	}
	return require(!present(content), ".content", "must be a string, an array of content parts, or null")
}

func checkPart(v gjson.Result) *problem {
	if !v.IsObject() {
		return &problem{"", `must be an object such as {"type": "text", "text": "…"}`}
	}
	return require(v.Get("type").Type == gjson.String, ".type", "must be a string such as text or image_url")
}

func (r *Request) readTools(v gjson.Result) *problem {
	if !v.IsArray() {
		return &problem{"", "must be an array of tools"}
	}
	i := 0
	_, p := each(v, func(tool gjson.Result) *problem {
		p := checkTool(tool)
		if p == nil {
			r.noteTool(i, tool)
		}
		i++
		return p
	})
	return p
}

// noteTool notes each type that a reader may see in a tool: the field may be there
// twice, and under a name that folds to type.
func (r *Request) noteTool(i int, tool gjson.Result) {
	tool.ForEach(func(key, v gjson.Result) bool {
		if v.Type == gjson.String && v.Str != "function" && string(body.Fold([]byte(key.Str))) == "type" {
			r.tools = append(r.tools, foreignTool{i, string(body.Fold([]byte(v.Str)))})
		}
		return true
	})
}

// checkTool lets types it does not know pass: they are the upstream's business.
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
