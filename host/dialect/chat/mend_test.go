package chat

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// history is a body with calls (names in upper case) and results (in lower case)
// of the ids: "A0 B0 a0 | C0" are two messages with calls, a result and, behind a
// message of the user, another call. Numbers are ids, "-" is an empty one.
func history(text string) string {
	var messages []string
	for _, word := range strings.Fields(text) {
		id := strings.TrimPrefix(word[1:], "-")
		switch c := word[0]; {
		case c == '|':
			messages = append(messages, `{"role":"user","content":"x"}`)
		case c >= 'a':
			messages = append(messages, `{"role":"tool","tool_call_id":"`+id+`","content":"x"}`)
		default:
			messages = append(messages, `{"role":"assistant","tool_calls":[{"id":"`+id+`","type":"function","function":{"name":"`+word[:1]+`","arguments":"{}"}}]}`)
		}
	}
	return `{"messages":[` + strings.Join(messages, ",") + `],"model":"x"}`
}

func TestRepeatedIDsBecomeUnique(t *testing.T) {
	for name, tc := range map[string]struct{ body, want string }{
		"each id once":                        {"A1 B2 a1 b2", "A1 B2 a1 b2"},
		"an id in every answer":               {"A0 a0 | B0 b0 | C0 c0", "A0 a0 | B0_2 b0_2 | C0_3 c0_3"},
		"side by side, results by order":      {"A0 B0 a0 b0", "A0 B0_2 a0 b0_2"},
		"a new id that a client has, too":     {"A0 a0 | B0 b0 | C0_2 c0_2", "A0 a0 | B0_3 b0_3 | C0_2 c0_2"},
		"a call that was given up":            {"A0 | B0 b0", "A0 | B0_2 b0_2"},
		"calls after a result are new ones":   {"A0 B0 a0 C0 c0", "A0 B0_2 a0 C0_3 c0_3"},
		"empty ids":                           {"A- a- | B- b-", "Acall_2 acall_2 | Bcall_3 bcall_3"},
		"a second result for one call":        {"A0 a0 | B0 b0 b0", "A0 a0 | B0_2 b0_2 b0_2"},
		"a result without call":               {"A0 a0 B0 b7 b0", "A0 a0 B0_2 b7 b0_2"},
		"results in another order than calls": {"A1 B1 C2 c2 a1 b1", "A1 B1_2 C2 c2 a1 b1_2"},
		"escapes":                             {`A\u0030 a0 | B0 b\u0030`, `A\u0030 a0 | B0_2 b0_2`},
	} {
		t.Run(name, func(t *testing.T) { checkMended(t, history(tc.body), history(tc.want)) })
	}
}

func TestLongIDsStayShort(t *testing.T) {
	long := strings.Repeat("y", 40)
	checkMended(t, history("A"+long+" a"+long+" | B"+long+" b"+long), history("A"+long+" a"+long+" | B"+long[:32]+"_2 b"+long[:32]+"_2"))
}

func TestStopsThatSayNothing(t *testing.T) {
	for stop, want := range map[string]string{
		`""`: `null`, `[]`: `null`, `[ ]`: `null`, `[""]`: `null`, `["", ""]`: `null`,
		`["","a", "\n"]`: `["a","\n"]`, `"a"`: `"a"`, `["a", "b"]`: `["a", "b"]`, `"\n"`: `"\n"`, `null`: `null`,
	} {
		body := func(stop string) string {
			return `{"stop":` + stop + `,"messages":[{"role":"user","content":"x"}],"model":"x"}`
		}
		checkMended(t, body(stop), body(want))
	}
}

func TestStopThatIsWrongIsRefused(t *testing.T) {
	if _, err := ParseRequest([]byte(`{"stop":["",1],"messages":[{"role":"user","content":"x"}]}`)); err == nil {
		t.Error("ParseRequest takes a number as stop")
	}
}

