package exchange

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
)

var framingNames = map[abi.Framing]string{abi.Whole: "whole", abi.SSE: "SSE", abi.NDJSON: "NDJSON"}

// result writes what Look gave.
func result(f Form, framing abi.Framing) string {
	if f == Events {
		return framingNames[framing]
	}
	return f.String()
}

// TestForms: every framing that can be asked for, under every content type, with
// every kind of body, read at once and byte by byte.
func TestForms(t *testing.T) {
	labels := []string{
		"", "application/json; charset=utf-8", "application/problem+json", "text/event-stream", "application/x-ndjson",
		"text/html; charset=utf-8", "text/plain", "application/json, application/json", "Text/Event-Stream;a=b, text/event-stream",
	}
	// what is a function of asked and the media type; a constant where bytes decide.
	always := func(form string) func(abi.Framing, string) string {
		return func(abi.Framing, string) string { return form }
	}
	oneLine := func(asked abi.Framing, media string) string {
		if asked != abi.Whole && media == "application/x-ndjson" {
			return "NDJSON"
		}
		return "whole"
	}
	text := func(asked abi.Framing, media string) string {
		switch {
		case media == "text/html":
			return "a web page"
		case media == "text/event-stream", media == "" && asked == abi.SSE:
			return "SSE"
		case media == "application/x-ndjson" && asked != abi.Whole:
			return "NDJSON"
		}
		return "whole"
	}
	nothing := func(asked abi.Framing, media string) string {
		switch {
		case media == "text/html":
			return "a web page"
		case asked == abi.Whole || isJSON(media):
			return "whole"
		}
		return framingNames[asked]
	}
	for body, want := range map[string]func(asked abi.Framing, media string) string{
		"<html>":                         always("a web page"),
		"\r\n <!DOCTYPE html>":           always("a web page"),
		"\ufeff<?xml version='1.0'?>":    always("a web page"),
		"data: {}\n\n":                   always("SSE"),
		"data:1":                         always("SSE"),
		": waiting\n\ndata: 1\n\n":       always("SSE"),
		"\nevent: a\ndata: 1\n\n":        always("SSE"),
		"\ufeffid: 1\r\ndata: 1\r\n\r\n": always("SSE"),
		"retry: 5\rdata: 1\r\r":          always("SSE"),
		"{}\ndata: 1\n\n": func(asked abi.Framing, media string) string {
			if oneLine(asked, media) == "NDJSON" {
				return "NDJSON" // the second line would have come too late
			}
			return "SSE"
		},
		`{"a":1}`:                      oneLine,
		"\ufeff\n\n {\"a\":1}\r\n\r\n": oneLine,
		"null":                         oneLine,
		"[]\n":                         oneLine,
		`"text"`:                       oneLine,
		"{\n \"a\": 1\n}\n":            always("whole"),
		"[{\n\"a\":1}\n,\n{}]":         always("whole"),
		`{"a":`:                        always("whole"),
		`{"a":1}x`:                     always("whole"),
		"{\"a\":1}\nx":                 oneLine,
		"{\"a\":1}\n{}":                always("NDJSON"),
		"\r\n{}\r\n\r\n[1]\r\n":        always("NDJSON"),
		"1\n2\n":                       always("NDJSON"),
		"Service is starting":          text,
		"not yet":                      text, // begins as null does
		"12 o'clock\n{}":               text,
		"dat":                          text, // nearly an event
		"error code: 1020":             text,
		"\xff\xfe":                     text,
		"\xef\xbb":                     text,
		"":                             nothing,
		" \r\n":                        nothing,
		"\ufeff":                       nothing,
	} {
		for _, asked := range []abi.Framing{abi.Whole, abi.SSE, abi.NDJSON} {
			for _, label := range labels {
				want := want(asked, MediaType(label))
				at := fmt.Sprintf("%s asked, %q called %q", framingNames[asked], body, label)
				whole := Answer{Asked: asked, Status: 200, ContentType: label}
				if got := result(whole.Look([]byte(body), true)); got != want {
					t.Errorf("%s: %s, want %s", at, got, want)
				}
				if got := byByte(asked, 200, label, body); got != want {
					t.Errorf("%s, byte by byte: %s, want %s", at, got, want)
				}
			}
		}
	}
}

