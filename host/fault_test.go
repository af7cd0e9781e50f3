package host_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/sse"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

const (
	ndjsonHead = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
	sseHead    = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
)

// line is one line of Ollama's stream.
func line(text string) string {
	b, _ := json.Marshal(text)
	return `{"message":{"role":"assistant","content":` + string(b) + `},"done":false}` + "\n"
}

const lastLine = `{"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}` + "\n"

// ollamaAt has the default time-outs, which no machine is too busy for.
func ollamaAt(url string) string {
	return fmt.Sprintf("providers: {ollama: {base_url: %q}}\nmodel_mapping: {m: {provider: ollama, model: m}}\n", url)
}

// impatient is a configuration of ollamaAt with time-outs that are waited for. A
// stream's head comes before them.
func impatient(yaml string) string {
	return strings.Replace(yaml, "ollama: {", "ollama: {timeouts: {first_byte: 500ms, idle: 500ms}, ", 1) + "server: {stream_head_wait: 20ms}\n"
}

const (
	streamed = `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`
	wholly   = `{"model":"m","messages":[{"role":"user","content":"hi"}]}`
)

// content gives the text of a streamed or whole answer.
func content(t testing.TB, answer string) string {
	t.Helper()
	type part struct{ Content string }
	var b strings.Builder
	for event := range strings.SplitSeq(answer, "\n\n") {
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok && strings.HasPrefix(event, "{") {
			data, ok = event, true
		}
		if !ok || data == "[DONE]" {
			continue
		}
		var chunk struct {
			Choices []struct{ Delta, Message part }
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			t.Fatalf("%v in %q", err, data)
		}
		for _, c := range chunk.Choices {
			b.WriteString(c.Delta.Content + c.Message.Content)
		}
	}
	return b.String()
}

// question is what the client of an upstream's request asked first.
func question(x *mock.Exchange) string {
	var asked struct{ Messages []struct{ Content string } }
	json.Unmarshal([]byte(x.Body), &asked)
	return asked.Messages[0].Content
}

