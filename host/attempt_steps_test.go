package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/api"
	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/buffer"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/sdk/abi"
)

// TestAnAnswerMayTakeSeveralSteps: each gets the client's long content that the adapter refers
// to, whatever came before, and a step may follow an answer that is complete.
func TestAnAnswerMayTakeSeveralSteps(t *testing.T) {
	question := strings.Repeat("Is anybody there? ", 200)
	for name, first := range map[string]string{
		"nothing yet":       "USAGE {}",
		"content":           "TEXT good",
		"a complete answer": "TEXT good\nFINISH stop",
	} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stream %v", name, stream), func(t *testing.T) {
				up := mock.Start(t, text("step"))
				g, adapter := generationOf(t, nil, nil, up.URL)
				g.host.buffers = &buffer.Pool{Poison: true}
				var short []byte
				adapter.request = func(_, body []byte, out *wasm.Batch) (bool, error) {
					short = slices.Clone(body)
					out.Append(abi.Emission{Kind: abi.Request}, []byte("POST /jobs\n"))
					out.Append(abi.Emission{Kind: abi.Body}, body)
					return false, nil
				}
				steps := 0
				adapter.response = func(out *wasm.Batch) (bool, error) {
					if steps++; steps > 1 {
						return state([]byte("TEXT .\nFINISH stop"), out), nil
					}
					state([]byte(first), out)
					out.Append(abi.Emission{Kind: abi.Request}, []byte("POST /jobs/1\n"))
					out.Append(abi.Emission{Kind: abi.Body}, short)
					return false, nil
				}
				s, _ := serving(t, g, key.Principal{}, chat.Parse)
				code, content, failure := ask(t, s, stream, question)
				if want := strings.TrimPrefix(strings.TrimPrefix(strings.Split(first, "\n")[0], "TEXT "), "USAGE {}") + "."; code != 200 || content != want || failure != "" {
					t.Errorf("%d %q %q, want %q", code, content, failure, want)
				}
				if strings.Contains(string(short), question) {
					t.Error("the adapter got the long content itself")
				}
				asked := up.Requests()
				if len(asked) != 2 || !strings.Contains(asked[0].Body, question) || !strings.Contains(asked[1].Body, question) {
					t.Errorf("the upstream got %.300v", asked)
				}
			})
		}
	}
}

// TestASecondStepThatFailsIsAFailure, unless the answer was complete.
func TestASecondStepThatFailsIsAFailure(t *testing.T) {
	for _, complete := range []bool{false, true} {
		up := mock.Start(t, mock.InTurn(text("step"), mock.Reset))
		g, adapter := generationOf(t, nil, nil, up.URL)
		adapter.response = func(out *wasm.Batch) (bool, error) {
			said := "TEXT good"
			if complete {
				said += "\nFINISH stop"
			}
			return state([]byte(said+"\nREQUEST POST /again"), out), nil
		}
		s, _ := serving(t, g, key.Principal{}, chat.Parse)
		if code, content, failure := ask(t, s, false, "Hi"); (code == 200) != complete || complete && content != "good" {
			t.Errorf("complete %v: %d %q %q", complete, code, content, failure)
		}
	}
}

// TestAWholeAnswerThatBreaksOffIsNone, even if what came of it looks complete.
func TestAWholeAnswerThatBreaksOffIsNone(t *testing.T) {
	up := mock.Start(t, mock.Steps(mock.Header("Content-Length", "100"), mock.Header("Content-Type", "text/plain"), mock.Send("TEXT good\nFINISH stop\n"), mock.Cut))
	s, _, _ := gatewayOf(t, nil, up.URL)
	if code, content, failure := ask(t, s, false, "Hi"); code != 502 || !strings.Contains(failure, "before its answer was complete") {
		t.Errorf("%d %q %q, want a failure", code, content, failure)
	}
}

