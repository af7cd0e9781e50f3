package plain

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/sdk"
)

// check takes texts and lists of tokens.
func check(v sdk.JSON) string {
	switch v.Kind() {
	case sdk.KindString, sdk.KindNumber:
		return ""
	case sdk.KindArray:
		return CheckTokens(v)
	}
	return "must be something else"
}

func TestItems(t *testing.T) {
	for name, tc := range map[string]struct {
		list string
		want string // the items, with | between them
		at   string // of an error
	}{
		"texts":                   {list: `["a", "b,]\"" ,"c"]`, want: `"a"|"b,]\""|"c"`},
		"lists of tokens":         {list: `[[1],[ 2 , 3 ]]`, want: `[1]|[ 2 , 3 ]`},
		"tokens have no items":    {list: `[1,2,3,4]`, want: ``},
		"nothing":                 {list: `[ ]`, at: "x"},
		"two kinds":               {list: `["a",["b"]]`, at: "x[1]"},
		"half a token":            {list: `[1,2.5]`, at: "x[1]"},
		"a token below zero":      {list: `[-1]`, at: "x[0]"},
		"half a token in a list":  {list: `[[1],[1.5]]`, at: "x[1]"},
		"no tokens in a list":     {list: `[[]]`, at: "x[0]"},
		"what the caller refuses": {list: `[{}]`, at: "x[0]"},
		"too many":                {list: `["a","b","c","d"]`, at: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			b := []byte(`{"y":["z"],"x":` + tc.list + `}`)
			from := len(`{"y":["z"],"x":`)
			items, _, err := Items("x", b, body.Span{From: from, To: len(b) - 1}, 3, check)
			if tc.at != "" {
				if err == nil || err.Param != tc.at || err.HTTPStatus() != 400 {
					t.Errorf("the error is %+v, want one about %s", err, tc.at)
				}
				return
			}
			var got []string
			for _, s := range items {
				got = append(got, string(s.Of(b)))
			}
			if err != nil || strings.Join(got, "|") != tc.want {
				t.Errorf("got %q (%v), want %s", got, err, tc.want)
			}
		})
	}
}

// TestAtOnce: lists of tokens that are too long for an adapter together go in parts, however
// their lengths differ.
func TestAtOnce(t *testing.T) {
	list := func(bytes int) string { return "[" + strings.Repeat("1", bytes-2) + "]" }
	for name, tc := range map[string]struct {
		items []string
		want  int
	}{
		"few tokens":              {[]string{list(9), list(10)}, 0},
		"as many as there may be": {[]string{list(maxTokens / 2), list(maxTokens / 2)}, 0},
		"one more":                {[]string{list(maxTokens / 2), list(maxTokens/2 + 1)}, 1},
		"of one length":           {[]string{list(maxTokens / 4), list(maxTokens / 4), list(maxTokens / 4), list(maxTokens / 4), list(maxTokens / 4)}, 4},
		"one that is too long":    {[]string{list(maxTokens + 1), list(9)}, 1},
		"texts":                   {[]string{`"` + strings.Repeat("a", maxTokens) + `"`, `"b"`}, 0},
		"nothing":                 {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b, items := []byte("["), []body.Span(nil)
			for _, item := range tc.items {
				items = append(items, body.Span{From: len(b), To: len(b) + len(item)})
				b = append(append(b, item...), ',')
			}
			if got := AtOnce(b, items); got != tc.want {
				t.Errorf("AtOnce = %d, want %d", got, tc.want)
			}
		})
	}
}