// settle waits until the process has as few goroutines and file descriptors as
// at the beginning.
func settle(t testing.TB, goroutines, files int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		http.DefaultClient.CloseIdleConnections()
		g, f := runtime.NumGoroutine(), openFiles()
		if g <= goroutines && f <= files {
			return
		}
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Errorf("%d goroutines and %d files, %d and %d at the beginning\n%s", g, f, goroutines, files, stacks[:runtime.Stack(stacks, true)])
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

func TestUpstreamFaults(t *testing.T) {
	big := strings.Repeat("word ", 1<<21/5)
	const chunked = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunk := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
	for name, tc := range map[string]struct {
		answer    mock.Answer
		status    int    // of the whole answer; of a streamed one unless midStream
		code      string // of the error; "" is success, of a stream only
		text      string // of a successful answer
		midStream bool   // the stream's head was sent before the error
		silent    bool   // the upstream is waited for in vain
	}{
		"reset before the head":     {answer: mock.Reset, status: 502, code: "upstream_error"},
		"closed before the head":    {answer: mock.Cut, status: 502, code: "upstream_error"},
		"garbage instead of HTTP":   {answer: mock.Raw("\x00\x01garbage\r\n\r\n"), status: 502, code: "upstream_error"},
		"garbage instead of JSON":   {answer: mock.Raw(ndjsonHead + "}{ this is no JSON\n"), status: 502, code: "upstream_error"},
		"truncated JSON":            {answer: mock.Raw(ndjsonHead + line("one ") + `{"message":{"role":"assi`), status: 502, code: "upstream_error", midStream: true},
		"a web page":                {answer: mock.Raw("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>"), status: 502, code: "upstream_error"},
		"reset in mid-stream":       {answer: mock.Steps(mock.Raw(chunked+chunk(line("one "))), mock.Pause(50*time.Millisecond), mock.Reset), status: 502, code: "upstream_error", midStream: true},
		"an end before the finish":  {answer: mock.Raw(ndjsonHead + line("one ")), status: 502, code: "upstream_error", midStream: true},
		"a reset behind the finish": {answer: mock.Steps(mock.Raw(chunked+chunk(line("one ")+lastLine)), mock.Pause(50*time.Millisecond), mock.Reset), status: 200, text: "one "},
		"silence before the head":   {answer: mock.Hang, status: 504, code: "upstream_timeout", midStream: true, silent: true},
		"silence behind the head":   {answer: mock.Steps(mock.Raw(ndjsonHead+line("one ")), mock.Hang), status: 504, code: "upstream_timeout", midStream: true, silent: true},
		"CRLF, blank lines and no last line end": {
			answer: mock.Raw(ndjsonHead + "\r\n" + strings.ReplaceAll(line("one ")+line("two"), "\n", "\r\n\r\n") + strings.TrimSpace(lastLine)),
			status: 200, text: "one two",
		},
		"gzip": {
			answer: mock.Steps(
				mock.Raw(strings.Replace(ndjsonHead, "\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n", 1)),
				mock.Raw(gzipped(line("one "), line("two")+lastLine)...)),
			status: 200, text: "one two",
		},
		"a line of 2 MB":          {answer: mock.Raw(ndjsonHead + line(big) + lastLine), status: 200, text: big},
		"UTF-8 split over writes": {answer: mock.Steps(mock.Raw(ndjsonHead), mock.Raw(mock.Bytes(line("grün 🙂")+lastLine)...)), status: 200, text: "grün 🙂"},
	} {
		t.Run(name, func(t *testing.T) {
			yaml := ollamaAt(mock.Start(t, tc.answer).URL)
			if tc.silent {
				yaml = impatient(yaml)
			}
			g := newGateway(t, yaml)
			g.post(t, `{`) // so that what the first request makes is there
			goroutines, files := runtime.NumGoroutine(), openFiles()

			if tc.code != "" {
				res, answer := g.post(t, wholly)
				if res.StatusCode != tc.status {
					t.Errorf("whole: status %d, want %d: %.300s", res.StatusCode, tc.status, answer)
				}
				checkOutcome(t, "whole", answer, tc.code, tc.text)
			}
			res, answer := g.post(t, streamed)
			want := tc.status
			if tc.midStream {
				want = 200
			}
			if res.StatusCode != want {
				t.Errorf("streamed: status %d, want %d: %.300s", res.StatusCode, want, answer)
			}
			checkOutcome(t, "streamed", answer, tc.code, tc.text)
			if done := strings.HasSuffix(answer, "data: [DONE]\n\n"); done != (tc.code == "") {
				t.Errorf("[DONE] is there: %v; the end is %.200q", done, answer[max(0, len(answer)-200):])
			}
			settle(t, goroutines, files)
		})
	}
}

// gzipped is a compressed text, cut where the server that made it would flush.
func gzipped(texts ...string) (pieces []string) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for i, text := range texts {
		io.WriteString(z, text)
		if i < len(texts)-1 {
			z.Flush()
		} else {
			z.Close()
		}
		pieces = append(pieces, b.String())
		b.Reset()
	}
	return pieces
}

// checkOutcome looks for an error of that code in an answer, or for its text.
func checkOutcome(t *testing.T, how, answer, code, text string) {
	t.Helper()
	if code == "" {
		if got := content(t, answer); got != text {
			t.Errorf("%s: text %.100q, want %.100q", how, got, text)
		}
		return
	}
	i := strings.Index(answer, `{"error":`)
	if i < 0 {
		t.Errorf("%s: no error in %.300q", how, answer)
		return
	}
	var e struct {
		Error struct{ Message, Type, Code string }
	}
	if err := json.Unmarshal([]byte(strings.TrimSpace(answer[i:])), &e); err != nil || e.Error.Code != code || e.Error.Type != "server_error" {
		t.Errorf("%s: error %+v (%v), want code %s", how, e.Error, err, code)
	}
	if strings.Contains(answer, "127.0.0.1") {
		t.Errorf("%s: the error tells the upstream's address: %s", how, answer)
	}
}

