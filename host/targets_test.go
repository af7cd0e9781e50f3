package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// says answers with a text, as a stream or whole, as it was asked.
func says(text string) mock.Answer {
	return func(x *mock.Exchange) {
		if strings.Contains(x.Header.Get("Accept"), "event-stream") {
			mock.SSE(fmt.Sprintf("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", text),
				"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")(x)
			return
		}
		mock.JSON(fmt.Sprintf(`{"choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}]}`, text))(x)
	}
}

// fails answers with an error. headers are pairs.
func fails(status int, code string, headers ...string) mock.Answer {
	return func(x *mock.Exchange) {
		for i := 0; i+1 < len(headers); i += 2 {
			x.Set(headers[i], headers[i+1])
		}
		mock.Whole(status, "application/json", fmt.Sprintf(`{"error":{"message":"no","type":"x","code":%q}}`, code))(x)
	}
}

// hangs sends the head of a stream and comments, and no content, until it is left.
func hangs(events string) mock.Answer {
	return func(x *mock.Exchange) {
		x.Head(200, "text/event-stream")
		for {
			x.Send(events)
			if !x.Pause(10 * time.Millisecond) {
				return
			}
		}
	}
}

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// several serves alias "m" by the members, one tier after the other, with more of a
// configuration behind it.
func several(t *testing.T, more string, members ...*mock.Upstream) (*gateway, *clock) {
	t.Helper()
	var yaml strings.Builder
	yaml.WriteString("providers:\n")
	for i, m := range members {
		fmt.Fprintf(&yaml, "  up%d: {plugin: openai, base_url: %q, api_key: sk-%d}\n", i, m.URL, i)
	}
	yaml.WriteString("model_mapping:\n  m:\n    targets:\n")
	for i := range members {
		fmt.Fprintf(&yaml, "      - {provider: up%d, model: model%d, tier: %d}\n", i, i, i+1)
	}
	yaml.WriteString(more)
	c := &clock{now: testkit.Time}
	g := testkit.Start(t, testkit.Options{Config: parse(t, yaml.String()), Now: c.Now})
	if err := g.Ready(t); err != nil {
		t.Fatal(err)
	}
	return &gateway{g, g.Host, g.Log}, c
}

// textOf reads the text of an answer, streamed or whole; "" for none or an error.
func textOf(body string) string {
	var text strings.Builder
	for line := range strings.Lines(body) {
		var v struct {
			Choices []struct{ Delta, Message struct{ Content string } }
			Error   any
		}
		if json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &v) == nil && len(v.Choices) > 0 {
			text.WriteString(v.Choices[0].Delta.Content + v.Choices[0].Message.Content)
		}
	}
	return text.String()
}

const (
	answerOfM = `{"model":"m","messages":[{"role":"user","content":"x"}]}`
	streamOfM = `{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}`
	event     = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"begun\"}}]}\n\n"
)

