package embeddings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

func parse(t *testing.T, body string) *dialect.Request {
	t.Helper()
	r, err := Parse(context.Background(), []byte(body), dialect.Caller{})
	if err != nil {
		t.Fatalf("Parse(%s): %v", body, err)
	}
	return r
}

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		body   string
		want   string // what the adapter gets
		inputs int
	}{
		"a text":                {`{"model":"a","input":"x"}`, `{"model":"up","input":"x"}`, 1},
		"texts":                 {`{"model":"a","input":["x","y"],"dimensions":4,"user":"u"}`, `{"model":"up","input":["x","y"],"dimensions":4,"user":"u"}`, 2},
		"tokens":                {`{"model":"a","input":[1,2,3]}`, `{"model":"up","input":[1,2,3]}`, 1},
		"lists of tokens":       {`{"model":"a","input":[[1],[2,3]]}`, `{"model":"up","input":[[1],[2,3]]}`, 2},
		"objects":               {`{"model":"a","input":[{"content":[]}]}`, `{"model":"up","input":[{"content":[]}]}`, 1},
		"no model":              {`{"input":"x"}`, `{"model":"up","input":"x"}`, 1},
		"unknown fields pass":   {`{"model":"a","input":"x","input_type":"q"}`, `{"model":"up","input":"x","input_type":"q"}`, 1},
		"null counts as absent": {`{"model":null,"input":"x","encoding_format":null,"dimensions":null,"user":null}`, `{"model":"up","input":"x"}`, 1},
		"stream is left out":    {`{"stream":true,"model":"a","input":["x","y"]}`, `{"model":"up","input":["x","y"]}`, 2},
		"stream as the last":    {`{"model":"a","input":"x","stream":{"a":1}}`, `{"model":"up","input":"x"}`, 1},
		"a byte order mark":     {"\ufeff" + `{"model":"a","input":"x"}`, `{"model":"up","input":"x"}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := parse(t, tc.body)
			if got := string(r.Body.Body("up")); got != tc.want {
				t.Errorf("the adapter gets %s, want %s", got, tc.want)
			}
			if r.Inputs != tc.inputs || r.Stream || r.Op != abi.Embeddings {
				t.Errorf("%d inputs, stream %v, op %v; want %d", r.Inputs, r.Stream, r.Op, tc.inputs)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	many := strings.Repeat(`"a",`, maxInputs) + `"a"`
	for name, tc := range map[string]struct{ body, param string }{
		"no input":            {`{"model":"a"}`, "input"},
		"null":                {`{"input":null}`, "input"},
		"an empty text":       {`{"input":""}`, "input"},
		"no texts":            {`{"input":[]}`, "input"},
		"an empty one":        {`{"input":["a",""]}`, "input[1]"},
		"an empty list":       {`{"input":[[]]}`, "input[0]"},
		"an object":           {`{"input":{"a":1}}`, "input"},
		"a number":            {`{"input":1}`, "input"},
		"mixed kinds":         {`{"input":["a",1]}`, "input[1]"},
		"true":                {`{"input":[true]}`, "input[0]"},
		"half a token":        {`{"input":[1.5]}`, "input[0]"},
		"a negative token":    {`{"input":[[1],[2,-3]]}`, "input[1]"},
		"too many":            {`{"input":[` + many + `]}`, "input"},
		"another format":      {`{"input":"a","encoding_format":"int8"}`, "encoding_format"},
		"a format of no text": {`{"input":"a","encoding_format":1}`, "encoding_format"},
		"no dimensions":       {`{"input":"a","dimensions":0}`, "dimensions"},
		"half a dimension":    {`{"input":"a","dimensions":1.5}`, "dimensions"},
		"a model of no text":  {`{"input":"a","model":1}`, "model"},
		"a user of no text":   {`{"input":"a","user":1}`, "user"},
		"no JSON":             {`{"input":`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(context.Background(), []byte(tc.body), dialect.Caller{})
			var e *fault.Error
			if !errors.As(err, &e) || e.HTTPStatus() != 400 || e.Param != tc.param {
				t.Errorf("Parse(%.60s) = %+v, want a 400 about %q", tc.body, err, tc.param)
			}
		})
	}
}

// TestPart: whatever is in the items, the parts have all of them, in order, and the rest of
// the request.
func TestPart(t *testing.T) {
	long := strings.Repeat(`[\"x\", ]`, 300)
	items := []string{`"a"`, `"b,]\""`, `"` + long + `"`, `"d"`, `"` + long + `e"`}
	for _, body := range []string{
		`{"stream":false,"model":"a","input":[ %s ],"user":"u"}`,
		`{"input":[%s],"model":"a","stream":false}`,
	} {
		r := parse(t, fmt.Sprintf(body, strings.Join(items, " , ")))
		for n := 1; n <= len(items); n++ {
			var got []string
			for from := 0; from < len(items); from += n {
				part := r.Part(from, min(n, len(items)-from))
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
					Model string
					Input []json.RawMessage
				}
				if err := json.Unmarshal(whole, &v); err != nil || v.Model != "up" || strings.Contains(string(whole), "stream") {
					t.Fatalf("the part is %s: %v", whole, err)
				}
				for _, item := range v.Input {
					got = append(got, string(item))
				}
			}
			if strings.Join(got, "\n") != strings.Join(items, "\n") {
				t.Errorf("in parts of %d: %q", n, got)
			}
		}
	}
}

// answered gives an answer the emissions for one input after the other part.
func answered(base64 bool, parts ...[]abi.Emission) (string, error) {
	a := newAnswer(dialect.Info{Model: "m"}, base64)
	for _, ems := range parts {
		if _, err := a.Part(nil, 2); err != nil {
			return "", err
		}
		if _, err := a.Apply(nil, ems); err != nil {
			return "", err
		}
	}
	out, err := a.End(nil)
	return string(out), err
}

func stated(result string, more ...abi.Emission) []abi.Emission {
	return append(more, abi.Emission{Kind: abi.Result, Data: []byte(result)})
}

func TestAnswer(t *testing.T) {
	usage := abi.Emission{Kind: abi.Usage, Data: []byte(`{"prompt_tokens":7,"total_tokens":7}`)}
	const head = `{"object":"list","model":"m","data":[`
	for name, tc := range map[string]struct {
		base64 bool
		parts  [][]abi.Emission
		want   string
	}{
		"numbers": {parts: [][]abi.Emission{stated(`{"embeddings":[[0.5,-0.25],[0.125,0.75]]}`, usage)},
			want: head + `{"object":"embedding","index":0,"embedding":[0.5,-0.25]},{"object":"embedding","index":1,"embedding":[0.125,0.75]}],"usage":{"prompt_tokens":7,"total_tokens":7}}`},
		"base64": {base64: true, parts: [][]abi.Emission{stated(`{"embeddings":[[0.5,-0.25,1e-7],"AAAAPwAAgL6Vv9Yz"]}`)},
			want: head + `{"object":"embedding","index":0,"embedding":"AAAAPwAAgL6Vv9Yz"},{"object":"embedding","index":1,"embedding":"AAAAPwAAgL6Vv9Yz"}],"usage":{"prompt_tokens":0,"total_tokens":0}}`},
		"another order": {parts: [][]abi.Emission{stated(` { "indexes" : [1, 0] , "normalize":false, "embeddings" : [ [1] , [2] ] } `)},
			want: head + `{"object":"embedding","index":0,"embedding":[2]},{"object":"embedding","index":1,"embedding":[1]}],"usage":{"prompt_tokens":0,"total_tokens":0}}`},
		"two parts, of length 1": {parts: [][]abi.Emission{stated(`{"embeddings":[[3,4],[0,2]],"normalize":true}`, usage), stated(`{"normalize":true,"embeddings":[[1,0],[4,3]]}`, usage)},
			want: head + `{"object":"embedding","index":0,"embedding":[0.6,0.8]},{"object":"embedding","index":1,"embedding":[0,1]},` +
				`{"object":"embedding","index":2,"embedding":[1,0]},{"object":"embedding","index":3,"embedding":[0.8,0.6]}],"usage":{"prompt_tokens":14,"total_tokens":14}}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := answered(tc.base64, tc.parts...)
			if err != nil || got != tc.want {
				t.Errorf("got %s, %v\nwant %s", got, err, tc.want)
			}
		})
	}
}

func TestAnswerRefuses(t *testing.T) {
	const good = `{"embeddings":[[1],[2]]}`
	for name, parts := range map[string][][]abi.Emission{
		"no vectors":                       {stated(`{"embeddings":[]}`)},
		"one for two":                      {stated(`{"embeddings":[[1]]}`)},
		"three for two":                    {stated(`{"embeddings":[[1],[2],[3]]}`)},
		"different lengths":                {stated(`{"embeddings":[[1],[2,3]]}`)},
		"different lengths of parts":       {stated(good), stated(`{"embeddings":[[1,2],[2,3]]}`)},
		"one for two in the second":        {stated(good), stated(`{"embeddings":[[1]]}`)},
		"an index twice":                   {stated(`{"embeddings":[[1],[2]],"indexes":[1,1]}`)},
		"an index too large":               {stated(`{"embeddings":[[1],[2]],"indexes":[1,2]}`)},
		"too few indexes":                  {stated(`{"embeddings":[[1],[2]],"indexes":[0]}`)},
		"too many indexes":                 {stated(`{"embeddings":[[1],[2]],"indexes":[0,1,2]}`)},
		"null":                             {stated(`{"embeddings":[null,null]}`)},
		"a number too large":               {stated(`{"embeddings":[[1],[1e999]]}`)},
		"nested arrays":                    {stated(`{"embeddings":[[[1]],[[2]]]}`)},
		"a text":                           {stated(`{"embeddings":["no vector","no vector"]}`)},
		"no object":                        {stated(`[]`)},
		"an empty object":                  {stated(`{}`)},
		"another field":                    {stated(`{"embeddings":[[1],[2]],"a":1}`)},
		"the vectors twice":                {stated(`{"embeddings":[[1],[2]],"embeddings":[[1],[2]]}`)},
		"nothing":                          {nil},
		"nothing in the first part":        {nil, stated(good)},
		"a second RESULT in the same call": {append(stated(good), stated(good)...)},
		"an ERROR":                         {{{Kind: abi.Error, Data: []byte(`{"status":502,"message":"m"}`)}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := answered(false, parts...)
			var e *fault.Error
			if !errors.As(err, &e) || e.HTTPStatus() != 502 {
				t.Errorf("got %s, %v; want a 502", got, err)
			}
		})
	}
}

// TestAnswerCountsItsMemory: a large answer is not made beyond what may be held.
func TestAnswerCountsItsMemory(t *testing.T) {
	result, _ := manyOf()
	total := memory.New(memory.Options{})
	total.Set(8 << 20)
	grant := total.Grant()
	a := newAnswer(dialect.Info{Model: "m", Memory: &grant}, false)
	a.Part(nil, manyVectors)
	_, err := a.Apply(nil, stated(string(result)))
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Share {
		t.Errorf("the answer was made: %v", err)
	}
}

// FuzzResult holds that every RESULT that is accepted is JSON, and that its vectors are in
// it.
func FuzzResult(f *testing.F) {
	for _, s := range []string{`{"embeddings":[[1],[2]],"indexes":[1,0],"normalize":true}`, `{"embeddings":["AAAAPw=="]}`, `{"normalize":fal`, `{"embeddings":["\"]`} {
		f.Add([]byte(s), 2)
	}
	f.Fuzz(func(t *testing.T, data []byte, inputs int) {
		if inputs < 1 || inputs > 8 {
			return
		}
		a := newAnswer(dialect.Info{Model: "m"}, false)
		a.Part(nil, inputs)
		if _, err := a.Apply(nil, stated(string(data))); err != nil {
			return
		}
		out, err := a.End(nil)
		if err != nil {
			t.Fatalf("%q was taken, and then: %v", data, err)
		}
		var v struct {
			Data []struct{ Embedding []float32 }
		}
		if err := json.Unmarshal(out, &v); err != nil || len(v.Data) != inputs {
			t.Fatalf("%q became %q: %v", data, out, err)
		}
	})
}
