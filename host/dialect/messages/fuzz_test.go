package messages

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/fault"
)

// seeds are bodies with everything that a request may have.
func seeds(t testing.TB) (bodies []string) {
	names, err := filepath.Glob("testdata/requests/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no recorded requests: %v", err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(b))
	}
	sealed := seal.Seal(seal.Content{Details: raws(`{"type":"reasoning.text"}`), Calls: map[string]json.RawMessage{"c1": json.RawMessage(`{"extra_content":{"a":1}}`)}})
	return append(bodies,
		said(hi),
		said(user(`[`+text(`a\ud83d\u0000`)+`,`+png+`,`+pdf+`]`)+`,`+assistant(`[`+thinking(`Hm.`, sealed)+`,`+toolUse(`c1`, strings.Repeat("n", 80), `{"a":"\""}`)+`]`)+`,`+user(`[`+toolResult(`c1`, `[`+text(`a`)+`,`+png+`]`, `,"is_error":true`)+`]`)+`,`+system(`"x"`), `,"thinking":{"type":"adaptive"}`),
		said(hi+`,{"role":"system","clear_at":"next_user_message","content":[{"type":"tool_addition","tool":{"definition":{"name":"n","input_schema":{"type":"object","properties":{}},"strict":true}}}]},`+hi, tools(`{"name":"b","defer_loading":true}`)),
		said(hi+`,`+assistant(`[{"type":"web_search_tool_result","content":[{"title":"a","url":"b"}]},{"type":"search_result","title":"x","source":"y","content":[`+text(`z`)+`]}]`)),
	)
}

func FuzzParse(f *testing.F) {
	for _, body := range seeds(f) {
		f.Add([]byte(body), uint8(7))
	}
	f.Fuzz(func(t *testing.T, b []byte, extensions uint8) {
		size := len(b)
		r, err := parse(b, extensions&8 != 0, nil)
		if err != nil {
			e, ok := err.(*fault.Error)
			if !ok || e.Kind != fault.Invalid {
				t.Fatalf("the error is %#v", err)
			}
			return
		}
		bodies := [][]byte{r.Body.Body("up")}
		if r.Form != nil {
			body, err := r.Form(func(name string) bool {
				return name == extCache && extensions&1 != 0 || name == extTopK && extensions&2 != 0 || name == extNative && extensions&4 != 0
			})
			if err != nil {
				t.Fatalf("another form is refused: %v", err)
			}
			bodies = append(bodies, body.Body("up"))
		}
		for _, body := range bodies {
			if !json.Valid(body) {
				t.Fatalf("%s is not valid JSON", body)
			}
			if len(body) > 8*size+4*minRestored {
				t.Fatalf("%d bytes became %d", size, len(body))
			}
		}
		for _, param := range []string{"messages[0].content[0]", "messages[1].tool_calls[0].id", "tools[0]", "messages[2]", ""} {
			r.Fault(&fault.Error{Param: param})
		}
	})
}