// byByte returns the first decision about a body that comes slowly.
func byByte(asked abi.Framing, status int, label, body string) string {
	a := Answer{Asked: asked, Status: status, ContentType: label}
	for n := range len(body) + 1 {
		if form, framing := a.Look([]byte(body[:n]), false); form != Undecided {
			return result(form, framing)
		}
	}
	return result(a.Look([]byte(body), true))
}

// TestLookReadsWhiteSpaceOnce: an upstream that sends nothing else for a while must
// not have all of it read again with each byte. What was looked at is overwritten
// here, as no caller may.
func TestLookReadsWhiteSpaceOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		begin, end string // of a body with white space between them
		overwrite  int    // from this on
		want       string
	}{
		"before the first value":     {"", "data: 1", 0, "SSE"},
		"behind a mark":              {"\ufeff", "data: 1", 3, "SSE"},
		"between the first and next": {"{}\n", "{}", 3, "NDJSON"},
	} {
		t.Run(name, func(t *testing.T) {
			a := Answer{Asked: abi.SSE, Status: 200}
			body := []byte(tc.begin + "  \r\n\t \n")
			for n := range len(body) + 1 {
				if form, _ := a.Look(body[:n], false); form != Undecided {
					t.Fatalf("%s after %q", form, body[:n])
				}
			}
			for i := range body[tc.overwrite:] {
				body[tc.overwrite+i] = '<'
			}
			if got := result(a.Look(append(body, tc.end...), true)); got != tc.want {
				t.Errorf("%s, want %s: what was read before was read again", got, tc.want)
			}
		})
	}
}

// TestFormsOfOtherStatuses: nothing but a page or a redirect keeps an answer that
// is no success from the adapter.
func TestFormsOfOtherStatuses(t *testing.T) {
	for name, tc := range map[string]struct {
		status            int
		label, body, want string
	}{
		"JSON":                           {400, "application/json", `{"error":"no"}`, "whole"},
		"JSON called HTML":               {400, "text/html", `{"error":"no"}`, "whole"},
		"an event":                       {400, "text/event-stream", "data: {}\n\n", "whole"},
		"lines":                          {500, "application/x-ndjson", "{}\n{}\n", "whole"},
		"text":                           {503, "text/plain", "no healthy upstream", "whole"},
		"text called HTML":               {500, "text/html", "Model is not loaded", "whole"},
		"nothing":                        {403, "", "", "whole"},
		"white space":                    {403, "text/plain", "\n", "whole"},
		"nothing, called HTML":           {403, "text/html", "", "a web page"},
		"a page":                         {403, "text/html", "<!DOCTYPE html>", "a web page"},
		"a page called JSON":             {503, "application/json", "\n<html>", "a web page"},
		"a redirect":                     {307, "", "", "a redirect"},
		"a redirect with a page":         {302, "text/html", "<html>", "a redirect"},
		"a redirect with JSON":           {308, "application/json", "{}", "a redirect"},
		"a status of which nobody knows": {600, "", "{}", "whole"},
	} {
		for _, asked := range []abi.Framing{abi.Whole, abi.SSE, abi.NDJSON} {
			a := Answer{Asked: asked, Status: tc.status, ContentType: tc.label}
			if got := result(a.Look([]byte(tc.body), true)); got != tc.want {
				t.Errorf("%s, %s asked: %s, want %s", name, framingNames[asked], got, tc.want)
			}
			if got := byByte(asked, tc.status, tc.label, tc.body); got != tc.want {
				t.Errorf("%s, %s asked, byte by byte: %s, want %s", name, framingNames[asked], got, tc.want)
			}
		}
	}
}