// TestAnAdapterThatBreaksItsContract makes no answer, whatever it states.
func TestAnAdapterThatBreaksItsContract(t *testing.T) {
	const good = "TEXT good\nFINISH stop"
	ask := func(out *wasm.Batch) { out.Append(abi.Emission{Kind: abi.Request}, []byte("POST /chat\n")) }
	type request = func(_, body []byte, out *wasm.Batch) (bool, error)
	type response = func(out *wasm.Batch) (bool, error)
	for name, tc := range map[string]struct {
		request  request
		response response
		requests int // that come to the upstream
		says     string
	}{
		"it traps at the request": {func(_, _ []byte, out *wasm.Batch) (bool, error) {
			state([]byte(good), out)
			return false, errors.New("trap")
		}, nil, 0, "failed; Kai's log says why"},
		"it traps at the answer":   {nil, func(out *wasm.Batch) (bool, error) { state([]byte(good), out); return false, errors.New("trap") }, 1, "failed; Kai's log says why"},
		"it fails for no reason":   {nil, func(out *wasm.Batch) (bool, error) { state([]byte(good), out); return true, nil }, 1, "failed without a reason"},
		"it never comes to an end": {nil, func(out *wasm.Batch) (bool, error) { ask(out); return false, nil }, 256, "needed more than 256 requests"},
		"it damages a reference": {func(_, body []byte, out *wasm.Batch) (bool, error) {
			ask(out)
			out.Append(abi.Emission{Kind: abi.Body}, body[:bytes.LastIndexByte(body, '@')])
			return false, nil
		}, nil, 0, "made a request that can't be sent"},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, text(good))
			g, adapter := generationOf(t, nil, nil, up.URL)
			adapter.request, adapter.response = tc.request, tc.response
			s, _ := serving(t, g, key.Principal{}, chat.Parse)
			status, answer := send(t, s, strings.Replace(asksWhole, "Hi", strings.Repeat("Is anybody there? ", 200), 1))
			if n := len(up.Requests()); status != 502 || !strings.Contains(answer, tc.says) || n != tc.requests {
				t.Errorf("%d %s after %d requests, want %q after %d", status, answer, n, tc.says, tc.requests)
			}
		})
	}
}

// TestAnAnswerHasALimit: of what the adapter states of it.
func TestAnAnswerHasALimit(t *testing.T) {
	g, _ := generationOf(t, nil, nil, mock.Start(t, events("TEXT 12345", "TEXT 67890", "FINISH stop")).URL)
	g.providers["up0"].config.Limits.StreamOutput = 300
	s, _ := serving(t, g, key.Principal{}, chat.Parse)
	if _, content, failure := ask(t, s, true, "Hi"); content != "1234567890" || failure != "" {
		t.Errorf("below the limit: %q %q", content, failure)
	}
	g.providers["up0"].config.Limits.StreamOutput = 160
	if _, _, failure := ask(t, s, true, strings.Repeat("x", 200)); !strings.Contains(failure, "limits.stream_output") {
		t.Errorf("above the limit: %q", failure)
	}
}

// partedBody is a part of a request, by its number.
type partedBody struct {
	requestBody
	text string
}

func (b partedBody) Short(model string) ([]byte, *body.Refs) { return []byte(b.text), nil }

