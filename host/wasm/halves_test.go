package wasm

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

// TestHalvesOfCharacters: no emission of any kind leaves half a character within,
// and texts keep one at their ends, for the emission beside.
func TestHalvesOfCharacters(t *testing.T) {
	for name, tc := range map[string]struct {
		kind     abi.Kind
		raw      bool
		in, want string
	}{
		"a whole character":             {abi.Text, true, `a\ud83d\ude00b`, `a\ud83d\ude00b`},
		"the first half":                {abi.Text, true, `a\ud83d b`, `a\ufffd b`},
		"the second half":               {abi.Reasoning, true, `a \uDCAFb`, `a \ufffdb`},
		"two first halves":              {abi.Refusal, true, `a\ud83d\ud83d\ude00`, `a\ufffd\ud83d\ude00`},
		"two second halves":             {abi.Text, true, `a\ud83d\ude00\ude00b`, `a\ud83d\ude00\ufffdb`},
		"halves in the wrong order":     {abi.Text, true, `a\ude00\ud83db`, `a\ufffd\ufffdb`},
		"a half before an escape":       {abi.Text, true, `a\ud83d\n`, `a\ufffd\n`},
		"at the end":                    {abi.Text, true, `a\ud83d`, `a\ud83d`},
		"at the start":                  {abi.Text, true, `\ude00a`, `\ude00a`},
		"a first half at the start":     {abi.Text, true, `\ud83da`, `\ufffda`},
		"a second half at the end":      {abi.Text, true, `a\ude00`, `a\ufffd`},
		"no escape":                     {abi.Text, true, `a\\ud83d b`, `a\\ud83d b`},
		"one behind a backslash":        {abi.Text, true, `a\\\ud83d b`, `a\\\ufffd b`},
		"plain text has no escapes":     {abi.Text, false, `a\ud83d b`, `a\ud83d b`},
		"bytes of half a character":     {abi.Text, false, "a\xed\xa0\xbdb", "a\ufffdb"},
		"a name":                        {abi.ToolName, false, "a\xed\xa0\xbdb", "a\ufffdb"},
		"an id":                         {abi.ToolID, false, "a\xed\xa0\xbdb", "a\ufffdb"},
		"arguments":                     {abi.ToolArgs, true, `{\"a\":\"\ud83d\"}`, `{\"a\":\"\ufffd\"}`},
		"an escape in arguments":        {abi.ToolArgs, true, `{\"a\":\"x\\ud83d\"}`, `{\"a\":\"x\\ufffd\"}`},
		"a character in arguments":      {abi.ToolArgs, true, `{\"a\":\"\\ud83d\\ude00\"}`, `{\"a\":\"\\ud83d\\ude00\"}`},
		"no escape in arguments":        {abi.ToolArgs, true, `{\"a\":\"\\\\ud83d\"}`, `{\"a\":\"\\\\ud83d\"}`},
		"arguments that go on":          {abi.ToolArgs, true, `{\"a\":\"\\ud83d`, `{\"a\":\"\\ud83d`},
		"arguments that went on":        {abi.ToolArgs, true, `\\ude00\"}`, `\\ude00\"}`},
		"an escape in plain arguments":  {abi.ToolArgs, false, `{"a":"\ud83d"}`, `{"a":"\ufffd"}`},
		"a character in plain ones":     {abi.ToolArgs, false, `{"a":"\ud83d\ude00\\ud83d"}`, `{"a":"\ud83d\ude00\\ud83d"}`},
		"plain arguments cut anywhere":  {abi.ToolArgs, false, `{"a":"\`, `{"a":"\`},
		"logprobs":                      {abi.Logprobs, false, `[{"token":"\ud83d"}]`, `[{"token":"\ufffd"}]`},
		"fields of a message":           {abi.DeltaExtra, false, `{"a":"\ude00"}`, `{"a":"\ufffd"}`},
		"of a choice, in a key":         {abi.ChoiceExtra, false, `{"\ud83d":["\ud83d","\ude00"]}`, `{"\ufffd":["\ufffd","\ufffd"]}`},
		"of a call, over lines":         {abi.ToolExtra, false, "{\"a\":\n\"\\ud83d\\ude00\"\r}", "{\"a\": \"\\ud83d\\ude00\" }"},
		"of the answer":                 {abi.ChunkExtra, false, `{"a":"\ud83d\\"}`, `{"a":"\ufffd\\"}`},
		"usage":                         {abi.Usage, false, `{"a":"\ud83d"}`, `{"a":"\ufffd"}`},
		"an error":                      {abi.Error, false, `{"message":"\ud83d"}`, `{"message":"\ufffd"}`},
		"numbers that are large enough": {abi.ChunkExtra, false, `{"a":[1e308,-1.5E+3,1e-999,12345678901234567890,"1e999"]}`, `{"a":[1e308,-1.5E+3,1e-999,12345678901234567890,"1e999"]}`},
	} {
		var b Batch
		var c collector
		c.begin(&b, inResponse, abi.Chat, 1<<20)
		kind := int32(tc.kind)
		if tc.raw {
			kind |= abi.Raw
		}
		in := []byte(tc.in)
		code := c.emit(kind, 0, in)
		c.end()
		if code != emitOK || len(b.Emissions) != 1 {
			t.Errorf("%s: emit(%q) = %d, %v", name, tc.in, code, c.refused)
		} else if got := string(b.Emissions[0].Data); got != tc.want {
			t.Errorf("%s: %q became %q, want %q", name, tc.in, got, tc.want)
		}
		if string(in) != tc.in {
			t.Errorf("%s: the guest's memory was changed to %q", name, in)
		}
	}
}

func TestHugeNumbersAreRefused(t *testing.T) {
	for _, in := range []string{`{"a":1e999}`, `{"a":[{"b":-1E+400}]}`, `{"a":1` + strings.Repeat("0", 400) + `}`, `{"e":"\"","a":1e309}`} {
		for _, kind := range []abi.Kind{abi.ToolExtra, abi.DeltaExtra, abi.ChoiceExtra, abi.ChunkExtra, abi.Usage, abi.Error} {
			var b Batch
			var c collector
			c.begin(&b, inResponse, abi.Chat, 1<<20)
			if code := c.emit(int32(kind), 0, []byte(in)); code != emitWrong || !strings.Contains(c.refused.Error(), "out of range") {
				t.Errorf("emit(%v, %.40s) = %d, %v, want it refused", kind, in, code, c.refused)
			}
		}
	}
}
