package sdk

import (
	"slices"
	"testing"
)

func TestParts(t *testing.T) {
	for name, tc := range map[string]struct {
		content string
		want    []string // type and text of each part
	}{
		"a string is a text":            {`"Hi"`, []string{"text", `"Hi"`}},
		"null is nothing":               {`null`, nil},
		"texts and refusals":            {`[{"type":"text","text":"a"},{"type":"refusal","refusal":"b"}]`, []string{"text", `"a"`, "refusal", `"b"`}},
		"a null beside a text is none":  {`[{"type":"text","text":"a","refusal":null}]`, []string{"text", `"a"`}},
		"a null before a refusal, too":  {`[{"text":null,"refusal":"b","type":"refusal"}]`, []string{"refusal", `"b"`}},
		"a text that is null is absent": {`[{"type":"text","text":null}]`, []string{"text", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for p := range Parts(JSON(tc.content)) {
				got = append(got, p.Type, string(p.Text))
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("Parts(%s) = %q, want %q", tc.content, got, tc.want)
			}
		})
	}
}