// TestTargetsStandInForEachOther: whatever becomes of the first before its first word, the
// client sees one good answer, streamed or not.
func TestTargetsStandInForEachOther(t *testing.T) {
	for name, first := range map[string]mock.Answer{
		"a reset":                           mock.Reset,
		"a reset after the head":            mock.Steps(mock.SSE(": hello\n\n"), mock.Reset),
		"a refused key":                     fails(401, "invalid_api_key"),
		"no credit":                         fails(429, "insufficient_quota"),
		"a missing model":                   fails(404, "model_not_found"),
		"a rate limit":                      fails(429, "rate_limit_exceeded"),
		"a rate limit for long":             fails(429, "rate_limit_exceeded", "Retry-After", "60"),
		"a server's failure":                fails(500, ""),
		"a server that is full":             fails(529, ""),
		"an error as the first event":       mock.Whole(200, "text/plain", "data: {\"error\":{\"message\":\"no\",\"code\":502}}\n\n"),
		"an error inside of a whole answer": mock.Whole(200, "text/plain", "{\"error\":{\"message\":\"no\",\"code\":502}}"),
		"a web page":                        mock.Whole(200, "text/html", "<html>"),
		"nothing":                           mock.Status(200),
	} {
		t.Run(name, func(t *testing.T) {
			one, two := mock.Start(t, first), mock.Start(t, says("fine"))
			g, _ := several(t, "", one, two)
			for _, body := range []string{answerOfM, streamOfM} {
				res, answer := g.post(t, body)
				if res.StatusCode != 200 || textOf(answer) != "fine" {
					t.Errorf("%s got %d %s", body, res.StatusCode, answer)
				}
			}
			if len(one.Requests()) == 0 || len(two.Requests()) != 2 {
				t.Errorf("asked %d and %d times, want the second twice", len(one.Requests()), len(two.Requests()))
			}
		})
	}
	t.Run("no server", func(t *testing.T) {
		one, two := mock.Start(t, nil), mock.Start(t, says("fine"))
		one.Close()
		g, _ := several(t, "", one, two)
		if res, answer := g.post(t, answerOfM); res.StatusCode != 200 || textOf(answer) != "fine" || res.Header.Get("X-Kai-Attempts") != "2" {
			t.Errorf("got %d %s after %s attempts", res.StatusCode, answer, res.Header.Get("X-Kai-Attempts"))
		}
		if !strings.Contains(g.log.String(), `"trail":[{"target":"up0/model0","class":"unsent","ms":`) {
			t.Errorf("the log has no trail: %s", g.log)
		}
	})
	t.Run("no first token in time", func(t *testing.T) {
		one, two := mock.Start(t, hangs(": alive\n\n")), mock.Start(t, says("fine"))
		g := newGateway(t, fmt.Sprintf("providers:\n  up0: {plugin: openai, base_url: %q, api_key: a}\n  up1: {plugin: openai, base_url: %q, api_key: b}\n"+
			"model_mapping:\n  m: {targets: [{provider: up0, model: m, timeouts: {first_token: 300ms}}, {provider: up1, model: m, tier: 2}]}\n", one.URL, two.URL))
		if res, answer := g.post(t, streamOfM); res.StatusCode != 200 || textOf(answer) != "fine" {
			t.Errorf("got %d %s", res.StatusCode, answer)
		}
	})
}

// TestNoOtherTargetAnswers: what is the client's own fault ends at the client, and what
// has begun is not begun again. It takes nothing away from others.
func TestNoOtherTargetAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		first  mock.Answer
		ask    string
		status int
		want   string // in the answer
	}{
		"a bad request":        {fails(400, "invalid_value"), answerOfM, 400, `refused the request: no.`},
		"a request too long":   {fails(400, "context_length_exceeded"), answerOfM, 400, `context_length_exceeded`},
		"forbidden content":    {fails(400, "content_policy_violation"), answerOfM, 400, `content_policy_violation`},
		"a break after a word": {mock.Steps(mock.SSE(event), mock.Reset), streamOfM, 200, "begun"},
	} {
		t.Run(name, func(t *testing.T) {
			one, two := mock.Start(t, tc.first), mock.Start(t, says("fine"))
			g, _ := several(t, "", one, two)
			for range 5 {
				res, answer := g.post(t, tc.ask)
				if res.StatusCode != tc.status || !strings.Contains(answer, tc.want) || strings.Contains(answer, "fine") {
					t.Fatalf("got %d %s", res.StatusCode, answer)
				}
				if tc.status == 200 {
					break // that one is counted against it
				}
			}
			if len(two.Requests()) != 0 {
				t.Error("the second target was asked")
			}
			one.Answer(says("well"))
			if _, answer := g.post(t, answerOfM); textOf(answer) != "well" {
				t.Errorf("afterwards the first target is not asked: %s", answer)
			}
		})
	}
}

// TestTheMostHelpfulFailureIsTold: of several failures, the one that says most to the
// client, not the last.
func TestTheMostHelpfulFailureIsTold(t *testing.T) {
	wait, later := fails(429, "rate_limit_exceeded", "Retry-After", "30"), fails(429, "rate_limit_exceeded", "Retry-After", "90")
	for name, tc := range map[string]struct {
		first, second mock.Answer
		status        int
		retryAfter    string
	}{
		"a limit and a broken server":    {wait, fails(500, ""), 429, "30"},
		"a broken server and a limit":    {fails(500, ""), wait, 429, "30"},
		"a limit and a refused key":      {wait, fails(401, "invalid_api_key"), 429, "30"},
		"a refused key and a limit":      {fails(401, "invalid_api_key"), wait, 429, "30"},
		"a refused key and a server":     {fails(401, "invalid_api_key"), fails(500, ""), 502, ""},
		"a limit and a client's mistake": {wait, fails(400, "invalid_value"), 400, ""},
		"two limits, the sooner one":     {later, wait, 429, "30"},
		"two limits, the sooner first":   {wait, later, 429, "30"},
	} {
		t.Run(name, func(t *testing.T) {
			g, _ := several(t, "", mock.Start(t, tc.first), mock.Start(t, tc.second))
			res, answer := g.post(t, answerOfM)
			if res.StatusCode != tc.status || res.Header.Get("Retry-After") != tc.retryAfter && tc.retryAfter != "" {
				t.Errorf("got %d, Retry-After %q: %s", res.StatusCode, res.Header.Get("Retry-After"), answer)
			}
		})
	}
}

