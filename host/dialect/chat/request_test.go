package chat

import (
	"errors"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
)

func TestParseRequestReads(t *testing.T) {
	const messages = `"messages":[{"role":"user","content":"Hi"}]`
	for name, tc := range map[string]struct {
		body string
		want Request
	}{
		"defaults":                  {`{` + messages + `}`, Request{}},
		"everything":                {`{"model":"a","stream":true,"stream_options":{"include_usage":true},"n":2,` + messages + `}`, Request{Model: "a", Stream: true, IncludeUsage: true}},
		"null is absent":            {`{"model":null,"stream":null,"stream_options":null,"n":null,"stop":null,"tools":null,` + messages + `}`, Request{}},
		"null usage is absent":      {`{"stream_options":{"include_usage":null},` + messages + `}`, Request{}},
		"an empty model is a model": {`{"model":"",` + messages + `}`, Request{}},
		"the model is decoded":      {`{"mod\u0065l":"a\/b\u00e9\ud800\u0041",` + messages + `}`, Request{Model: "a/bé\ufffdA"}},
		"floats that are integers":  {`{"n":3.0,"max_tokens":1e2,"seed":-5.0,"top_logprobs":0.0,` + messages + `}`, Request{}},
		"behind long content":       {`{"messages":[{"role":"user","content":"` + longContent + `"}],"model":"b","n":4}`, Request{Model: "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseRequest([]byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if got.Model != tc.want.Model || got.Stream != tc.want.Stream ||
				got.IncludeUsage != tc.want.IncludeUsage {
				t.Errorf("ParseRequest(%s) = %+v, want %+v", tc.body, got, tc.want)
			}
		})
	}
}

// withField returns a request that is right but for the field.
func withField(field string) string {
	return `{"messages":[{"role":"user","content":"Hi"}],` + field + `}`
}

func TestParseRequestAccepts(t *testing.T) {
	for name, body := range map[string]string{
		"all roles": `{"messages":[{"role":"system","content":"a"},{"role":"developer","content":"a"},{"role":"user","content":"a"},` +
			`{"role":"assistant","content":"a"},{"role":"tool","tool_call_id":"1","content":"a"},{"role":"function","name":"f","content":"a"}]}`,
		"an assistant without content":      `{"messages":[{"role":"assistant","tool_calls":[]}]}`,
		"an assistant with null":            `{"messages":[{"role":"assistant","content":null}]}`,
		"content parts of any type":         `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"video_url","x":1}]}]}`,
		"fields it does not know":           withField(`"provider":{"order":["a"]},"max_price":{"a":-1},"logit_bias":5`),
		"the ends of ranges":                withField(`"temperature":2,"top_p":0,"presence_penalty":-2,"frequency_penalty":2.0,"n":128,"max_tokens":1,"max_completion_tokens":1,"logprobs":true,"top_logprobs":20`),
		"logprobs behind top_logprobs":      withField(`"top_logprobs":3,"logprobs":true`),
		"no top_logprobs, without logprobs": withField(`"top_logprobs":0,"logprobs":false`),
		"one stop":                          withField(`"stop":"a"`),
		"several stops":                     withField(`"stop":["a","b"]`),
		"no stops":                          withField(`"stop":[]`),
		"a function":                        withField(`"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto"`),
		"an unknown tool":                   withField(`"tools":[{"type":"web_search"}],"tool_choice":{"type":"web_search"}`),
		"text":                              withField(`"response_format":{"type":"text"}`),
		"any JSON":                          withField(`"response_format":{"type":"json_object"}`),
		"JSON of a schema":                  withField(`"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{}}}`),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseRequest([]byte(body)); err != nil {
				t.Errorf("ParseRequest(%s) error = %v", body, err)
			}
		})
	}
}

