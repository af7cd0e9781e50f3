package chat

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/fault"
)

var (
	long  = strings.Repeat("x", longText+1)
	token = regexp.MustCompile(`@kai:[0-9a-f]{32}:[0-9]+@`)
)

// messageWith returns a request whose first message has one content part.
func messageWith(part string) string {
	return `{"messages":[{"role":"user","content":[` + part + `]}]}`
}

func TestLongContentGoesByReference(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want []string
	}{
		"content that is a string":       {`{"messages":[{"content":"` + long + `"}]}`, []string{long}},
		"content that is not long":       {`{"messages":[{"content":"` + long[1:] + `"}]}`, nil},
		"content of several messages":    {`{"messages":[{"content":"1` + long + `"},{},{"content":"2` + long + `"}]}`, []string{"1" + long, "2" + long}},
		"a text part":                    {messageWith(`{"type":"text","text":"` + long + `"}`), []string{long}},
		"an image":                       {messageWith(`{"image_url":{"url":"data:image/png;base64,` + long + `"}}`), []string{long}},
		"a small image":                  {messageWith(`{"image_url":{"url":"data:image/png;base64,` + long[1:] + `"}}`), nil},
		"a remote image":                 {messageWith(`{"image_url":{"url":"https://example.com/` + long + `"}}`), nil},
		"an image that is not base64":    {messageWith(`{"image_url":{"url":"data:image/svg+xml,` + long + `"}}`), nil},
		"audio":                          {messageWith(`{"input_audio":{"data":"` + long + `"}}`), []string{long}},
		"a file":                         {messageWith(`{"file":{"file_data":"` + long + `"}}`), []string{long}},
		"a file with its type":           {messageWith(`{"file":{"file_data":"data:application/pdf;base64,` + long + `"}}`), []string{long}},
		"escapes stay as they are":       {`{"messages":[{"content":"\"\n` + long + `"}]}`, []string{`\"\n` + long}},
		"keys with escapes":              {`{"mess\u0061ges":[{"c\u006fntent":"` + long + `"}]}`, []string{long}},
		"tool arguments stay":            {`{"messages":[{"tool_calls":[{"function":{"arguments":"` + long + `"}}]}]}`, nil},
		"other fields of a message stay": {`{"messages":[{"name":"` + long + `"}]}`, nil},
		"other fields stay":              {`{"prompt":"` + long + `","content":"` + long + `","tools":[{"content":"` + long + `"}]}`, nil},
		"messages that are no array":     {`{"messages":{"content":"` + long + `"}}`, nil},
		"a message that is an array":     {`{"messages":[["` + long + `"]]}`, nil},
		"content that is an object":      {`{"messages":[{"content":{"text":"` + long + `"}}]}`, nil},
		"content deeper than it stands":  {`{"a":{"messages":[{"content":"` + long + `"}]}}`, nil},
		"long keys":                      {`{"messages":[{"content":[{"` + long + `":"text"}]}]}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var d body.Doc
			if err := d.Scan([]byte(tc.body), &grammar, &notes{}); err != nil {
				t.Fatal(err)
			}
			d.Mend(nil)
			short, refs := d.Short("m")
			var got []string
			for _, token := range token.FindAll(short, -1) {
				content, err := refs.Expand(token)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(content))
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("long content = %.80q, want %.80q", got, tc.want)
			}
		})
	}
}

// FuzzParseRequest checks what is made of any body. In the input, LONG stands for content
// that is just long and FITS for content that is not, so that the fuzzer need not find
// them.
func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{
		`{"model":"a","messages":[{"role":"user","content":"LONG"}],"stream":true}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"LONG"},{"type":"image_url","image_url":{"url":"data:image/png;base64,LONG"}}]}],"model":null}`,
		`{"messages":[{"role":"user","content":[{"type":"a","input_audio":{"data":"LONG"}},{"type":"b","file":{"file_data":"data:a/b;base64,FITS"}}]}]}`,
		history("A0 B0 a0 b0 C- c-"), `{"messages":[{"role":"user","content":"x \n","tool_calls":[]}],"stop":["","a"]}`,
		`{"stop":"","messages":[{"role":"user","content":[{"type":"a","image_url":"DATA:image/jpg;base64,LONG"},{"type":"a","image_url":{"url":"data:,a%20b\ud83c"}}]}]}`,
		`{"messages":[{"role":"user","content":[{"type":"a","input_audio":{"data":"data:a/b;base64,LONG"}},{"type":"a","file":{"file_data":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABLONG"}}]}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		text := bytes.ReplaceAll(in, []byte("LONG"), []byte(long))
		text = bytes.ReplaceAll(text, []byte("FITS"), []byte(long[1:]))
		r, err := ParseRequest(text)
		if err == nil {
			checkMending(t, r, text)
		} else if !errors.As(err, new(*fault.Error)) {
			t.Errorf("ParseRequest(%q) error = %v, want an *fault.Error", in, err)
		}
	})
}

// checkMending checks that what was mended is JSON, has nothing left to mend, and
// is the same with references and without.
func checkMending(t *testing.T, r *Request, text []byte) {
	t.Helper()
	whole := r.Body("m")
	short, refs := r.Short("m")
	if again, err := refs.Expand(short); err != nil || !bytes.Equal(again, whole) {
		t.Errorf("Expand(Short) of %q is %q, %v, want %q", text, again, err, whole)
	}
	var n notes
	if err := new(body.Doc).Scan(bytes.Clone(whole), &grammar, &n); err != nil {
		t.Fatalf("Scan(%q), of %q: %v", whole, text, err)
	}
	if left := n.mend(whole); len(left) > 0 && len(n.ids) < maxMended {
		t.Errorf("%q, of %q, has more to mend: %v", whole, text, left)
	}
}