// TestARequestIsSentInParts, if an adapter takes fewer inputs than it has, or it may have no more
// at once; one part after the other, until one fails.
func TestARequestIsSentInParts(t *testing.T) {
	for name, tc := range map[string]struct {
		inputs, most, atOnce int
		fails                bool
		want                 []string
	}{
		"no limit":                        {inputs: 5, want: []string{"all"}},
		"as many as the adapter takes":    {inputs: 5, most: 2, want: []string{"0+2", "2+2", "4+1"}},
		"the adapter takes all":           {inputs: 5, most: 5, want: []string{"all"}},
		"the adapter takes more":          {inputs: 5, most: 9, want: []string{"all"}},
		"as many as it may have at once":  {inputs: 5, atOnce: 3, want: []string{"0+3", "3+2"}},
		"the least of both":               {inputs: 5, most: 4, atOnce: 3, want: []string{"0+3", "3+2"}},
		"the least of both, by the other": {inputs: 5, most: 3, atOnce: 4, want: []string{"0+3", "3+2"}},
		"it can't be cut":                 {most: 2, want: []string{"all"}},
		"a part that fails is the last":   {inputs: 5, most: 2, fails: true, want: []string{"0+2"}},
	} {
		t.Run(name, func(t *testing.T) {
			answer := text("TEXT .\nFINISH stop")
			if tc.fails {
				answer = mock.Status(500)
			}
			up := mock.Start(t, answer)
			g, adapter := generationOf(t, nil, nil, up.URL)
			adapter.profile = profileWith("chat")
			if tc.most > 0 {
				adapter.profile.MaxInputs = map[string]int{"chat": tc.most}
			}
			s, _ := serving(t, g, key.Principal{}, changed(func(r *dialect.Request) {
				whole := r.Body
				r.Body, r.Inputs, r.InputsAtOnce = partedBody{whole, "all"}, tc.inputs, tc.atOnce
				r.Part = func(from, n int) dialect.Body { return partedBody{whole, fmt.Sprintf("%d+%d", from, n)} }
			}))
			if status, answer := send(t, s, asksWhole); (status == 200) == tc.fails {
				t.Errorf("%d %s", status, answer)
			}
			var got []string
			for _, r := range up.Requests() {
				got = append(got, r.Body)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("the upstream got %q, want %q", got, tc.want)
			}
		})
	}
}

// formBody is a request that is a form.
type formBody struct{ requestBody }

func (formBody) Form(model string) (string, [][]byte) {
	return "multipart/form-data; boundary=b", [][]byte{[]byte("--b " + model), []byte(" file --b--")}
}

// TestAFormIsSentAsItCame, unless the adapter sends a body of its own.
func TestAFormIsSentAsItCame(t *testing.T) {
	for own, want := range map[string][2]string{
		"":    {"multipart/form-data; boundary=b", "--b model-of-up0 file --b--"},
		"own": {"application/json", "own"},
	} {
		up := mock.Start(t, text("TEXT good\nFINISH stop"))
		g, adapter := generationOf(t, nil, nil, up.URL)
		adapter.request = func(_, _ []byte, out *wasm.Batch) (bool, error) {
			out.Append(abi.Emission{Kind: abi.Request}, []byte("POST /form\n"))
			if own != "" {
				out.Append(abi.Emission{Kind: abi.Body}, []byte(own))
			}
			return false, nil
		}
		s, _ := serving(t, g, key.Principal{}, changed(func(r *dialect.Request) { r.Body = formBody{r.Body} }))
		send(t, s, asksWhole)
		if got := up.Last(); got.Body != want[1] || own == "" && got.Header.Get("Content-Type") != want[0] {
			t.Errorf("a body of its own %q: the upstream got %q as %s, want %q", own, got.Body, got.Header.Get("Content-Type"), want)
		}
	}
}

