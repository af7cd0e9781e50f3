package host

import (
	"fmt"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

// TestWhatSpansSayOfARequest reads requests of the APIs that clients speak.
func TestWhatSpansSayOfARequest(t *testing.T) {
	shown := func(f *float64) string {
		if f == nil {
			return "-"
		}
		return fmt.Sprint(*f)
	}
	for name, tc := range map[string]struct{ body, want string }{
		"a chat":              {`{"model":"m","messages":[{"role":"user","temperature":9}],"temperature":0,"top_p":0.5,"max_completion_tokens":7}`, "7 0 0.5"},
		"one of Messages":     {`{"max_tokens": 1024, "temperature": 1.5}`, "1024 1.5 -"},
		"one of Responses":    {`{"max_output_tokens":9}`, "9 - -"},
		"without any of it":   {`{"model":"m"}`, "0 - -"},
		"with something else": {`{"temperature":"hot","top_p":null,"max_tokens":-1}`, "0 - -"},
		"a form":              {"--x\r\nContent-Disposition: form-data; name=\"temperature\"\r\n\r\n1", "0 - -"},
		"nothing":             {"", "0 - -"},
	} {
		a := askedIn([]byte(tc.body))
		if got := fmt.Sprint(a.MaxTokens, " ", shown(a.Temperature), " ", shown(a.TopP)); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}

// TestWhatSpansSayOfAnAnswer has providers tell ids and models, and texts in their place.
func TestWhatSpansSayOfAnAnswer(t *testing.T) {
	finish := func(choice int, reason string) abi.Emission {
		return abi.Emission{Kind: abi.Finish, At: abi.At(choice, 0), Data: []byte(reason)}
	}
	call := abi.Emission{Kind: abi.ToolName, At: abi.At(1, 0), Data: []byte("f")}
	for name, tc := range map[string]struct {
		model string // the asked one
		came  []string
		ems   []abi.Emission
		want  string // id, model, reasons
	}{
		"a chunk": {"gpt-4o", []string{`{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","choices":[]}`, `{"id":"chatcmpl-another00000000000"}`}, []abi.Emission{finish(0, "stop")},
			"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT gpt-4o-2024-08-06 [stop]"},
		"an event of Messages":      {"claude-sonnet-4-5", []string{`{"type":"message_start","message":{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","model":"claude-sonnet-4-5-20250929"}}`}, nil, "msg_01XFDUDYJgAACzvnptvVoYEL claude-sonnet-4-5-20250929 []"},
		"an event of Responses":     {"gpt-5", []string{`{"type":"response.created","response":{"id":"resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b","model":"gpt-5"}}`}, nil, "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b gpt-5 []"},
		"an id of four parts":       {"m", []string{`{"id":"0195c6a8-5b0e-7d3e-8b1a-4f1f3f0f6a11"}`}, nil, "0195c6a8-5b0e-7d3e-8b1a-4f1f3f0f6a11  []"},
		"a model with its maker":    {"openai/gpt-4o", []string{`{"id":"gen-1731234567-AbCdEfGh","model":"gpt-4o"}`}, nil, "gen-1731234567-AbCdEfGh gpt-4o []"},
		"in a later event":          {"m", []string{`{"type":"ping"}`, `{"type":"message_start","message":{"id":"msg_0123456789"}}`}, nil, "msg_0123456789  []"},
		"too late":                  {"m", []string{"{}", "{}", "{}", "{}", `{"id":"msg_0123456789","model":"m"}`}, nil, "  []"},
		"choices that end in turns": {"m", nil, []abi.Emission{call, finish(2, "length"), finish(1, "stop"), finish(0, "stop"), finish(99, "stop")}, "  [stop tool_calls length]"},
		"texts instead":             {"gpt", []string{`{"id":"what-did-you-say-12","model":"gpt said hello"}`}, []abi.Emission{finish(0, "You said hello")}, "  []"},
		"words behind the name":     {"gpt", []string{`{"id":"answer-canary-91bc","model":"gpt-hello"}`}, nil, "  []"},
		"no JSON":                   {"gpt", []string{`id: model`, `{"id":`, `{"id":7,"model":{}}`, `[{"id":"msg_0123456789"}]`}, nil, "  []"},
	} {
		d := &details{}
		d.begin()
		for _, data := range tc.came {
			d.readEvent([]byte(data))
		}
		d.add(tc.ems)
		told := d.reported(tc.model)
		if got := fmt.Sprint(told.ID, " ", told.Model, " ", told.Finish); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	var none *details
	none.begin()
	none.readEvent(nil)
	none.add(nil)
	if none.reported("m") != nil {
		t.Error("there are details that nobody wants")
	}
}
