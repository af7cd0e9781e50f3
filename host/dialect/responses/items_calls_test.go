package responses

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWhatAModelWroteComesBackAsTheToolWasDeclared(t *testing.T) {
	for name, tc := range map[string]struct {
		kind      toolKind
		arguments string
		want      string
	}{
		"the input of a custom tool":               {custom, `{"input":"*** Begin\n\"a\" \\"}`, `*** Begin\n\"a\" \\`},
		"an empty input":                           {custom, `{"input":""}`, ``},
		"the input beside other fields":            {custom, ` { "why" : "x", "input" : "y", "n" : 1 } `, `y`},
		"the only string instead of the input":     {custom, `{"patch":"x","n":1}`, `x`},
		"two strings that are no input":            {custom, `{"a":"x","b":"y"}`, `{\"a\":\"x\",\"b\":\"y\"}`},
		"an input that is no string":               {custom, `{"input":{"a":1}}`, `{\"input\":{\"a\":1}}`},
		"a bare text":                              {custom, "*** Begin\n\"a\"", `*** Begin\n\"a\"`},
		"a text in quotes":                         {custom, `"a\nb"`, `a\nb`},
		"a wrapper that breaks off":                {custom, `{"input":"a`, `{\"input\":\"a`},
		"a wrapper with more behind it":            {custom, `{"input":"a"} b`, `{\"input\":\"a\"} b`},
		"no text at all":                           {custom, ``, ``},
		"an empty wrapper":                         {custom, `{}`, `{}`},
		"half a character in the input":            {custom, `{"input":"a\ud83db"}`, "a\ufffdb"},
		"the arguments of a search":                {toolSearch, `{"query":"a\\b","limit":3}`, `{"query":"a\\b","limit":3}`},
		"arguments on several lines":               {toolSearch, "{\n\"a\" :\r\n\"\\n\" }", `{"a" :"\n" }`},
		"half a character in the arguments":        {toolSearch, `{"a":"\ud83d\ude00\ud83d","b":"\ude00\\ud83d"}`, `{"a":"\ud83d\ude00\ufffd","b":"\ufffd\\ud83d"}`},
		"arguments that are an array":              {toolSearch, `["a"]`, `{"_invalid_arguments":"[\"a\"]"}`},
		"arguments that break off":                 {toolSearch, `{"a`, `{"_invalid_arguments":"{\"a"}`},
		"arguments that are white space":           {toolSearch, " \n", `{}`},
		"a command":                                {localShell, `{"command":["ls","-l"],"timeout_ms":1e3,"working_directory":"/","env":{"A":"b"},"user":"me"}`, `{"type":"exec","command":["ls","-l"],"timeout_ms":1000,"working_directory":"/","env":{"A":"b"},"user":"me"}`},
		"a command of which little is known":       {localShell, `{"command":["ls"]}`, `{"type":"exec","command":["ls"],"timeout_ms":null,"working_directory":null,"env":{},"user":null}`},
		"a command that is a line":                 {localShell, `{"command":"ls | wc"}`, `{"type":"exec","command":["bash","-lc","ls | wc"],"timeout_ms":null,"working_directory":null,"env":{},"user":null}`},
		"a command of wrong types":                 {localShell, `{"command":["ls",1],"timeout_ms":"5","env":{"A":1,"B":"c"},"user":[]}`, `{"type":"exec","command":["ls"],"timeout_ms":null,"working_directory":null,"env":{"B":"c"},"user":null}`},
		"a command that breaks off":                {localShell, `{"command":["rm","-rf","/`, `{"type":"exec","command":[],"timeout_ms":null,"working_directory":null,"env":{},"user":null}`},
		"commands":                                 {shell, `{"commands":["ls","pwd"],"timeout_ms":5,"max_output_length":100}`, `{"commands":["ls","pwd"],"timeout_ms":5,"max_output_length":100}`},
		"one command that is no list":              {shell, `{"commands":"ls"}`, `{"commands":["ls"],"timeout_ms":null,"max_output_length":null}`},
		"commands that break off":                  {shell, `{"commands":["ls"`, `{"commands":[],"timeout_ms":null,"max_output_length":null}`},
		"a new file":                               {applyPatch, `{"type":"create_file","path":"a","diff":"+x\n"}`, `{"type":"create_file","path":"a","diff":"+x\n"}`},
		"a changed file":                           {applyPatch, `{"diff":"@@","path":"a","type":"update_file"}`, `{"type":"update_file","path":"a","diff":"@@"}`},
		"a deleted file":                           {applyPatch, `{"type":"delete_file","path":"a","diff":""}`, `{"type":"delete_file","path":"a"}`},
		"an operation nobody knows":                {applyPatch, `{"type":"move_file","path":"a"}`, `{"type":"update_file","path":"a","diff":""}`},
		"a patch that is a text":                   {applyPatch, "*** Begin", `{"type":"update_file","path":"","diff":"*** Begin"}`},
		"a patch whose path is no string":          {applyPatch, `{"type":"create_file","path":1}`, `{"type":"create_file","path":"","diff":""}`},
		"what looks like nested arguments is none": {applyPatch, `{"operation":{"type":"delete_file","path":"a"}}`, `{"type":"update_file","path":"","diff":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(tc.kind.form().resolve(nil, []byte(tc.arguments))); got != tc.want {
				t.Errorf("%s becomes\n%s, want\n%s", tc.arguments, got, tc.want)
			}
		})
	}
}

// Whatever a model writes, the item is JSON on one line that every client can read, and
// has the types that clients declare.
func FuzzArguments(f *testing.F) {
	for _, s := range []string{
		`{"input":"a"}`, `{"command":["a"],"env":{"A":"b"}}`, `{"commands":["a"],"timeout_ms":1}`, `{"type":"create_file","path":"a","diff":"b"}`,
		`{"a":"\ud83d"}`, "{\n\"a\":1}", `{"a`, `""`, `[1`, "\x00\u2028", `{"\ud83d\ud83d\ude00":1}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arguments string) {
		if !utf8.ValidString(arguments) {
			return // the boundary lets nothing else in
		}
		for kind := function; kind <= applyPatch; kind++ {
			form := kind.form()
			if form.resolve == nil {
				continue
			}
			it := newOutputItem(callItem, tool{kind: kind, name: "f"}, testInfo.ID, 0)
			it.callID, it.status = "x", statusCompleted
			it.text = form.resolve(nil, []byte(arguments))
			item := it.appendDone(nil)
			if err := checkJSON(item); err != nil || strings.ContainsAny(string(item), "\n\r") {
				if err != nil && strings.Contains(err.Error(), "twice") {
					continue // the model's own keys
				}
				t.Fatalf("%q becomes %s: %v", arguments, item, err)
			}
			var typed struct {
				Input     *string        `json:"input"`
				Arguments map[string]any `json:"arguments"`
				Action    struct {
					Command  []string          `json:"command"`
					Env      map[string]string `json:"env"`
					Timeout  *int64            `json:"timeout_ms"`
					Dir      *string           `json:"working_directory"`
					User     *string           `json:"user"`
					Commands []string          `json:"commands"`
					Length   *int64            `json:"max_output_length"`
				} `json:"action"`
				Operation struct{ Type, Path, Diff string } `json:"operation"`
			}
			if err := json.Unmarshal(item, &typed); err != nil {
				t.Fatalf("%q becomes %s: %v", arguments, item, err)
			}
			if len(item) > it.size()+len(arguments)*5 {
				t.Fatalf("%q becomes %d bytes, counted %d", arguments, len(item), it.size())
			}
		}
	})
}