func TestParseRequestRefuses(t *testing.T) {
	const (
		number  = "must be a number from "
		integer = "must be an integer from "
	)
	for body, want := range map[string]string{
		`{}`:                "messages: is required: an array of at least one message",
		`{"model":"a"}`:     "messages: is required: an array of at least one message",
		`{"messages":null}`: "messages: is required: an array of at least one message",
		`{"messages":[]}`:   "messages: must hold at least one message",
		`{"messages":{"role":"user","content":"a"}}`:                                      "messages: must be an array of messages",
		`{"messages":"a"}`:                                                                "messages: must be an array of messages",
		`{"messages":["a"]}`:                                                              "messages[0]: must be an object with role and content",
		`{"messages":[null]}`:                                                             "messages[0]: must be an object with role and content",
		`{"messages":[{"content":"a"}]}`:                                                  "messages[0].role: must be one of system, developer, user, assistant, tool, function",
		`{"messages":[{"role":null,"content":"a"}]}`:                                      "messages[0].role: must be one of system, developer, user, assistant, tool, function",
		`{"messages":[{"role":"user","content":"a"},{"role":"bot"}]}`:                     "messages[1].role: must be one of system, developer, user, assistant, tool, function",
		`{"messages":[{"role":"User","content":"a"}]}`:                                    "messages[0].role: must be one of system, developer, user, assistant, tool, function",
		`{"messages":[{"role":"user"}]}`:                                                  "messages[0].content: must be a string or an array of content parts",
		`{"messages":[{"role":"user","content":null}]}`:                                   "messages[0].content: must be a string or an array of content parts",
		`{"messages":[{"role":"system","content":{"text":"a"}}]}`:                         "messages[0].content: must be a string or an array of content parts",
		`{"messages":[{"role":"assistant","content":5}]}`:                                 "messages[0].content: must be a string, an array of content parts, or null",
		`{"messages":[{"role":"user","content":["a"]}]}`:                                  `messages[0].content[0]: must be an object such as {"type": "text", "text": "…"}`,
		`{"messages":[{"role":"user","content":[{"type":"text"},{"text":"a"}]}]}`:         "messages[0].content[1].type: must be a string such as text or image_url",
		`{"messages":[{"role":"tool","content":"a"}]}`:                                    "messages[0].tool_call_id: a tool message needs the id of the call it answers, a string",
		`{"messages":[{"role":"tool","content":"a","tool_call_id":7}]}`:                   "messages[0].tool_call_id: a tool message needs the id of the call it answers, a string",
		withField(`"model":5`):                                                            "model: must be a string",
		withField(`"model":["a"]`):                                                        "model: must be a string",
		withField(`"temperature":2.1`):                                                    "temperature: " + number + "0 to 2",
		withField(`"temperature":-0.1`):                                                   "temperature: " + number + "0 to 2",
		withField(`"temperature":1e999`):                                                  "temperature: " + number + "0 to 2",
		withField(`"temperature":"1"`):                                                    "temperature: " + number + "0 to 2",
		withField(`"top_p":1.5`):                                                          "top_p: " + number + "0 to 1",
		withField(`"presence_penalty":-2.5`):                                              "presence_penalty: " + number + "-2 to 2",
		withField(`"frequency_penalty":3`):                                                "frequency_penalty: " + number + "-2 to 2",
		withField(`"n":0`):                                                                "n: " + integer + "1 to 128",
		withField(`"n":129`):                                                              "n: " + integer + "1 to 128",
		withField(`"n":1.5`):                                                              "n: " + integer + "1 to 128",
		withField(`"n":"2"`):                                                              "n: " + integer + "1 to 128",
		withField(`"n":true`):                                                             "n: " + integer + "1 to 128",
		withField(`"max_tokens":0`):                                                       "max_tokens: must be an integer of at least 1",
		withField(`"max_tokens":1.5`):                                                     "max_tokens: must be an integer of at least 1",
		withField(`"max_completion_tokens":-1`):                                           "max_completion_tokens: must be an integer of at least 1",
		withField(`"logprobs":1`):                                                         "logprobs: must be true or false",
		withField(`"top_logprobs":5`):                                                     "top_logprobs: needs logprobs to be true",
		withField(`"top_logprobs":5,"logprobs":false`):                                    "top_logprobs: needs logprobs to be true",
		withField(`"top_logprobs":21,"logprobs":true`):                                    "top_logprobs: " + integer + "0 to 20",
		withField(`"seed":"a"`):                                                           "seed: must be an integer of 64 bits",
		withField(`"seed":1.5`):                                                           "seed: must be an integer of 64 bits",
		withField(`"seed":9223372036854775808`):                                           "seed: must be an integer of 64 bits",
		withField(`"stop":1`):                                                             "stop: must be a string or an array of strings",
		withField(`"stop":{"0":"a"}`):                                                     "stop: must be a string or an array of strings",
		withField(`"stop":["a",1]`):                                                       "stop[1]: must be a string",
		withField(`"stream":"true"`):                                                      "stream: must be true or false",
		withField(`"stream":1`):                                                           "stream: must be true or false",
		withField(`"stream_options":true`):                                                `stream_options: must be an object such as {"include_usage": true}`,
		withField(`"stream_options":{"include_usage":1}`):                                 "stream_options.include_usage: must be true or false",
		withField(`"tools":{}`):                                                           "tools: must be an array of tools",
		withField(`"tools":["f"]`):                                                        "tools[0]: must be an object with type and function",
		withField(`"tools":[{"function":{"name":"f"}}]`):                                  "tools[0].type: must be a string such as function",
		withField(`"tools":[{"type":"function"}]`):                                        "tools[0].function: must be an object with a name",
		withField(`"tools":[{"type":"x"},{"type":"function","function":{"name":""}}]`):    "tools[1].function.name: must be a string that is not empty",
		withField(`"tools":[{"type":"function","function":{"name":5}}]`):                  "tools[0].function.name: must be a string that is not empty",
		withField(`"tool_choice":true`):                                                   "tool_choice: must be a string such as auto, or an object that names a tool",
		withField(`"tool_choice":["f"]`):                                                  "tool_choice: must be a string such as auto, or an object that names a tool",
		withField(`"response_format":"json"`):                                             `response_format: must be an object such as {"type": "json_object"}`,
		withField(`"response_format":{}`):                                                 "response_format.type: must be one of text, json_object, json_schema",
		withField(`"response_format":{"type":"xml"}`):                                     "response_format.type: must be one of text, json_object, json_schema",
		withField(`"response_format":{"type":"json_schema"}`):                             "response_format.json_schema: must be an object with a name and a schema",
		withField(`"response_format":{"type":"json_schema","json_schema":{"schema":{}}}`): "response_format.json_schema.name: must be a string that is not empty",
		withField(`"temper\u0061ture":3`):                                                 "temperature: " + number + "0 to 2",
	} {
		_, err := ParseRequest([]byte(body))
		var e *fault.Error
		if !errors.As(err, &e) {
			t.Errorf("ParseRequest(%s) error = %v, want %s", body, err, want)
			continue
		}
		param, _, _ := strings.Cut(want, ":")
		if e.Text != want || e.Param != param || e.Kind != fault.Invalid || e.Code != "" {
			t.Errorf("ParseRequest(%s) error = %v, param %q, code %q:\n%s, want\n%s", body, e.Kind, e.Param, e.Code, e.Text, want)
		}
	}
}

