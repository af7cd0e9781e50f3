package upstream

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/internal/testkit/wire"
	"github.com/kai-gateway/kai/sdk/abi"
)

// TestWebPages: what a client is told of a page, by its status, and whether it may
// repeat.
func TestWebPages(t *testing.T) {
	for status, want := range map[string]fault.Error{
		"200 OK":                  {Kind: fault.Upstream, Code: "upstream_error", NoRetry: true, Text: "with status 200 instead of an API answer. Is its base_url right? Usually it is https://usual.example/v1."},
		"400 Bad Request":         {Kind: fault.Upstream, Code: "upstream_error", NoRetry: true, Text: "a proxy or a firewall, refused the request"},
		"401 Unauthorized":        {Kind: fault.Upstream, Code: "upstream_error", NoRetry: true, Text: "asks for credentials"},
		"403 Forbidden":           {Kind: fault.Upstream, Code: "upstream_error", NoRetry: true, Text: "a proxy or a firewall, refused the request"},
		"404 Not Found":           {Kind: fault.Upstream, Code: "upstream_error", NoRetry: true, Text: "Is its base_url right?"},
		"413 Too Large":           {Kind: fault.Context, OwnStatus: 413, Code: "request_too_large", Text: "too large for something in front of it"},
		"429 Too Many Requests":   {Kind: fault.Rate, Code: "rate_limit_exceeded", RetryAfter: 90 * time.Second, Text: "limits the requests"},
		"502 Bad Gateway":         {Kind: fault.Upstream, Code: "upstream_error", RetryAfter: 90 * time.Second, Text: "is not working"},
		"503 Service Unavailable": {Kind: fault.Upstream, Code: "upstream_error", RetryAfter: 90 * time.Second, Text: "is not working"},
		"504 Gateway Timeout":     {Kind: fault.Slow, Code: "upstream_timeout", RetryAfter: 90 * time.Second, Text: "no answer in time"},
		"524 A Timeout Occurred":  {Kind: fault.Slow, Code: "upstream_timeout", RetryAfter: 90 * time.Second, Text: "no answer in time"},
	} {
		for _, media := range []string{"text/html", "application/json", ""} {
			head := "HTTP/1.1 " + status + "\r\nRetry-After: Sat, 28 Nov 2026 10:01:30 GMT\r\n"
			if media != "" {
				head += "Content-Type: " + media + "\r\n"
			}
			s := wire.Start(t, wire.Answers(head+wire.Sized("\n<!DOCTYPE html><html><head><title>Just a moment</title>")))
			for _, asked := range []abi.Framing{abi.Whole, abi.SSE, abi.NDJSON} {
				c, err := New(Options{Provider: "up", BaseURL: s.URL, Usual: "https://usual.example/v1", Now: func() time.Time { return time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC) }})
				if err != nil {
					t.Fatal(err)
				}
				got, ok := errors.AsType[*fault.Error](run(c, post(asked)).err)
				c.Close()
				if !ok {
					t.Fatalf("%s called %q: no *fault.Error", status, media)
				}
				if got.Kind != want.Kind || got.OwnStatus != want.OwnStatus || got.Code != want.Code || got.NoRetry != want.NoRetry || got.RetryAfter != want.RetryAfter {
					t.Errorf("%s called %q: error = %+v, want %+v", status, media, *got, want)
				}
				if number, _, _ := strings.Cut(status, " "); !strings.Contains(got.Text, "'up' sent a web page with status "+number) || !strings.Contains(got.Text, want.Text) {
					t.Errorf("%s called %q: message = %q", status, media, got.Text)
				}
				if !strings.Contains(got.Cause.Error(), `title "Just a moment"`) {
					t.Errorf("%s called %q: the log says %v", status, media, got.Cause)
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
		if e.HTTPStatus() != 502 || e.Code != "upstream_error" || !e.NoRetry || !strings.Contains(e.Text, want.message) {
			t.Errorf("to %q: error = %+v, want a message with %q", location, *e, want.message)
		}
		if !strings.Contains(e.Cause.Error(), want.log) {
			t.Errorf("to %q: the log says %v, want %q in it", location, e.Cause, want.log)
		}
		for _, secret := range []string{"pw", "client_id", "sk-not"} {
			if strings.Contains(e.Error(), secret) {
				t.Errorf("to %q: %q tells %q", location, e.Error(), secret)
			}
		}
	}
}
