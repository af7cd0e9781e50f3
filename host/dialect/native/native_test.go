package native

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/sdk/abi"
)

const (
	anywhere = body.First + iota
	atCut
	atUser
	atID
	atTools
	atTool
	atType
	atModel
	atInner
	atInnerTool
	atInnerType
	atItems
	atItem
	atItemID
	atItemType
	atItemSeal
	atSealed
)

const maxIDs = 4096 // of body.IDs

// form is one of an API that has everything that there is.
var form = Form{
	Grammar: body.Grammar{
		Needs: "items", Known: func(name []byte) bool { return string(name) == "model" },
		Places: []body.Node{
			body.Top: {Fields: []body.Field{
				{Name: "model", Place: body.Model}, {Name: "cut", Place: atCut}, {Name: "user", Place: atUser}, {Name: "id", Place: atID},
				{Name: "tools", Place: atTools}, {Name: "items", Place: atItems}, {Name: "sealed", Place: atSealed},
			}, Other: anywhere},
			anywhere:    {Fields: []body.Field{{Name: "file", Place: atID}}, Other: anywhere, Element: anywhere},
			atTools:     {Element: atTool},
			atTool:      {Fields: []body.Field{{Name: "type", Place: atType}, {Name: "model", Place: atModel}, {Name: "tools", Place: atInner}}, Other: anywhere},
			atInner:     {Element: atInnerTool},
			atInnerTool: {Fields: []body.Field{{Name: "type", Place: atInnerType}}, Other: anywhere},
			atItems:     {Element: atItem},
			atItem:      {Fields: []body.Field{{Name: "id", Place: atItemID}, {Name: "type", Place: atItemType}, {Name: "seal", Place: atItemSeal}}, Other: anywhere},
			atSealed:    {},
		},
	},
	Roles: map[body.Place]Role{
		atCut: Cut, atUser: User, atID: ID, atTool: Tool, atType: ToolType, atModel: ToolModel, atInnerType: InnerType,
		atItem: Item, atItemID: ItemID, atItemType: ItemType, atItemSeal: ItemSeal, atSealed: Sealed,
	},
	Seal:   "ours.",
	Refers: func(kind string, sealed bool) bool { return kind == "ref" || kind == "thought" && !sealed },
}

func TestParse(t *testing.T) {
	for text, want := range map[string]struct {
		ids    string
		sealed bool
		asks   string
		body   string // with another model, and without the ids of items that are nobody's
	}{
		`{"model":"m","novel":[1.50]}`:        {body: `{"model":"up","novel":[1.50]}`},
		`{"novel":1}`:                         {body: `{"model":"up","novel":1}`},
		`{"model":"m","cut":{"a":[1]},"x":1}`: {body: `{"model":"up","x":1}`},
		`{"cut":1}`:                           {body: `{"model":"up"}`},
		`{"id":"a","x":[{"file":"b"},{"file":"a"}],"file":1}`:            {ids: "a b", body: `{"model":"up","id":"a","x":[{"file":"b"},{"file":"a"}],"file":1}`},
		`{"items":[{"id":"a","type":"x"},{"id":"b"}]}`:                   {body: `{"model":"up","items":[{"type":"x"},{}]}`},
		`{"items":[{"id":"a","type":"ref"},{"type":"ref"}]}`:             {ids: "a", body: `{"model":"up","items":[{"id":"a","type":"ref"},{"type":"ref"}]}`},
		`{"items":[{"type":"ref","id":"a","type":"x","id":"b"}]}`:        {ids: "a b", body: `{"model":"up","items":[{"type":"ref","id":"a","type":"x","id":"b"}]}`},
		`{"items":[{"type":"x","id":"a","id":"b"}]}`:                     {body: `{"model":"up","items":[{"type":"x"}]}`},
		`{"items":[{"id":"a","id":"b"}]}`:                                {body: `{"model":"up","items":[{}]}`},
		`{"items":[{"id":"a","type":"thought","seal":"theirs"}]}`:        {body: `{"model":"up","items":[{"type":"thought","seal":"theirs"}]}`},
		`{"items":[{"id":"a","type":"thought"}]}`:                        {ids: "a", body: `{"model":"up","items":[{"id":"a","type":"thought"}]}`},
		`{"items":[{"type":"thought","seal":"ours.x"}]}`:                 {sealed: true, body: `{"model":"up","items":[{"type":"thought","seal":"ours.x"}]}`},
		`{"sealed":"ours."}`:                                             {sealed: true, body: `{"model":"up","sealed":"ours."}`},
		`{"tools":[{"type":"x"},{"type":"Advisor_1"}]}`:                  {asks: "tools.1.type", body: `{"model":"up","tools":[{"type":"x"},{"type":"Advisor_1"}]}`},
		`{"tools":[{"type":"advisor","type":"x"}]}`:                      {asks: "tools.0.type", body: `{"model":"up","tools":[{"type":"advisor","type":"x"}]}`},
		`{"tools":[{"tools":[{"type":"advisor"}],"type":"x"}]}`:          {asks: "tools", body: `{"model":"up","tools":[{"tools":[{"type":"advisor"}],"type":"x"}]}`},
		`{"tools":[{"type":"x"},{"type":"x","model":"other"}]}`:          {asks: "tools.1.model", body: `{"model":"up","tools":[{"type":"x"},{"type":"x","model":"other"}]}`},
		`{"tools":[{"type":"x","model":null}]}`:                          {body: `{"model":"up","tools":[{"type":"x","model":null}]}`},
		`{"fallbacks":1}`:                                                {asks: "fallbacks", body: `{"model":"up","fallbacks":1}`},
		` { "user" : {"a":1} , "model" : "m" , "cut" : 1 , "cut2" : 2 }`: {body: ` { "user" : {"a":1} , "model" : "up" ,  "cut2" : 2 }`},
	} {
		r, err := Parse([]byte(text), &form)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		nobody := func(string) bool { return false }
		if got := strings.Join(r.IDs, " "); got != want.ids || r.Sealed != want.sealed || r.Asks(nil, nil) != want.asks || string(r.Mine(nobody).Body("up")) != want.body {
			t.Errorf("%s: ids %q, sealed %v, asks %q, body %s", text, got, r.Sealed, r.Asks(nil, nil), r.Mine(nobody).Body("up"))
		}
	}
}

