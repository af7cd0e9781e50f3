package host_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

const (
	transcriptions = "/v1/audio/transcriptions"
	formOf         = "multipart/form-data; boundary=b"
)

// transcribe is a form with a model, more parts, and a file.
func transcribe(model, more, file string) string {
	return "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n" + model + "\r\n" + more +
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n" + file + "\r\n--b--\r\n"
}

// fieldOf is a part of a form.
func fieldOf(name, value string) string {
	return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

// partsOf returns what an upstream reads of a form: each name with its file name and content.
func partsOf(t testing.TB, asked mock.Request) (parts []string) {
	t.Helper()
	_, parameters, err := mime.ParseMediaType(asked.Header.Get("Content-Type"))
	if err != nil {
		t.Errorf("the upstream got a form of type %q: %v", asked.Header.Get("Content-Type"), err)
		return nil
	}
	for r := multipart.NewReader(strings.NewReader(asked.Body), parameters["boundary"]); ; {
		p, err := r.NextPart()
		if err == io.EOF {
			return parts
		}
		if err != nil {
			t.Errorf("the upstream can't read %.300q: %v", asked.Body, err)
			return parts
		}
		content, _ := io.ReadAll(p)
		parts = append(parts, fmt.Sprintf("%s(%s)=%s", p.FormName(), p.FileName(), content))
	}
}

// TestTranscriptions: a form reaches its provider with the upstream's name of the model, and
// the client gets the answer in the form that it asked for.
func TestTranscriptions(t *testing.T) {
	up := mock.Start(t, nil)
	g := passedGateway(t, up)
	for name, tc := range map[string]struct {
		answer            mock.Answer
		contentType, want string
		status            int // 0: 200
	}{
		"JSON":      {answer: mock.JSON(`{"text":"Hello","usage":{"type":"tokens","input_tokens":14,"output_tokens":45}}`), contentType: "application/json", want: `{"text":"Hello","usage":{"type":"tokens","input_tokens":14,"output_tokens":45}}`},
		"text":      {answer: mock.Whole(200, "text/plain; charset=utf-8", "Hello\n"), contentType: "text/plain; charset=utf-8", want: "Hello\n"},
		"subtitles": {answer: mock.Whole(200, "text/vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\nHello"), contentType: "text/vtt", want: "WEBVTT\n\n00:00.000 --> 00:01.000\nHello"},
		"like JSON": {answer: mock.Whole(200, "text/plain", "1\n00:00:00,000"), contentType: "text/plain; charset=utf-8", want: "1\n00:00:00,000"},
		"the key":   {answer: mock.Whole(200, "text/plain", "sk-upstream-key"), contentType: "text/plain; charset=utf-8", want: "[redacted]"},
		"a page":    {answer: mock.Whole(200, "text/html", "<html>"), contentType: "application/json", status: 502},
		"a picture": {answer: mock.Whole(200, "image/svg+xml", "x"), contentType: "application/json", status: 502},
		"no text":   {answer: mock.JSON(`{"a":1}`), contentType: "application/json", status: 502},
		"nothing":   {answer: mock.Whole(200, "text/plain", ""), contentType: "application/json", status: 502},
		"an error":  {answer: mock.Whole(429, "application/json", `{"error":{"message":"slow down"}}`), contentType: "application/json", status: 429},
		"events":    {answer: mock.SSE("data: {\"type\":\"transcript.text.delta\",\"delta\":\"a\"}\n\n"), contentType: "application/json", status: 502},
	} {
		t.Run(name, func(t *testing.T) {
			up.Forget()
			up.Answer(tc.answer)
			asked := transcribe("mine", fieldOf("language", "en")+fieldOf("timestamp_granularities[]", "word")+fieldOf("timestamp_granularities[]", "segment"), "ID3\x00\xff")
			res, answer := g.postForm(t, transcriptions, "key-a", formOf, asked)
			if status := max(200, tc.status); res.StatusCode != status || status == 200 && answer != tc.want || res.Header.Get("Content-Type") != tc.contentType {
				t.Errorf("the client got %d %s %q, want %d %s %q", res.StatusCode, res.Header.Get("Content-Type"), answer, status, tc.contentType, tc.want)
			}
			last := up.Last()
			want := "[model()=theirs language()=en timestamp_granularities[]()=word timestamp_granularities[]()=segment file(a.mp3)=ID3\x00\xff]"
			if got := fmt.Sprint(partsOf(t, last)); last.URI != transcriptions || got != want || last.Header.Get("Authorization") != "Bearer sk-upstream-key" {
				t.Errorf("the upstream got %s %q, want %q", last.URI, got, want)
			}
		})
	}
	if log := g.log.String(); !strings.Contains(log, `"endpoint":"/v1/audio/transcriptions"`) || !strings.Contains(log, `"prompt_tokens":14,"completion_tokens":45`) {
		t.Errorf("the log is %s", log)
	}
}

// TestTranscriptionsAreRefused: what a client may not do in JSON, it may not do in a form.
func TestTranscriptionsAreRefused(t *testing.T) {
	up := mock.Start(t, mock.JSON(`{"text":"a"}`))
	g := passedGateway(t, up)
	for name, tc := range map[string]struct {
		key, form string
		status    int
		says      string
	}{
		"a model that can't":            {"key-a", transcribe("claude", "", "x"), 400, "these can: mine, several"},
		"a model that the key may not":  {"key-b", transcribe("mine", "", "x"), 403, "may not use the model 'mine'"},
		"a model that isn't there":      {"key-a", transcribe("theirs", "", "x"), 400, "Model 'theirs' not found"},
		"no key":                        {"", transcribe("mine", "", "x"), 401, "key"},
		"two models":                    {"key-a", transcribe("mine", fieldOf("model", "theirs"), "x"), 400, "second field"},
		"a model in capitals":           {"key-a", transcribe("mine", fieldOf("MODEL", "theirs"), "x"), 400, "some servers read"},
		"a list of models":              {"key-a", transcribe("mine", fieldOf("model[]", "theirs"), "x"), 400, "some servers read"},
		"a stream in capitals":          {"key-a", transcribe("mine", fieldOf("Stream", "true"), "x"), 400, "some servers read"},
		"another model at the upstream": {"key-a", transcribe("mine", fieldOf("Fallbacks", "x"), "x"), 403, "fallbacks"},
		"no file":                       {"key-a", fieldOf("model", "mine") + "--b--\r\n", 400, "file"},
		"half a form":                   {"key-a", strings.TrimSuffix(transcribe("mine", "", "x"), "\r\n--b--\r\n"), 400, "no end"},
		"no form":                       {"key-a", "{}", 400, "not a form"},
		"nothing":                       {"key-a", "", 400, "no body"},
	} {
		t.Run(name, func(t *testing.T) {
			res, answer := g.postForm(t, transcriptions, tc.key, formOf, tc.form)
			if res.StatusCode != tc.status || !strings.Contains(answer, tc.says) {
				t.Errorf("the client got %d %s, want a %d with %q", res.StatusCode, answer, tc.status, tc.says)
			}
		})
	}
	for _, contentType := range []string{"application/json", "multipart/form-data", "multipart/mixed; boundary=b", "application/x-www-form-urlencoded"} {
		if res, answer := g.postForm(t, transcriptions, "key-a", contentType, transcribe("mine", "", "x")); res.StatusCode != 415 {
			t.Errorf("%s: the client got %d %s", contentType, res.StatusCode, answer)
		}
	}
	if res, answer := g.postForm(t, "/v1/rerank", "key-a", formOf, transcribe("mine", "", "x")); res.StatusCode != 415 {
		t.Errorf("a form where JSON is wanted: the client got %d %s", res.StatusCode, answer)
	}
	r, _ := http.NewRequest("POST", g.URL+transcriptions, strings.NewReader(transcribe("mine", "", "x")))
	r.Header.Set("Content-Type", formOf)
	r.Header.Set("Authorization", "Bearer key-a")
	r.Header.Set("Origin", "https://evil.example") // a page may send a form without asking first
	res, err := g.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 403 {
		t.Errorf("a form of a foreign page gets %d", res.StatusCode)
	}
	if n := len(up.Requests()); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// TestTranscriptionsFailOver: the form is sent to the next target, too, with its model.
func TestTranscriptionsFailOver(t *testing.T) {
	up := mock.Start(t, func(x *mock.Exchange) {
		if strings.HasPrefix(x.URI, "/v1/") {
			mock.Status(503)(x)
			return
		}
		mock.JSON(`{"text":"Hello"}`)(x)
	})
	g := passedGateway(t, up)
	res, answer := g.postForm(t, transcriptions, "key-a", formOf, transcribe("several", "", "ID3"))
	if res.StatusCode != 200 || answer != `{"text":"Hello"}` {
		t.Errorf("the client got %d %s", res.StatusCode, answer)
	}
	if got := fmt.Sprint(partsOf(t, up.Last())); got != "[model()=other file(a.mp3)=ID3]" {
		t.Errorf("the last target got %s", got)
	}
}

// TestTranscriptionsAreWholeOrAnError cuts an answer at every byte, and its request.
func TestTranscriptionsAreWholeOrAnError(t *testing.T) {
	const body = `{"text":"Hello there"}`
	up := mock.Start(t, nil)
	g := passedGateway(t, up)
	for cut := range len(body) + 1 {
		up.Answer(mock.Raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body)) + body[:cut]))
		res, answer := g.postForm(t, transcriptions, "key-a", formOf, transcribe("mine", "", "x"))
		if want := map[bool]int{true: 200, false: 502}[cut == len(body)]; res.StatusCode != want {
			t.Errorf("cut at %d of %d: %d %s", cut, len(body), res.StatusCode, answer)
		}
	}
	up.Forget()
	up.Answer(mock.JSON(body))
	asked := transcribe("mine", fieldOf("language", "en"), "ID3")
	for cut := range len(asked) - len("\r\n") {
		if res, answer := g.postForm(t, transcriptions, "key-a", formOf, asked[:cut]); res.StatusCode != 400 {
			t.Errorf("the request cut at %d of %d: %d %s", cut, len(asked), res.StatusCode, answer)
		}
	}
	if n := len(up.Requests()); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// TestLargeTranscriptions: a file of 25 MB is held once, never enters the adapter, and reaches
