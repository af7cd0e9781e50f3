package responses

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"

	"github.com/kai-gateway/kai/sdk/abi"
)

func TestResponseObject(t *testing.T) {
	info := dialect.Info{ID: "X", Created: 7, Model: `fa"st`}
	const unset = `{"id":"resp_X","object":"response","created_at":7,"completed_at":null,"status":"in_progress","background":false,` +
		`"error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"max_tool_calls":null,"model":"fa\"st",` +
		`"output":[],"parallel_tool_calls":true,"previous_response_id":null,"prompt_cache_key":null,"prompt_cache_retention":null,` +
		`"reasoning":{"effort":null,"summary":null},"safety_identifier":null,"service_tier":"default","store":false,"temperature":1.0,` +
		`"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_logprobs":0,"top_p":1.0,"truncation":"disabled",` +
		`"usage":null,"user":null,"metadata":{}}`
	all := requestInfo{
		store: true,
		echo: echo{
			instructions: []byte(`"Be brief"`), maxOutputTokens: []byte(`99`), maxToolCalls: []byte(`3`), metadata: []byte(`{"a":"b"}`),
			parallelToolCalls: []byte(`false`), previousResponseID: []byte(`"resp_0"`), promptCacheKey: []byte(`"k"`), promptCacheRetention: []byte(`"24h"`),
			reasoning: []byte(`{"summary":"auto","context":"x","effort":"high"}`), safetyIdentifier: []byte(`"s"`), temperature: []byte(`0.5`),
			text: []byte(`{"verbosity":"low","format":{"type":"json_object"}}`), toolChoice: []byte(`"required"`), tools: []byte(`[{"type":"web_search"}]`),
			topLogprobs: []byte(`2`), topP: []byte(`0.1`), truncation: []byte(`"auto"`), user: []byte(`"u"`),
		},
	}
	extra := &facts.Object{}
	if err := extra.Merge(abi.ChunkExtra, []byte(`{"provider":"x","id":"y","service_tier":"z","output_text":"t"}`), objectKeys); err != nil {
		t.Fatal(err)
	}
	message := newOutputItem(textItem, tool{}, "X", 0)
	message.text, message.status = []byte("Hi"), statusCompleted
	replaced := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(unset) }
	for name, tc := range map[string]struct {
		asked  requestInfo
		object object
		want   string
	}{
		"what the client did not send has OpenAI's defaults": {want: unset},
		"what the client sent is repeated": {
			asked: all,
			want: replaced(`"instructions":null`, `"instructions":"Be brief"`, `"max_output_tokens":null`, `"max_output_tokens":99`, `"max_tool_calls":null`, `"max_tool_calls":3`,
				`"metadata":{}`, `"metadata":{"a":"b"}`, `"parallel_tool_calls":true`, `"parallel_tool_calls":false`, `"previous_response_id":null`, `"previous_response_id":"resp_0"`,
				`"prompt_cache_key":null`, `"prompt_cache_key":"k"`, `"prompt_cache_retention":null`, `"prompt_cache_retention":"24h"`,
				`"effort":null,"summary":null`, `"effort":"high","summary":"auto","context":"x"`, `"safety_identifier":null`, `"safety_identifier":"s"`,
				`"store":false`, `"store":true`, `"temperature":1.0`, `"temperature":0.5`, `{"format":{"type":"text"}}`, `{"format":{"type":"json_object"},"verbosity":"low"}`,
				`"tool_choice":"auto"`, `"tool_choice":"required"`, `"tools":[]`, `"tools":[{"type":"web_search"}]`, `"top_logprobs":0`, `"top_logprobs":2`,
				`"top_p":1.0`, `"top_p":0.1`, `"truncation":"disabled"`, `"truncation":"auto"`, `"user":null`, `"user":"u"`),
		},
		"a text without a format gets one": {
			asked: requestInfo{echo: echo{text: []byte(`{"verbosity":"low","format":null}`), reasoning: []byte(`{"summary":"auto"}`)}},
			want:  replaced(`{"format":{"type":"text"}}`, `{"format":{"type":"text"},"verbosity":"low"}`, `"effort":null,"summary":null`, `"effort":null,"summary":"auto"`),
		},
		"a short one repeats nothing but what was done": {
			asked: all, object: object{short: true}, want: replaced(`"store":false`, `"store":true`),
		},
		"a completed one": {
			object: object{status: statusCompleted, completedAt: 9, items: []*outputItem{message}, usage: []byte(`{"u":1}`), tier: "flex", extra: extra},
			want: replaced(`"completed_at":null`, `"completed_at":9`, `"in_progress"`, `"completed"`, `"usage":null`, `"usage":{"u":1}`, `"service_tier":"default"`, `"service_tier":"flex"`,
				`"output":[]`, `"output":[{"id":"msg_X_0","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[],"logprobs":[]}]}]`,
				`"metadata":{}}`, `"metadata":{},"provider":"x"}`),
		},
		"an incomplete one": {
			object: object{status: statusIncomplete, reason: "content_filter"},
			want:   replaced(`"in_progress"`, `"incomplete"`, `"incomplete_details":null`, `"incomplete_details":{"reason":"content_filter"}`),
		},
		"a failed one": {
			object: object{status: statusFailed, failure: []byte(`{"code":"server_error","message":"m"}`)},
			want:   replaced(`"in_progress"`, `"failed"`, `"error":null`, `"error":{"code":"server_error","message":"m"}`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newResponse(tc.asked, info)
			got, spans := r.appendObject(nil, tc.object)
			if string(got) != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			if err := checkJSON(got); err != nil {
				t.Error(err)
			}
			if len(spans) != len(tc.object.items) || len(spans) > 0 && !strings.HasPrefix(string(got[spans[0][0]:spans[0][1]]), `{"id":"msg_X_0"`) {
				t.Errorf("the items are at %v", spans)
			}
			if size := r.objectSize() + 2048; len(got) > size {
				t.Errorf("%d bytes, counted %d", len(got), size)
			}
		})
	}
}
