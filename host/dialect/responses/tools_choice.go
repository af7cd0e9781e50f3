package responses

import (
	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

const mustNameTool = "must name one of the tools"

// appendChoice appends tool_choice in the form of chat completions, as a field behind
// others. There is at least one tool.
func (d *declarations) appendChoice(dst []byte, choice sdk.JSON) ([]byte, *fault.Error) {
	at := spot{item: atTop}.in("tool_choice")
	if choice == nil {
		return dst, nil
	}
	if isString(choice) {
		if !oneOf("auto", "none", "required")(choice) {
			return dst, at.wrong("must be one of auto, none, required, or an object that names a tool")
		}
		return append(append(dst, `,"tool_choice":`...), choice...), nil
	}
	if !isMap(choice) {
		return dst, at.wrong("must be a string such as auto, or an object that names a tool")
	}
	if typ, _ := choice.Get("type").Str(); typ == "allowed_tools" {
		return d.appendAllowed(dst, choice, at)
	}
	flat, hosted, ok := d.choose(choice)
	if hosted || !ok {
		return dst, at.wrong(mustNameTool)
	}
	dst = append(dst, `,"tool_choice":{"type":"function","function":{"name":`...)
	return append(sdk.AppendQuote(dst, flat), "}}"...), nil
}

// appendAllowed appends a choice among some of the tools. Hosted tools are left out of it,
// as they are of the tools.
func (d *declarations) appendAllowed(dst []byte, choice sdk.JSON, at spot) ([]byte, *fault.Error) {
	mode, list := choice.Get("mode"), choice.Get("tools")
	switch {
	case !oneOf("auto", "required")(mode):
		return dst, at.in("mode").wrong("must be one of auto, required")
	case !isList(list):
		return dst, at.in("tools").wrong("must be an array of tools")
	}
	start, n := len(dst), 0
	dst = append(append(dst, `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":`...), mode...)
	dst = append(dst, `,"tools":[`...)
	it := body.ElementsOf(list)
	for i := 0; it.Next(); i++ {
		flat, hosted, ok := d.choose(it.Value())
		switch {
		case hosted:
			continue
		case !ok:
			return dst, at.in("tools").element(i).wrong(mustNameTool)
		case n > 0:
			dst = append(dst, ',')
		}
		dst = append(dst, `{"type":"function","function":{"name":`...)
		dst = append(sdk.AppendQuote(dst, flat), "}}"...)
		n++
	}
	if n > 0 {
		return append(dst, "]}}"...), nil
	}
	if must, _ := mode.Str(); must == "required" {
		return dst, at.in("tools").wrong(mustNameTool)
	}
	return append(dst[:start], `,"tool_choice":"none"`...), nil
}

// choose returns the flat name of the tool that an object names. hosted says that it is of
// a type that Kai leaves out.
func (d *declarations) choose(v sdk.JSON) (flat string, hosted, ok bool) {
	if !isMap(v) {
		return "", false, false
	}
	typ, _ := v.Get("type").Str()
	kind, what := kindOfTool(typ, sdk.JSON(`"client"`))
	if what != offered {
		return "", what == ignored, false
	}
	name := emulations[kind].name
	if name == "" {
		name, _ = v.Get("name").Str()
	}
	namespace, _ := v.Get("namespace").Str()
	i, ok := d.find(identity{namespace, name})
	if !ok && namespace == "" {
		i, ok = d.findAnywhere(name)
	}
	if !ok {
		return "", false, false
	}
	return d.list[i].flat, false, true
}

// findAnywhere returns the number of the first tool with a name in any namespace, or with
// that flat name.
func (d *declarations) findAnywhere(name string) (i int, ok bool) {
	for i := range d.list {
		if d.list[i].name == name || d.list[i].flat == name {
			return i, true
		}
	}
	return 0, false
}