func TestUpstreamRefuses(t *testing.T) {
	g := newGateway(t, ollamaAt(mock.Nowhere(t)))
	for _, body := range []string{wholly, streamed} {
		res, answer := g.post(t, body)
		if res.StatusCode != 502 || !strings.Contains(answer, "'ollama'") || !strings.Contains(answer, "running") {
			t.Errorf("status %d: %s; want a 502 that names the provider and the way out", res.StatusCode, answer)
		}
	}
}

// TestTruncation cuts a good stream at every byte: it is an error exactly when
// the cut falls before the end of the line that finishes it.
func TestTruncation(t *testing.T) {
	body := line("one ") + line("two") + lastLine
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n", len(body))
	up := mock.Start(t, nil)
	g := newGateway(t, ollamaAt(up.URL))
	for _, a := range clientAPIs {
		t.Run(a.name, func(t *testing.T) {
			for cut := range len(body) + 1 {
				up.Answer(mock.Raw(head + body[:cut]))
				_, answer := g.postTo(t, a.path, "", a.asks("hi", true))
				complete := a.succeeded(answer)
				// Without its line end, the connection's early end makes the last line void.
				if want := cut == len(body); complete != want {
					t.Errorf("cut at %d of %d: complete = %v, want %v: %s", cut, len(body), complete, want, answer)
				}
				if isError := strings.Contains(answer, a.failed) || strings.HasPrefix(answer, `{"`) && strings.Contains(answer, `"error":`); !complete && !isError {
					t.Errorf("cut at %d: neither complete nor an error: %s", cut, answer)
				}
			}
		})
	}
}

func TestHostileBodies(t *testing.T) {
	g := newGateway(t, "model_mapping: {m: {provider: demo, model: m}}")
	for name, tc := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"32 MiB of [":          {strings.Repeat("[", 32<<20), 400, "JSON"},
		"nested objects":       {strings.Repeat(`{"a":`, 6<<20), 400, "512"},
		"more than the limit":  {`{"a":"` + strings.Repeat("x", 33<<20) + `"}`, 413, "server.max_body"},
		"the model twice":      {`{"model":"m","model":"n","messages":[{"role":"user","content":"x"}]}`, 400, "model"},
		"the model in escapes": {`{"model":"m","mod\u0065l":"n","messages":[{"role":"user","content":"x"}]}`, 400, "model"},
		"no UTF-8":             {"{\"model\":\"\xff\"}", 400, "UTF-8"},
		"an unknown model":     {`{"model":"x","messages":[{"role":"user","content":"x"}]}`, 400, "Model 'x' not found in configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			res, answer := g.post(t, tc.body)
			if res.StatusCode != tc.status || !strings.Contains(answer, tc.says) {
				t.Errorf("status %d: %.300s; want %d with %q", res.StatusCode, answer, tc.status, tc.says)
			}
			t.Logf("%v", time.Since(begin))
		})
	}
}

