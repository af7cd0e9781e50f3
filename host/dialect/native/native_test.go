package native

import (
	"bytes"
	"cmp"
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
	atInside
)

const maxIDs = 4096 // of body.IDs

// form is one of an API that has everything that there is.
var form = Form{
	Grammar: body.Grammar{
		Needs: "items", Known: []string{"model"},
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
			atItem:      {Fields: []body.Field{{Name: "id", Place: atItemID}, {Name: "type", Place: atItemType}, {Name: "seal", Place: atItemSeal}, {Name: "private", Place: atInside}}, Other: anywhere},
			atSealed:    {},
			atInside:    {},
		},
	},
	Roles: Roles{
		atCut: Cut, atUser: User, atID: ID, atTool: Tool, atType: ToolType, atModel: ToolModel, atInnerType: InnerType,
		atItem: Item, atItemID: ItemID, atItemType: ItemType, atItemSeal: ItemSeal, atSealed: Sealed, atInside: CutInside,
	},
	Seal: "ours.",
	Refers: func(kind string, sealed bool) Role {
		switch {
		case kind == "ref" || kind == "thought" && !sealed:
			return Ref
		case kind == "picture":
			return ID
		}
		return 0
	},
}.Indexed()

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
		`{"id":"a","x":[{"file":"b"},{"file":"a"}],"file":1}`:                                  {ids: "a b", body: `{"model":"up","id":"a","x":[{"file":"b"},{"file":"a"}],"file":1}`},
		`{"items":[{"id":"a","type":"x"},{"id":"b"}]}`:                                         {body: `{"model":"up","items":[{"type":"x"},{}]}`},
		`{"items":[{"id":"a","type":"ref"},{"type":"ref"}]}`:                                   {ids: "@a", body: `{"model":"up","items":[{"id":"a","type":"ref"},{"type":"ref"}]}`},
		`{"items":[{"type":"ref","id":"a","type":"x","id":"b"}]}`:                              {ids: "@a @b", body: `{"model":"up","items":[{"type":"ref","id":"a","type":"x","id":"b"}]}`},
		`{"items":[{"type":"x","id":"a","id":"b"}]}`:                                           {body: `{"model":"up","items":[{"type":"x"}]}`},
		`{"items":[{"id":"a","id":"b"}]}`:                                                      {body: `{"model":"up","items":[{}]}`},
		`{"items":[{"id":"a","type":"thought","seal":"theirs"}]}`:                              {body: `{"model":"up","items":[{"type":"thought","seal":"theirs"}]}`},
		`{"items":[{"id":"a","type":"thought"}]}`:                                              {ids: "@a", body: `{"model":"up","items":[{"id":"a","type":"thought"}]}`},
		`{"items":[{"id":"a","type":"picture"},{"type":"thought","type":"picture","id":"b"}]}`: {ids: "a b", body: `{"model":"up","items":[{"id":"a","type":"picture"},{"type":"thought","type":"picture","id":"b"}]}`},
		`{"items":[{"type":"thought","seal":"ours.x"}]}`:                                       {sealed: true, body: `{"model":"up","items":[{"type":"thought","seal":"ours.x"}]}`},
		`{"sealed":"ours."}`:                                                 {sealed: true, body: `{"model":"up","sealed":"ours."}`},
		`{"tools":[{"type":"x"},{"type":"Advisor_1"}]}`:                      {asks: "tools.1.type", body: `{"model":"up","tools":[{"type":"x"},{"type":"Advisor_1"}]}`},
		`{"tools":[{"type":"advisor","type":"x"}]}`:                          {asks: "tools.0.type", body: `{"model":"up","tools":[{"type":"advisor","type":"x"}]}`},
		`{"tools":[{"tools":[{"type":"advisor"}],"type":"x"}]}`:              {asks: "tools", body: `{"model":"up","tools":[{"tools":[{"type":"advisor"}],"type":"x"}]}`},
		`{"tools":[{"type":"x"},{"type":"x","model":"other"}]}`:              {asks: "tools.1.model", body: `{"model":"up","tools":[{"type":"x"},{"type":"x","model":"other"}]}`},
		`{"tools":[{"type":"x","model":null}]}`:                              {body: `{"model":"up","tools":[{"type":"x","model":null}]}`},
		`{"items":[{"private":{"a":[1,{"file":"b"}]},"type":"x"}]}`:          {body: `{"model":"up","items":[{"type":"x"}]}`},
		`{"items":[{"type":"x","priv\u0061te" : [] }]}`:                      {body: `{"model":"up","items":[{"type":"x" }]}`},
		`{"items":[{"private":"x"},{"private":{}},{"private":{},"id":"a"}]}`: {body: `{"model":"up","items":[{},{},{}]}`},
		`{"items":[{"id":"a","private":{"x":1},"type":"x","private":[{}]}]}`: {body: `{"model":"up","items":[{"type":"x"}]}`},
		`{"fallbacks":1}`: {asks: "fallbacks", body: `{"model":"up","fallbacks":1}`},
		` { "user" : {"a":1} , "model" : "m" , "cut" : 1 , "cut2" : 2 }`: {body: ` { "user" : {"a":1} , "model" : "up" ,  "cut2" : 2 }`},
	} {
		r, err := Parse([]byte(text), &form)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		nobody := func(string) bool { return false }
		names := slices.Clone(r.IDs)
		for _, ref := range r.Refs {
			names = append(names, "@"+ref)
		}
		if got := strings.Join(names, " "); got != want.ids || r.Sealed != want.sealed || r.Asks(nil, nil) != want.asks || string(r.Mine(nobody).Body("up")) != want.body {
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

func TestTextAndType(t *testing.T) {
	for object, want := range map[string]struct{ text, kind string }{
		`{"a":{"b":"x"}}`:             {"x", "message"},
		`{"a":{"c":1,"b":"\u0041"}}`:  {"A", "message"},
		`{"a":{"b":1},"type":"t"}`:    {"", "t"},
		`{"a":"b"}`:                   {"", "message"},
		`{"b":{"a":"x"},"type":"\n"}`: {"", "message"},
		`{}`:                          {"", "message"},
		`[{"type":"x"}]`:              {"", "message"},
	} {
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
			} else if what == "nobody's" && len(again.items) > 0 || what == "anonymous" && len(again.users) > 0 {
				t.Errorf("%q, %s: something is left in %q", b, what, whole)
			}
		}
	})
}