func TestRefusalsHoldNoContent(t *testing.T) {
	for _, body := range []string{
		`{"messages":[{"role":"user","content":["canary"]}]}`,
		`{"messages":[{"role":"canary","content":"canary"}],"canary":"canary"}`,
		`{"messages":[{"role":"user","content":"canary` + "\n" + `"}]}`,
		`{"messages":"canary" "canary"}`,
		"{\"messages\":\"canary\xff\"}",
	} {
		_, err := ParseRequest([]byte(body))
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("ParseRequest(%q) error = %v", body, err)
		}
	}
}

func TestBodyPutsTheModelIn(t *testing.T) {
	const messages = `"messages":[{"role":"user","content":"Hi"}]`
	for name, tc := range map[string]struct{ body, want string }{
		"a model is replaced":             {` { "model" : "a" , ` + messages + "}\n", ` { "model" : "up\"1" , ` + messages + "}\n"},
		"a null is replaced":              {`{` + messages + `,"model":null}`, `{` + messages + `,"model":"up\"1"}`},
		"a key with escapes":              {`{"mod\u0065l":"a",` + messages + `}`, `{"mod\u0065l":"up\"1",` + messages + `}`},
		"no model":                        {`{` + messages + `}`, `{"model":"up\"1",` + messages + `}`},
		"no model and white space":        {"{\n  " + messages + "\n}", "{\n  " + `"model":"up\"1",` + messages + "\n}"},
		"models elsewhere are left alone": {`{"x":{"model":"a"},` + messages + `}`, `{"model":"up\"1","x":{"model":"a"},` + messages + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := ParseRequest([]byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(c.Body(`up"1`)); got != tc.want {
				t.Errorf("Body of %s = %s, want %s", tc.body, got, tc.want)
			}
			short, refs := c.Short(`up"1`)
			if string(short) != tc.want || refs != nil {
				t.Errorf("Short of %s = %s, %v, want %s and no refs", tc.body, short, refs, tc.want)
			}
		})
	}
}

