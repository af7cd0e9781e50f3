package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// repeating is an upstream in OpenAI's dialect that repeats the key it was sent
// in every way it can.
func repeating(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		w.Header().Set("X-Request-Id", "for "+key)
		w.Header().Set("Set-Cookie", "session=1")
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, ": working\n\n")
		text := key + " and " + base64.StdEncoding.EncodeToString([]byte(key))
		io.WriteString(w, `data: {"choices":[{"index":0,"delta":{"content":"`+text+`"}}]}`+"\n\n")
		io.WriteString(w, `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
		if !bytes.Contains(body, []byte(`"model":"vendor/model"`)) {
			t.Errorf("the upstream got %s", body)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestRecordKeepsTheSecret(t *testing.T) {
	const secret = "sk-canary-4711/+=" // with what URLs and base64 treat specially
	t.Setenv("TEST_KEY", secret)
	s := repeating(t)
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

	if code := record(request, "-o", out); code != exitFailed || !strings.Contains(stderr.String(), "is there already") {
		t.Errorf("a second recording: exit code %d, %s", code, stderr.String())
	}
	if code := record(`{"messages":`); code != exitFailed || !strings.Contains(stderr.String(), "the request on standard input") {
		t.Errorf("a broken request: exit code %d, %s", code, stderr.String())
	}
	s.Close()
	if code := record(request); code != exitFailed || !strings.Contains(stderr.String(), "kai plugin record: ") || strings.Contains(stderr.String(), "canary") {
		t.Errorf("an upstream that is gone: exit code %d, %s", code, stderr.String())
	}
}
