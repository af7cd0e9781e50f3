package completions

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

// on is an emission about a choice.
func on(kind abi.Kind, choice int, payload string) abi.Emission {
	return abi.Emission{Kind: kind, At: abi.At(choice, 0), Data: []byte(payload)}
}

func finish(choice int, reason string) abi.Emission { return on(abi.Finish, choice, reason) }

var testInfo = dialect.Info{ID: "X", Created: 1, Model: `an "alias"`}

const testHead = `{"id":"cmpl-X","object":"text_completion","created":1,"model":"an \"alias\"","choices":[`

// parts are emissions: of each part of the request, of each call of the adapter.
type parts [][][]abi.Emission

// answered gives the parts to an answer.
//
//   - prompts: how many each part has
func answered(o *options, streamed bool, prompts int, all parts) (string, error) {
	a := newAnswer(testInfo, o, streamed)
	var out []byte
	var err error
	for _, part := range all {
		if out, err = a.Part(out, prompts); err != nil {
			return string(out), err
		}
		for _, ems := range part {
			if out, err = a.Apply(out, ems); err != nil {
				return string(out), err
			}
		}
	}
	out, err = a.End(out)
	return string(out), err
}

func one(ems ...abi.Emission) parts { return parts{{ems}} }

func TestWholeAnswers(t *testing.T) {
	plain := options{n: 1, logprobs: -1}
	const none = `,"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}`
	const counted = `{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}`
	for name, tc := range map[string]struct {
		options options
		prompts int // of each part; 0: one
		parts   parts
		want    string // after the head
		says    string // an error
	}{
		"a text": {
			options: plain, parts: one(on(abi.Text, 0, `a "b"`), finish(0, "stop"), on(abi.Usage, 0, counted)),
			want: `{"index":0,"text":"a \"b\"","logprobs":null,"finish_reason":"stop"}],"usage":` + counted + `}`,
		},
		"nothing said": {options: plain, parts: one(finish(0, "length")), want: `{"index":0,"text":"","logprobs":null,"finish_reason":"length"}]` + none},
		"thoughts and calls are no text": {
			options: plain,
			parts: one(on(abi.Reasoning, 0, "Hm."), on(abi.Text, 0, "a"), on(abi.ToolName, 0, "f"), on(abi.ToolArgs, 0, "{}"), on(abi.Refusal, 0, "no"),
				on(abi.DeltaExtra, 0, `{"a":1}`), on(abi.Signature, 0, "s"), finish(0, "tool_calls")),
			want: `{"index":0,"text":"a","logprobs":null,"finish_reason":"stop"}]` + none,
		},
		"choices out of order": {
			options: options{n: 2, logprobs: -1}, parts: one(on(abi.Text, 1, "b"), on(abi.Text, 0, "a"), finish(1, "stop"), finish(0, "length")),
			want: `{"index":0,"text":"a","logprobs":null,"finish_reason":"length"},{"index":1,"text":"b","logprobs":null,"finish_reason":"stop"}]` + none,
		},
		"parts": {
			options: options{n: 2, logprobs: -1, echo: [][]byte{[]byte("x"), []byte(`\"`)}},
			parts: parts{
				{{on(abi.Text, 0, "a"), finish(0, "stop"), finish(1, "stop"), on(abi.Usage, 0, counted)}},
				{{on(abi.Text, 1, "d"), finish(1, "stop"), finish(0, "stop"), on(abi.Usage, 0, counted)}},
			},
			want: `{"index":0,"text":"xa","logprobs":null,"finish_reason":"stop"},{"index":1,"text":"x","logprobs":null,"finish_reason":"stop"},` +
				`{"index":2,"text":"\"","logprobs":null,"finish_reason":"stop"},{"index":3,"text":"\"d","logprobs":null,"finish_reason":"stop"}],` +
				`"usage":{"prompt_tokens":6,"completion_tokens":2,"total_tokens":8}}`,
		},
		"fields that nobody knows": {
			options: plain, parts: one(on(abi.ChunkExtra, 0, `{"model":"x","timings":{"a":1}}`), on(abi.ChoiceExtra, 0, `{"text":"x","stop_reason":7}`), finish(0, "stop")),
			want: `{"index":0,"text":"","logprobs":null,"finish_reason":"stop","stop_reason":7}]` + none[:len(none)-1] + `,"timings":{"a":1}}`,
		},
		"logprobs that nobody asked for": {
			options: plain, parts: one(on(abi.Text, 0, "a"), on(abi.Logprobs, 0, `[{"token":"a","logprob":-1}]`), finish(0, "stop")),
			want: `{"index":0,"text":"a","logprobs":null,"finish_reason":"stop"}]` + none,
		},
		"logprobs of tokens alone": {
			options: options{n: 1}, parts: one(on(abi.Text, 0, "a"), on(abi.Logprobs, 0, `[{"token":"a","logprob":-1,"top_logprobs":[{"token":"b","logprob":-2}]}]`), finish(0, "stop")),
			want: `{"index":0,"text":"a","logprobs":{"tokens":["a"],"token_logprobs":[-1],"top_logprobs":null,"text_offset":[0]},"finish_reason":"stop"}]` + none,
		},
		"no end":             {options: plain, parts: one(on(abi.Text, 0, "a")), says: "before it was complete"},
		"nothing":            {options: plain, parts: parts{{}}, says: "before it was complete"},
		"fewer than prompts": {options: plain, prompts: 2, parts: one(finish(0, "stop")), says: "fewer choices"},
		"more than prompts":  {options: plain, parts: one(finish(0, "stop"), finish(1, "stop")), says: "more choices"},
		"the adapter's error": {
			options: plain, parts: one(on(abi.Text, 0, "a"), on(abi.Error, 0, `{"status":429,"message":"slow down"}`)), says: "slow down",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := answered(&tc.options, false, max(1, tc.prompts), tc.parts)
			if tc.says != "" {
				var e *fault.Error
				if !errors.As(err, &e) || !strings.Contains(e.Text, tc.says) || got != "" {
					t.Errorf("got %q, %+v; want an error that says %q", got, err, tc.says)
				}
				return
			}
			if err != nil || got != testHead+tc.want {
				t.Errorf("got\n%s (%v), want\n%s", got, err, testHead+tc.want)
			}
			if !json.Valid([]byte(got)) {
				t.Error("it is no JSON")
			}
		})
	}
}