func TestFallOnPolicy(t *testing.T) {
	one, two := mock.Start(t, fails(400, "content_policy_violation")), mock.Start(t, says("fine"))
	g, _ := several(t, "    fall_on: [policy]\n", one, two)
	if res, answer := g.post(t, answerOfM); res.StatusCode != 200 || textOf(answer) != "fine" {
		t.Errorf("got %d %s", res.StatusCode, answer)
	}
}

// TestRetryAfterIsBelieved: an upstream that asks to be left alone for 7 s is left alone
// for 7 s, then asked by one at a time.
func TestRetryAfterIsBelieved(t *testing.T) {
	one := mock.Start(t, fails(429, "rate_limit_exceeded", "Retry-After", "7"))
	two := mock.Start(t, fails(429, "rate_limit_exceeded", "Retry-After", "9"))
	g, clock := several(t, "", one, two)
	res, answer := g.post(t, answerOfM)
	if res.StatusCode != 429 || res.Header.Get("Retry-After") != "7" {
		t.Fatalf("got %d, Retry-After %s: %s", res.StatusCode, res.Header.Get("Retry-After"), answer)
	}
	asked := len(one.Requests()) + len(two.Requests())
	clock.pass(6900 * time.Millisecond)
	for range 3 {
		res, answer = g.post(t, answerOfM)
		if res.StatusCode != 429 || res.Header.Get("Retry-After") != "1" || !strings.Contains(answer, "rate_limit_exceeded") {
			t.Errorf("got %d, Retry-After %s: %s", res.StatusCode, res.Header.Get("Retry-After"), answer)
		}
	}
	if now := len(one.Requests()) + len(two.Requests()); now != asked {
		t.Errorf("asked %d times in the 7 s", now-asked)
	}
	clock.pass(200 * time.Millisecond)
	release, entered := make(chan struct{}), make(chan bool, 10)
	one.Answer(mock.Steps(func(*mock.Exchange) { entered <- true }, mock.Wait(release), says("back")))
	done := make(chan string)
	go func() {
		_, answer := g.post(t, answerOfM)
		done <- textOf(answer)
	}()
	<-entered
	if res, _ := g.post(t, answerOfM); res.StatusCode != 429 {
		t.Errorf("a second one beside the probe got %d", res.StatusCode)
	}
	close(release)
	if got := <-done; got != "back" {
		t.Errorf("the probe got %q", got)
	}
	if len(entered) > 0 {
		t.Error("two tried it at one time")
	}
}

// TestOddHeadersOfUpstreams: whatever an upstream says, it is asked again within an hour or
// so, and its headers are not the client's.
func TestOddHeadersOfUpstreams(t *testing.T) {
	for _, after := range []string{"-5", "0", "99999999999999999999", "9223372036", "1e300", "NaN", "7, 8", "Wed, 21 Oct 2099 07:28:00 GMT", "Wed, 21 Oct 1999 07:28:00 GMT", "soon"} {
		one := mock.Start(t, fails(429, "rate_limit_exceeded", "Retry-After", after, "X-Kai-Attempts", "99", "X-Request-Id", "99"))
		two := mock.Start(t, func(x *mock.Exchange) {
			x.Set("X-Kai-Attempts", "99")
			x.Set("X-Request-Id", "99")
			x.Set("Retry-After", "99")
			says("fine")(x)
		})
		g, clock := several(t, "", one, two)
		for _, body := range []string{answerOfM, streamOfM} {
			one.Forget()
			res, answer := g.post(t, body)
			if h := res.Header; res.StatusCode != 200 || textOf(answer) != "fine" || h.Get("X-Kai-Attempts") != "2" || h.Get("X-Request-Id") == "99" || h.Get("Retry-After") != "" {
				t.Errorf("%q: got %d %s with %v", after, res.StatusCode, answer, res.Header)
			}
			if len(one.Requests()) == 0 {
				t.Errorf("%q: the first target is not asked", after)
			}
			clock.pass(66 * time.Minute) // an hour and a tenth
		}
	}
}