// TestFieldsSideBySide: what is left out is all left out, wherever it stands.
func TestFieldsSideBySide(t *testing.T) {
	for _, fields := range []string{`"cut":1,"user":2,"x":3`, `"user":2,"cut":1,"x":3`, `"x":3,"cut":1,"user":2`, `"x":3,"user":2,"cut":1`, `"cut":1,"x":3,"user":2`, `"cut":1 , "user":2`, `"user":2`, `"cut":1`} {
		r, err := Parse([]byte("{"+fields+"}"), &form)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{r.Anonymous().Body("up"), short(t, r.Anonymous())} {
			want := 1 + strings.Count(fields, "x")
			var got map[string]any
			if err := json.Unmarshal(b, &got); err != nil || len(got) != want {
				t.Errorf("{%s} becomes %s: %v", fields, b, err)
			}
		}
	}
}

// TestManyIDs: what nobody looks at is nobody's.
func TestManyIDs(t *testing.T) {
	list := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"file":"f%d"}`, i))
		}
		return `{"x":[` + strings.Join(all, ",") + `]}`
	}
	for n, want := range map[int]bool{maxIDs: false, maxIDs + 1: true, 3 * maxIDs: true} {
		r, err := Parse([]byte(list(n)), &form)
		if err != nil || slices.Contains(r.IDs, "") != want || len(r.IDs) > maxIDs+1 {
			t.Errorf("of %d ids there are %d: %v", n, len(r.IDs), err)
		}
	}
}

func TestReplaceAndText(t *testing.T) {
	for object, want := range map[string]struct{ replaced, text, kind string }{
		`{"a":{"b":"x"}}`:             {`{"a":{"b":"new"}}`, "x", "message"},
		`{"a":{"c":1,"b":"\u0041"}}`:  {`{"a":{"c":1,"b":"new"}}`, "A", "message"},
		`{"a":{"b":1},"type":"t"}`:    {`{"a":{"b":1},"type":"t"}`, "", "t"},
		`{"a":"b"}`:                   {`{"a":"b"}`, "", "message"},
		`{"b":{"a":"x"},"type":"\n"}`: {`{"b":{"a":"x"},"type":"\n"}`, "", "message"},
		`{}`:                          {`{}`, "", "message"},
	} {
		if got := string(Replace([]byte("."), []byte(object), "new", "a", "b")); got != "."+want.replaced {
			t.Errorf("%s becomes %s", object, got)
		}
		if got := Text([]byte(object), "a", "b"); got != want.text {
			t.Errorf("%s has %q", object, got)
		}
		if got := string(Type([]byte(object))); got != want.kind {
			t.Errorf("%s is of type %q", object, got)
		}
	}
}

// short returns the short form of a body with everything put back.
func short(t testing.TB, b dialect.Body) []byte {
	text, refs := b.Short("up")
	if refs == nil {
		return text
	}
	whole, err := refs.Expand(text)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"model":"m","items":[{"id":"a","type":"ref"},{"id":"b","seal":"ours."}],"cut":1,"user":{}}`))
	f.Add([]byte(`{"tools":[{"type":"x","tools":[{"type":"y"}],"model":"z"}],"id":"a","x":[{"file":"b"}],"long":"` + strings.Repeat("y", 2*longText) + `"}`))
	f.Add([]byte("\xef\xbb\xbf { \"items\" : [ { \"id\" : \"a\" , \"id\" : \"b\" } ] , \"cut\" : \"\\ud83d\" } "))
	f.Add([]byte(`{"cut":0`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(bytes.Clone(b), &form)
		if err != nil {
			return
		}
		for _, id := range IDs(r.Whole(), &form) {
			if !slices.Contains(r.IDs, id) {
				t.Errorf("%q has the ids %q, and %q as an answer", b, r.IDs, id)
			}
		}
		r.Asks([]string{"novel"}, []string{"x"})
		for n, sent := range []dialect.Body{r, r.Mine(func(string) bool { return true }), r.Mine(func(string) bool { return false }), r.Anonymous()} {
			what := [...]string{"all", "its own", "nobody's", "anonymous"}[n]
			whole := sent.Body("up")
			var read struct{ Model string }
			if err := json.Unmarshal(whole, &read); err != nil || read.Model != "up" {
				t.Errorf("%q, %s: %q: %v", b, what, whole, err)
			}
			if got := short(t, sent); !bytes.Equal(got, whole) {
				t.Errorf("%q, %s: in short it is %q, and whole %q", b, what, got, whole)
			}
			again, err := Parse(bytes.Clone(whole), &form)
			if err != nil {
				t.Errorf("%q, %s: %q is refused: %v", b, what, whole, err)
			} else if what == "nobody's" && len(again.items) > 0 || what == "anonymous" && again.user != (body.Span{}) {
				t.Errorf("%q, %s: something is left in %q", b, what, whole)
			}
		}
	})
}