func TestLogprobs(t *testing.T) {
	top := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`{"token":"t%d","logprob":-%d}`, i, i+1))
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	for name, tc := range map[string]struct{ tokens, want string }{
		"characters": {
			`[{"token":"😀","logprob":-1},{"token":"é!","logprob":-2},{"token":"x","logprob":-3}]`,
			`{"tokens":["😀","é!","x"],"token_logprobs":[-1,-2,-3],"top_logprobs":[{"😀":-1},{"é!":-2},{"x":-3}],"text_offset":[0,1,3]}`,
		},
		"parts of a character": {
			`[{"token":"\ufffd","logprob":-1,"bytes":[240,159]},{"token":"\ufffd","logprob":-2,"bytes":[152,128]},{"token":"x","logprob":-3,"bytes":[120]}]`,
			`{"tokens":["\ufffd","\ufffd","x"],"token_logprobs":[-1,-2,-3],"top_logprobs":[{"\ufffd":-1},{"\ufffd":-2},{"x":-3}],"text_offset":[0,1,1]}`,
		},
		"the first token of a prompt": {
			`[{"token":"a","logprob":null,"top_logprobs":null},{"token":"b","logprob":-1}]`,
			`{"tokens":["a","b"],"token_logprobs":[null,-1],"top_logprobs":[null,{"b":-1}],"text_offset":[0,1]}`,
		},
		"the server's offsets": {
			`[{"token":"a","logprob":-1,"text_offset":7},{"token":"b","logprob":-1},{"token":"c","logprob":-1,"text_offset":-1},{"token":"d","logprob":-1,"text_offset":0.5}]`,
			`{"tokens":["a","b","c","d"],"token_logprobs":[-1,-1,-1,-1],"top_logprobs":[{"a":-1},{"b":-1},{"c":-1},{"d":-1}],"text_offset":[7,8,9,10]}`,
		},
		"the token among its alternatives": {
			`[{"token":"t1","logprob":-2,"top_logprobs":` + top(2) + `}]`,
			`{"tokens":["t1"],"token_logprobs":[-2],"top_logprobs":[{"t0":-1,"t1":-2}],"text_offset":[0]}`,
		},
		"more alternatives than there may be": {
			`[{"token":"x","logprob":-9,"top_logprobs":` + top(9) + `}]`,
			`{"tokens":["x"],"token_logprobs":[-9],"top_logprobs":[{"t0":-1,"t1":-2,"t2":-3,"t3":-4,"t4":-5,"x":-9}],"text_offset":[0]}`,
		},
		"what is none of a token": {
			`[1,{"token":1,"logprob":"a","top_logprobs":[{"token":"b"},{"logprob":1},2]}]`,
			`{"tokens":["",""],"token_logprobs":[null,null],"top_logprobs":[null,null],"text_offset":[0,0]}`,
		},
		"none": {`[]`, `null`},
	} {
		t.Run(name, func(t *testing.T) {
			var list tokens
			list.add([]byte(tc.tokens), true)
			if got := string(list.appendTo(nil, true)); got != tc.want {
				t.Errorf("got\n%s, want\n%s", got, tc.want)
			}
		})
	}
}