// telling is a form of answers.
var telling = Form{
	Grammar: body.Grammar{

		Places: []body.Node{
			body.Top:   {Fields: []body.Field{{Name: "model", Place: atSomeModel}, {Name: "response", Place: atResponse}, {Name: "input"}, {Name: "id", Place: atItsID}, {Name: "item", Place: atAnItem}}, Other: atOther},
			atResponse: {Fields: []body.Field{{Name: "model", Place: atOwn}}, Other: atOther},
			atOther:    {Fields: []body.Field{{Name: "model", Place: atSomeModel}}, Other: atOther, Element: atOther},
			atAnItem:   {Fields: []body.Field{{Name: "type", Place: atItsType}, {Name: "file_id", Place: atItsFile}}, Other: atOther},
		},
	},
	Roles: Roles{atOwn: Own, atSomeModel: Model, atItsID: ID, atAnItem: Item, atItsType: ItemType, atItsFile: ItemID},
	Makes: func(kind string) bool { return kind == "made" },
}.Indexed()

const (
	atResponse = body.First + iota
	atOther
	atOwn
	atSomeModel
	atItsID
	atAnItem
	atItsType
	atItsFile
)

// TestReading: the upstream's name of the model is the alias wherever it stands, and nothing else
// changes.
func TestReading(t *testing.T) {
	for data, want := range map[string]string{
		`{"response":{"model":"up-2026"},"id":"a"}`:                                `{"response":{"model":"m"},"id":"a"}`,
		`{"a":[{"model":"up-2026"},{"model":"x"}],"response":{"model":"up-2026"}}`: `{"a":[{"model":"m"},{"model":"x"}],"response":{"model":"m"}}`,
		`{"model":"up","b":{"c":{"model" : "u\u0070"}}}`:                           `{"model":"m","b":{"c":{"model" : "m"}}}`,
		`{"model":"x","input":{"model":"up"},"models":"up"}`:                       `{"model":"x","input":{"model":"up"},"models":"up"}`,
		`{"x":"\ud83d", "model":"up", "n":1.50}`:                                   `{"x":"\ud83d", "model":"m", "n":1.50}`,
		`{"model":1,"a":{"model":null},"b":{"model":["up"]}}`:                      `{"model":1,"a":{"model":null},"b":{"model":["up"]}}`,
		strings.Repeat(`{"a":`, 511) + `{"model":"up"}` + strings.Repeat("}", 511): strings.Repeat(`{"a":`, 511) + `{"model":"m"}` + strings.Repeat("}", 511),
		`[1, 2]`: `[1, 2]`, `{"model":"up","model":"up"}`: `{"model":"m","model":"m"}`, `"up"`: `"up"`, `{}`: `{}`,
	} {
		var made []string
		r := Reading{Form: &telling, Info: dialect.Info{Model: "m", NoteID: func(id string) { made = append(made, id) }, Upstream: func() string { return "up" }}}
		if got := string(r.Append([]byte("."), []byte(data))); got != "."+want {
			t.Errorf("%s becomes %s, want %s", data, got, want)
		}
		if wants := strings.Count(data, `"id"`); len(made) != wants {
			t.Errorf("%s tells the ids %q", data, made)
		}
	}
	r := Reading{Form: &telling, Info: dialect.Info{Model: "m"}}
	r.Append(nil, []byte(`{"response":{"model":"up-2026"}}`))
	if got := string(r.Append(nil, []byte(`{"a":{"model":"up-2026"},"b":{"model":"up"}}`))); got != `{"a":{"model":"m"},"b":{"model":"up"}}` {
		t.Errorf("an event after the one that said the model becomes %s", got)
	}
}