// TestFirstBytesAreEnough: a stream is known by its first line, or the start of
// its second, and a page by a byte: nothing waits for the rest of it.
func TestFirstBytesAreEnough(t *testing.T) {
	for name, tc := range map[string]struct {
		asked        abi.Framing
		status       int
		label, begin string
		want         string
	}{
		"an event stream":                 {abi.SSE, 200, "text/event-stream", "data:", "SSE"},
		"its comment":                     {abi.SSE, 200, "text/event-stream", ":", "SSE"},
		"events for a whole answer":       {abi.Whole, 200, "application/json", "event:", "SSE"},
		"nearly":                          {abi.SSE, 200, "text/event-stream", "dat", "undecided"},
		"announced lines":                 {abi.NDJSON, 200, "application/x-ndjson", "{}\n", "NDJSON"},
		"announced lines, half of one":    {abi.NDJSON, 200, "application/x-ndjson", `{"a":1}`, "undecided"},
		"lines for events":                {abi.SSE, 200, "application/x-ndjson", "{}\n", "NDJSON"},
		"lines of another name":           {abi.NDJSON, 200, "application/json", "{}\n", "undecided"},
		"the second line of another name": {abi.NDJSON, 200, "application/json", "{}\n{", "NDJSON"},
		"JSON over lines":                 {abi.NDJSON, 200, "application/json", "{\n ", "undecided"},
		"JSON over lines, its second":     {abi.NDJSON, 200, "application/json", "{\n \"", "whole"},
		"a page":                          {abi.SSE, 200, "text/event-stream", "<", "a web page"},
		"an error":                        {abi.SSE, 500, "", "{", "whole"},
		"a redirect":                      {abi.SSE, 301, "", "", "a redirect"},
		"nothing yet":                     {abi.SSE, 200, "text/event-stream", "", "undecided"},
		"half a byte order mark":          {abi.SSE, 200, "text/event-stream", "\xef\xbb", "undecided"},
	} {
		a := Answer{Asked: tc.asked, Status: tc.status, ContentType: tc.label}
		if got := result(a.Look([]byte(tc.begin), false)); got != tc.want {
			t.Errorf("%s: %q is %s, want %s", name, tc.begin, got, tc.want)
		}
	}
}

func TestBody(t *testing.T) {
	for name, tc := range map[string]struct {
		status     int
		body, want string
	}{
		"a success is as it came":       {200, "data: {}\n\n", "data: {}\n\n"},
		"but for a byte order mark":     {200, "\ufeff{}", "{}"},
		"an error":                      {400, `{"error":"no"}`, `{"error":"no"}`},
		"an error with a mark":          {400, "\ufeff{}", "{}"},
		"an error as an event":          {400, "data: {\"error\":1}\n\n", `{"error":1}`},
		"with a name":                   {529, "event: error\r\ndata: {\"a\":1}\r\n\r\n", `{"a":1}`},
		"over lines":                    {400, "data: {\ndata: }\n\n", "{\n}"},
		"behind a comment, without end": {400, ": x\n\ndata:\n\ndata: {}", "{}"},
		"the first of two":              {400, "data: {}\n\ndata: [DONE]\n\n", "{}"},
		"the end mark alone":            {400, "data: [DONE]\n\n", "data: [DONE]\n\n"},
		"an error in a line":            {400, "{\"error\":1}\n", "{\"error\":1}\n"},
		"an error in the first line":    {500, "\n{\"error\":1}\n{\"done\":true}\n", `{"error":1}`},
		"an error over lines":           {500, "{\n\"error\":\n{}\n}", "{\n\"error\":\n{}\n}"},
		"text":                          {500, "data is lost", "data is lost"},
		"nothing":                       {500, "", ""},
	} {
		if got := string(Body(tc.status, []byte(tc.body))); got != tc.want {
			t.Errorf("%s: Body(%d, %q) = %q, want %q", name, tc.status, tc.body, got, tc.want)
		}
	}
}

