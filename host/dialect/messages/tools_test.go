package messages

import (
	"strings"
	"testing"
)

func tools(list ...string) string { return `,"tools":[` + strings.Join(list, ",") + `]` }

// function is a tool of a chat request.
func function(name string, more ...string) string {
	return `{"type":"function","function":{"name":"` + name + `"` + strings.Join(more, "") + `}}`
}

func TestTools(t *testing.T) {
	const (
		schema  = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"a":{"type":"string","default":"x"}},"additionalProperties":false}`
		strict  = `{"type":"object","properties":{"a":{"anyOf":[{"type":"object","properties":{"required":{"type":"string"}},"required":["required"],"additionalProperties":false},{"type":"null"}]}},"required":["a"],"additionalProperties":false}`
		loose   = `{"type":"object","properties":{"a":{"type":"array","items":{"type":"object","properties":{"b":{}}}}},"required":["a"],"additionalProperties":false}`
		waiting = `{"name":"Later","input_schema":{},"defer_loading":true}`
		holder  = `{"name":"DeferredToolPlaceholder","input_schema":{},"defer_loading":true}`
		plain   = `{"name":"Now","input_schema":{}}`
		now     = `,"parameters":{}`
	)
	testRows(t, map[string]row{
		"a tool": {said(hi, tools(`{"name":"a","description":"does \"a\"","input_schema":`+schema+`,"cache_control":{"type":"ephemeral"},"input_examples":[{}],"eager_input_streaming":true,"allowed_callers":["direct"]}`, `{"type":"custom","name":"b","input_schema":{},"strict":null,"description":null}`, `{"type":null,"name":"c"}`)),
			became(hi, tools(function(`a`, `,"description":"does \"a\"","parameters":`+schema), function(`b`, now), function(`c`)))},
		"none":                           {said(hi, `,"tools":[],"tool_choice":{"type":"any","disable_parallel_tool_use":true}`), became(hi)},
		"a choice without tools":         {said(hi, `,"tool_choice":{"type":"auto"}`), became(hi)},
		"any of them, one at a time":     {said(hi, tools(plain), `,"tool_choice":{"type":"any","disable_parallel_tool_use":true}`), became(hi, tools(function(`Now`, now)), `,"tool_choice":"required","parallel_tool_calls":false`)},
		"auto":                           {said(hi, tools(plain), `,"tool_choice":{"type":"auto","disable_parallel_tool_use":false}`), became(hi, tools(function(`Now`, now)), `,"tool_choice":"auto"`)},
		"no call":                        {said(hi, tools(plain), `,"tool_choice":{"type":"none"}`), became(hi, tools(function(`Now`, now)), `,"tool_choice":"none"`)},
		"a certain one":                  {said(hi, tools(plain), `,"tool_choice":{"type":"tool","name":"Now"}`), became(hi, tools(function(`Now`, now)), `,"tool_choice":{"type":"function","function":{"name":"Now"}}`)},
		"a strict schema":                {said(hi, tools(`{"name":"a","input_schema":`+strict+`,"strict":true}`)), became(hi, tools(function(`a`, `,"parameters":`+strict+`,"strict":true`)))},
		"strict in name only":            {said(hi, tools(`{"name":"a","input_schema":`+loose+`,"strict":true}`)), became(hi, tools(function(`a`, `,"parameters":`+loose)))},
		"a schema that isn't said to be": {said(hi, tools(`{"name":"a","input_schema":`+strict+`}`)), became(hi, tools(function(`a`, `,"parameters":`+strict)))},
		"what is not loaded waits":       {said(hi, tools(plain, waiting, holder)), became(hi, tools(function(`Now`, now)))},
		"if all wait there is none":      {said(hi, tools(waiting), `,"tool_choice":{"type":"auto"}`), became(hi)},
		"loaded by a reference": {said(hi+`,`+assistant(called)+`,`+user(`[`+toolResult(`c1`, `[{"type":"tool_reference","tool_name":"L\u0061ter"}]`)+`]`), tools(plain, waiting, holder)),
			became(hi+`,`+callPart+`,`+toolMessage(`c1`, `"Tool L\u0061ter is loaded."`), tools(function(`Now`, now), function(`Later`, now)))},
		"loaded by a call": {said(hi+`,`+assistant(`[`+toolUse(`c1`, `Later`, `{}`)+`]`), tools(waiting, holder)),
			became(hi+`,{"role":"assistant","content":null,"tool_calls":[`+toolCall(`c1`, `Later`, `{}`)+`]}`, tools(function(`Later`, now)))},
		"loaded by a search of Anthropic's": {said(hi+`,`+assistant(`[{"type":"tool_search_tool_result","content":{"type":"x","tool_references":[{"type":"tool_reference","tool_name":"Later"}]}}]`), tools(waiting)),
			became(hi+`,`+assistant(`"Later"`), tools(function(`Later`, now)))},
		"added by the system": {said(hi+`,`+system(`[{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"New","input_schema":{}}}},{"type":"tool_addition","tool":{"type":"tool_reference","name":"Later"}}]`), tools(waiting, plain)),
			became(hi, tools(function(`Later`, now), function(`Now`, now), function(`New`, now)))},
		"added where there was none": {said(hi + `,` + system(`[{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"New","input_schema":{}}}}]`)), became(hi, tools(function(`New`, now)))},
		"removed by the system":      {said(hi+`,`+system(`[{"type":"tool_removal","tool":{"type":"tool_reference","name":"Now"}}]`), tools(plain, `{"name":"b"}`)), became(hi, tools(function(`b`)))},
		"removed and added again": {said(hi+`,`+system(`[{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"New"}}},{"type":"tool_removal","tool":{"type":"tool_reference","name":"New"}},{"type":"tool_addition","tool":{"type":"tool_reference","name":"New"}},{"type":"tool_removal","tool":{"type":"tool_reference","name":"Now"}},{"type":"tool_addition","tool":{"type":"tool_reference","name":"Now"}}]`), tools(plain)),
			became(hi, tools(function(`Now`, now), function(`New`)))},
		"added and removed":      {said(hi+`,`+system(`[{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"New"}}},{"type":"tool_removal","tool":{"type":"tool_reference","name":"New"}}]`), tools(plain)), became(hi, tools(function(`Now`, now)))},
		"replaced by the system": {said(hi+`,`+system(`[{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"Now","description":"better"}}}]`), tools(plain, `{"name":"b"}`)), became(hi, tools(function(`Now`, `,"description":"better"`), function(`b`)))},
	})
}

func TestNamesOfTools(t *testing.T) {
	long := strings.Repeat("mcp__a_long_name__", 5)[:80]
	short := long[:55] + "_4bd1b0db"
	if got := shortName(long); got != short {
		t.Fatalf("shortName(%q) = %q, want %q", long, got, short)
	}
	if a, b := shortName(long+"a"), shortName(long+"b"); a == b {
		t.Errorf("two names are both %q", a)
	}
	umlauts := strings.Repeat("ä", 40)
	if got := shortName(umlauts); len(got) > 64 || !strings.HasPrefix(got, strings.Repeat("ä", 27)+"_") {
		t.Errorf("shortName(%q) = %q", umlauts, got)
	}
	request := said(hi+`,`+assistant(`[`+toolUse(`c1`, long, `{}`)+`]`), tools(`{"name":"`+long+`"}`, `{"name":"`+long[:64]+`"}`), `,"tool_choice":{"type":"tool","name":"`+long+`"}`)
	want := became(hi+`,{"role":"assistant","content":null,"tool_calls":[`+toolCall(`c1`, short, `{}`)+`]}`, tools(function(short), function(long[:64])), `,"tool_choice":{"type":"function","function":{"name":"`+short+`"}}`)
	if got := chatOf(t, request); got != want {
		t.Errorf("became\n%s, want\n%s", got, want)
	}
	want = strings.ReplaceAll(strings.ReplaceAll(want, short, long), `"content":"hi"`, `"content":[{"type":"text","text":"hi"}]`)
	if got := formOf(t, request, extNative); got != want {
		t.Errorf("for Anthropic it became\n%s, want\n%s", got, want)
	}
	request = said(hi+`,`+assistant(called)+`,`+user(`[`+toolResult(`c1`, `[{"type":"tool_reference","tool_name":"`+long+`"}]`)+`]`), tools(`{"name":"`+long+`","defer_loading":true}`))
	want = became(hi+`,`+callPart+`,`+toolMessage(`c1`, `"Tool `+short+` is loaded."`), tools(function(short)))
	if got := chatOf(t, request); got != want {
		t.Errorf("what loads a tool became\n%s, want\n%s", got, want)
	}
}

func TestNamesOnTheirWayBack(t *testing.T) {
	long := strings.Repeat("mcp__a_long_name__", 5)[:80]
	short := shortName(long)
	r, err := parse([]byte(said(hi+`,`+assistant(`[`+toolUse(`c1`, long, `{}`)+`]`), tools(`{"name":"`+long+`"}`, `{"name":"`+long[:64]+`"}`))), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, full := range map[string]string{short: long, long: long, long[:64]: long[:64], "other": "other"} {
		if got := r.asked.fullName(name); got != full {
			t.Errorf("the full name of %q is %q, want %q", name, got, full)
		}
	}
	if !r.asked.ids("c1") || r.asked.ids("c2") {
		t.Error("c1 is the only id in the history")
	}
}