// TestAttemptsAreBounded: three tiers of three targets that all fail are asked no more
// often than routing allows, and the client learns of the last failure.
func TestAttemptsAreBounded(t *testing.T) {
	var members []*mock.Upstream
	for range 9 {
		members = append(members, mock.Start(t, fails(500, "")))
	}
	for more, want := range map[string]int{"": 4, "    routing: {attempts: 2}\n": 2, "    routing: {attempts: 9}\n": 9} {
		g, _ := several(t, more, members...)
		before := 0
		for _, m := range members {
			before += len(m.Requests())
		}
		res, answer := g.post(t, answerOfM)
		after := 0
		for _, m := range members {
			after += len(m.Requests())
		}
		if after-before != want || res.StatusCode != 502 || res.Header.Get("X-Kai-Attempts") != fmt.Sprint(want) {
			t.Errorf("%q: %d attempts, said %s, want %d; got %d %s", more, after-before, res.Header.Get("X-Kai-Attempts"), want, res.StatusCode, answer)
		}
	}
}

// TestTheHeadLeavesBetweenAttempts: the head of a stream tells the attempts so far, whoever
// sends it. Under the race detector this shows that nobody writes headers beside it, which
// would end the process.
func TestTheHeadLeavesBetweenAttempts(t *testing.T) {
	headSent := make(chan struct{})
	one := mock.Start(t, fails(500, "x"))
	two := mock.Start(t, func(x *mock.Exchange) {
		x.Wait(headSent)
		fails(500, "x")(x)
	})
	three := mock.Start(t, says("fine"))
	g, _ := several(t, "server: {stream_head_wait: 1s}\n", one, two, three) // a busy machine has the first fail by then, too
	req, _ := http.NewRequestWithContext(t.Context(), "POST", g.URL+"/v1/chat/completions", strings.NewReader(streamOfM))
	res, err := http.DefaultClient.Do(req) // returns with the head
	close(headSent)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if got := res.Header.Get("X-Kai-Attempts"); err != nil || got != "2" || textOf(string(answer)) != "fine" {
		t.Errorf("the head tells of %q attempts before %s, %v", got, answer, err)
	}
}

// TestALoneTargetBehavesAsEver: an alias in the short form is asked whatever happened
// before, once for each request.
func TestALoneTargetBehavesAsEver(t *testing.T) {
	one := mock.Start(t, fails(429, "rate_limit_exceeded", "Retry-After", "60"))
	g := newGateway(t, fmt.Sprintf("providers:\n  up: {plugin: openai, base_url: %q, api_key: sk-1}\nmodel_mapping:\n  m: {provider: up, model: m}\n", one.URL))
	for i := range 5 {
		res, _ := g.post(t, answerOfM)
		if res.StatusCode != 429 || len(one.Requests()) != i+1 || res.Header.Get("X-Kai-Attempts") != "" {
			t.Fatalf("request %d: %d, asked %d times", i, res.StatusCode, len(one.Requests()))
		}
	}
}

