package messages

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
)

// chatOf returns the chat request that a client's request becomes.
func chatOf(t *testing.T, body string) string {
	t.Helper()
	r, err := parse([]byte(body), false, nil)
	if err != nil {
		t.Fatalf("parse(%s): %v", body, err)
	}
	return string(r.Body.Body("up"))
}

// formOf returns the form of it for an adapter that takes the extensions.
func formOf(t *testing.T, body string, extensions ...string) string {
	t.Helper()
	r, err := parse([]byte(body), false, nil)
	if err != nil {
		t.Fatalf("parse(%s): %v", body, err)
	}
	if r.Form == nil {
		return string(r.Body.Body("up"))
	}
	b, err := r.Form(func(name string) bool {
		for _, extension := range extensions {
			if name == extension {
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b.Body("up"))
}

// refusalOf returns the error for a request that is refused.
func refusalOf(t *testing.T, body string) *fault.Error {
	t.Helper()
	r, err := Parse(t.Context(), []byte(body), dialect.Caller{})
	if err == nil {
		err = r.Untranslated
	}
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatalf("Parse(%s) = %v, want a *fault.Error", body, err)
	}
	return e
}

// said is a request with these messages, and more fields behind them.
func said(messages string, more ...string) string {
	return `{"model":"m","max_tokens":50,"messages":[` + messages + `]` + strings.Join(more, "") + `}`
}

// became is what a request becomes that has these messages, and more fields.
func became(messages string, more ...string) string {
	return `{"model":"up","messages":[` + messages + `]` + strings.Join(more, "") + `,"max_completion_tokens":50}`
}

const hi = `{"role":"user","content":"hi"}`

type row struct{ body, want string }

func testRows(t *testing.T, rows map[string]row) {
	t.Helper()
	for name, tc := range rows {
		t.Run(name, func(t *testing.T) {
			got := chatOf(t, tc.body)
			if got != tc.want {
				t.Errorf("%s\nbecame %s\nwant   %s", tc.body, got, tc.want)
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("%s is not valid JSON", got)
			}
		})
	}
}

func TestFieldsOfARequest(t *testing.T) {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	testRows(t, map[string]row{
		"a text":                       {said(hi), became(hi)},
		"a stream is asked for usage":  {said(hi, `,"stream":true`), became(hi)[:len(became(hi))-1] + `,"stream":true,"stream_options":{"include_usage":true}}`},
		"no stream":                    {said(hi, `,"stream":false`), became(hi)},
		"null counts as absent":        {said(hi, `,"system":null,"tools":null,"thinking":null,"temperature":null,"stop_sequences":null,"metadata":null,"stream":null,"output_config":null,"container":null,"thread":null,"top_k":null`), became(hi)},
		"unknown fields go nowhere":    {said(hi, `,"safeguards":[{"type":"dangerous_tool_use","classifier_context":{"home":"/home/jo"}}],"context_management":{"edits":[]},"service_tier":"auto","speed":"fast","betas":["x"],"novelty":1`), became(hi)},
		"an empty container":           {said(hi, `,"container":"","mcp_servers":[ ]`), became(hi)},
		"a limit as the client wrote":  {`{"max_tokens":1e2,"messages":[` + hi + `],"model":"m"}`, `{"model":"up","messages":[` + hi + `],"max_completion_tokens":1e2}`},
		"sampling":                     {said(hi, `,"temperature":0.50,"top_p":1,"top_k":40`), strings.TrimSuffix(became(hi), "}") + `,"temperature":0.50,"top_p":1}`},
		"stops":                        {said(hi, `,"stop_sequences":["END"," \n","\t","\u0020","x"]`), strings.TrimSuffix(became(hi), "}") + `,"stop":["END","x"]}`},
		"stops of nothing but spaces":  {said(hi, `,"stop_sequences":[" "]`), became(hi)},
		"the user as a hash":           {said(hi, `,"metadata":{"user_id":"{\"device_id\":\"0\"}"}`), strings.TrimSuffix(became(hi), "}") + `,"safety_identifier":"` + hash(`{"device_id":"0"}`) + `"}`},
		"a byte order mark":            {"\ufeff" + said(hi), became(hi)},
		"half a character":             {said(`{"role":"user","content":"a\ud83d"}`), became(`{"role":"user","content":"a\ufffd"}`)},
		"a strict schema":              {said(hi, `,"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}`), became(hi, `,"response_format":{"type":"json_schema","json_schema":{"name":"output","schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false},"strict":true}}`)},
		"a schema with an option":      {said(hi, `,"output_format":{"type":"json_schema","schema":{"type":"object","properties":{"a":{},"b":{}},"required":["a"],"additionalProperties":false}}`), became(hi, `,"response_format":{"type":"json_schema","json_schema":{"name":"output","schema":{"type":"object","properties":{"a":{},"b":{}},"required":["a"],"additionalProperties":false}}}`)},
		"the older name gives way":     {said(hi, `,"output_format":{"type":"json_schema","schema":{"title":"old"}},"output_config":{"format":{"type":"json_schema","schema":{"title":"new"}}}`), became(hi, `,"response_format":{"type":"json_schema","json_schema":{"name":"output","schema":{"title":"new"}}}`)},
		"names of fields with escapes": {`{"m\u006fdel":"m","max_tokens":50,"messages":[{"r\u006fle":"us\u0065r","content":[{"typ\u0065":"t\u0065xt","text":"hi"}]}]}`, became(hi)},
		"white space everywhere":       {" {\n\"model\" : \"m\" ,\t\"max_tokens\" : 50 , \"messages\" : [ { \"role\" : \"user\" , \"content\" : [ { \"type\" : \"text\" , \"text\" : \"hi\" } ] } ] } \r\n", became(hi)},
	})
}

func TestSystem(t *testing.T) {
	const (
		billing = `{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1.332.000; cc_entrypoint=cli;"}`
		two     = `{"type":"text","text":"You are kind.","cache_control":{"type":"ephemeral"}},{"type":"text","text":"Be brief."}`
	)
	testRows(t, map[string]row{
		"a string":                        {said(hi, `,"system":"be kind"`), became(`{"role":"system","content":"be kind"},` + hi)},
		"blocks are paragraphs":           {said(hi, `,"system":[`+two+`]`), became(`{"role":"system","content":"You are kind.\n\nBe brief."},` + hi)},
		"the billing header is no prompt": {said(hi, `,"system":[`+billing+`,`+two+`]`), became(`{"role":"system","content":"You are kind.\n\nBe brief."},` + hi)},
		"the billing header alone":        {said(hi, `,"system":[`+billing+`]`), became(hi)},
		"an empty string":                 {said(hi, `,"system":""`), became(hi)},
		"empty blocks":                    {said(hi, `,"system":[{"type":"text","text":""}]`), became(hi)},
	})
	want := became(`{"role":"system","content":[` + billing + `,` + two + `]},{"role":"user","content":[{"type":"text","text":"hi"}]}`)
	if got := formOf(t, said(hi, `,"system":[`+billing+`,`+two+`]`), extNative, extCache); got != want {
		t.Errorf("for Anthropic the system is\n%s, want\n%s", got, want)
	}
	want = became(`{"role":"system","content":[` + two + `]},{"role":"user","content":[{"type":"text","text":"hi"}]}`)
	if got := formOf(t, said(hi, `,"system":[`+billing+`,`+two+`]`), extCache); got != want {
		t.Errorf("for an adapter that caches the system is\n%s, want\n%s", got, want)
	}
}
