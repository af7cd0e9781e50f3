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