// TestStreamsSurviveWhileTargetsDie: 200 streams at a time are whole, whatever happens to
// one of the targets and the configuration.
func TestStreamsSurviveWhileTargetsDie(t *testing.T) {
	text := strings.Repeat("All work and no play. ", 50)
	one, two := mock.Start(t, says(text)), mock.Start(t, says(text))
	yaml := func(more string) string {
		return fmt.Sprintf("providers:\n  up0: {plugin: openai, base_url: %q, api_key: a}\n  up1: {plugin: openai, base_url: %q, api_key: b}\n"+
			"model_mapping:\n  m: {targets: [{provider: up0, model: m}, {provider: up1, model: m, tier: 2}]}\n%s", one.URL, two.URL, more)
	}
	g, clock := configured(t, yaml(""))
	configs := []*config.Config{parse(t, yaml("  more: {provider: up0, model: m}\n")), parse(t, yaml(""))}
	stop := make(chan bool)
	var mischief sync.WaitGroup
	mischief.Go(func() {
		answers := []mock.Answer{says(text), fails(500, ""), mock.Reset, fails(429, "rate_limit_exceeded", "Retry-After", "3"), fails(401, "x"), mock.Steps(mock.SSE(": x\n\n"), mock.Reset)}
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				one.Answer(answers[i%len(answers)])
				clock.pass(time.Second)
				if i%10 > 0 {
					continue
				}
				if err := g.host.Swap(t.Context(), configs[i/10%2], testkit.Module); err != nil {
					t.Error(err)
				}
			}
		}
	})
	var clients sync.WaitGroup
	var failed atomic.Int64
	for range 200 {
		clients.Go(func() {
			for range 3 {
				if res, answer := g.post(t, streamOfM); res.StatusCode != 200 || textOf(answer) != text {
					if failed.Add(1) < 3 {
						t.Errorf("got %d %.300s", res.StatusCode, answer)
					}
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	mischief.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of 600 streams failed", n)
	}
}

// TestCapacityGoesAround: what one target doesn't bear goes to the next, and if none does,
// the client may try again.
func TestCapacityGoesAround(t *testing.T) {
	one, two := mock.Start(t, says("one")), mock.Start(t, says("two"))
	g := newGateway(t, fmt.Sprintf("providers:\n  up0: {plugin: openai, base_url: %q, api_key: a}\n  up1: {plugin: openai, base_url: %q, api_key: b, capacity: {requests: 3/m}}\n"+
		"model_mapping:\n  m: {targets: [{provider: up0, model: m, capacity: {requests: 2/m}}, {provider: up1, model: m, tier: 2}]}\n  alone: {provider: up1, model: m}\n", one.URL, two.URL))
	for i, want := range []string{"one", "one", "two", "two", "two"} {
		if _, answer := g.post(t, answerOfM); textOf(answer) != want {
			t.Errorf("request %d got %s, want %s", i, answer, want)
		}
	}
	for _, body := range []string{answerOfM, strings.Replace(answerOfM, `"m"`, `"alone"`, 1)} {
		res, answer := g.post(t, body)
		wait, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		if res.StatusCode != 429 || wait < 1 || wait > 120 || !strings.Contains(answer, "capacity") {
			t.Errorf("beyond all capacity: %d, Retry-After %s, %s", res.StatusCode, res.Header.Get("Retry-After"), answer)
		}
	}
	if n := len(one.Requests()) + len(two.Requests()); n != 5 {
		t.Errorf("asked %d times, want 5", n)
	}
}

func TestHiddenAliasesAnswer(t *testing.T) {
	g := newGateway(t, "model_mapping:\n  a: {provider: demo, model: demo}\n  b: {hidden: true, targets: [{alias: a}]}\n  any/*: {provider: demo, model: \"*\"}\n")
	for _, alias := range []string{"b", "any/thing"} {
		if res, answer := g.post(t, strings.Replace(answerOfM, `"m"`, `"`+alias+`"`, 1)); res.StatusCode != 200 {
			t.Errorf("%s: %d %s", alias, res.StatusCode, answer)
		}
	}
	_, list := g.send(t, "GET", "/v1/models", "")
	if names := namesIn(t, list); !slices.Equal(names, []string{"a"}) {
		t.Errorf("listed are %q", names)
	}
}

// namesIn reads a list of models.
func namesIn(t *testing.T, list string) (names []string) {
	t.Helper()
	var v struct{ Data []struct{ ID string } }
	if err := json.Unmarshal([]byte(list), &v); err != nil {
		t.Fatal(err)
	}
	for _, m := range v.Data {
		names = append(names, m.ID)
	}
	return names
}

// TestAClientThatHangsUpSaysNothing: it takes nothing away from the target, and the log
// says why the attempt ended.
func TestAClientThatHangsUpSaysNothing(t *testing.T) {
	one, two := mock.Start(t, hangs(": alive\n\n")), mock.Start(t, says("fine"))
	g, _ := several(t, "", one, two)
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "POST", g.URL+"/v1/chat/completions", strings.NewReader(streamOfM))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		asked := len(one.Requests())
		done := make(chan bool)
		go func() {
			if res, err := http.DefaultClient.Do(r); err == nil {
				res.Body.Close()
			}
			close(done)
		}()
		for len(one.Requests()) == asked {
			time.Sleep(time.Millisecond)
		}
		cancel()
		<-done
	}
	one.Answer(says("well"))
	if _, answer := g.post(t, answerOfM); textOf(answer) != "well" {
		t.Errorf("afterwards the first target is not asked: %s", answer)
	}
	for strings.Count(g.log.String(), `"class":"gone"`) < 5 { // the lines are written when the requests have ended
		time.Sleep(time.Millisecond)
	}
}
