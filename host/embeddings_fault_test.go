package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

const (
	embedAsk   = `{"model":"m","input":["a","b"]}`
	embedBody  = `{"embeddings":[[0.6,0.8],[1,0]],"prompt_eval_count":14}`
	embedGiven = `{"object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":[0.6,0.8]},{"object":"embedding","index":1,"embedding":[1,0]}],"usage":{"prompt_tokens":14,"total_tokens":14}}`
)

// TestEmbeddingsAreWholeOrAnError cuts an answer at every byte, whether its length was
// announced or not.
func TestEmbeddingsAreWholeOrAnError(t *testing.T) {
	up := mock.Start(t, nil)
	g := newGateway(t, ollamaAt(up.URL))
	for name, head := range map[string]string{
		"announced":     fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(embedBody)),
		"not announced": "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			for cut := range len(embedBody) + 1 {
				up.Answer(mock.Raw(head + embedBody[:cut]))
				res, answer := g.postTo(t, "/v1/embeddings", "", embedAsk)
				if cut == len(embedBody) {
					if res.StatusCode != 200 || strings.TrimSpace(answer) != embedGiven {
						t.Errorf("uncut: %d %s", res.StatusCode, answer)
					}
				} else if res.StatusCode != 502 || !strings.Contains(answer, `"code":"upstream_error"`) {
					t.Errorf("cut at %d of %d: %d %s", cut, len(embedBody), res.StatusCode, answer)
				}
			}
		})
	}
}

func TestEmbeddingsUpstreamFaults(t *testing.T) {
	jsonHead := strings.Replace(ndjsonHead, "application/x-ndjson", "application/json", 1)
	for name, tc := range map[string]struct {
		answer mock.Answer
		status int
		code   string // "": success
		silent bool   // the upstream is waited for in vain
	}{
		"reset before the head":       {answer: mock.Reset, status: 502, code: "upstream_error"},
		"closed before the head":      {answer: mock.Cut, status: 502, code: "upstream_error"},
		"garbage instead of HTTP":     {answer: mock.Raw("\x00\x01garbage\r\n\r\n"), status: 502, code: "upstream_error"},
		"garbage instead of JSON":     {answer: mock.Raw(jsonHead + "}{ this is no JSON\n"), status: 502, code: "upstream_error"},
		"null":                        {answer: mock.JSON("null"), status: 502, code: "upstream_error"},
		"nothing":                     {answer: mock.JSON(""), status: 502, code: "upstream_error"},
		"a web page":                  {answer: mock.Whole(200, "text/html", "<html>"), status: 502, code: "upstream_error"},
		"a redirect":                  {answer: mock.Steps(mock.Header("Location", "http://127.0.0.1/"), mock.Status(302)), status: 502, code: "upstream_error"},
		"events":                      {answer: mock.SSE("data: " + embedBody + "\n\n"), status: 502, code: "upstream_error"},
		"lines":                       {answer: mock.NDJSON(embedBody+"\n", embedBody+"\n"), status: 502, code: "upstream_error"},
		"a reset in its middle":       {answer: mock.Steps(mock.Raw(jsonHead+embedBody[:20]), mock.Pause(50*time.Millisecond), mock.Reset), status: 502, code: "upstream_error"},
		"silence before the head":     {answer: mock.Hang, status: 504, code: "upstream_timeout", silent: true},
		"silence in its middle":       {answer: mock.Steps(mock.Raw(jsonHead+embedBody[:20]), mock.Hang), status: 504, code: "upstream_timeout", silent: true},
		"busy":                        {answer: mock.Whole(503, "application/json", `{"error":"server busy"}`), status: 503, code: "upstream_error"},
		"one byte in a write":         {answer: mock.Raw(mock.Bytes(jsonHead + embedBody)...), status: 200},
		"a byte order mark and space": {answer: mock.Raw(jsonHead + "\ufeff\r\n " + embedBody + "\r\n"), status: 200},
		"gzip": {
			answer: mock.Steps(mock.Raw(strings.Replace(jsonHead, "\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n", 1)), mock.Raw(gzipped(embedBody[:9], embedBody[9:])...)),
			status: 200,
		},
	} {
		t.Run(name, func(t *testing.T) {
			yaml := ollamaAt(mock.Start(t, tc.answer).URL)
			if tc.silent {
				yaml = impatient(yaml)
			}
			g := newGateway(t, yaml)
			g.post(t, `{`) // so that what the first request makes is there
			goroutines, files := runtime.NumGoroutine(), openFiles()
			res, answer := g.postTo(t, "/v1/embeddings", "", embedAsk)
			if res.StatusCode != tc.status {
				t.Errorf("status %d, want %d: %.300s", res.StatusCode, tc.status, answer)
			}
			if tc.code == "" {
				if strings.TrimSpace(answer) != embedGiven {
					t.Errorf("the client got %s", answer)
				}
			} else {
				checkOutcome(t, "embeddings", answer, tc.code, "")
			}
			settle(t, goroutines, files)
		})
	}
}

// TestEmbeddingsRefuseInput: what is wrong with the input is said before anybody is asked.
func TestEmbeddingsRefuseInput(t *testing.T) {
	up := mock.Start(t, mock.JSON(embedBody))
	g := newGateway(t, ollamaAt(up.URL))
	for name, tc := range map[string]struct{ fields, param string }{
		"no input":                {``, "input"},
		"null":                    {`,"input":null`, "input"},
		"an empty text":           {`,"input":""`, "input"},
		"an empty list":           {`,"input":[]`, "input"},
		"an empty text in it":     {`,"input":["a",""]`, "input[1]"},
		"no tokens":               {`,"input":[[]]`, "input[0]"},
		"no tokens in the second": {`,"input":[[1],[]]`, "input[1]"},
		"an object":               {`,"input":{"a":1}`, "input"},
		"texts and tokens":        {`,"input":["a",1]`, "input[1]"},
		"too many":                {`,"input":[` + strings.Repeat(`"a",`, 2048) + `"a"]`, "input"},
		"another format":          {`,"input":"a","encoding_format":"int8"`, "encoding_format"},
		"no dimensions":           {`,"input":"a","dimensions":0`, "dimensions"},
	} {
		t.Run(name, func(t *testing.T) {
			res, answer := g.postTo(t, "/v1/embeddings", "", `{"model":"m"`+tc.fields+`}`)
			var e struct {
				Error struct{ Type, Param string }
			}
			if err := json.Unmarshal([]byte(answer), &e); err != nil || res.StatusCode != 400 || e.Error.Type != "invalid_request_error" || e.Error.Param != tc.param {
				t.Errorf("the client got %d %s, want a 400 about %s", res.StatusCode, answer, tc.param)
			}
		})
	}
	if n := len(up.Requests()); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

func TestHangUpEndsEmbeddings(t *testing.T) {
	for name, begin := range map[string]mock.Answer{
		"before the upstream's head": mock.Steps(),
		"within its answer":          mock.Stream("application/json", embedBody[:20]),
	} {
		t.Run(name, func(t *testing.T) {
			asked, gone := make(chan bool), make(chan bool, 1)
			up := mock.Start(t, mock.Steps(begin, func(*mock.Exchange) { close(asked) }, mock.Hang, func(*mock.Exchange) { gone <- true }))
			g := newGateway(t, ollamaAt(up.URL))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "POST", g.URL+"/v1/embeddings", strings.NewReader(embedAsk))
			req.Header.Set("Content-Type", "application/json")
			hangUpOnceAsked(req, asked, cancel)
			wantGone(t, gone)
		})
	}
}
