package passed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
)

// written is a form with a line for each header and content, whose lines end in CR LF.
func written(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }

const disposition = `Content-Disposition: form-data; name=`

// sound is a part with a file.
var sound3 = []string{"--b", disposition + `"file"; filename="a.mp3"`, "Content-Type: audio/mpeg", "", "ID3\x00\r\n--c\r\n"}

// asForm is a form with a file behind other lines.
func asForm(lines ...string) string { return written(append(append(lines, sound3...), "--b--")...) }

func parseAs(contentType, b string) (*dialect.Request, error) {
	return parseTranscription(context.Background(), []byte(b), dialect.Caller{Header: http.Header{"Content-Type": {contentType}}})
}

const formType = "multipart/form-data; boundary=b"

func TestForm(t *testing.T) {
	const file = `"file":{"filename":"a.mp3","content_type":"audio/mpeg","bytes":11}`
	for name, tc := range map[string]struct{ form, model, want string }{
		"a file alone":            {asForm(), "", `{"model":"up",` + file + `}`},
		"a model":                 {asForm("--b", disposition+`"model"`, "", "m"), "m", `{"model":"up",` + file + `}`},
		"fields":                  {asForm("--b", disposition+`"language"`, "", "en", "--b", disposition+`"prompt"`, "", `Say "Hi"`), "", `{"model":"up","language":"en","prompt":"Say \"Hi\"",` + file + `}`},
		"a field that repeats":    {asForm("--b", disposition+`"x[]"`, "", "1", "--b", disposition+`"y"`, "", "", "--b", disposition+`"x[]"`, "", "2"), "", `{"model":"up","x[]":["1","2"],"y":"",` + file + `}`},
		"a name without quotes":   {asForm("--b", disposition+`model`, "", "m"), "m", `{"model":"up",` + file + `}`},
		"headers in capitals":     {asForm("--b", `CONTENT-DISPOSITION: FORM-DATA; NAME="model"`, "X-Other: 1", "", "m"), "m", `{"model":"up",` + file + `}`},
		"a stream":                {asForm("--b", disposition+`"stream"`, "", "True"), "", `{"model":"up","stream":"True",` + file + `}`},
		"no stream":               {asForm("--b", disposition+`"stream"`, "", "False"), "", `{"model":"up",` + file + `}`},
		"a name of a file, coded": {written("--b", disposition+`"file"; filename="x"; filename*=UTF-8''gr%C3%BC%C3%9F.wav`, "", "RIFF", "--b--"), "", `{"model":"up","file":{"filename":"grüß.wav","content_type":"application/octet-stream","bytes":4}}`},
		"a file in a folder":      {written("--b", disposition+`"file"; filename="C:\\a\..\b\\c;\"d%22.wav"`, "Content-Type: a\tb", "", "RIFF", "--b--"), "", `{"model":"up","file":{"filename":"c__d_22.wav","content_type":"application/octet-stream","bytes":4}}`},
		"space behind a boundary": {strings.Replace(asForm("--b", disposition+`"model"`, "", "m"), "--b\r\n", "--b \t\r\n", 1), "m", `{"model":"up",` + file + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := parseAs(formType, tc.form)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(r.Body.Body("up")); got != tc.want || r.Model != tc.model || r.Stream != (name == "a stream") {
				t.Errorf("the adapter gets %s, the model is %q, and streamed: %v; want %s", got, r.Model, r.Stream, tc.want)
			}
			f := r.Body.(*form)
			contentType, pieces := f.Form(`up`)
			if len(pieces[1]) > 0 && &pieces[1][0] != &f.bytes[f.file.content.From] {
				t.Error("the file was copied")
			}
			read := readForm(t, contentType, bytes.Join(pieces, nil))
			if read[0] != "model=up" || read[len(read)-1] != "file="+string(f.file.content.Of(f.bytes)) {
				t.Errorf("the upstream reads %q", read)
			}
		})
	}
}

// readForm returns what Go's reader makes of a form.
func readForm(t testing.TB, contentType string, b []byte) (parts []string) {
	t.Helper()
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	for r := multipart.NewReader(bytes.NewReader(b), parameters["boundary"]); ; {
		p, err := r.NextPart()
		if err == io.EOF {
			return parts
		}
		if err != nil {
			t.Fatalf("the upstream can't read %.300q: %v", b, err)
		}
		content, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p.FormName()+"="+string(content))
	}
}

