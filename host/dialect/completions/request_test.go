package completions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

// read parses a request of one of the two forms.
func read(fim bool, body string) (*dialect.Request, error) {
	if fim {
		return ParseFIM(context.Background(), []byte(body), dialect.Caller{})
	}
	return Parse(context.Background(), []byte(body), dialect.Caller{})
}

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		body   string
		fim    bool
		want   string // what the adapter gets
		inputs int    // 0: it can't be cut
		output int64  // tokens that the answer may have
		stream bool
	}{
		"a text": {
			body: `{"model":"a","prompt":"x","max_tokens":3}`, want: `{"model":"up","prompt":"x","max_tokens":3}`, inputs: 1, output: 3,
		},
		"a text without a limit": {
			body: `{"model":"a","prompt":"x"}`, want: `{"model":"up","max_tokens":16,"prompt":"x"}`, inputs: 1, output: 16,
		},
		"a limit of null": {
			body: `{"max_tokens":null,"prompt":"x"}`, want: `{"model":"up","max_tokens":16,"prompt":"x"}`, inputs: 1, output: 16,
		},
		"tokens": {
			body: `{"prompt":[1,2],"max_tokens":1}`, want: `{"model":"up","prompt":[1,2],"max_tokens":1}`, inputs: 1, output: 1,
		},
		"lists of tokens": {
			body: `{"prompt":[[1],[2,3]],"max_tokens":2}`, want: `{"model":"up","prompt":[[1],[2,3]],"max_tokens":2}`, inputs: 2, output: 4,
		},
		"a list of one list of tokens": {
			body: `{"prompt":[ [1,2] ],"max_tokens":2}`, want: `{"model":"up","prompt":[1,2],"max_tokens":2}`, inputs: 1, output: 2,
		},
		"several choices": {
			body: `{"prompt":["x","y"],"max_tokens":2,"n":2,"best_of":3}`, want: `{"model":"up","prompt":["x","y"],"max_tokens":2,"n":2,"best_of":3}`, inputs: 2, output: 12,
		},
		"a best_of that asks for nothing": {
			body: `{"prompt":"x","max_tokens":2,"n":2,"best_of":2}`, want: `{"model":"up","prompt":"x","max_tokens":2,"n":2}`, inputs: 1, output: 4,
		},
		"a best_of of 0": {
			body: `{"prompt":"x","max_tokens":2,"best_of":0}`, want: `{"model":"up","prompt":"x","max_tokens":2}`, inputs: 1, output: 2,
		},
		"a stream": {
			body: `{"prompt":"x","max_tokens":2,"stream":true,"stream_options":{"include_usage":true}}`,
			want: `{"model":"up","prompt":"x","max_tokens":2,"stream":true,"stream_options":{"include_usage":true}}`, inputs: 1, output: 2, stream: true,
		},
		"an echo of a text": {
			body: `{"prompt":"x","echo":true,"max_tokens":2}`, want: `{"model":"up","prompt":"x","max_tokens":2}`, inputs: 1, output: 2,
		},
		"an echo with logprobs": {
			body: `{"prompt":"x","echo":true,"logprobs":5,"max_tokens":2}`, want: `{"model":"up","prompt":"x","echo":true,"logprobs":5,"max_tokens":2}`, inputs: 1, output: 2,
		},
		"an echo alone": {
			body: `{"prompt":"x","echo":true,"max_tokens":0}`, want: `{"model":"up","prompt":"x","echo":true,"max_tokens":0}`, inputs: 1,
		},
		"an echo of tokens": {
			body: `{"prompt":[1],"echo":true,"max_tokens":2}`, want: `{"model":"up","prompt":[1],"echo":true,"max_tokens":2}`, inputs: 1, output: 2,
		},
		"fields that ask for nothing, side by side in front": {
			body: `{"echo":false , "suffix":"", "best_of":1,"prompt":"x"}`, want: `{"model":"up","max_tokens":16,"prompt":"x"}`, inputs: 1, output: 16,
		},
		"fields that ask for nothing, here and there": {
			body: `{"echo":null,"a":1,"suffix":null,"prompt":"x","best_of":null}`, want: `{"model":"up","a":1,"max_tokens":16,"prompt":"x"}`, inputs: 1, output: 16,
		},
		"a byte order mark": {
			body: "\ufeff" + `{"prompt":"x","max_tokens":2}`, want: `{"model":"up","prompt":"x","max_tokens":2}`, inputs: 1, output: 2,
		},
		"FIM": {
			body: `{"model":"a","prompt":"x","suffix":"y","random_seed":7,"min_tokens":1,"stop":["z"]}`, fim: true,
			want: `{"model":"up","max_tokens":256,"prompt":"x","suffix":"y","seed":7,"min_tokens":1,"stop":["z"]}`, output: 256,
		},
		"FIM with both names of the seed": {
			body: `{"prompt":"x","random_seed":7,"seed":8,"max_tokens":2}`, fim: true, want: `{"model":"up","prompt":"x","random_seed":7,"seed":8,"max_tokens":2}`, output: 2,
		},
		"FIM of a list of one": {
			body: `{"prompt":["x"],"max_tokens":2}`, fim: true, want: `{"model":"up","prompt":"x","max_tokens":2}`, output: 2,
		},
		"another server's seed": {
			body: `{"prompt":"x","random_seed":7,"max_tokens":2}`, want: `{"model":"up","prompt":"x","random_seed":7,"max_tokens":2}`, inputs: 1, output: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := read(tc.fim, tc.body)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(r.Body.Body("up")); got != tc.want {
				t.Errorf("the adapter gets\n%s, want\n%s", got, tc.want)
			}
			if r.Inputs != tc.inputs || r.Body.MaxOutput() != tc.output || r.Stream != tc.stream || r.Op != abi.Completions {
				t.Errorf("%d inputs, at most %d tokens, stream %v, op %v; want %d, %d, %v", r.Inputs, r.Body.MaxOutput(), r.Stream, r.Op, tc.inputs, tc.output, tc.stream)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	many := strings.Repeat(`"a",`, maxPrompts) + `"a"`
	for name, tc := range map[string]struct {
		body, param string
		fim         bool
	}{
		"no prompt":                 {body: `{"model":"a"}`, param: "prompt"},
		"null":                      {body: `{"prompt":null}`, param: "prompt"},
		"an empty list":             {body: `{"prompt":[]}`, param: "prompt"},
		"a number":                  {body: `{"prompt":1}`, param: "prompt"},
		"an object":                 {body: `{"prompt":{}}`, param: "prompt"},
		"objects":                   {body: `{"prompt":[{}]}`, param: "prompt[0]"},
		"mixed kinds":               {body: `{"prompt":["a",1]}`, param: "prompt[1]"},
		"half a token":              {body: `{"prompt":[1,1.5]}`, param: "prompt[1]"},
		"a negative token":          {body: `{"prompt":[-1]}`, param: "prompt[0]"},
		"no tokens":                 {body: `{"prompt":[[1],[]]}`, param: "prompt[1]"},
		"a list in a list of lists": {body: `{"prompt":[[[1]]]}`, param: "prompt[0]"},
		"too many":                  {body: `{"prompt":[` + many + `]}`, param: "prompt"},
		"a model of no text":        {body: `{"prompt":"a","model":1}`, param: "model"},
		"a user of no text":         {body: `{"prompt":"a","user":1}`, param: "user"},
		"a suffix of no text":       {body: `{"prompt":"a","suffix":["b"]}`, param: "suffix"},
		"a stream of no boolean":    {body: `{"prompt":"a","stream":"yes"}`, param: "stream"},
		"stream_options of a text":  {body: `{"prompt":"a","stream_options":"usage"}`, param: "stream_options"},
		"a usage of no boolean":     {body: `{"prompt":"a","stream_options":{"include_usage":1}}`, param: "stream_options.include_usage"},
		"a stop of a number":        {body: `{"prompt":"a","stop":1}`, param: "stop"},
		"stops of numbers":          {body: `{"prompt":"a","stop":["b",1]}`, param: "stop"},
		"an echo of no boolean":     {body: `{"prompt":"a","echo":1}`, param: "echo"},
		"no choice":                 {body: `{"prompt":"a","n":0}`, param: "n"},
		"too many choices":          {body: fmt.Sprintf(`{"prompt":"a","n":%d}`, abi.MaxChoices+1), param: "n"},
		"best_of below n":           {body: `{"prompt":"a","n":3,"best_of":2}`, param: "best_of"},
		"too many to choose from":   {body: `{"prompt":"a","best_of":21}`, param: "best_of"},
		"the best in a stream":      {body: `{"prompt":"a","best_of":2,"stream":true}`, param: "best_of"},
		"too many logprobs":         {body: `{"prompt":"a","logprobs":6}`, param: "logprobs"},
		"logprobs as in chats":      {body: `{"prompt":"a","logprobs":true}`, param: "logprobs"},
		"no token":                  {body: `{"prompt":"a","max_tokens":0}`, param: "max_tokens"},
		"half a token of an answer": {body: `{"prompt":"a","max_tokens":0.5}`, param: "max_tokens"},
		"FIM of several":            {body: `{"prompt":["a","b"]}`, param: "prompt", fim: true},
		"FIM of tokens":             {body: `{"prompt":[1]}`, param: "prompt", fim: true},
		"FIM of nothing":            {body: `{"suffix":"b"}`, param: "prompt", fim: true},
		"no JSON":                   {body: `{"prompt":`, param: ""},
		"two prompts of one name":   {body: `{"prompt":"a","prompt":"b"}`, param: "prompt"},
		"a prompt in capitals":      {body: `{"prompt":"a","Prompt":"b"}`, param: "Prompt"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(tc.fim, tc.body)
			var e *fault.Error
			if !errors.As(err, &e) || e.HTTPStatus() != 400 || e.Param != tc.param {
				t.Errorf("%.60s: %+v, want a 400 about %q", tc.body, err, tc.param)
			}
		})
	}
}

// TestRequestsInParts: whatever is in the prompts, the parts have all of them, in order, and
// the rest of the request.
func TestRequestsInParts(t *testing.T) {
	long := strings.Repeat(`[\"x\", ]`, 300)
	for name, prompts := range map[string][]string{
		"texts":           {`"a"`, `"b,]\""`, `"` + long + `"`, `""`, `"` + long + `e"`},
		"lists of tokens": {`[1]`, `[ 2 , 3 ]`, `[4,5,6]`},
	} {
		for _, body := range []string{
			`{"echo":false,"model":"a","prompt":[ %s ],"user":"u","max_tokens":9}`,
			`{"prompt":[%s],"model":"a","max_tokens":null,"best_of":1}`,
			`{"suffix":"","prompt":[%s]}`,
		} {
			r, err := read(false, fmt.Sprintf(body, strings.Join(prompts, " , ")))
			if err != nil {
				t.Fatal(err)
			}
			for n := 1; n <= len(prompts); n++ {
				var got []string
				for from := 0; from < len(prompts); from += n {
					part := r.Part(from, min(n, len(prompts)-from))
					short, refs := part.Short("up")
					whole, err := refs.Expand(short)
					if err != nil {
						t.Fatal(err)
					}
					if string(whole) != string(part.Body("up")) {
						t.Fatalf("with references the part is %s, without %s", whole, part.Body("up"))
					}
					if len(short) > 400 {
						t.Errorf("the long texts are in the part: %d bytes", len(short))
					}
					var v struct {
						Model     string
						Prompt    json.RawMessage
						MaxTokens int `json:"max_tokens"`
					}
					if err := json.Unmarshal(whole, &v); err != nil || v.Model != "up" || v.MaxTokens == 0 || strings.Contains(string(whole), `"suffix"`) {
						t.Fatalf("the part is %s: %v", whole, err)
					}
					got = append(got, promptsOf(t, v.Prompt)...)
				}
				if strings.Join(got, "\n") != strings.Join(prompts, "\n") {
					t.Errorf("%s in parts of %d: %q", name, n, got)
				}
			}
		}
	}
}

// promptsOf returns the prompts in the value of a field: itself if it is one.
func promptsOf(t testing.TB, v json.RawMessage) (prompts []string) {
	t.Helper()
	var list []json.RawMessage
	if json.Unmarshal(v, &list) != nil || list[0][0] != '"' && list[0][0] != '[' {
		return []string{string(v)}
	}
	for _, p := range list {
		prompts = append(prompts, string(p))
	}
	return prompts
}

// FuzzParse: what is taken reaches an adapter as JSON that says the same, but for what the
// package promises to change. Parts have every prompt once.
func FuzzParse(f *testing.F) {
	for _, body := range []string{
		`{"model":"a","prompt":"x","max_tokens":3}`, `{"prompt":["a","b"],"n":2,"best_of":3,"echo":true}`, `{"prompt":[[1],[2,3]],"logprobs":5,"echo":true,"max_tokens":0}`,
		`{"echo":false , "suffix":"", "best_of":1,"prompt":"x" }`, `{"a":1,"prompt":[ "x" ],"best_of":null}`, `{"prompt":"x","suffix":"y","random_seed":7,"stop":["a"],"stream":true}`,
		`{"prompt":[1,2],"user":"u","max_tokens":null}`, `{"random_seed":null,"prompt":"` + strings.Repeat("x", 2*longText) + `"}`,
	} {
		f.Add(body, false)
		f.Add(body, true)
	}
	f.Fuzz(func(t *testing.T, body string, fim bool) {
		r, err := read(fim, body)
		if err != nil {
			var e *fault.Error
			if !errors.As(err, &e) || e.HTTPStatus() != 400 {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		given, got := fieldsOf(t, []byte(strings.TrimPrefix(body, "\ufeff"))), fieldsOf(t, r.Body.Body("up"))
		if short, refs := r.Body.Short("up"); refs != nil {
			if whole, err := refs.Expand(short); err != nil || string(whole) != string(r.Body.Body("up")) {
				t.Fatalf("put back: %s (%v)", whole, err)
			}
		}
		var asked, sent []string
		for _, p := range []struct {
			prompts *[]string
			of      map[string]json.RawMessage
		}{{&asked, given}, {&sent, got}} {
			*p.prompts = promptsOf(t, p.of["prompt"])
		}
		if !reflect.DeepEqual(asked, sent) {
			t.Fatalf("the prompts are %q, want %q", sent, asked)
		}
		if n := max(1, r.Inputs); n > 1 {
			var parts []string
			for i := range n {
				parts = append(parts, promptsOf(t, fieldsOf(t, r.Part(i, 1).Body("up"))["prompt"])...)
			}
			if !reflect.DeepEqual(asked, parts) {
				t.Fatalf("the parts are %q, want %q", parts, asked)
			}
		}
		checkChanges(t, given, got, fim)
	})
}

// fieldsOf returns the fields of an object, and fails if it is none.
func fieldsOf(t testing.TB, body []byte) map[string]json.RawMessage {
	t.Helper()
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &fields); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return fields
}

// checkChanges holds what an adapter gets against what a client sent.
func checkChanges(t testing.TB, given, got map[string]json.RawMessage, fim bool) {
	t.Helper()
	if string(got["model"]) != `"up"` {
		t.Fatalf("the model is %s", got["model"])
	}
	if limit := string(got["max_tokens"]); limit == "" || limit == "null" {
		t.Fatalf("the limit is %q", limit)
	}
	for name, nothing := range map[string][]string{"suffix": {"null", `""`}, "echo": {"null", "false"}, "best_of": {"null", "0"}} {
		for _, value := range nothing {
			if string(got[name]) == value {
				t.Fatalf("%s is %s", name, value)
			}
		}
	}
	if fim && given["seed"] == nil && given["random_seed"] != nil && got["random_seed"] == nil {
		given["seed"] = given["random_seed"]
		delete(given, "random_seed")
	}
	for _, name := range []string{"model", "prompt", "max_tokens", "suffix", "echo", "best_of"} {
		if v, there := got[name]; there && name != "model" && name != "prompt" && !(name == "max_tokens" && (given[name] == nil || string(given[name]) == "null")) && !bytes.Equal(v, given[name]) {
			t.Fatalf("%s is %s, want %s", name, v, given[name])
		}
		delete(given, name)
		delete(got, name)
	}
	if !reflect.DeepEqual(given, got) {
		t.Fatalf("the rest is %q, want %q", got, given)
	}
}

// TestFIMAsksForNoEcho: Mistral's form has neither echo nor logprobs, whose answer would have the
// prompt in it.
func TestFIMAsksForNoEcho(t *testing.T) {
	r, err := ParseRequest([]byte(`{"prompt":"a","echo":true,"logprobs":1,"suffix":"b","max_tokens":5}`), true)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(r.Body("m")), `{"model":"m","prompt":"a","suffix":"b","max_tokens":5}`; got != want {
		t.Errorf("the adapter gets %s, want %s", got, want)
	}
}

// TestTooManyTokensSaysHowManyThereMayBe: the error of a number above all bounds names them.
func TestTooManyTokensSaysHowManyThereMayBe(t *testing.T) {
	_, err := ParseRequest([]byte(`{"prompt":"a","max_tokens":3000000000}`), false)
	if err == nil || !strings.Contains(err.Error(), "must be an integer from 0 to 2147483648") {
		t.Errorf("the error is %v", err)
	}
}
