package passed

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// operation returns the one that is served at a path.
func operation(t testing.TB, path string) Operation {
	t.Helper()
	for _, o := range Operations() {
		if o.Path == path {
			return o
		}
	}
	t.Fatalf("nothing is served at %s", path)
	return Operation{}
}

const (
	moderations = "/v1/moderations"
	rerank      = "/v1/rerank"
	images      = "/v1/images/generations"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("x", 2*longText)
	for name, tc := range map[string]struct {
		path, body string
		want       string // what the adapter gets, with @ in place of each token
	}{
		"a moderation":             {moderations, `{"input":"a"}`, `{"model":"up","input":"a"}`},
		"several":                  {moderations, `{"model":"m","input":["a",{"type":"text","text":"b"}]}`, `{"model":"up","input":["a",{"type":"text","text":"b"}]}`},
		"a rerank":                 {rerank, `{"query":"q","documents":["a"],"top_n":1,"return_documents":true,"model":"m"}`, `{"query":"q","documents":["a"],"top_n":1,"return_documents":true,"model":"up"}`},
		"objects to rank":          {rerank, `{"model":"m","query":{"image":"u"},"documents":[{"text":"a"}]}`, `{"model":"up","query":{"image":"u"},"documents":[{"text":"a"}]}`},
		"an image":                 {images, `{"model":"m","prompt":"p","n":2,"size":"1024x1024","stream":false}`, `{"model":"up","prompt":"p","n":2,"size":"1024x1024","stream":false}`},
		"null counts as absent":    {rerank, `{"model":null,"query":"q","documents":["a"],"top_n":null,"user":null}`, `{"model":"up","query":"q","documents":["a"],"top_n":null,"user":null}`},
		"a byte order mark":        {images, "\ufeff" + `{"model":"m","prompt":"p"}`, `{"model":"up","prompt":"p"}`},
		"long texts":               {rerank, `{"model":"m","query":"` + long + `","documents":["a","` + long + `"]}`, `{"model":"up","query":"@","documents":["a","@"]}`},
		"all of vLLM's documents":  {rerank, `{"model":"m","query":"q","documents":{"content":[{"type":"text","text":"a"}]},"top_n":0}`, `{"model":"up","query":"q","documents":{"content":[{"type":"text","text":"a"}]},"top_n":0}`},
		"a large picture":          {moderations, `{"model":"m","input":[{"type":"image_url","image_url":{"url":"` + long + `"}}]}`, `{"model":"up","input":[{"type":"image_url","image_url":{"url":"@"}}]}`},
		"large objects to rank":    {rerank, `{"model":"m","query":{"content":[{"image":"` + long + `"}]},"documents":[{"text":"` + long + `","n":1}]}`, `{"model":"up","query":{"content":[{"image":"@"}]},"documents":[{"text":"@","n":1}]}`},
		"a long prompt":            {images, `{"model":"m","prompt":"` + long + `"}`, `{"model":"up","prompt":"@"}`},
		"long texts of no concern": {images, `{"model":"m","prompt":"p","x":"` + long + `"}`, `{"model":"up","prompt":"p","x":"` + long + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := operation(t, tc.path).Parse(context.Background(), []byte(tc.body), dialect.Caller{})
			if err != nil {
				t.Fatal(err)
			}
			short, refs := r.Body.Short("up")
			if refs != nil {
				whole, err := refs.Expand(short)
				if want := string(r.Body.Body("up")); err != nil || string(whole) != want {
					t.Errorf("put back, it is %.200s (%v), want %.200s", whole, err, want)
				}
			}
			got := string(short)
			for strings.Contains(got, "@kai:") {
				from := strings.Index(got, "@kai:")
				got = got[:from+1] + got[from+1+strings.Index(got[from+1:], "@")+1:]
			}
			if got != tc.want {
				t.Errorf("the adapter gets %s, want %s", got, tc.want)
			}
			if want := map[bool]string{true: "m"}[strings.Contains(tc.body, `"m"`)]; r.Model != want || r.Stream {
				t.Errorf("the model is %q, streamed: %v", r.Model, r.Stream)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ path, body, param string }{
		"nothing to moderate":        {moderations, `{"model":"m"}`, "input"},
		"an empty text":              {moderations, `{"input":""}`, "input"},
		"an empty list":              {moderations, `{"input":[]}`, "input"},
		"numbers":                    {moderations, `{"input":["a",1]}`, "input"},
		"no query":                   {rerank, `{"documents":["a"]}`, "query"},
		"a query that is null":       {rerank, `{"query":null,"documents":["a"]}`, "query"},
		"no documents":               {rerank, `{"query":"q"}`, "documents"},
		"the words of another form":  {"/rerank", `{"query":"q","texts":["a"]}`, "documents"},
		"the same at another path":   {"/v2/rerank", `{"query":"q","documents":[]}`, "documents"},
		"documents that are none":    {rerank, `{"query":"q","documents":"a"}`, "documents"},
		"a document that is a list":  {rerank, `{"query":"q","documents":[["a"]]}`, "documents"},
		"top -1":                     {rerank, `{"query":"q","documents":["a"],"top_n":-1}`, "top_n"},
		"half of the top":            {rerank, `{"query":"q","documents":["a"],"top_n":1.5}`, "top_n"},
		"no prompt":                  {images, `{"model":"m"}`, "prompt"},
		"a prompt of several":        {images, `{"prompt":["a"]}`, "prompt"},
		"no image":                   {images, `{"prompt":"a","n":0}`, "n"},
		"a stream of no boolean":     {images, `{"prompt":"a","stream":"yes"}`, "stream"},
		"a moderation in pieces":     {moderations, `{"input":"a","stream":true}`, "stream"},
		"another form of speech":     {"/v1/audio/speech", `{"input":"a","stream_format":"ws"}`, "stream_format"},
		"a model of no text":         {images, `{"prompt":"a","model":1}`, "model"},
		"a user of no text":          {images, `{"prompt":"a","user":1}`, "user"},
		"two models":                 {images, `{"prompt":"a","model":"m","model":"n"}`, "model"},
		"a model in capitals":        {images, `{"prompt":"a","Model":"m"}`, "Model"},
		"a stream in another letter": {images, `{"prompt":"a","ſtream":true}`, "ſtream"},
		"no JSON":                    {images, `{"prompt":`, ""},
		"a list":                     {rerank, `[]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := operation(t, tc.path).Parse(context.Background(), []byte(tc.body), dialect.Caller{})
			var e *fault.Error
			if !errors.As(err, &e) || e.HTTPStatus() != 400 || e.Param != tc.param {
				t.Errorf("Parse(%.60s) = %+v, want a 400 about %q", tc.body, err, tc.param)
			}
		})
	}
}

// TestAsks: a field by which a client would choose what the configuration chooses is found,
// whatever the case of its letters.
func TestAsks(t *testing.T) {
	r, err := operation(t, rerank).Parse(context.Background(), []byte(`{"query":"q","documents":["a"],"API_Base":"u"}`), dialect.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Body.Asks([]string{"api_key", "api_base"}, nil); got != "api_base" {
		t.Errorf("the request asks for %q", got)
	}
	if r, err = operation(t, rerank).Parse(context.Background(), []byte(`{"query":"q","documents":["a"],"Tools":[{"type":"function"}]}`), dialect.Caller{}); err != nil {
		t.Fatal(err)
	}
	if got := r.Body.Asks(nil, []string{"x:"}); got != "tools" {
		t.Errorf("where some tools choose, the request asks for %q, want that it has tools", got)
	}
	if got := r.Body.Asks(nil, nil); got != "" {
		t.Errorf("where none do, it asks for %q", got)
	}
}

func TestAnswer(t *testing.T) {
	for name, tc := range map[string]struct{ result, want string }{
		"the model's name":       {`{"id":"a","model":"up","results":[{"model":"up"}]}`, `{"id":"a","model":"an \"alias\"","results":[{"model":"up"}]}`},
		"no name":                {`{"data":[]}`, `{"data":[]}`},
		"a name of another kind": {`{"model":{"a":1}}`, `{"model":{"a":1}}`},
		"two names":              {`{"model":"a","m\u006fdel":"b" }`, `{"model":"an \"alias\"","m\u006fdel":"an \"alias\"" }`},
		"a list":                 {`[{"model":"up"}]`, `[{"model":"up"}]`},
		"nothing":                {`{}`, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAnswer(dialect.Info{Model: `an "alias"`})
			ems := []abi.Emission{{Kind: abi.Usage, Data: []byte(`{"prompt_tokens":3}`)}, {Kind: abi.Result, Data: []byte(tc.result)}}
			if _, err := a.Apply(nil, ems); err != nil || !a.Complete() {
				t.Fatal(err)
			}
			if got, err := a.End(nil); err != nil || string(got) != tc.want {
				t.Errorf("the client gets %s (%v), want %s", got, err, tc.want)
			}
			if u := a.Usage(); u.Prompt != 3 {
				t.Errorf("the usage is %+v", u)
			}
		})
	}
	if _, err := newAnswer(dialect.Info{}).End(nil); err == nil {
		t.Error("an answer without a result is a success")
	}
}

// TestLargePicturesInPlaceOfAStream: what came as a whole waits for nothing, so it has the bound of
// whole answers, the provider's share of memory, and not that of events that wait.
func TestLargePicturesInPlaceOfAStream(t *testing.T) {
	picture := `{"b64_json":"` + strings.Repeat("A", 600<<10) + `"}`
	result := abi.Emission{Kind: abi.Result, Data: []byte(`{"created":7,"data":[` + picture + "," + picture + "," + picture + `]}`)}
	for name, tc := range map[string]struct {
		share int64 // of memory
		says  string
	}{
		"with room for them": {1 << 30, ""},
		"without":            {1 << 20, "no memory left"},
	} {
		t.Run(name, func(t *testing.T) {
			grant := memory.New(memory.Options{Limit: tc.share}).Grant()
			defer grant.Release()
			a := stream{info: dialect.Info{Model: "m", MaxHeld: 1 << 20, Memory: &grant}}.Begin()
			got, err := a.Apply(nil, []abi.Emission{result})
			if tc.says != "" {
				if err == nil || !strings.Contains(err.Error(), tc.says) || len(got) > 0 {
					t.Errorf("%d bytes and %v, want that there is %s", len(got), err, tc.says)
				}
				return
			}
			if n := strings.Count(string(got), "event: image_generation.completed\n"); err != nil || n != 3 || !a.Complete() {
				t.Errorf("there are %d pictures in %d bytes, and %v; want 3", n, len(got), err)
			}
		})
	}
}

// TestEventsThatNobodyGetsAreBounded: of events that wait for the first content, no more is kept
// than may be, and the error says how much that is and what to do.
func TestEventsThatNobodyGetsAreBounded(t *testing.T) {
	a := stream{info: dialect.Info{Model: "m", MaxHeld: 1 << 20}}.Begin().(*passing)
	apply := func() error {
		a.Receive(nil, []byte(`{"type":"x","data":"`+strings.Repeat("A", 600<<10)+`"}`), false)
		_, err := a.Apply(nil, []abi.Emission{{Kind: abi.Pass}})
		return err
	}
	if err := apply(); err != nil {
		t.Fatal(err)
	}
	if err := apply(); err == nil || !strings.Contains(err.Error(), "larger than the 1 MiB") || !strings.Contains(err.Error(), "Ask for less") {
		t.Errorf("two events that are too large together: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for i := range Operations() {
		f.Add(i, `{"model":"m","input":"a","query":"q","documents":["a"],"prompt":"p"}`)
	}
	f.Fuzz(func(t *testing.T, i int, b string) {
		all := Operations()
		r, err := all[uint(i)%uint(len(all))].Parse(context.Background(), []byte(b), dialect.Caller{})
		if err != nil {
			return
		}
		if short, refs := r.Body.Short("up"); refs != nil {
			if whole, err := refs.Expand(short); err != nil || len(whole) > 4*len(b)+1<<20 {
				t.Errorf("put back: %v", err)
			}
		}
		r.Body.Body("up")
	})
}

func FuzzAppendAs(f *testing.F) {
	f.Add(`{"model":"a","x":["b",{"model":1}]}`)
	f.Fuzz(func(t *testing.T, b string) {
		if got := appendAs(nil, []byte(b), "m"); len(got) > len(b)+3*len(b) {
			t.Errorf("%d bytes of %d", len(got), len(b))
		}
	})
}
