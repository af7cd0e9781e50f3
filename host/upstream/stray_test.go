package upstream

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// TestWebPages: what a client is told of a page, by its status, and whether it may
// repeat.
func TestWebPages(t *testing.T) {
	for status, want := range map[string]sdk.Error{
		"200 OK":                  {Status: 502, Type: sdk.ServerError, Code: "upstream_error", NoRetry: true, Message: "with status 200 instead of an API answer. Is its base_url right? Usually it is https://usual.example/v1."},
		"400 Bad Request":         {Status: 502, Type: sdk.ServerError, Code: "upstream_error", NoRetry: true, Message: "a proxy or a firewall, refused the request"},
		"401 Unauthorized":        {Status: 502, Type: sdk.ServerError, Code: "upstream_error", NoRetry: true, Message: "asks for credentials"},
		"403 Forbidden":           {Status: 502, Type: sdk.ServerError, Code: "upstream_error", NoRetry: true, Message: "a proxy or a firewall, refused the request"},
		"404 Not Found":           {Status: 502, Type: sdk.ServerError, Code: "upstream_error", NoRetry: true, Message: "Is its base_url right?"},
		"413 Too Large":           {Status: 413, Type: sdk.InvalidRequest, Code: "request_too_large", Message: "too large for something in front of it"},
		"429 Too Many Requests":   {Status: 429, Type: sdk.RateLimitError, Code: "rate_limit_exceeded", RetryAfterMS: 90_000, Message: "limits the requests"},
		"502 Bad Gateway":         {Status: 502, Type: sdk.ServerError, Code: "upstream_error", RetryAfterMS: 90_000, Message: "is not working"},
		"503 Service Unavailable": {Status: 502, Type: sdk.ServerError, Code: "upstream_error", RetryAfterMS: 90_000, Message: "is not working"},
		"504 Gateway Timeout":     {Status: 504, Type: sdk.ServerError, Code: "upstream_timeout", RetryAfterMS: 90_000, Message: "no answer in time"},
		"524 A Timeout Occurred":  {Status: 504, Type: sdk.ServerError, Code: "upstream_timeout", RetryAfterMS: 90_000, Message: "no answer in time"},
	} {
		for _, media := range []string{"text/html", "application/json", ""} {
			head := "HTTP/1.1 " + status + "\r\nRetry-After: Sat, 28 Nov 2026 10:01:30 GMT\r\n"
			if media != "" {
				head += "Content-Type: " + media + "\r\n"
			}
			s := startServer(t, answers(head+sized("\n<!DOCTYPE html><html><head><title>Just a moment</title>")))
			for _, asked := range []abi.Framing{abi.Whole, abi.SSE, abi.NDJSON} {
				c, err := New(Options{Provider: "up", BaseURL: s.url, Usual: "https://usual.example/v1", Now: func() time.Time { return time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC) }})
				if err != nil {
					t.Fatal(err)
				}
				got, ok := errors.AsType[*sdk.Error](run(c, post(asked)).err)
				c.Close()
				if !ok {
					t.Fatalf("%s called %q: no *sdk.Error", status, media)
				}
				if got.Status != want.Status || got.Type != want.Type || got.Code != want.Code || got.NoRetry != want.NoRetry || got.RetryAfterMS != want.RetryAfterMS {
					t.Errorf("%s called %q: error = %+v, want %+v", status, media, *got, want)
				}
				if number, _, _ := strings.Cut(status, " "); !strings.Contains(got.Message, "'up' sent a web page with status "+number) || !strings.Contains(got.Message, want.Message) {
					t.Errorf("%s called %q: message = %q", status, media, got.Message)
				}
				if !strings.Contains(got.Err.Error(), `title "Just a moment"`) {
					t.Errorf("%s called %q: the log says %v", status, media, got.Err)
				}
			}
		}
	}
}

func TestRedirects(t *testing.T) {
	c, err := New(Options{Provider: "up", BaseURL: "http://llm.example/v1", Secret: Secret{Header: "Authorization", Value: "Bearer sk-not-a-real-key"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for location, want := range map[string]struct{ message, log string }{
		"":                            {"status 308, which Kai does not follow. Correct its base_url.", `location ""`},
		"https://moved.invalid/v1/":   {"status 308 to https://moved.invalid/v1/, which", `"https://moved.invalid/v1/"`},
		"https://u:pw@moved.invalid/": {"to https://moved.invalid/, which", `"https://moved.invalid/"`},
		"https://login.example/authorize?client_id=abc&state=xyz#f": {"to https://login.example/authorize, which", `"https://login.example/authorize"`},
		"https://llm.example/v1/chat/completions":                   {"to the same place by https, which Kai does not follow. Its base_url must begin with https://.", `"https://llm.example/v1/chat/completions"`},
		"/v2/chat":                                          {"to /v2/chat of the same server, which", `"http://llm.example/v2/chat"`},
		"https://10.1.2.3/v1":                               {"to another server, which Kai's log names, which", `"https://10.1.2.3/v1"`},
		"http://vllm:8000/v1":                               {"to another server, which Kai's log names, which", `"http://vllm:8000/v1"`},
		"http://llm.corp/v1":                                {"to another server", `"http://llm.corp/v1"`},
		"https://moved.invalid/sk-not-a-real-key":           {"to https://moved.invalid/[redacted], which", `"https://moved.invalid/[redacted]"`},
		"https://moved.invalid/" + strings.Repeat("a", 200): {"/" + strings.Repeat("a", 99) + "…, which", "aaa"},
		"http://[":                                          {"status 308, which", "unreadable"},
		"javascript:alert(1)":                               {"status 308, which", "unreadable"},
	} {
		r := &Response{Status: 308, client: c, header: map[string][]string{"Location": {location}}}
		e := c.redirected(r)
		if e.Status != 502 || e.Code != "upstream_error" || !e.NoRetry || !strings.Contains(e.Message, want.message) {
			t.Errorf("to %q: error = %+v, want a message with %q", location, *e, want.message)
		}
		if !strings.Contains(e.Err.Error(), want.log) {
			t.Errorf("to %q: the log says %v, want %q in it", location, e.Err, want.log)
		}
		for _, secret := range []string{"pw", "client_id", "sk-not"} {
			if strings.Contains(e.Error(), secret) {
				t.Errorf("to %q: %q tells %q", location, e.Error(), secret)
			}
		}
	}
}