func TestHangUpEndsTheUpstreamRequest(t *testing.T) {
	messages := clientAPIs[1]
	for name, tc := range map[string]struct {
		path, body string
		begin      mock.Answer
	}{
		"whole, before the upstream's head":    {"/v1/chat/completions", wholly, mock.Steps()},
		"streamed, before the upstream's head": {"/v1/chat/completions", streamed, mock.Steps()},
		"streamed, in mid-stream":              {"/v1/chat/completions", streamed, mock.NDJSON(line("one "))},
		"messages, in mid-stream":              {messages.path, messages.asks("hi", true), mock.NDJSON(line("one "))},
	} {
		t.Run(name, func(t *testing.T) {
			asked, gone := make(chan bool), make(chan time.Time, 1)
			up := mock.Start(t, mock.Steps(tc.begin, func(*mock.Exchange) { close(asked) }, mock.Hang, func(*mock.Exchange) { gone <- time.Now() }))
			g := newGateway(t, ollamaAt(up.URL))
			ctx, cancel := context.WithCancel(t.Context())
			req, _ := http.NewRequestWithContext(ctx, "POST", g.URL+tc.path, strings.NewReader(tc.body))
			req.Header.Set("Content-Type", "application/json")
			var hungUp time.Time
			done := make(chan bool)
			go func() {
				defer close(done)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					return
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}()
			<-asked
			time.Sleep(50 * time.Millisecond)
			hungUp = time.Now()
			cancel()
			<-done
			select {
			case at := <-gone:
				t.Logf("the upstream's connection was closed %v later", at.Sub(hungUp))
				if at.Sub(hungUp) > time.Minute { // else its silence would be waited for, five minutes
					t.Errorf("closed only %v after the client hung up", at.Sub(hungUp))
				}
			case <-time.After(2 * time.Minute):
				t.Error("the upstream's connection stays open")
			}
		})
	}
}

// TestAClientThatReadsNothingIsLoggedAsGone: large events are gathered before they are
// written, and the log knows that they weren't taken.
func TestAClientThatReadsNothingIsLoggedAsGone(t *testing.T) {
	large := line(strings.Repeat("x", 8<<10))
	up := mock.Start(t, mock.NDJSON(slices.Repeat([]string{large}, 4000)...)) // more than sockets hold
	g := newGateway(t, ollamaAt(up.URL)+"server: {write_timeout: 100ms}\n")
	s := httptest.NewUnstartedServer(g.host.Handler())
	s.Listener, s.Config.ConnContext = sse.Listen(s.Listener), sse.ConnContext
	s.Start()
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(streamed), streamed)
	const finished = `"msg":"request finished"`
	for begin := time.Now(); !strings.Contains(g.log.String(), finished); time.Sleep(time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("the request goes on: %s", g.log)
		}
	}
	log := g.log.String()
	got := log[strings.LastIndex(log[:strings.Index(log, finished)], "\n")+1:]
	for _, want := range []string{`"level":"INFO"`, `"status":499`} {
		if !strings.Contains(got, want) {
			t.Errorf("the log has no %s: %s", want, got)
		}
	}
}

// TestManyStreams runs 200 streams at once, of every API, each with a text of its own,
// and compares every byte.
func TestManyStreams(t *testing.T) {
	text := func(id string) string {
		var b strings.Builder
		for i := range 60 {
			fmt.Fprintf(&b, "%s:%d ", id, i)
		}
		return b.String()
	}
	up := mock.Start(t, func(x *mock.Exchange) {
		x.Head(200, "application/x-ndjson")
		for word := range strings.SplitAfterSeq(text(question(x)), " ") {
			x.Send(line(word))
		}
		x.Send(lastLine)
	})
	g := newGateway(t, ollamaAt(up.URL))
	g.post(t, `{`)
	goroutines, files := runtime.NumGoroutine(), openFiles()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}}
	conversations := clientAPIs[:3] // the upstream answers no completions
	var streams sync.WaitGroup
	for i := range 200 {
		streams.Go(func() {
			id, a := fmt.Sprintf("s%d", i), conversations[i%len(conversations)]
			res, err := client.Post(g.URL+a.path, "application/json", strings.NewReader(a.asks(id, true)))
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			answer, err := io.ReadAll(res.Body)
			if err != nil || !a.succeeded(string(answer)) {
				t.Errorf("stream %s ended with %v: %.200q", id, err, answer)
				return
			}
			if got := a.text(t, string(answer)); got != text(id) {
				t.Errorf("stream %s got %.200q", id, got)
			}
		})
	}
	streams.Wait()
	client.CloseIdleConnections()
	up.CloseClientConnections()
	settle(t, goroutines, files)
}