func TestIsDone(t *testing.T) {
	for data, want := range map[string]bool{
		"[DONE]": true, " [DONE]\r": true, "": false, "[done]": false, `"[DONE]"`: false, "[DONE] ": true,
		"[DONE]" + strings.Repeat(" ", 40): false,
	} {
		if got := IsDone([]byte(data)); got != want {
			t.Errorf("IsDone(%q) = %v, want %v", data, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 28, 10, 0, 0, 500_000_000, time.UTC)
	for in, want := range map[string]string{
		"7":                                "7",
		" 2.5 ":                            "2.5",
		"Sat, 28 Nov 2026 10:01:30 GMT":    "90",
		"Saturday, 28-Nov-26 10:01:30 GMT": "90",
		"Sat Nov 28 10:01:30 2026":         "90",
		"Sat, 28 Nov 2026 10:01:30 UTC":    "90",
		"Sat, 28 Nov 2026 11:01:30 +0100":  "90",
		"2026-11-28T10:01:30Z":             "90",
		"Sat, 28 Nov 2026 10:00:00 GMT":    "0",
		"Sat, 28 Nov 2020 10:00:00 GMT":    "0",
		"soon":                             "soon",
		"":                                 "",
	} {
		got := string(Head(http.Header{"Retry-After": {in}}, now, nil))
		if got != "retry-after: "+want+"\n" {
			t.Errorf("Head of Retry-After %q = %q, want %s", in, got, want)
		}
	}
}

func TestHead(t *testing.T) {
	got := string(Head(http.Header{
		"Retry-After": {"3"}, "Set-Cookie": {"a=b"}, "X-Request-Id": {"a\tsecret\xff"}, "Ratelimit": {"b", "a"},
		"Content-Type": {strings.Repeat("x", 2*maxValue)},
	}, time.Time{}, func(s string) string { return strings.ReplaceAll(s, "secret", "…") }))
	want := "content-type: " + strings.Repeat("x", maxValue) + "\nratelimit: a\nratelimit: b\nretry-after: 3\nx-request-id: a …?\n"
	if got != want {
		t.Errorf("Head = %q, want %q", got, want)
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"7": 7 * time.Second, "0.5": 500 * time.Millisecond, "Sat, 28 Nov 2026 10:01:30 GMT": 90 * time.Second,
		"": 0, "0": 0, "-1": 0, "86401": 0, "1e400": 0, "NaN": 0, "soon": 0, "Sun, 29 Nov 2026 10:01:30 GMT": 0,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {in}}, now); got != want {
			t.Errorf("RetryAfter of %q = %v, want %v", in, got, want)
		}
	}
}

// TestBytes: what was asked for as bytes is decided by the content type, and by the first byte
// where that says nothing.
func TestBytes(t *testing.T) {
	for name, tc := range map[string]struct {
		label, body string
		status      int // 0: 200
		want        string
	}{
		"sound":                             {label: "audio/mpeg", body: "ID3\x03", want: "bytes"},
		"sound that looks like JSON":        {label: "audio/pcm", body: `{"a":1}`, want: "bytes"},
		"sound that looks like a page":      {label: "audio/pcm", body: "<html>", want: "bytes"},
		"sound that looks like events":      {label: "audio/pcm", body: "data: 1\n\n", want: "bytes"},
		"nothing that is called sound":      {label: "audio/mpeg", body: "", want: "bytes"},
		"text":                              {label: "text/plain; charset=utf-8", body: "1\n00:00:00,000", want: "bytes"},
		"text that looks like lines":        {label: "text/plain", body: "1\n2\n", want: "bytes"},
		"anything without a name":           {body: "ID3\x03", want: "bytes"},
		"JSON without a name":               {body: ` {"a":1}`, want: "whole"},
		"a page without a name":             {body: " <html>", want: "a web page"},
		"JSON":                              {label: "application/json", body: `{"a":1}`, want: "whole"},
		"JSON over several lines":           {label: "application/json", body: "{\n\"a\":1\n}", want: "whole"},
		"events":                            {label: "text/event-stream", body: "data: 1\n\n", want: "SSE"},
		"text that is called HTML":          {label: "text/html; charset=utf-8", body: "Hello", want: "bytes"},
		"a page":                            {label: "text/html", body: "<html>", want: "a web page"},
		"a redirect":                        {label: "audio/mpeg", body: "ID3", status: 302, want: "a redirect"},
		"an error that is called sound":     {label: "audio/mpeg", body: "no", status: 500, want: "whole"},
		"an error that looks like a page":   {label: "audio/mpeg", body: "<html>", status: 500, want: "a web page"},
		"no name, and nothing in it":        {body: "", want: "whole"},
		"lines, which aren't what is asked": {label: "application/x-ndjson", body: "{}\n{}\n", want: "NDJSON"},
	} {
		t.Run(name, func(t *testing.T) {
			a := Answer{Asked: abi.Bytes, Status: max(200, tc.status), ContentType: tc.label}
			if got := result(a.Look([]byte(tc.body), true)); got != tc.want {
				t.Errorf("at once, it is %s, want %s", got, tc.want)
			}
			if got := byByte(abi.Bytes, max(200, tc.status), tc.label, tc.body); got != tc.want {
				t.Errorf("byte by byte, it is %s, want %s", got, tc.want)
			}
		})
	}
}