// TestAnAdapterGetsTheFormThatItTakes, with what is long in it if it wants that.
func TestAnAdapterGetsTheFormThatItTakes(t *testing.T) {
	question := strings.Repeat("Is anybody there? ", 200)
	for name, tc := range map[string]struct {
		takes, plain bool
		want         string
		long         bool
	}{
		"the form for all":                      {false, false, `"messages"`, false},
		"one with an extension":                 {true, false, "extended", false},
		"long content instead of its reference": {false, true, `"messages"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			up := mock.Start(t, text("TEXT good\nFINISH stop"))
			g, adapter := generationOf(t, nil, nil, up.URL)
			adapter.profile = profileWith("chat")
			adapter.profile.PlainContent = tc.plain
			if tc.takes {
				adapter.profile.Extensions = []string{"x"}
			}
			var got string
			adapter.request = func(_, body []byte, out *wasm.Batch) (bool, error) {
				got = string(body)
				out.Append(abi.Emission{Kind: abi.Request}, []byte("POST /chat\n"))
				out.Append(abi.Emission{Kind: abi.Body}, body)
				return false, nil
			}
			s, _ := serving(t, g, key.Principal{}, changed(func(r *dialect.Request) {
				plain := r.Body
				r.Form = func(takes func(string) bool) (dialect.Body, error) {
					if takes("x") {
						return partedBody{plain, "extended"}, nil
					}
					return plain, nil
				}
			}))
			ask(t, s, false, question)
			if !strings.Contains(got, tc.want) || strings.Contains(got, question) != tc.long {
				t.Errorf("the adapter got %.300s", got)
			}
		})
	}
}

// TestAnAnswerWithoutUpstream comes in pieces, at the pace of its WAITs, which are bounded.
func TestAnAnswerWithoutUpstream(t *testing.T) {
	const minutes = 60_000
	wait := func(ms int32) abi.Emission { return abi.Emission{Kind: abi.Wait, At: ms} }
	said := func(text string) abi.Emission { return abi.Emission{Kind: abi.Text, Data: []byte(text)} }
	finish := abi.Emission{Kind: abi.Finish, Data: []byte("stop")}
	failed := abi.Emission{Kind: abi.Error, Data: []byte(`{"status":429,"message":"Not now."}`)}
	stopped := &fault.Error{Kind: fault.Stopping, Text: "stopped"}
	for name, tc := range map[string]struct {
		ems     []abi.Emission
		failed  bool
		ends    error // of a sleep
		content string
		failure string
		slept   []time.Duration
	}{
		"at once":                       {ems: []abi.Emission{said("a"), finish}, content: "a"},
		"in pieces":                     {ems: []abi.Emission{said("a"), wait(5), said("b"), wait(7), finish}, content: "ab", slept: []time.Duration{5 * time.Millisecond, 7 * time.Millisecond}},
		"for an hour at most":           {ems: []abi.Emission{said("a"), wait(40 * minutes), wait(40 * minutes), wait(1), finish}, content: "a", slept: []time.Duration{40 * time.Minute, 20 * time.Minute, 0}},
		"a failure, and nothing else":   {ems: []abi.Emission{said("a"), wait(5), failed}, failed: true, failure: "Not now."},
		"a failure without a reason":    {ems: []abi.Emission{said("a")}, failed: true, failure: "The adapter of provider 'up0' failed without a reason."},
		"a request that ends meanwhile": {ems: []abi.Emission{said("a"), wait(5), said("b"), finish}, ends: stopped, content: "a", failure: "stopped", slept: []time.Duration{5 * time.Millisecond}},
		"facts against the rules":       {ems: []abi.Emission{{Kind: abi.ToolArgs, Data: []byte("{}")}, finish, wait(5)}, failure: "The model called a tool without a name."},
	} {
		t.Run(name, func(t *testing.T) {
			g, adapter := generationOf(t, nil, nil, "http://localhost:1")
			var slept []time.Duration
			g.host.opts.Sleep = func(_ context.Context, d time.Duration) error {
				slept = append(slept, d)
				return tc.ends
			}
			adapter.request = func(_, _ []byte, out *wasm.Batch) (bool, error) {
				for _, m := range tc.ems {
					out.Append(m, m.Data)
				}
				return tc.failed, nil
			}
			s, _ := serving(t, g, key.Principal{}, chat.Parse)
			_, content, failure := ask(t, s, true, "Hi")
			if content != tc.content || (failure == "") != (tc.failure == "") || name != "facts against the rules" && failure != tc.failure || name != "facts against the rules" && !slices.Equal(slept, tc.slept) {
				t.Errorf("%q, the error %q and the sleeps %v; want %q, %q and %v", content, failure, slept, tc.content, tc.failure, tc.slept)
			}
		})
	}
	t.Run("a request waits before it is sent", func(t *testing.T) {
		up := mock.Start(t, text("TEXT good\nFINISH stop"))
		g, adapter := generationOf(t, nil, nil, up.URL)
		g.host.opts.Sleep = func(context.Context, time.Duration) error { return stopped }
		adapter.request = func(_, _ []byte, out *wasm.Batch) (bool, error) {
			out.Append(wait(300), nil)
			out.Append(abi.Emission{Kind: abi.Request}, []byte("POST /chat\n"))
			return false, nil
		}
		s, _ := serving(t, g, key.Principal{}, chat.Parse)
		if _, _, failure := ask(t, s, false, "Hi"); failure != "stopped" || len(up.Requests()) > 0 {
			t.Errorf("%q, and %d requests were sent", failure, len(up.Requests()))
		}
	})
}

// TestBytesPassAsTheyCome: the first ones commit the answer, which can then only be cut.
func TestBytesPassAsTheyCome(t *testing.T) {
	sound := func(mediaType string) (string, bool) { return "audio/mpeg", mediaType == "audio/mpeg" }
	for name, tc := range map[string]struct {
		answer mock.Answer
		passes func(string) (string, bool)
		limit  int
		stream bool
		second bool // there is another target
		status int
		want   string
	}{
		"whole":                     {answer: mock.Whole(200, "audio/mpeg", "abcdef"), passes: sound, status: 200, want: "abcdef"},
		"of another type":           {answer: mock.Whole(200, "audio/wav", "abcdef"), passes: sound, status: 502, want: "something other than what was asked for"},
		"that nobody asked for":     {answer: mock.Whole(200, "audio/mpeg", "abcdef"), status: 502, want: "something other than what was asked for"},
		"none":                      {answer: mock.Whole(200, "audio/mpeg", ""), passes: sound, status: 502, want: "answered with nothing"},
		"none, and another target":  {answer: mock.Whole(200, "audio/mpeg", ""), passes: sound, second: true, status: 200, want: "second"},
		"more than the limit":       {answer: mock.Whole(200, "audio/mpeg", "abcdef"), passes: sound, limit: len("POST /speech\n") + 5, status: 502, want: "limits.stream_output"},
		"as much as the limit":      {answer: mock.Whole(200, "audio/mpeg", "abcdef"), passes: sound, limit: len("POST /speech\n") + 6, status: 200, want: "abcdef"},
		"broken off":                {answer: mock.Steps(mock.Header("Content-Length", "100"), mock.Header("Content-Type", "audio/mpeg"), mock.Send("abc"), mock.Cut), passes: sound, status: 200, want: "broken off: abc"},
		"broken off before a byte":  {answer: mock.Steps(mock.Header("Content-Length", "100"), mock.Header("Content-Type", "audio/mpeg"), mock.Send(""), mock.Cut), passes: sound, second: true, status: 200, want: "second"},
		"where a stream was wanted": {answer: mock.Whole(200, "audio/mpeg", "abcdef"), passes: sound, stream: true, status: 502, want: "without events"},
	} {
		t.Run(name, func(t *testing.T) {
			bases := []string{mock.Start(t, tc.answer).URL}
			if tc.second {
				bases = append(bases, mock.Start(t, mock.Whole(200, "audio/mpeg", "second")).URL)
			}
			g, adapter := generationOf(t, nil, nil, bases...)
			if tc.limit > 0 {
				g.providers["up0"].config.Limits.StreamOutput = config.Size(tc.limit)
			}
			adapter.request = func(_, _ []byte, out *wasm.Batch) (bool, error) {
				out.Append(abi.Emission{Kind: abi.Request, At: int32(abi.Bytes)}, []byte("POST /speech\n"))
				return false, nil
			}
			s, last := serving(t, g, key.Principal{}, changed(func(r *dialect.Request) { r.Passes = tc.passes }))
			body := asksWhole
			if tc.stream {
				body = asksStream
			}
			res, err := http.Post(s.URL+api.ChatPath, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			contentType := res.Header.Get("Content-Type")
			res.Body.Close()
			status, answer := send(t, s, body)
			if status != tc.status || !strings.Contains(answer, tc.want) || status == 200 && answer != tc.want || status == 200 && contentType != "audio/mpeg" {
				t.Errorf("%d %q as %s, want %d and %q", status, answer, contentType, tc.status, tc.want)
			}
			s.Close()
			if r := last(); name == "broken off" && len(r.Attempts) != 1 {
				t.Errorf("there were %d attempts", len(r.Attempts))
			}
		})
	}
}
