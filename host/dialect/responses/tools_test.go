package responses

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// toolsOf returns what is said about tools in the chat completion, before its messages.
func toolsOf(t *testing.T, fields string) string {
	t.Helper()
	body := chatBody(t, Options{}, `{"model":"m",`+fields+`}`)
	rest, ok := strings.CutPrefix(body, `{"model":"m",`)
	if !ok {
		t.Fatalf("the chat completion is %s", body)
	}
	before, _, _ := strings.Cut(rest, `"messages":`)
	return strings.TrimSuffix(before, ",")
}

// functions returns a list of functions as chat has them.
func functions(list ...string) string {
	for i, f := range list {
		list[i] = `{"type":"function","function":{` + f + `}}`
	}
	return `"tools":[` + strings.Join(list, ",") + `]`
}

func TestTools(t *testing.T) {
	const input = `"input":"Hi",`
	const f = `{"type":"function","name":"f"}`
	patchGrammar := `"parameters":` + customParameters
	for name, tc := range map[string]struct{ fields, want string }{
		"a function": {
			`"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object","encrypted":true},"strict":true,"output_schema":{},"allowed_callers":[]},{"type":"function","name":"g","strict":null,"parameters":null,"description":null,"defer_loading":true}],"tool_choice":"required","parallel_tool_calls":false`,
			functions(`"name":"f","description":"d","parameters":{"type":"object","encrypted":true},"strict":true`, `"name":"g"`) + `,"tool_choice":"required","parallel_tool_calls":false`,
		},
		"custom with a grammar": {
			`"tools":[{"type":"custom","name":"apply_patch","description":"Edits \"files\".","format":{"type":"grammar","syntax":"lark","definition":"start: \"a\"\n"}}]`,
			functions(`"name":"apply_patch","description":"Edits \"files\".\n\nThe field input must match this grammar (lark):\nstart: \"a\"\n",` + patchGrammar),
		},
		"custom with text":               {`"tools":[{"type":"custom","name":"x","format":{"type":"text"}},{"type":"custom","name":"y","description":"d"}]`, functions(`"name":"x",`+patchGrammar, `"name":"y","description":"d",`+patchGrammar)},
		"a namespace":                    {`"tools":[{"type":"namespace","name":"mcp__words","description":"d","tools":[{"type":"function","name":"lookup"},{"type":"custom","name":"say"}]}]`, functions(`"name":"mcp__words__lookup"`, `"name":"mcp__words__say",`+patchGrammar)},
		"Codex's own namespace":          {`"tools":[{"type":"namespace","name":"functions","tools":[{"type":"custom","name":"exec"},{"type":"function","name":"wait"}]},{"type":"namespace","name":"clock","tools":[{"type":"function","name":"sleep"}]}]`, functions(`"name":"exec",`+patchGrammar, `"name":"wait"`, `"name":"clock__sleep"`)},
		"an empty namespace":             {`"tools":[{"type":"namespace","name":"n","tools":[]}],"tool_choice":"auto"`, ``},
		"a search for tools":             {`"tools":[{"type":"tool_search","execution":"client","description":"d","parameters":{"a":1}}]`, functions(`"name":"tool_search","description":"d","parameters":{"a":1}`)},
		"a search without parameters":    {`"tools":[{"type":"tool_search","execution":"client"}]`, functions(`"name":"tool_search","parameters":` + searchParameters)},
		"a server's search":              {`"tools":[{"type":"tool_search"},{"type":"tool_search","execution":"server"},` + f + `]`, functions(`"name":"f"`)},
		"emulated":                       {`"tools":[{"type":"local_shell"},{"type":"shell","environment":{"type":"local"}},{"type":"shell"},{"type":"apply_patch"}]`, functions(emulated(localShell), emulated(shell), emulated(applyPatch))},
		"web_search beside others":       {`"tools":[` + f + `,{"type":"web_search","external_web_access":false},{"type":"web_search_preview"},{"type":"web_search_preview_2025_03_11"},{"type":"image_generation"}],"tool_choice":"auto"`, functions(`"name":"f"`) + `,"tool_choice":"auto"`},
		"only web_search":                {`"tools":[{"type":"web_search"}],"tool_choice":"auto","parallel_tool_calls":true`, ``},
		"no tools":                       {`"tools":[],"tool_choice":"auto","parallel_tool_calls":false`, ``},
		"nothing about tools":            {`"tool_choice":"none"`, ``},
		"allowed tools without tools":    {`"tools":[],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[]}`, ``},
		"declared twice":                 {`"tools":[{"type":"function","name":"f","description":"first"},{"type":"function","name":"g"},{"type":"custom","name":"f","description":"last"}]`, functions(`"name":"f","description":"last",`+patchGrammar, `"name":"g"`)},
		"choice none":                    {`"tools":[` + f + `],"tool_choice":"none"`, functions(`"name":"f"`) + `,"tool_choice":"none"`},
		"choice of a function":           {`"tools":[` + f + `],"tool_choice":{"type":"function","name":"f"}`, functions(`"name":"f"`) + `,"tool_choice":{"type":"function","function":{"name":"f"}}`},
		"choice of a custom tool":        {`"tools":[{"type":"namespace","name":"n","tools":[{"type":"custom","name":"x"}]}],"tool_choice":{"type":"custom","name":"x"}`, functions(`"name":"n__x",`+patchGrammar) + `,"tool_choice":{"type":"function","function":{"name":"n__x"}}`},
		"choice by namespace":            {`"tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]},{"type":"namespace","name":"o","tools":[{"type":"function","name":"f"}]}],"tool_choice":{"type":"function","name":"f","namespace":"o"}`, functions(`"name":"n__f"`, `"name":"o__f"`) + `,"tool_choice":{"type":"function","function":{"name":"o__f"}}`},
		"choice by flat name":            {`"tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}],"tool_choice":{"type":"function","name":"n__f"}`, functions(`"name":"n__f"`) + `,"tool_choice":{"type":"function","function":{"name":"n__f"}}`},
		"choice of an emulated tool":     {`"tools":[{"type":"apply_patch"}],"tool_choice":{"type":"apply_patch"}`, functions(emulated(applyPatch)) + `,"tool_choice":{"type":"function","function":{"name":"apply_patch"}}`},
		"choice of some":                 {`"tools":[` + f + `,{"type":"custom","name":"x"},{"type":"web_search"}],"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"web_search"},{"type":"custom","name":"x"},{"type":"function","name":"f"}]}`, functions(`"name":"f"`, `"name":"x",`+patchGrammar) + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"x"}},{"type":"function","function":{"name":"f"}}]}}`},
		"choice of what was left out":    {`"tools":[` + f + `,{"type":"web_search"}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"web_search"}]}`, functions(`"name":"f"`) + `,"tool_choice":"none"`},
		"the model's own name in quotes": {`"tools":[{"type":"function","name":"f\"g"}]`, functions(`"name":"` + hashedName(identity{"", `f"g`}) + `"`)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := toolsOf(t, input+tc.fields); got != tc.want {
				t.Errorf("the tools are\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// emulated returns the function of a tool that only clients run.
func emulated(k toolKind) string {
	e := emulations[k]
	return `"name":"` + e.name + `","description":"` + e.description + `","parameters":` + e.parameters
}

// TestToolsInItems: tools of additional_tools and of what a search found join the others,
// and the calls of the history have the same names.
func TestToolsInItems(t *testing.T) {
	got := chatBody(t, Options{}, `{"model":"m","tools":[{"type":"tool_search","execution":"client","parameters":{}},{"type":"function","name":"wait"}],"input":[
		{"type":"additional_tools","role":"developer","tools":[{"type":"namespace","name":"functions","tools":[{"type":"custom","name":"exec"},{"type":"function","name":"wait","description":"later"}]}]},
		{"role":"developer","content":"d"},
		{"role":"user","content":"go"},
		{"type":"tool_search_call","call_id":"c","execution":"client","arguments":{"query":"look up \"words\"","limit":3}},
		{"type":"tool_search_output","call_id":"c","execution":"client","tools":[{"type":"namespace","name":"mcp__words","tools":[{"type":"function","name":"lookup","defer_loading":true}]},{"type":"function","name":"g"}]},
		{"type":"tool_search_call","call_id":"d","execution":"client","arguments":{"query":"x"}},
		{"type":"tool_search_output","call_id":"d","execution":"client","tools":[]},
		{"type":"function_call","call_id":"e","namespace":"mcp__words","name":"lookup","arguments":"{}"}]}`)
	want := `{"model":"m",` + functions(`"name":"tool_search","parameters":{}`, `"name":"wait","description":"later"`, `"name":"exec","parameters":`+customParameters, `"name":"mcp__words__lookup"`, `"name":"g"`) +
		`,"messages":[{"role":"developer","content":"d"},{"role":"user","content":"go"},` +
		`{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"tool_search","arguments":"{\"query\":\"look up \\\"words\\\"\",\"limit\":3}"}}]},` +
		`{"role":"tool","tool_call_id":"c","content":"These tools can be called now: mcp__words__lookup, g"},` +
		`{"role":"assistant","content":null,"tool_calls":[{"id":"d","type":"function","function":{"name":"tool_search","arguments":"{\"query\":\"x\"}"}}]},` +
		`{"role":"tool","tool_call_id":"d","content":"No tools were found."},` +
		`{"role":"assistant","content":null,"tool_calls":[{"id":"e","type":"function","function":{"name":"mcp__words__lookup","arguments":"{}"}}]}]}`
	if got != want {
		t.Errorf("the chat completion is\n%s\nwant\n%s", got, want)
	}
}

// declared reads declarations.
func declared(t *testing.T, list string) *declarations {
	t.Helper()
	var d declarations
	if err := d.add([]byte(list), spot{item: atTop}.in("tools")); err != nil {
		t.Fatal(err)
	}
	d.settle()
	return &d
}

// TestWayBack: flat names lead to the tools as they were declared.
func TestWayBack(t *testing.T) {
	got := declared(t, `[{"type":"function","name":"f"},{"type":"custom","name":"x"},{"type":"tool_search","execution":"client"},{"type":"shell"},{"type":"local_shell"},{"type":"apply_patch"},
		{"type":"namespace","name":"mcp__words","tools":[{"type":"function","name":"lookup"}]},{"type":"namespace","name":"functions","tools":[{"type":"custom","name":"exec"}]},{"type":"web_search"}]`).table()
	want := tools{
		"f":                  {function, "f", ""},
		"x":                  {custom, "x", ""},
		"tool_search":        {toolSearch, "tool_search", ""},
		"shell":              {shell, "shell", ""},
		"local_shell":        {localShell, "local_shell", ""},
		"apply_patch":        {applyPatch, "apply_patch", ""},
		"mcp__words__lookup": {function, "lookup", "mcp__words"},
		"exec":               {custom, "exec", "functions"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the tools are %v, want %v", got, want)
	}
	if got := got.named("other"); got != (tool{name: "other"}) {
		t.Errorf("a tool that nobody declared is %v", got)
	}
}

// TestFlatNames: they are short, of few characters, different, and the same in each
// request, whatever the order of the tools.
func TestFlatNames(t *testing.T) {
	long := strings.Repeat("a", 70)
	tools := []string{
		`{"type":"namespace","name":"a","tools":[{"type":"function","name":"b__c"}]}`,
		`{"type":"namespace","name":"a__b","tools":[{"type":"function","name":"c"}]}`,
		`{"type":"function","name":"a__b__c"}`,
		`{"type":"function","name":"` + long + `"}`,
		`{"type":"function","name":"` + long + `b"}`,
		`{"type":"namespace","name":"` + long + `","tools":[{"type":"function","name":"c"},{"type":"function","name":"d"}]}`,
		`{"type":"function","name":"äé.1"}`,
	}
	first := slices.Sorted(maps.Keys(declared(t, "["+strings.Join(tools, ",")+"]").table()))
	if len(first) != 8 {
		t.Fatalf("8 tools have the names %q", first)
	}
	for _, name := range first {
		if len(name) > 64 || clean(name) != name {
			t.Errorf("%q has %d bytes, or others than it may have", name, len(name))
		}
	}
	if !slices.Contains(first, "a__b__c") {
		t.Errorf("the plain name is not among %q", first)
	}
	slices.Reverse(tools)
	d := declared(t, "["+strings.Join(tools, ",")+"]")
	if again := slices.Sorted(maps.Keys(d.table())); !slices.Equal(again, first) {
		t.Errorf("in another order the names are %q, want %q", again, first)
	}
	for i := range d.list {
		one := d.list[i]
		if got := d.flat(identity{one.namespace, one.name}); got != one.flat {
			t.Errorf("a call of %v has the name %q, want %q", one.tool, got, one.flat)
		}
	}
	if got, again := (&declarations{}).flat(identity{"n", long}), d.flat(identity{"n", long}); got != again || len(got) != 64 {
		t.Errorf("a tool that is not declared any more is called %q, then %q", got, again)
	}
}

func TestTooManyTools(t *testing.T) {
	var list []string
	for i := range maxTools + 1 {
		list = append(list, `{"type":"function","name":"f`+strconv.Itoa(i)+`"}`)
	}
	if _, err := parsed(Options{}, `{"input":"Hi","tools":[`+strings.Join(list[:maxTools], ",")+`]}`); err != nil {
		t.Errorf("%d tools are refused: %v", maxTools, err)
	}
	_, err := parsed(Options{}, `{"input":"Hi","tools":[`+strings.Join(list, ",")+`]}`)
	if err == nil || err.Param != "tools[4096]" {
		t.Errorf("%d tools: %v", maxTools+1, err)
	}
}
