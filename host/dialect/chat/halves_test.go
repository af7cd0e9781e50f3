package chat

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

// TestHalvesOfCharacters: whatever calls the halves of characters come in, a stream
// and a whole answer have the same text, and no event has half a character.
func TestHalvesOfCharacters(t *testing.T) {
	for name, tc := range map[string]struct {
		parts []string // raw, each in a call of its own
		want  string
	}{
		"two halves":                     {[]string{`Sun \ud83c`, `\udf1e today`}, "Sun 🌞 today"},
		"two halves alone":               {[]string{`\ud83c`, `\udf1e`}, "🌞"},
		"an empty text between":          {[]string{`\ud83c`, ``, `\udf1e`}, "🌞"},
		"two characters, both split":     {[]string{`\ud83c`, `\udf1e\ud83d`, `\ude00`}, "🌞😀"},
		"upper case":                     {[]string{`a\uD83C`, `\uDF1Eb`}, "a🌞b"},
		"a first half and text":          {[]string{`a\ud83c`, `b`}, "a\ufffdb"},
		"a first half and an escape":     {[]string{`a\ud83c`, `\nb`}, "a\ufffd\nb"},
		"a first half and another":       {[]string{`a\ud83c`, `\ud83c`, `\udf1e`}, "a\ufffd🌞"},
		"a second half after text":       {[]string{`a`, `\udf1eb`}, "a\ufffdb"},
		"a second half first":            {[]string{`\udf1eb`, `c`}, "\ufffdbc"},
		"a first half at the end":        {[]string{`a`, `b\ud83c`}, "ab\ufffd"},
		"a first half and nothing else":  {[]string{`\ud83c`}, "\ufffd"},
		"a backslash and no escape":      {[]string{`a\\ud83c`, `\udf1e`}, `a\ud83c` + "\ufffd"},
		"a backslash and an escape":      {[]string{`a\\\ud83c`, `\udf1e`}, `a\🌞`},
		"a whole character at the end":   {[]string{`\ud83c\udf1e`, `b`}, "🌞b"},
		"a whole character at the start": {[]string{`b`, `\ud83c\udf1e`}, "b🌞"},
	} {
		for kind, where := range map[abi.Kind]string{abi.Text: "content", abi.Reasoning: "reasoning", abi.Refusal: "refusal", abi.ToolArgs: "arguments"} {
			all := calls{}
			want := tc.want
			if kind == abi.ToolArgs {
				all = append(all, emit(toolName(1, 0, "f"), toolArgs(1, 0, "{")))
				want = "{" + want
			}
			for i, part := range tc.parts {
				e := raw(on(kind, 1, part))
				all = append(all, emit(e, text(0, "x")))
				if i == 0 {
					all = append(all, emit(raw(on(abi.Text, 2, part)))) // of another choice: nothing of this one
				}
			}
			all = append(all, emit(finish(0, "stop"), finish(1, "stop"), finish(2, "stop")))
			checkHalves(t, name, where, want, all)
		}
	}
}

func checkHalves(t *testing.T, name, where, want string, all calls) {
	t.Helper()
	whole, chunks := NewWhole(Info{}), NewChunks(Info{IncludeUsage: true})
	var events []byte
	for _, ems := range all {
		var err error
		if _, err = whole.Apply(nil, ems); err == nil {
			events, err = chunks.Apply(events, ems)
		}
		if err != nil {
			t.Fatalf("%s, %s: %v", name, where, err)
		}
	}
	body, err := whole.End(nil)
	if err == nil {
		events, err = chunks.End(events)
	}
	if err != nil {
		t.Fatalf("%s, %s: %v", name, where, err)
	}
	for event := range strings.SplitSeq(string(events), "\n\n") {
		if half := halfIn(event); half != "" {
			t.Errorf("%s, %s: the event %s has %s alone", name, where, event, half)
		}
	}
	if half := halfIn(string(body)); half != "" {
		t.Errorf("%s, %s: the answer %s has %s alone", name, where, body, half)
	}
	streamed, err := accumulate(string(events))
	if err != nil {
		t.Fatalf("%s, %s: %v", name, where, err)
	}
	var answered jsonObject
	if err := json.Unmarshal(body, &answered); err != nil {
		t.Fatal(err)
	}
	for how, answer := range map[string]jsonObject{"streamed": streamed, "whole": answered} {
		if got := textAt(answer, where); got != want {
			t.Errorf("%s, %s, %s: %q, want %q", name, where, how, got, want)
		}
	}
}

// textAt returns a text of choice 1.
func textAt(answer jsonObject, where string) any {
	for _, c := range answer["choices"].([]any) {
		if c := c.(jsonObject); c["index"] == json.Number("1") || c["index"] == 1.0 {
			message := c["message"].(jsonObject)
			if where == "arguments" {
				message = message["tool_calls"].([]any)[0].(jsonObject)["function"].(jsonObject)
			}
			return message[where]
		}
	}
	return nil
}

// halfIn returns the first escape of half a character in JSON that stands alone.
func halfIn(s string) string {
	for i := 0; i+6 <= len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		switch first, second := halfAt(s, i), halfAt(s, i+6); {
		case first == 1 && second == 2:
			i += 11
		case first != 0:
			return s[i : i+6]
		default:
			i++
		}
	}
	return ""
}

// halfAt tells which half of a character is escaped at i: the first or the second, 0
// for neither.
func halfAt(s string, i int) int {
	if i+6 > len(s) || s[i:i+2] != `\u` {
		return 0
	}
	switch n, err := strconv.ParseUint(s[i+2:i+6], 16, 16); {
	case err != nil || n < 0xd800 || n > 0xdfff:
		return 0
	case n < 0xdc00:
		return 1
	}
	return 2
}