func TestFormRefuses(t *testing.T) {
	many := make([]string, 0, 4*maxParts)
	for range maxParts {
		many = append(many, "--b", disposition+`"x[]"`, "", "1")
	}
	field := func(name, value string) string { return asForm("--b", disposition+name, "", value) }
	for name, tc := range map[string]struct{ form, param string }{
		"no form":                          {"{}", ""},
		"nothing":                          {"--b--\r\n", "file"},
		"no file":                          {written("--b", disposition+`"model"`, "", "m", "--b--"), "file"},
		"an empty file":                    {written("--b", disposition+`"file"; filename="a"`, "", "", "--b--"), "file"},
		"a file that is a text":            {written("--b", disposition+`"file"`, "", "a", "--b--"), "file"},
		"another file":                     {asForm("--b", disposition+`"other"; filename="a"`, "", "x"), "other"},
		"two files":                        {asForm(sound3...), "file"},
		"a model that is a file":           {asForm("--b", disposition+`"model"; filename="a"`, "", "x"), "model"},
		"two models":                       {asForm("--b", disposition+`"model"`, "", "m", "--b", disposition+`"model"`, "", "n"), "model"},
		"a model in capitals":              {field(`"Model"`, "m"), "Model"},
		"a list of models":                 {field(`"model[]"`, "m"), "model[]"},
		"a model in brackets":              {field(`"model[0]"`, "m"), "model[0]"},
		"nothing but brackets":             {field(`"[model]"`, "m"), "[model]"},
		"a model and a number":             {field(`"model.0"`, "m"), "model.0"},
		"a model and a name":               {field(`"Model.x"`, "m"), "Model.x"},
		"a stream in capitals":             {field(`"STREAM"`, "false"), "STREAM"},
		"a stream that is no word":         {field(`"stream"`, "1"), "stream"},
		"two fields but for their case":    {asForm("--b", disposition+`"x"`, "", "1", "--b", disposition+`"X"`, "", "2"), "X"},
		"a name with a quote":              {field(`"mod\"el"`, "m"), ""},
		"a name with percents":             {field(`"mod%65l"`, "m"), ""},
		"a name in another letter":         {field(`"ſtream"`, "true"), ""},
		"a name with a NUL":                {field("\"model\x00x\"", "m"), ""},
		"an empty name":                    {field(`""`, "m"), ""},
		"a name with space":                {field(`"model "`, "m"), ""},
		"a long name":                      {field(`"`+strings.Repeat("x", maxFieldName+1)+`"`, "m"), ""},
		"no name":                          {asForm("--b", "Content-Type: text/plain", "", "m"), ""},
		"two names":                        {field(`"x"; name="model"`, "m"), ""},
		"two dispositions":                 {asForm("--b", disposition+`"x"`, disposition+`"model"`, "", "m"), ""},
		"another disposition":              {asForm("--b", `Content-Disposition: attachment; name="x"`, "", "m"), ""},
		"half a quote":                     {field(`"x`, "m"), ""},
		"something behind a quote":         {field(`"x"y`, "m"), ""},
		"a header over two lines":          {asForm("--b", disposition+`"x"`, ` ; name="model"`, "", "m"), ""},
		"a header without a name":          {asForm("--b", disposition+`"x"`, ": x", "", "m"), ""},
		"space before a colon":             {asForm("--b", `Content-Disposition : form-data; name="x"`, "", "m"), ""},
		"a lone line feed in a header":     {asForm("--b", disposition+"\"x\"\nX: y", "", "m"), ""},
		"headers without an end":           {asForm("--b", disposition+`"x"; y="`+strings.Repeat("z", maxPartHead)+`"`, "", "m"), ""},
		"content that is encoded":          {asForm("--b", disposition+`"x"`, "Content-Transfer-Encoding: base64", "", "bQ=="), ""},
		"a long name of a model":           {field(`"model"`, strings.Repeat("x", longField+1)), "model"},
		"a long field that is no UTF-8":    {field(`"prompt"`, strings.Repeat("x", longField)+"\xff"), "prompt"},
		"a field that is no UTF-8":         {field(`"prompt"`, "\xff"), "prompt"},
		"a field with a NUL":               {field(`"model"`, "m\x00n"), "model"},
		"many parts":                       {asForm(many...), ""},
		"no end":                           {strings.TrimSuffix(asForm(), "--b--\r\n"), ""},
		"half an end":                      {strings.TrimSuffix(asForm(), "--\r\n"), ""},
		"something in front":               {"preamble\r\n" + asForm(), ""},
		"something behind":                 {asForm() + "--b\r\n" + disposition + `"model"`, ""},
		"a boundary that begins another's": {strings.ReplaceAll(asForm(), "--b", "--bc"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseAs(formType, tc.form)
			var e *fault.Error
			if !errors.As(err, &e) || e.HTTPStatus() != 400 || e.Param != tc.param {
				t.Errorf("%.100q: %+v, want a 400 about %q", tc.form, err, tc.param)
			}
		})
	}
	for _, contentType := range []string{"", "multipart/form-data", "multipart/form-data; boundary="} {
		if _, err := parseAs(contentType, asForm()); err == nil {
			t.Errorf("a form of type %q is read", contentType)
		}
	}
}