// plainly passes everything but the model.
type plainly struct{}

func (plainly) Event(dst, _, data []byte) []byte {
	return Replace(dst, data, "alias", "response", "model")
}
func (plainly) Watches(name []byte) bool      { return string(name) != "delta" }
func (plainly) End(dst []byte) []byte         { return dst }
func (plainly) Whole(dst, data []byte) []byte { return Replace(dst, data, "alias", "model") }

// FuzzEvent: what an upstream sends becomes one event, or an error that appends nothing.
func FuzzEvent(f *testing.F) {
	f.Add([]byte("delta"), []byte(`{"type":"delta","x":"y"}`), true)
	f.Add([]byte(""), []byte("{\"type\":\"a\",\r\n\"response\":{\"model\":\"m\"}}"), false)
	f.Add([]byte("x"), []byte(`{"type":"\n","x":"`+"\xff"+`"}`), false)
	f.Add([]byte("x"), []byte(`not json`), true)
	f.Fuzz(func(t *testing.T, name, data []byte, content bool) {
		if bytes.ContainsAny(name, "\r\n") {
			return // a line of a stream has none
		}
		pass := abi.Emission{Kind: abi.Pass}
		if content {
			pass.At = abi.PassContent
		}
		a := NewStream(dialect.Info{}, plainly{})
		a.Came(name, bytes.Clone(data), false)
		got, err := a.Apply([]byte("before"), []abi.Emission{pass})
		if err != nil {
			if string(got) != "before" || json.Valid(data) && bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
				t.Errorf("%q: %v, and %q", data, err, got)
			}
			return
		}
		lines := strings.Split(string(got), "\n")
		if len(lines) != 4 || !strings.HasPrefix(lines[0], "beforeevent: ") || !strings.HasPrefix(lines[1], "data: ") || lines[2] != "" || lines[3] != "" || strings.Contains(string(got), "\r") || a.Passed() != 1 {
			t.Errorf("%q became %q", data, got)
		}
		if !json.Valid([]byte(strings.TrimPrefix(lines[1], "data: "))) {
			t.Errorf("%q became %q, which is no JSON", data, lines[1])
		}
	})
}
