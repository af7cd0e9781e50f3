package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// repeating is an upstream in OpenAI's dialect that repeats the key it was sent
// in every way it can.
func repeating(x *mock.Exchange) {
	key := strings.TrimPrefix(x.Header.Get("Authorization"), "Bearer ")
	x.Set("X-Request-Id", "for "+key)
	x.Set("Set-Cookie", "session=1")
	text := key + " and " + base64.StdEncoding.EncodeToString([]byte(key))
	mock.SSE(": working\n\n", event(text), end)(x)
}

// event is an event of OpenAI's stream that has a text.
func event(text string) string {
	return `data: {"choices":[{"index":0,"delta":{"content":"` + text + `"}}]}` + "\n\n"
}

const end = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"

func TestRecordKeepsTheSecret(t *testing.T) {
	const secret = "sk-canary-4711/+=" // with what URLs and base64 treat specially
	t.Setenv("TEST_KEY", secret)
	s := mock.Start(t, repeating)
	dir := t.TempDir()
	file := filepath.Join(dir, "kai.yaml")
	yaml := "providers: {up: {plugin: openrouter, base_url: " + s.URL + ", api_key: \"${TEST_KEY}\"}}\n" +
		"model_mapping: {m: {provider: up, model: vendor/model}}\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "testdata", "hello.txtar")
	var stdout, stderr bytes.Buffer
	record := func(request string, args ...string) int {
		stdout.Reset()
		stderr.Reset()
		args = append([]string{"plugin", "record", "--config", file, "--model", "m"}, args...)
		return run(t.Context(), args, strings.NewReader(request), &stdout, &stderr)
	}
	const request = `{"messages":[{"role":"user","content":"Is my key ` + secret + `?"}]}`
	if code := record(request, "--stream", "-o", out); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, stderr.String())
	}
	if asked := s.Last().Body; !strings.Contains(asked, `"model":"vendor/model"`) {
		t.Errorf("the upstream got %s", asked)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), "canary", "session"} {
		if strings.Contains(string(text)+stdout.String()+stderr.String(), leak) {
			t.Errorf("%q is in the transcript or the messages:\n%s", leak, text)
		}
	}
	for _, part := range []string{
		"Recorded from 127.0.0.1:", `"stream":true`, `"model":"vendor/model"`, "\n: working\n", "[redacted]",
		"POST /chat/completions\n", "FINISH 0 stop", "data: [DONE]", "-- client-response --",
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the transcript has no %q:\n%s", part, text)
		}
	}
	stdout.Reset()
	if code := run(t.Context(), []string{"plugin", "test", "openrouter", filepath.Dir(out)}, nil, &stdout, &stderr); code != exitDone {
		t.Errorf("the transcript does not pass:\n%s%s", stdout.String(), stderr.String())
	}

	// What can't be written is not asked for.
	if code := record(request, "-o", filepath.Join(file, "a.txtar")); code != exitFailed || !strings.Contains(stderr.String(), file+" is a file and no folder") {
		t.Errorf("a file for a folder: exit code %d, %s", code, stderr.String())
	}
	if code := record(`{"messages":`); code != exitUsage || !strings.Contains(stderr.String(), "the request on standard input") {
		t.Errorf("a broken request: exit code %d, %s", code, stderr.String())
	}
	s.Close()
	if code := record(request); code != exitFailed || !strings.Contains(stderr.String(), "kai plugin record: ") || strings.Contains(stderr.String(), "canary") {
		t.Errorf("an upstream that is gone: exit code %d, %s", code, stderr.String())
	}
}