func TestToolCallsWithoutACallAreLeftOut(t *testing.T) {
	for message, want := range map[string]string{
		`{"role":"assistant","content":"a","tool_calls":[]}`:              `{"role":"assistant","content":"a"}`,
		`{"role":"assistant","content":"a" , "tool_calls" : [ ] }`:        `{"role":"assistant","content":"a"}`,
		`{"tool_calls":null,"role":"assistant","content":"a"}`:            `{"role":"assistant","content":"a"}`,
		`{"role":"assistant","tool_calls" : null , "content":"a"}`:        `{"role":"assistant","content":"a"}`,
		`{"tool_calls":[],"role":"assistant","tool_calls":[]}`:            `{"role":"assistant"}`,
		`{"role":"assistant","tool_calls":[],"tool_calls":[]}`:            `{"role":"assistant"}`,
		`{"role":"assistant","content":"a","function_call":null}`:         `{"role":"assistant","content":"a","function_call":null}`,
		`{"role":"assistant","tool_calls":[{"id":"a"}]}`:                  `{"role":"assistant","tool_calls":[{"id":"a"}]}`,
		`{"role":"user","content":[{"type":"text","tool_calls":[]}]}`:     `{"role":"user","content":[{"type":"text","tool_calls":[]}]}`,
		`{"role":"user","tool_calls":[],"content":"` + longContent + `"}`: `{"role":"user","content":"` + longContent + `"}`,
	} {
		body := func(message string) string {
			return `{"messages":[{"role":"user","content":"x"},` + message + `],"model":"x"}`
		}
		checkMended(t, body(message), body(want))
	}
}

var longContent = strings.Repeat("y", 2*longText)

func TestHalfACharacterIsReplaced(t *testing.T) {
	for text, want := range map[string]string{
		`\ud83c`: `\ufffd`, `\udf1e`: `\ufffd`, `\ud83c\ud83c\udf1e`: `\ufffd\ud83c\udf1e`, `\uD83Ca`: `\ufffda`, `\ud83c\n`: `\ufffd\n`,
		`\\ud83c`: `\\ud83c`, `\ud83c\udf1e`: `\ud83c\udf1e`, `\ud83c\u0041`: `\ufffd\u0041`, `\udf1e\ud83c`: `\ufffd\ufffd`,
	} {
		for _, long := range []string{"", longContent} {
			for _, at := range []string{`{"role":"user","content":"%"}`, `{"role":"user","%":"y","content":"y"}`} {
				body := func(text string) string {
					return `{"messages":[` + strings.ReplaceAll(at, "%", long+text) + `],"model":"x"}`
				}
				c, err := ParseRequest([]byte(body(text)))
				if err != nil {
					t.Fatal(err)
				}
				if got, want := string(c.Body("m")), strings.Replace(body(want), `"model":"x"`, `"model":"m"`, 1); got != want {
					t.Errorf("Body of %s is %s, want %s", body(text), got, want)
				}
			}
		}
	}
}

func TestByteOrderMarkIsSkipped(t *testing.T) {
	body := `{"messages":[{"role":"user","content":"x"}],"model":"x"}`
	checkMended(t, "\ufeff"+body, body)
}

const (
	jpeg = "/9j/4AAQSkZJRgABAQEASABIAAD"
	png  = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB"
)