// FuzzLogprobs: whatever a provider says of tokens, there are four arrays of equal length.
func FuzzLogprobs(f *testing.F) {
	f.Add(`[{"token":"😀","logprob":-1,"bytes":[240,159],"top_logprobs":[{"token":"a","logprob":-1}],"text_offset":3}]`, true)
	f.Add(`[1,{"token":null}]`, false)
	f.Fuzz(func(t *testing.T, array string, alternatives bool) {
		if !json.Valid([]byte(array)) || strings.TrimSpace(array)[0] != '[' {
			t.Skip()
		}
		var in []json.RawMessage
		if err := json.Unmarshal([]byte(array), &in); err != nil {
			t.Skip() // numbers that nothing holds
		}
		var list tokens
		list.add([]byte(strings.TrimSpace(array)), alternatives)
		var out *struct {
			Tokens   []string
			Logprobs []json.Number                 `json:"token_logprobs"`
			Top      []map[string]*json.RawMessage `json:"top_logprobs"`
			Offsets  []int                         `json:"text_offset"`
		}
		got := list.appendTo(nil, alternatives)
		if err := json.Unmarshal(got, &out); err != nil || (out == nil) != (len(in) == 0) {
			t.Fatalf("%s: %s (%v)", array, got, err)
		}
		if out != nil && (len(out.Tokens) != len(in) || len(out.Logprobs) != len(in) || len(out.Offsets) != len(in) || alternatives && len(out.Top) != len(in)) {
			t.Fatalf("%s: %s", array, got)
		}
	})
}

type object = map[string]any