// TestEventsThatName: whatever is named in an event is found, however it is written.
func TestEventsThatName(t *testing.T) {
	loose := telling
	loose.Grammar.Places = slices.Clone(loose.Grammar.Places)
	loose.Grammar.Places[atOther].Other = atItsID // ids at any key
	loose = loose.Indexed()
	for data, tells := range map[string]struct {
		form *Form
		ids  []string
		as   string // what it becomes; "": the same
	}{
		`{"type":"x","id":"i"}`:                              {&telling, []string{"i"}, ""},
		`{"type":"x","item":{"type":"made","file_id":"f"}}`:  {&telling, []string{"f"}, ""},
		`{"type":"x","item":{"type":"other","file_id":"f"}}`: {&telling, nil, ""},
		`{"type":"x","item_id":"i","a":["id","model"]}`:      {&telling, nil, ""},
		`{"type":"x","a":{"model":"up"}}`:                    {&telling, nil, `{"type":"x","a":{"model":"m"}}`},
		`{"type":"x","a":{"b":"i"}}`:                         {&loose, []string{"i"}, ""},
	} {
		if _, ok := glanceAt([]byte(data)); !ok {
			t.Errorf("%s isn't as providers write events", data)
		}
		var made []string
		r := Reading{Form: tells.form, Info: dialect.Info{Model: "m", NoteID: func(id string) { made = append(made, id) }, Upstream: func() string { return "up" }}}
		if got := string(r.AppendEvent(nil, []byte(data), true)); got != cmp.Or(tells.as, data) || !slices.Equal(made, tells.ids) {
			t.Errorf("%s becomes %s and tells %q, want %q", data, got, made, tells.ids)
		}
	}
}

// plainly passes everything but the model.
type plainly struct{ *Reading }

func (p plainly) Event(dst, _, data []byte, plain bool) []byte {
	return p.AppendEvent(dst, data, plain)
}
func (plainly) Watches(name []byte) bool        { return string(name) != "delta" }
func (plainly) NeedsNames() bool                { return false }
func (plainly) End(dst []byte) []byte           { return dst }
func (p plainly) Whole(dst, data []byte) []byte { return p.Append(dst, data) }