func TestAsks(t *testing.T) {
	fields, tools := []string{"models", "providerOptions"}, []string{"openrouter:"}
	for name, tc := range map[string]struct{ field, want string }{
		"nothing":                {`"temperature":1,"x":2`, ""},
		"a field":                {`"x":1,"models":["a"]`, "models"},
		"null":                   {`"models":null`, "models"},
		"another case":           {`"MODELſ":[]`, "models"},
		"escaped":                {`"mode\u006cs":[]`, "models"},
		"camel case":             {`"providerOptions":{}`, "providerOptions"},
		"and in lower case":      {`"provideroptions":{}`, "providerOptions"},
		"a field further down":   {`"metadata":{"models":1}`, ""},
		"a function":             {`"tools":[{"type":"function","function":{"name":"openrouter:x"}}]`, ""},
		"another tool":           {`"tools":[{"type":"web_search"}]`, ""},
		"a tool":                 {`"tools":[{"type":"function","function":{"name":"f"}},{"type":"openrouter:advisor"}]`, "tools[1].type"},
		"a tool, escaped":        {`"tools":[{"type":"openrouter\u003aadvisor"}]`, "tools[0].type"},
		"a tool, in capitals":    {`"tools":[{"type":"OpenRouter:advisor"}]`, "tools[0].type"},
		"a type beside another":  {`"tools":[{"type":"function","function":{"name":"f"},"type":"openrouter:advisor"}]`, "tools[0].type"},
		"a Type beside the type": {`"tools":[{"type":"function","function":{"name":"f"},"Type":"openrouter:advisor"}]`, "tools[0].type"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := ParseRequest([]byte(withField(tc.field)))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Asks(fields, tools); got != tc.want {
				t.Errorf("Asks(%v, %v) of %s = %q, want %q", fields, tools, tc.field, got, tc.want)
			}
			if got := c.Asks(nil, nil); got != "" {
				t.Errorf("Asks for nothing of %s = %q", tc.field, got)
			}
		})
	}
}

func TestWithout(t *testing.T) {
	const rest = `{"model":"up","messages":[{"role":"user","content":"hi"}]}`
	for name, body := range map[string]string{
		"first":             `{"reasoning_effort":"high","model":"m","messages":[{"role":"user","content":"hi"}]}`,
		"in the middle":     `{"model":"m","reasoning_effort":{"a":[1]},"messages":[{"role":"user","content":"hi"}]}`,
		"last":              `{"model":"m","messages":[{"role":"user","content":"hi"}],"reasoning_effort":null}`,
		"with escapes":      `{"model":"m","reasoning_\u0065ffort":"high","messages":[{"role":"user","content":"hi"}]}`,
		"of a later scalar": `{"model":"m","reasoning_effort":5,"messages":[{"role":"user","content":"hi"}]}`,
	} {
		r, err := ParseRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		left := r.Without("reasoning_effort")
		if got := string(left.Body("up")); got != rest {
			t.Errorf("%s: without the effort it is %s, want %s", name, got, rest)
		}
		short, refs := left.Short("up")
		if string(short) != rest || refs != nil {
			t.Errorf("%s: its short form is %s", name, short)
		}
		if got := left.Without("reasoning_effort"); got != left {
			t.Errorf("%s: it was left out twice", name)
		}
		if got, want := string(r.Body("m")), body; got != want {
			t.Errorf("%s: the request itself became %s", name, got)
		}
	}
	r, err := ParseRequest([]byte(`{"model":"m","messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Without("reasoning_effort") != dialect.Body(r) || r.Without("model") != dialect.Body(r) {
		t.Error("a request without an effort is itself without one, and a model can't be left out")
	}
}