func TestMediaGetTheFormThatEverybodyReads(t *testing.T) {
	text := base64.StdEncoding.EncodeToString([]byte("a b"))
	for url, want := range map[string]string{
		"data:image/png;base64," + png:                       "",
		"https://example.com/a.png":                          "",
		"data:image/jpg;base64," + jpeg:                      "data:image/jpeg;base64," + jpeg,
		"data:image/jpg;base64,AAAA":                         "data:image/jpeg;base64,AAAA",
		"DATA:Image/PNG;BASE64," + png:                       "data:image/png;base64," + png,
		"data:;base64," + png:                                "data:image/png;base64," + png,
		"data:base64," + png:                                 "data:base64;base64," + base64.StdEncoding.EncodeToString([]byte(png)),
		"data:;base64,YQ==":                                  "data:text/plain;base64,YQ==",
		"data:image/png;charset=utf-8;base64," + png:         "data:image/png;base64," + png,
		"data:image/png; base64," + png:                      "data:image/png;base64," + png,
		"data:application/octet-stream;base64," + png:        "data:image/png;base64," + png,
		"data:image/jpeg;base64," + png:                      "data:image/png;base64," + png,
		"data:image/png;base64," + png[:8] + "%2B%3d":        "data:image/png;base64," + png[:8] + "+=",
		"data:image/png;base64," + png[:8] + `\n ` + png[8:]: "data:image/png;base64," + png,
		`data:image\/jpeg;base64,\/9j\/4AAQSkZJRgABAQEASAB`:  `data:image/jpeg;base64,\/9j\/4AAQSkZJRgABAQEASAB`,
		"data:image%2Fpng;base64," + png:                     "data:image/png;base64," + png,
		"data:text/plain,a%20b":                              "data:text/plain;base64," + text,
		"data:,a b":                                          "data:text/plain;base64," + text,
		"data:text/plain;charset=utf-8,a b":                  "data:text/plain;base64," + text,
		"data:image/gif;base64,R0lGODlhAQABAAAAACw=":         "",
		"data:image/png;base64,UklGRiIAAABXRUJQVlA4IA==":     "data:image/webp;base64,UklGRiIAAABXRUJQVlA4IA==",
		"data:application/pdf;name=a.pdf;base64,JVBERi0xLjQ": "data:application/pdf;base64,JVBERi0xLjQ",
		png:                  "data:image/png;base64," + png,
		"data:without comma": "",
	} {
		if want == "" {
			want = url
		}
		for place, open := range map[string]string{"image_url": `{"url":"`, "file": `{"filename":"a","file_data":"`} {
			body := func(url string) string {
				return `{"messages":[{"role":"user","content":[{"type":"` + place + `","` + place + `":` + open + url + `"}}]}],"model":"x"}`
			}
			checkMended(t, body(url), body(want))
			checkMended(t, strings.Replace(body(url), `{"url":"`+url+`"}`, `"`+url+`"`, 1), strings.Replace(body(want), `{"url":"`+want+`"}`, `"`+want+`"`, 1))
			if !strings.HasSuffix(url, "=") && strings.Contains(url, png) {
				more := strings.Repeat("A", 2*longText)
				if strings.HasPrefix(url, "data:base64,") {
					continue // not base64: longer data is other data
				}
				checkMended(t, body(url+more), body(want+more))
			}
		}
	}
}

func TestAudioIsDataAlone(t *testing.T) {
	body := func(data string) string {
		return `{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"format":"wav","data":"` + data + `"}}]}],"model":"x"}`
	}
	for data, want := range map[string]string{"UklGRg==": "UklGRg==", "data:audio/wav;base64,UklGRg==": "UklGRg==", png: png} {
		checkMended(t, body(data), body(want))
		more := strings.Repeat("A", 2*longText)
		checkMended(t, body(data[:len(data)-2]+more), body(want[:len(want)-2]+more))
	}
}

// checkMended checks what ParseRequest makes of a body: in Body, and in Short with
// its references.
func checkMended(t *testing.T, body, want string) {
	t.Helper()
	c, err := ParseRequest([]byte(body))
	if err != nil {
		t.Fatalf("ParseRequest(%s): %v", body, err)
	}
	short, refs := c.Short("m")
	expanded, err := refs.Expand(short)
	if err != nil {
		t.Fatalf("Expand of %s: %v", short, err)
	}
	for how, got := range map[string][]byte{"Body": c.Body("m"), "Short": expanded} {
		var g, w any
		if err := json.Unmarshal(got, &g); err != nil {
			t.Fatalf("%s of %s is no JSON: %s", how, body, got)
		}
		if err := json.Unmarshal([]byte(strings.Replace(want, `"model":"x"`, `"model":"m"`, 1)), &w); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("%s of %.300s\n got %.300s\nwant %.300s", how, body, got, want)
		}
	}
}

func TestAdaptersSeeTheSpaceThatALongTextEndsIn(t *testing.T) {
	text := strings.Repeat("y", 2*longText)
	c, err := ParseRequest([]byte(`{"messages":[{"role":"assistant","content":"` + text + ` \n"}],"model":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	if short, _ := c.Short("m"); !strings.Contains(string(short), `@ \n"`) {
		t.Errorf("the adapter gets %s", short)
	}
}