// TestContentIsFromTheAlias, too, however it is written, and whatever came before.
func TestContentIsFromTheAlias(t *testing.T) {
	for _, before := range []string{"", `{"type":"delta","delta":"x","model":"other"}`, `{"type":"delta","delta":"x","n":1}`} {
		for data, want := range map[string]string{
			`{"type":"delta","delta":"x","model":"up"}`:           `{"type":"delta","delta":"x","model":"m"}`,
			`{"type":"delta","delta":"x","mod\u0065l":"up"}`:      `{"type":"delta","delta":"x","mod\u0065l":"m"}`,
			`{"type":"delta","delta":"x","mod\u0065l":"u\u0070"}`: `{"type":"delta","delta":"x","mod\u0065l":"m"}`,
			`{"type": "delta", "delta": "x", "model": "up"}`:      `{"type": "delta", "delta": "x", "model": "m"}`,
			`{"type":"delta","delta":"x","n":1}`:                  `{"type":"delta","delta":"x","n":1}`,
			`{"type": "delta", "delta": "model"}`:                 `{"type": "delta", "delta": "model"}`,
		} {
			i := dialect.Info{Model: "m", Upstream: func() string { return "up" }}
			a := NewStream(i, plainly{&Reading{Form: &telling, Info: i}})
			var got []byte
			for _, event := range []string{before, data} {
				if event == "" {
					continue
				}
				var err error
				a.Receive([]byte("delta"), []byte(event), false)
				if got, err = a.Apply(nil, []abi.Emission{{Kind: abi.Pass, At: abi.PassContent}}); err != nil {
					t.Fatal(err)
				}
			}
			if want = "event: delta\ndata: " + want + "\n\n"; string(got) != want {
				t.Errorf("after %q: got %q, want %q", before, got, want)
			}
		}
	}
}

// TestWhatIsNoJSONSaysNothing: what an adapter states of an event that is refused neither counts
// as usage nor ends the answer.
func TestWhatIsNoJSONSaysNothing(t *testing.T) {
	for _, data := range []string{`{"type":"end","usage":{"output_tokens":7},"x":tru}`, `{"type":"end",}`, `{"type":"end","x":[}`, `{"a":01}`} {
		for _, first := range []bool{true, false} { // there was no content yet
			a := NewStream(dialect.Info{}, plainly{&Reading{Form: &telling, Info: dialect.Info{Model: "m"}}})
			if !first {
				a.Receive([]byte("delta"), []byte(`{"type":"delta","delta":"x"}`), false)
				if _, err := a.Apply(nil, []abi.Emission{{Kind: abi.Pass, At: abi.PassContent}}); err != nil {
					t.Fatal(err)
				}
			}
			a.Receive([]byte("end"), []byte(data), false)
			got, err := a.Apply([]byte("before"), []abi.Emission{
				{Kind: abi.Usage, Data: []byte(`{"completion_tokens":7}`)}, {Kind: abi.Pass, At: abi.PassContent}, {Kind: abi.Finish, Data: []byte("stop")},
			})
			if err == nil || string(got) != "before" || a.Usage().Known || a.Complete() {
				t.Errorf("%s: %v, %q, usage %+v, complete %v", data, err, got, a.Usage(), a.Complete())
			}
		}
	}
}

// FuzzEvent: what an upstream sends becomes one event, or an error that appends nothing.
func FuzzEvent(f *testing.F) {
	f.Add([]byte("delta"), []byte(`{"type":"delta","x":"y"}`), true)
	f.Add([]byte(""), []byte("{\"type\":\"a\",\r\n\"response\":{\"model\":\"m\"}}"), false)
	f.Add([]byte("x"), []byte(`{"type":"\n","x":"`+"\xff"+`"}`), false)
	f.Add([]byte("x"), []byte(`not json`), true)
	f.Add([]byte("novel"), []byte("[1,\n2]"), false)
	f.Fuzz(func(t *testing.T, name, data []byte, content bool) {
		if bytes.ContainsAny(name, "\r\n") {
			return // a line of a stream has none
		}
		pass := abi.Emission{Kind: abi.Pass}
		if content {
			pass.At = abi.PassContent
		}
		a := NewStream(dialect.Info{}, plainly{&Reading{Form: &telling, Info: dialect.Info{Model: "alias"}}})
		a.Receive(name, bytes.Clone(data), false)
		got, err := a.Apply([]byte("before"), []abi.Emission{pass})
		if err != nil {
			if string(got) != "before" || json.Valid(data) {
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