// accumulate puts a stream together as a client does, and checks every rule that one may
// rely on.
func accumulate(events string, usage bool) (object, error) {
	rest, ok := strings.CutSuffix(events, "data: [DONE]\n\n")
	if !ok {
		return nil, fmt.Errorf("no end mark in %q", events)
	}
	list := strings.Split(strings.TrimSuffix(rest, "\n\n"), "\n\n")
	answer, choices, finished := object{}, map[int]object{}, map[int]bool{}
	for n, event := range list {
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok || strings.ContainsAny(data, "\r\n") {
			return nil, fmt.Errorf("not one data line: %q", event)
		}
		var chunk object
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return nil, fmt.Errorf("%w in %s", err, data)
		}
		of, ok := chunk["choices"].([]any)
		if last := usage && n == len(list)-1; !ok || len(of) != map[bool]int{true: 0, false: 1}[last] || last != (chunk["usage"] != nil) {
			return nil, fmt.Errorf("chunk %d of %d is %s", n, len(list), data)
		}
		if _, there := chunk["usage"]; there != usage {
			return nil, fmt.Errorf("a usage without being asked, or none: %s", data)
		}
		for key, value := range chunk {
			switch key {
			case "choices":
			case "id", "created", "model", "object":
				if n > 0 && !reflect.DeepEqual(answer[key], value) {
					return nil, fmt.Errorf("%s changed to %v", key, value)
				}
				answer[key] = value
			default:
				answer[key] = merged(answer[key], value)
			}
		}
		if len(of) == 0 {
			break
		}
		c := of[0].(object)
		index := int(c["index"].(float64))
		if finished[index] {
			return nil, fmt.Errorf("something follows the end of choice %d: %s", index, data)
		}
		whole := choices[index]
		if whole == nil {
			whole = object{"index": c["index"], "text": "", "logprobs": nil}
			choices[index] = whole
		}
		if finished[index] = c["finish_reason"] != nil; finished[index] && (c["text"] != "" || c["logprobs"] != nil) {
			return nil, fmt.Errorf("a text beside the end: %s", data)
		}
		for key, value := range c {
			switch key {
			case "index":
			case "text":
				whole[key] = whole[key].(string) + value.(string)
			case "logprobs":
				for name, more := range asObject(value) {
					all := asObject(whole[key])
					if all == nil {
						all = object{}
						whole[key] = all
					}
					all[name] = merged(all[name], more)
				}
			default:
				whole[key] = merged(whole[key], value)
			}
		}
	}
	var indexes []int
	for index := range choices {
		if !finished[index] {
			return nil, fmt.Errorf("choice %d never ended", index)
		}
		indexes = append(indexes, index)
	}
	slices.Sort(indexes)
	sorted := []any{}
	for _, index := range indexes {
		sorted = append(sorted, choices[index])
	}
	answer["choices"] = sorted
	return answer, nil
}

func asObject(v any) object {
	o, _ := v.(object)
	return o
}

// merged is what a field has become: lists are joined, objects are merged, and null changes
// nothing.
func merged(before, value any) any {
	switch value := value.(type) {
	case nil:
		return before
	case []any:
		if list, ok := before.([]any); ok {
			return append(slices.Clone(list), value...)
		}
	case object:
		if all := asObject(before); all != nil {
			all = maps.Clone(all)
			for key, v := range value {
				all[key] = merged(all[key], v)
			}
			return all
		}
	}
	return value
}

// checkForms makes both forms of an answer of the same emissions, and holds them against each
// other.
func checkForms(o *options, prompts int, all parts) (complete bool, err error) {
	streamed, errStream := answered(o, true, prompts, all)
	whole, errWhole := answered(o, false, prompts, all)
	if (errStream == nil) != (errWhole == nil) {
		return false, fmt.Errorf("streamed %v, whole %v", errStream, errWhole)
	}
	if errWhole != nil {
		var e *fault.Error
		if !errors.As(errStream, &e) || !errors.As(errWhole, &e) || strings.Contains(streamed, "[DONE]") {
			return false, fmt.Errorf("streamed %v, whole %v, %q", errStream, errWhole, streamed)
		}
		return false, nil
	}
	got, err := accumulate(streamed, o.usage)
	if err != nil {
		return false, err
	}
	var want object
	if err := json.Unmarshal([]byte(whole), &want); err != nil {
		return false, fmt.Errorf("%w in %s", err, whole)
	}
	if !o.usage {
		delete(want, "usage")
	}
	if !reflect.DeepEqual(got, want) {
		g, _ := json.Marshal(got)
		return false, fmt.Errorf("the stream stands for\n%s\nthe whole answer is\n%s\nevents\n%s", g, whole, streamed)
	}
	return true, nil
}