// the provider as it is.
func TestLargeTranscriptions(t *testing.T) {
	const most = 32 << 20
	file := bytes.Repeat([]byte("\x00\xff--b\r\n-"), 25_000_000/8)
	var g *gateway
	held := int64(0)
	up := mock.Start(t, func(x *mock.Exchange) {
		held = g.host.Held("oa")[0]
		mock.JSON(`{"text":"Hello"}`)(x)
	})
	memory := openGuestMemory(t)
	g = newGateway(t, fmt.Sprintf(`
providers: {oa: {plugin: openai, base_url: "%s/v1", limits: {memory: %d}}}
model_mapping: {m: {provider: oa, model: whisper-1}}
server: {port: 9100}
`, up.URL, guestLimit))
	res, answer := g.postForm(t, transcriptions, "", formOf, transcribe("m", "", string(file)))
	if res.StatusCode != 200 || answer != `{"text":"Hello"}` {
		t.Fatalf("the client got %d %.300s", res.StatusCode, answer)
	}
	if parts := partsOf(t, up.Last()); len(parts) != 2 || parts[1] != "file(a.mp3)="+string(file) {
		t.Errorf("the upstream got %d parts, and another file", len(parts))
	}
	t.Logf("held: %d bytes for a file of %d", held, len(file))
	if held > most {
		t.Errorf("%d MiB were held while the upstream had the file", held>>20)
	}
	if n := len(memory.snapshot(t)); n > 8<<20 {
		t.Errorf("the adapter's instances have %d MiB", n>>20)
	}
	nothingHeld(t, g, "oa")
}
