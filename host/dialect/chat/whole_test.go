package chat

import (
	"errors"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/fault"
)

func whole(in calls) (string, error) {
	w := NewWhole(testInfo)
	for _, ems := range in {
		if _, err := w.Apply(nil, ems); err != nil {
			return "", err
		}
	}
	b, err := w.End(nil)
	return string(b), err
}

func TestWhole(t *testing.T) {
	const (
		head   = `{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"fast","choices":[`
		zeros  = `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`
		unused = `],"usage":` + zeros + `}`
	)
	for name, tc := range map[string]struct {
		in   calls
		want string // after the head; an id the host made is "MINTED"
	}{
		"content, refusal, logprobs and usage are always there": {
			in:   calls{emit(text(0, "Hel")), emit(raw(text(0, `lo\n`))), emit(finish(0, "stop"))},
			want: `{"index":0,"message":{"role":"assistant","content":"Hello\n","refusal":null},"logprobs":null,"finish_reason":"stop"}` + unused,
		},
		"an answer without text has empty content": {
			in:   calls{emit(finish(0, "length"))},
			want: `{"index":0,"message":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":"length"}` + unused,
		},
		"content is null beside tool calls only": {
			in: calls{
				emit(toolID(0, 1, "x"), toolArgs(0, 0, `{"a":`)), emit(toolName(0, 1, "g")), emit(toolName(0, 0, "f"), toolArgs(0, 0, `1}`)), emit(finish(0, "stop")),
				emit(text(1, "b"), toolName(1, 0, "h"), toolID(1, 0, "z"), finish(1, "length")),
			},
			want: `{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[` +
				`{"id":"x","type":"function","function":{"name":"g","arguments":"{}"}},` +
				`{"id":"MINTED","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"logprobs":null,"finish_reason":"tool_calls"},` +
				`{"index":1,"message":{"role":"assistant","content":"b","refusal":null,"tool_calls":[` +
				`{"id":"z","type":"function","function":{"name":"h","arguments":"{}"}}]},"logprobs":null,"finish_reason":"length"}` + unused,
		},
		"a refusal stands beside null content": {
			in:   calls{emit(refusal(0, "no")), emit(finish(0, "stop"))},
			want: `{"index":0,"message":{"role":"assistant","content":null,"refusal":"no"},"logprobs":null,"finish_reason":"stop"}` + unused,
		},
		"reasoning has both names": {
			in:   calls{emit(reasoning(0, "h")), emit(reasoning(0, "m")), emit(text(0, "a"), finish(0, "stop"))},
			want: `{"index":0,"message":{"role":"assistant","content":"a","refusal":null,"reasoning_content":"hm","reasoning":"hm"},"logprobs":null,"finish_reason":"stop"}` + unused,
		},
		"logprobs are joined": {
			in:   calls{emit(logprobs(0, `[1]`)), emit(logprobs(0, `[]`)), emit(logprobs(0, `[2, 3]`)), emit(finish(0, "stop"))},
			want: `{"index":0,"message":{"role":"assistant","content":"","refusal":null},"logprobs":{"content":[1,2, 3],"refusal":null},"finish_reason":"stop"}` + unused,
		},
		"choices are sorted": {
			in: calls{emit(text(3, "d")), emit(text(0, "a")), emit(text(3, "D"), finish(0, "stop")), emit(finish(3, "stop"))},
			want: `{"index":0,"message":{"role":"assistant","content":"a","refusal":null},"logprobs":null,"finish_reason":"stop"},` +
				`{"index":3,"message":{"role":"assistant","content":"dD","refusal":null},"logprobs":null,"finish_reason":"stop"}` + unused,
		},
		"extra fields are merged": {
			in: calls{
				emit(deltaExtra(0, `{"details":[ ],"n":1}`), choiceExtra(0, `{"native":null}`), chunkExtra(`{"provider":"A"}`)),
				emit(deltaExtra(0, `{"details":[{"i":1} ],"n":2,"role":"x","tool_calls":[]}`), choiceExtra(0, `{"native":"end"}`)),
				emit(deltaExtra(0, `{"details":[ {"i":2}]}`), deltaExtra(0, `{"details":null}`), chunkExtra(`{"provider":"B","usage":{},"error":1}`)),
				emit(toolExtra(0, 0, `{"a":{"b":1},"c":[1],"type":2}`), toolName(0, 0, "f"), toolID(0, 0, "x")), emit(toolExtra(0, 0, `{"a":{"b":2},"c":[2]}`)),
				emit(finish(0, "stop")),
			},
			want: `{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"},"a":{"b":2},"c":[1,2]}],` +
				`"details":[{"i":1},{"i":2}],"n":2},"logprobs":null,"finish_reason":"tool_calls","native":"end"}` +
				`],"usage":` + zeros + `,"provider":"B"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := whole(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if got = minted.ReplaceAllString(got, `"MINTED"`); got != head+tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, head+tc.want)
			}
		})
	}
}

func TestUsageIsMergedLeafByLeaf(t *testing.T) {
	for name, tc := range map[string]struct {
		in    []string
		want  string
		known bool
	}{
		"nothing counted":                {nil, `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`, false},
		"the total is added":             {[]string{`{"prompt_tokens":3,"completion_tokens":4}`}, `{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}`, true},
		"the provider's total stays":     {[]string{`{"total_tokens":9,"prompt_tokens":3}`, `{"completion_tokens":4}`}, `{"prompt_tokens":3,"completion_tokens":4,"total_tokens":9}`, true},
		"a total that is added is fresh": {[]string{`{"prompt_tokens":3,"completion_tokens":1}`, `{"completion_tokens":4}`}, `{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}`, true},
		"leaves of objects are merged": {
			[]string{`{"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":1,"audio_tokens":0}}`, `{"prompt_tokens_details":{"cached_tokens":2,"x":null},"cost":0.5}`, `{"cost":1e-3}`},
			`{"prompt_tokens":3,"completion_tokens":0,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":2,"audio_tokens":0,"x":null},"cost":1e-3}`, true,
		},
		"null replaces nothing": {
			[]string{`{"prompt_tokens":3,"cost":1,"d":{"x":1}}`, `{"prompt_tokens":null,"cost":null,"d":null}`},
			`{"prompt_tokens":3,"completion_tokens":0,"total_tokens":3,"cost":1,"d":{"x":1}}`, true,
		},
		"a leaf and an object replace each other": {
			[]string{`{"a":1,"b":{"x":1}}`, `{"a":{"x":2},"b":2}`},
			`{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"a":{"x":2},"b":2}`, false,
		},
		"what lies deeper is a leaf": {
			[]string{`{"a":{"b":{"c":1}}}`, `{"a":{"b":{"d":2}}}`},
			`{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"a":{"b":{"d":2}}}`, false,
		},
		"numbers in quotes are numbers, at any depth": {
			[]string{`{"prompt_tokens":"3","completion_tokens":"x","total_tokens":"7","details":{"cached":"2","tier":"t1"}}`},
			`{"prompt_tokens":3,"completion_tokens":0,"total_tokens":7,"details":{"cached":2,"tier":"t1"}}`, true,
		},
		"counts are whole numbers whatever came": {
			[]string{`{"prompt_tokens":15.0,"completion_tokens":2e1,"total_tokens":"many"}`, `{"prompt_tokens":-1,"completion_tokens":1e300,"total_tokens":{}}`},
			`{"prompt_tokens":15,"completion_tokens":20,"total_tokens":35}`, true,
		},
		"a key has one meaning however it is written": {
			[]string{`{"prompt\u005ftokens":3,"a\u0062":1}`, `{"ab":2}`},
			`{"prompt_tokens":3,"completion_tokens":0,"total_tokens":3,"ab":2}`, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var in calls
			for _, u := range tc.in {
				in = append(in, emit(usageOf(u)))
			}
			in = append(in, emit(finish(0, "stop")))
			got, err := whole(in)
			if err != nil || !strings.HasSuffix(got, `],"usage":`+tc.want+`}`) {
				t.Errorf("whole: error %v, got %s, want usage %s", err, got, tc.want)
			}
			info := testInfo
			info.IncludeUsage = true
			events, c, err := stream(info, in)
			if want := chunkHead + `],"usage":` + tc.want + "}\n\ndata: [DONE]\n\n"; err != nil || !strings.HasSuffix(events, want) {
				t.Errorf("streamed: error %v, got %s, want at its end %s", err, events, want)
			}
			if c.Usage().Known != tc.known {
				t.Errorf("Usage() = %+v, want Known %v", c.Usage(), tc.known)
			}
		})
	}
}

func TestAWholeAnswerHasALimit(t *testing.T) {
	info := testInfo
	info.MaxHeld = 2
	w := NewWhole(info)
	part := emit(text(0, "x"))
	for range 2 {
		if _, err := w.Apply(nil, part); err != nil {
			t.Fatal(err)
		}
	}
	var e *fault.Error
	if _, err := w.Apply(nil, part); !errors.As(err, &e) || e.Code != "upstream_error" {
		t.Errorf("error = %v, want upstream_error", err)
	}
}