// TestRecordWhateverComes records answers of every sort from an upstream that
// knows a key with all that JSON escapes in it.
func TestRecordWhateverComes(t *testing.T) {
	const secret = `sk-"canary\47/11`
	t.Setenv("TEST_KEY", secret)
	up := mock.Start(t, nil)
	dir := t.TempDir()
	file := filepath.Join(dir, "kai.yaml")
	yaml := "providers: {up: {plugin: openai, base_url: " + up.URL + ", api_key: \"${TEST_KEY}\"}}\n" +
		"model_mapping: {m: {provider: up, model: vendor/model}, other: {provider: demo, model: m}, open/*: {provider: demo, model: \"*\"}, open/in/*: {provider: up, model: \"of-*\"},\n" +
		" routed: {targets: [{provider: demo, model: n, tier: 2}, {alias: inner, tier: 1}]}, inner: {targets: [{provider: up, model: first, options: {project: p}}, {provider: demo, model: n}]}}\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := func(content string) mock.Answer {
		return mock.JSON(`{"choices":[{"index":0,"message":{"role":"assistant","content":"` + content + `"},"finish_reason":"stop"}]}`)
	}
	breaking := func(pieces ...string) mock.Answer { return mock.Steps(mock.SSE(pieces...), mock.Cut) }
	for name, tc := range map[string]struct {
		request string // default: one that says nothing of the key
		args    []string
		answer  mock.Answer
		want    string // in the transcript, or in the error
		told    string // on standard error, beside a transcript
		code    int
		unasked bool
	}{
		"a whole answer": {answer: whole("Hi"), want: "TEXT 0 \"Hi\"\n"},
		"the model of the request": {
			request: `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`, answer: whole("Hi"), want: `{"model":"vendor/model",`,
		},
		"--model goes before the request's": {
			request: `{"model":"other","messages":[{"role":"user","content":"Hi"}]}`, args: []string{"--model", "m"}, answer: whole("Hi"),
			want: `{"model":"vendor/model",`,
		},
		"a model that is not configured": {
			request: `{"model":"nobody","messages":[{"role":"user","content":"Hi"}]}`, unasked: true, code: exitUsage,
			want: `the model "nobody" is not in the configuration, which has m, other, open/*, open/in/*, routed, inner`,
		},
		"a name that an alias with * stands for": {
			request: `{"model":"open/in/x","messages":[{"role":"user","content":"Hi"}]}`, answer: whole("Hi"), want: `{"model":"of-x",`,
		},
		"the first of several targets": {
			request: `{"model":"routed","messages":[{"role":"user","content":"Hi"}]}`, answer: whole("Hi"), want: `{"model":"first",`,
		},
		"an error":                {answer: mock.Whole(404, "application/json", `{"error":{"message":"no such model"}}`), want: "HTTP/1.1 404 Not Found\n"},
		"an error that is a page": {answer: mock.Whole(502, "text/html", "<html></html>"), want: "<html></html>\n-- emissions --\n-- client-response --\nHTTP 502\n"},
		"a refused key":           {answer: mock.Whole(401, "application/json", `{"error":{"message":"bad key sk-\"canary\\47/11"}}`), want: "bad key [redacted]"},
		"the key in the request":  {request: `{"model":"m","messages":[{"role":"user","content":"sk-\"canary\\47\/11 sk-\"canary\\47/11"}]}`, answer: whole("Hi"), want: `"[redacted] [redacted]"`},
		"the key in hexadecimal":  {answer: whole("736b2d2263616e6172795c34372f3131"), want: `"[redacted]"`},
		"an answer that breaks off": {
			answer: mock.Steps(mock.Header("Content-Length", "100"), mock.Stream("", `{"choices":[`), mock.Cut),
			want:   "\nkai-end: cut in a line\n\n{\"choices\":[\n-- emissions --\n-- client-response --\nHTTP 502\n",
			told:   "kai: the answer broke off: Provider 'up' closed the connection before its answer was complete (unexpected EOF); the transcript has what came, and replays the break (kai-end: cut)\n",
		},
		"a stream that breaks off": {
			args: []string{"--stream"}, answer: breaking(event("Hel"), event("lo")),
			want: "content-type: text/event-stream\nkai-end: cut\n\n" + event("Hel") + event("lo") + "-- emissions --\nTEXT 0 \"Hel\"\n\nTEXT 0 \"lo\"\n-- client-response --\nHTTP 200\n",
			told: "kai: the answer broke off: ",
		},
		"a stream that breaks off in an event": {
			args: []string{"--stream"}, answer: breaking(event("Hel"), `data: {"choices":[{"ind`),
			want: "kai-end: cut in a line\n\n" + event("Hel") + "data: {\"choices\":[{\"ind\n-- emissions --\nTEXT 0 \"Hel\"\n-- client-response",
			told: "kai: the answer broke off: ",
		},
		"a stream that breaks off in the key": {
			args: []string{"--stream"}, answer: breaking(event("Hel"), `data: {"choices":[{"index":0,"delta":{"content":"sk-\"canary\\47`),
			want: `"content":"[redacted]` + "\n", told: "kai: the answer broke off: ",
		},
		"a stream that breaks off before its first byte": {
			args: []string{"--stream"}, answer: breaking(""), want: "kai-end: cut\n\n", told: "kai: the answer broke off: ",
		},
		"a stream that falls silent": {
			args:   []string{"--stream", "--timeout", "1s"},
			answer: mock.Steps(mock.SSE(event("Hel")), mock.Hang),
			want:   "kai-end: cut\n\n" + event("Hel") + "-- emissions --\nTEXT 0 \"Hel\"\n",
			told:   "kai: the answer broke off: Provider 'up' stopped answering in the middle of its answer (no data after 1s); ",
		},
		"an upstream that doesn't answer": {
			args:   []string{"--timeout", "1s"},
			answer: mock.Hang,
			want:   "Provider 'up' did not answer within 1s (timeouts.first_byte) (no answer after 1s)", code: exitFailed,
		},
		"an upstream that hangs up": {
			answer: mock.Cut,
			want:   "Provider 'up' closed the connection without an answer. Should its base_url start with https://? (", code: exitFailed,
		},
		"a web page": {answer: mock.Whole(200, "text/html", "<html></html>"), want: "HTTP/1.1 200 OK\ncontent-type: text/html\n\n<html></html>\n"},
		"lines for server-sent events": {
			args:   []string{"--stream"},
			answer: mock.NDJSON(`{"choices":[]}` + "\n" + `{"choices":[]}` + "\n"),
			want:   "x-ndjson", told: "kai: warning: it says SSE, but the answer looks like NDJSON, a JSON value in each line (it begins with {\"choices\":[]}): state the framing NDJSON",
		},
		"the key in pieces": {
			args: []string{"--stream"}, code: exitFailed, want: "the answer repeats the provider's key, in pieces",
			answer: mock.SSE(event(`It is sk-`), event(`\"canary`), event(`\\47/11`), end),
		},
	} {
		t.Run(name, func(t *testing.T) {
			up.Forget()
			up.Answer(tc.answer)
			request := tc.request
			if request == "" {
				request = `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`
			}
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"plugin", "record", "--config", file}, tc.args...), strings.NewReader(request), &stdout, &stderr)
			if code != tc.code {
				t.Errorf("exit code %d, want %d\n%s", code, tc.code, stderr.String())
			}
			got := stdout.String()
			if code != exitDone {
				got = stderr.String()
			}
			if !strings.Contains(got, tc.want) {
				t.Errorf("there is no %q in\n%s", tc.want, got)
			}
			if code == exitDone && !strings.HasPrefix(stderr.String(), tc.told) {
				t.Errorf("it says %q, want %q", stderr.String(), tc.told)
			}
			if both := stdout.String() + stderr.String(); strings.Contains(both, "canary") || strings.Contains(both, "63616e617279") {
				t.Errorf("the key is in\n%s", both)
			}
			if asked := len(up.Requests()); (asked == 0) != tc.unasked {
				t.Errorf("the upstream was asked %d times", asked)
			}
		})
	}
}
