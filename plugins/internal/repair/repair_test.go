package repair_test

import (
	"testing"

	"github.com/kai-gateway/kai/plugins/internal/repair"
	"github.com/kai-gateway/kai/sdk"
)

func TestArguments(t *testing.T) {
	for arguments, want := range map[string]string{
		`"{\"a\":1}"`:   `{"a":1}`,
		`{"a":1}`:       `{"a":1}`,
		`""`:            `{}`,
		`" "`:           `{}`,
		`null`:          `{}`,
		`"null"`:        `{}`,
		``:              `{}`,
		`"{\"a\":1"`:    `{"_invalid_arguments":"{\"a\":1"}`,
		`"[1]"`:         `{"_invalid_arguments":"[1]"}`,
		`"Rome"`:        `{"_invalid_arguments":"Rome"}`,
		`"\"Rome\""`:    `{"_invalid_arguments":"\"Rome\""}`,
		`"{} {}"`:       `{"_invalid_arguments":"{} {}"}`,
		`"{a:1}\u00e9"`: `{"_invalid_arguments":"{a:1}\u00e9"}`,
		`[1]`:           `{"_invalid_arguments":"[1]"}`,
		`7`:             `{"_invalid_arguments":"7"}`,
	} {
		got := repair.Arguments(sdk.ToolCall{Arguments: sdk.JSON(arguments)})
		if string(got) != want {
			t.Errorf("Arguments(%s) = %s, want %s", arguments, got, want)
		}
	}
}

func TestSaid(t *testing.T) {
	for message, want := range map[string]string{
		`{"content":"a","refusal":"b"}`:                      `"a"`,
		`{"content":null,"refusal":"b"}`:                     `"b"`,
		`{"content":" ","refusal":"b"}`:                      `"b"`,
		`{"content":[],"refusal":"b"}`:                       `"b"`,
		`{"content":[{"type":"image_url"}],"refusal":"b"}`:   `[{"type":"image_url"}]`,
		`{"content":"","refusal":null}`:                      `""`,
		`{"refusal":""}`:                                     ``,
		`{"content":"","audio":{"id":"x","transcript":"c"}}`: `"c"`,
	} {
		for m := range sdk.Messages(sdk.JSON("[" + message + "]")) {
			if got := repair.Said(m); string(got) != want {
				t.Errorf("Said(%s) = %s, want %s", message, got, want)
			}
		}
	}
}

func TestBlank(t *testing.T) {
	for inside, want := range map[string]bool{
		``: true, ` `: true, `\n\r\t `: true, `\u00a0\u2003`: true, "\u3000": true, `a`: false, ` a `: false, `\\n`: false, `\u0041`: false,
	} {
		if got := repair.Blank([]byte(inside)); got != want {
			t.Errorf("Blank(%q) = %v", inside, got)
		}
	}
}

func TestStops(t *testing.T) {
	for stop, want := range map[string]string{
		`"a"`: `["a"]`, `["a","b"]`: `["a","b"]`, `["", "a", "  ", "\n", "\t"]`: `["a","\n"]`, `""`: "", `" "`: "", `[]`: "", `null`: "",
		`"\n"`: `["\n"]`, `["\u0020\u0009\t"," \u0020x","\u0021",7,"\u00"]`: `[" \u0020x","\u0021"]`,
	} {
		if got := repair.Stops(sdk.JSON(stop), repair.IsStop); string(got) != want {
			t.Errorf("Stops(%s) = %s, want %s", stop, got, want)
		}
	}
}