// TestFormAsks: a field by which a client would choose what the configuration chooses is found.
func TestFormAsks(t *testing.T) {
	for field, want := range map[string]string{`"API_Base"`: "api_base", `"api_base[x]"`: "api_base", `"other"`: "",
		`"api_base.0"`: "api_base", `"[api_key]"`: "api_key", `"Tools[0][type]"`: "tools"} {
		r, err := parseAs(formType, asForm("--b", disposition+field, "", "u"))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Body.Asks([]string{"api_key", "api_base"}, []string{"x:"}); got != want {
			t.Errorf("%s asks for %q, want %q", field, got, want)
		}
	}
}

func TestPlainText(t *testing.T) {
	for mediaType, want := range map[string]string{
		"text/plain": "text/plain; charset=utf-8", "text/html": "text/plain; charset=utf-8", "": "text/plain; charset=utf-8",
		"text/vtt": "text/vtt", "application/x-subrip": "application/x-subrip", "image/svg+xml": "", "text/xml": "", "audio/mpeg": "",
	} {
		if got, ok := plainText(mediaType); got != want || ok != (want != "") {
			t.Errorf("%q becomes %q, want %q", mediaType, got, want)
		}
	}
}

// FuzzForm: what is taken is read in the same way by Go's reader once it was written anew, and
// has one model.
func FuzzForm(f *testing.F) {
	f.Add(asForm())
	f.Add(asForm("--b", disposition+`"model"`, "", "m", "--b", disposition+`"x[]"`, "", "1"))
	f.Add(written("--b", disposition+`"file"; filename="x"; filename*=UTF-8''gr%C3%BC.wav`, "", "RIFF", "--b--"))
	f.Fuzz(func(t *testing.T, b string) {
		r, err := parseAs(formType, b)
		if err != nil {
			return
		}
		contentType, pieces := r.Body.(*form).Form("up")
		models := 0
		for i, p := range readForm(t, contentType, bytes.Join(pieces, nil)) {
			name, value, _ := strings.Cut(p, "=")
			if strings.EqualFold(name, "model") {
				if models++; value != "up" || i != 0 {
					t.Errorf("the model at %d is %q", i, value)
				}
			}
		}
		if models != 1 {
			t.Errorf("%d models", models)
		}
		r.Body.Body("up")
	})
}

// TestLongFieldsOfForms: adapters get their length alone, and upstreams what the client sent, of
// which nothing is copied.
func TestLongFieldsOfForms(t *testing.T) {
	long, longer := strings.Repeat("x", longField+1), strings.Repeat("data:audio/wav;base64,AAAA", 1<<16)
	body := asForm("--b", disposition+`"a[]"`, "", long, "--b", disposition+`"p"`, "", "short", "--b", disposition+`"a[]"`, "", longer)
	r, err := parseAs(formType, body)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"model":"up","a[]":[{"bytes":%d},{"bytes":%d}],"p":"short","file":{"filename":"a.mp3","content_type":"audio/mpeg","bytes":11}}`, len(long), len(longer))
	if got := string(r.Body.Body("up")); got != want {
		t.Errorf("the adapter gets %s, want %s", got, want)
	}
	contentType, pieces := r.Body.(*form).Form("up")
	if got := readForm(t, contentType, bytes.Join(pieces, nil)); len(got) != 5 || got[1] != "a[]="+long || got[2] != "p=short" || got[3] != "a[]="+longer {
		t.Errorf("the upstream reads %d fields", len(got))
	}
	if r.Size > 4<<10 || r.Body.Len(true) > 4<<10 {
		t.Errorf("the form counts %d and %d bytes besides its body", r.Size, r.Body.Len(true))
	}
}