// Whatever a client sends, reading it takes a few times its bytes and no deep stack.
func TestHostileRequestsAreBounded(t *testing.T) {
	const size = 1 << 20
	many := func(one string) string { return strings.Repeat(one+`,`, size/len(one)) + one }
	for name, body := range map[string]string{
		"deep":                         said(user(strings.Repeat(`[`, size))),
		"deep within the limit":        said(user(`[{"type":"text","text":"a","x":` + strings.Repeat(`[`, 500) + strings.Repeat(`]`, 500) + `}]`)),
		"messages":                     said(many(user(`""`))),
		"alternating messages":         said(many(user(`""`) + `,` + assistant(`""`))),
		"messages that are no objects": said(many(`1`)),
		"system messages":              said(many(`{"role":"system","content":"a","clear_at":"next_user_message"}`)),
		"blocks":                       said(user(`[` + many(text(`a`)) + `]`)),
		"images":                       said(user(`[` + many(`{"type":"image","source":{"type":"url","url":""}}`) + `]`)),
		"thinking":                     said(hi + `,` + assistant(`[`+many(thinking(`a`, `b`))+`]`)),
		"calls":                        said(hi + `,` + assistant(`[`+many(toolUse(`c`, `n`, `{}`))+`]`)),
		"results":                      said(user(`[` + many(toolResult(`c`, `[`+png+`]`)) + `]`)),
		"references":                   said(user(`[`+many(toolResult(`c`, `[{"type":"tool_reference","tool_name":"a"}]`))+`]`), tools(`{"name":"b","defer_loading":true}`)),
		"tools":                        said(hi, tools(many(`{"name":"a"}`))),
		"waiting tools":                said(hi, tools(many(`{"name":"a","defer_loading":true}`))),
		"strict tools":                 said(hi, tools(many(`{"name":"a","strict":true,"input_schema":`+strings.Repeat(`{"type":"object","additionalProperties":false,"a":`, 200)+`{}`+strings.Repeat(`}`, 200)+`}`))),
		"changes of tools":             said(system(`[` + many(`{"type":"tool_addition","tool":{"definition":{"name":"a"}}}`) + `]`)),
		"one long text":                said(user(`"` + strings.Repeat(`\"`, size/2) + `"`)),
		"one long input":               said(hi + `,` + assistant(`[`+toolUse(`c`, `n`, `["`+strings.Repeat(`\\`, size/2)+`"]`)+`]`)),
		"stops":                        said(hi, `,"stop_sequences":[`+many(`""`)+`]`),
		"backslashes":                  said(user(`"` + strings.Repeat(`\\`, size/2) + `"`)),
	} {
		t.Run(name, func(t *testing.T) {
			b := []byte(body)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			r, err := parse(b, false, nil)
			runtime.ReadMemStats(&after)
			if took := time.Since(start); took > time.Minute {
				t.Errorf("it took %v", took)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			allocated := after.TotalAlloc - before.TotalAlloc
			t.Logf("%.1f times the body were allocated, error: %v", float64(allocated)/float64(len(b)), err)
			if allocated > uint64(20*len(b)+1<<20) {
				t.Errorf("%d bytes made it allocate %d", len(b), allocated)
			}
			if r != nil && r.Size > int64(8*len(b)) {
				t.Errorf("%d bytes are kept as %d", len(b), r.Size)
			}
		})
	}
}

// FuzzForms puts requests together from good parts, in any order: all of them are taken, in
// every form, and the roles come in an order that providers accept.
func FuzzForms(f *testing.F) {
	const mark = `,"cache_control":{"type":"ephemeral"}`
	blocks := []string{
		text(`a`), text(``), `{"type":"text","text":"b"` + mark + `}`, png, pdf, thinking(`Hm.`, `x`), thinking(``, `kai1.`), thinking(`y`, ``),
		`{"type":"redacted_thinking","data":"z"}`, toolUse(`c1`, `n`, `{}`), toolUse(`c2`, strings.Repeat("n", 70), `{"a":[1]}`),
		toolResult(`c1`, `"r"`, mark), toolResult(`c2`, `[`+text(`s`)+`,`+png+`,`+pdf+`]`, `,"is_error":true`), toolResult(`c1`, `[]`, `,"is_error":true`),
		`{"type":"document","title":"t","source":{"type":"content","content":[` + png + `,` + text(`d`) + `]}}`, `{"type":"novelty"}`,
		`{"type":"server_tool_use","name":"s","input":{"q":"\""}}`, `{"type":"web_search_tool_result","content":[{"title":"u"}]}`,
		`{"type":"tool_addition","tool":{"name":"n"}}`, `{"type":"tool_removal","tool":{"name":"n"}}`,
	}
	roles := []string{"user", "assistant", "system"}
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 60, 61, 62, 63, 64, 65})
	f.Fuzz(func(t *testing.T, choices []byte) {
		var messages, content []string
		for i, choice := range choices[:min(len(choices), 60)] {
			content = append(content, blocks[int(choice)%len(blocks)])
			if choice >= 120 || i == len(choices)-1 {
				messages = append(messages, `{"role":"`+roles[int(choice)%3]+`","content":[`+strings.Join(content, `,`)+`]}`)
				content = nil
			}
		}
		body := said(strings.Join(append(messages, hi), `,`), `,"system":[`+text(`s`)+`]`, tools(`{"name":"n","defer_loading":true}`), mark)
		r, err := parse([]byte(body), false, nil)
		if err != nil {
			t.Fatalf("%s is refused: %v", body, err)
		}
		for _, extensions := range [][]string{nil, {extCache}, {extNative}, {extCache, extNative}} {
			b, err := r.formFor(func(name string) bool { return slices.Contains(extensions, name) })
			if err != nil {
				t.Fatal(err)
			}
			checkForm(t, b.Body("up"))
		}
	})
}

// checkForm checks that a chat request is valid, and that no two messages of the user and
// no message of the system follow another.
func checkForm(t *testing.T, body []byte) {
	t.Helper()
	var chat struct{ Messages []struct{ Role string } }
	if err := json.Unmarshal(body, &chat); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	for i, m := range chat.Messages {
		if m.Role == "system" && i > 0 || m.Role == "user" && i > 0 && chat.Messages[i-1].Role == "user" {
			t.Errorf("message %d has the role %s: %s", i, m.Role, body)
		}
	}
}