// randomAnswer is an answer that is mostly well behaved, and what was asked.
func randomAnswer(r *rand.Rand, text, fields string) (o options, prompts int, all parts) {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	words := func() string { return pick("", "a", " there", "\"", "\\", "é", "😀", "\n", "\x01", text) }
	o = options{n: 1 + r.IntN(2), logprobs: r.IntN(4) - 1, usage: r.IntN(2) == 0}
	prompts = 1 + r.IntN(2)
	count := 1 + r.IntN(2)
	if o.logprobs < 0 && r.IntN(2) == 0 {
		for i := range prompts * count {
			o.echo = append(o.echo, []byte(fmt.Sprint(`p\"`, i)))
		}
	}
	choices := prompts * o.n
	for range count {
		var part [][]abi.Emission
		var ems []abi.Emission
		state := func(e abi.Emission) {
			if ems = append(ems, e); r.IntN(3) > 0 {
				part, ems = append(part, ems), nil
			}
		}
		for range r.IntN(20) {
			c := r.IntN(choices)
			switch r.IntN(9) {
			case 0, 1, 2:
				state(on(abi.Text, c, words()))
			case 3:
				state(abi.Emission{Kind: abi.Text, Raw: true, At: abi.At(c, 0), Data: []byte(pick(`a`, `\"`, `\u00e9`, `\ud83d\ude00`, `\ud83d`, `\ude00`, `\n`, "é"))})
			case 4:
				state(on(abi.Logprobs, c, pick(`[]`, `[{"token":"a","logprob":-1}]`, `[{"token":"é","logprob":-1,"top_logprobs":[{"token":"b","logprob":-2}]},{"token":"c"}]`)))
			case 5:
				state(on(abi.Reasoning, c, words()))
			case 6:
				state(on(abi.ChoiceExtra, c, pick(`{}`, `{"a":1}`, `{"a":null,"b":[1]}`, `{"b":[2]}`, fields)))
			case 7:
				state(on(abi.Usage, 0, pick(`{"prompt_tokens":1}`, `{"completion_tokens":2,"total_tokens":9}`)))
			case 8:
				state(on(abi.Refusal, c, "no"))
			}
		}
		for c := range choices {
			if r.IntN(30) > 0 {
				ems = append(ems, finish(c, pick("stop", "stop", "length", "content_filter")))
			}
		}
		if r.IntN(2) == 0 {
			part, ems = append(part, ems), []abi.Emission{on(abi.Usage, 0, `{"prompt_tokens":7,"completion_tokens":2}`)}
		}
		all = append(all, append(part, ems))
	}
	return o, prompts, all
}

func TestAStreamEqualsTheWholeAnswer(t *testing.T) {
	complete := 0
	for seed := range uint64(3000) {
		o, prompts, all := randomAnswer(rand.New(rand.NewPCG(seed, 0)), "", "{}")
		ok, err := checkForms(&o, prompts, all)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if ok {
			complete++
		}
	}
	if complete < 1000 {
		t.Errorf("only %d of 3000 answers were complete: the test says little", complete)
	}
}

// FuzzAnswer: whatever an adapter states, the stream is what the whole answer is, and both are
// JSON.
func FuzzAnswer(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, "Hi\x7f\u2028", `{"content":1,"index":2,"text":3,"logprobs":{},"finish_reason":"x","c":[1,{"d":null}]}`)
	}
	f.Fuzz(func(t *testing.T, seed uint64, text, fields string) {
		var given object
		if json.Unmarshal([]byte(fields), &given) != nil || given == nil || len(given) > 40 {
			t.Skip() // the boundary refuses it, or so many fields are too many in one of the forms
		}
		once, err := json.Marshal(given) // on one line, and each key once
		if err != nil {
			t.Fatal(err)
		}
		o, prompts, all := randomAnswer(rand.New(rand.NewPCG(seed, 1)), strings.ToValidUTF8(text, ""), string(once))
		if _, err := checkForms(&o, prompts, all); err != nil {
			t.Fatal(err)
		}
	})
}
