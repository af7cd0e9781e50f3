package host

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/key"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// asOne makes events of some lines that one write brings.
func asOne(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "data: %s\n\n", line)
	}
	return b.String()
}

// TestEventsOfOneReadGoIntoOneCall: as many as a call may have, and whatever becomes of it,
// the client gets what single calls would give it.
func TestEventsOfOneReadGoIntoOneCall(t *testing.T) {
	words := func(n int) (lines []string) {
		for i := range n {
			lines = append(lines, fmt.Sprintf("TEXT %d.", i))
		}
		return lines
	}
	long := "TEXT " + strings.Repeat("x", 2048)
	for name, tc := range map[string]struct {
		sent    string
		calls   []int // how many events each gets; below 0: it came to nothing
		content string
		failure string
	}{
		"three":                           {asOne("TEXT a", "TEXT b", "FINISH stop"), []int{3, 1}, "ab", ""},
		"one alone":                       {asOne("TEXT a\ndata: FINISH stop"), []int{1, 1}, "a", ""},
		"more than a call takes":          {asOne(append(words(34), "FINISH stop")...), []int{32, 3, 1}, contentOf(words(34)), ""},
		"more bytes than a call takes":    {asOne(append(repeated("TEXT "+strings.Repeat("y", 1000), 9), "FINISH stop")...), nil, strings.Repeat("y", 9000), ""},
		"with a name":                     {"event: e\n" + asOne("TEXT a", "TEXT b", "TEXT c") + "event: e\n" + asOne("FINISH stop"), []int{1, 2, 1, 1}, "abc", ""},
		"a long one between":              {asOne("TEXT a", "TEXT b", long, "TEXT c", "FINISH stop"), nil, "ab" + strings.Repeat("x", 2048) + "c", ""},
		"empty ones between":              {asOne("TEXT a", "", "TEXT b", "FINISH stop"), nil, "ab", ""},
		"[DONE] at the end":               {asOne("TEXT a", "TEXT b", "[DONE]"), []int{2, 1}, "ab", ""},
		"what follows [DONE]":             {asOne("TEXT a", "TEXT b", "[DONE]", "TEXT c", "TEXT d"), []int{2, 1}, "ab", ""},
		"the adapter's end in the middle": {asOne("TEXT a\ndata: FINISH stop", "END", "TEXT never", "TEXT never"), []int{4}, "a", ""},
		"an error in the middle":          {asOne("TEXT a", "TEXT b", `ERROR {"message":"Broken."}`, "TEXT c"), []int{-4, 1, 1, 1}, "ab", "Broken."},
		"one that needs a call alone":     {asOne("TEXT a", "TEXT ALONE", "FINISH stop"), []int{-3, 1, 1, 1, 1}, "aALONE", ""},
		"the end among single ones":       {asOne("TEXT ALONE", "TEXT a\ndata: FINISH stop", "END", "TEXT never"), []int{-4, 1, 1, 1}, "ALONEa", ""},
		"facts against the rules":         {asOne("TEXT a", "FINISH stop", "USAGE {}", "TEXT late", "TEXT later"), []int{5}, "a", ""},
	} {
		for _, stream := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, stream %v", name, stream), func(t *testing.T) {
				answers := map[bool][3]any{}
				for _, joins := range []bool{false, true} {
					up := mock.Start(t, mock.SSE(tc.sent))
					s, adapter, _ := gatewayOf(t, nil, up.URL)
					adapter.joins = joins
					code, content, failure := ask(t, s, stream, "Hi")
					answers[joins] = [3]any{code, content, failure}
					if stream && (content != tc.content || failure != tc.failure) {
						t.Errorf("joined %v: got %q and the error %q, want %q and %q", joins, content, failure, tc.content, tc.failure)
					}
					if adapter.mu.Lock(); joins && tc.calls != nil && !slices.Equal(adapter.events, tc.calls) {
						t.Errorf("the calls got %v events, want %v", adapter.events, tc.calls)
					}
					if !joins && slices.Max(adapter.events) > 1 {
						t.Errorf("the calls of an adapter that takes one event got %v", adapter.events)
					}
					adapter.mu.Unlock()
				}
				if answers[true] != answers[false] {
					t.Errorf("together the events give %q, one by one %q", answers[true], answers[false])
				}
			})
		}
	}
}

// TestNothingIsReadBehindTheEnd: an answer that has failed or is complete ends, though the
// upstream goes on.
func TestNothingIsReadBehindTheEnd(t *testing.T) {
	full := append(repeated("TEXT a", 31), `ERROR {"message":"Broken."}`, "TEXT never")
	for name, tc := range map[string]struct {
		sent    string
		content string
		failure string
	}{
		"an error":                        {asOne("TEXT a", `ERROR {"message":"Broken."}`), "a", "Broken."},
		"an error of as many as may join": {asOne(full...), strings.Repeat("a", 31), "Broken."},
		"an end":                          {asOne("TEXT a\ndata: FINISH stop", "END"), "a", ""},
		"an end before [DONE]":            {asOne("TEXT a\ndata: FINISH stop", "END", "[DONE]"), "a", ""},
	} {
		for _, joins := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, joined %v", name, joins), func(t *testing.T) {
				up := mock.Start(t, mock.Steps(mock.SSE(tc.sent), mock.Hang))
				s, adapter, _ := gatewayOf(t, nil, up.URL)
				adapter.joins = joins
				if _, content, failure := ask(t, s, true, "Hi"); content != tc.content || failure != tc.failure {
					t.Errorf("got %q and the error %q, want %q and %q", content, failure, tc.content, tc.failure)
				}
			})
		}
	}
}

// TestEventsKeepTheirNames: one whose data begins with its name as its type may join others, and
// has the name when it gets a call of its own after all.
func TestEventsKeepTheirNames(t *testing.T) {
	named := func(name string) string { return "event: " + name + "\ndata: {\"type\":\"" + name + "\"}\n\n" }
	up := mock.Start(t, mock.SSE(named("ping")+asOne("TEXT ALONE")+named("pong")+asOne("FINISH stop")))
	g, adapter := generationOf(t, nil, func(t *route.Target) { t.Native = true }, up.URL)
	adapter.joins, adapter.profile = true, profileWith("chat", "messages")
	s, _ := serving(t, g, key.Principal{}, passable(false, func(*dialect.Request) {}))
	if _, content, failure := ask(t, s, true, "Hi"); content != "ALONE" || failure != "" {
		t.Errorf("got %q and the error %q", content, failure)
	}
	adapter.mu.Lock()
	defer adapter.mu.Unlock()
	if want := []string{"ping", "", "pong", "", ""}; !slices.Equal(adapter.names, want) {
		t.Errorf("the events had the names %q, want %q", adapter.names, want)
	}
}

// plainer is an adapter that knows nothing of several events in one call.
type plainer struct{ Adapter }

func TestAnAdapterMayTakeEventsOneByOne(t *testing.T) {
	up := mock.Start(t, mock.SSE(asOne("TEXT a", "TEXT b", "FINISH stop")))
	g, adapter := generationOf(t, nil, nil, up.URL)
	adapter.joins = true
	g.providers["up0"].adapter = plainer{adapter}
	s, _ := serving(t, g, key.Principal{}, chat.Parse)
	if _, content, failure := ask(t, s, true, "Hi"); content != "ab" || failure != "" {
		t.Errorf("got %q and the error %q", content, failure)
	}
}

func repeated(line string, n int) []string { return slices.Repeat([]string{line}, n) }

func contentOf(lines []string) string {
	return strings.ReplaceAll(strings.Join(lines, ""), "TEXT ", "")
}

// TestNoEventWaitsForOneThatHasNotArrived: the client sees what a read brought before the
// upstream sends more.
func TestNoEventWaitsForOneThatHasNotArrived(t *testing.T) {
	seen := make(chan struct{})
	pieces := []string{asOne("TEXT a1"), asOne("TEXT b1", "TEXT b2"), asOne("TEXT c1", "TEXT c2") + "data: TEXT d", "1\n\n", asOne("FINISH stop")}
	up := mock.Start(t, func(x *mock.Exchange) {
		x.Head(200, "text/event-stream")
		for i, piece := range pieces {
			x.Send(piece)
			if i < len(pieces)-1 {
				<-seen
			}
		}
	})
	s, adapter, _ := gatewayOf(t, nil, up.URL)
	adapter.joins = true
	res, err := http.Post(s.URL+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	in := bufio.NewScanner(res.Body)
	for _, last := range []string{`"a1"`, `"b2"`, `"c2"`, `"d1"`} {
		for in.Scan() && !strings.Contains(in.Text(), last) {
		}
		if err := in.Err(); err != nil {
			t.Fatalf("before %s: %v", last, err)
		}
		seen <- struct{}{}
	}
	text := ""
	for in.Scan() {
		text += in.Text()
	}
	if !strings.Contains(text, `"finish_reason":"stop"`) || !strings.HasSuffix(text, "data: [DONE]") {
		t.Errorf("the end is %q", text)
	}
	adapter.mu.Lock()
	defer adapter.mu.Unlock()
	if want := []int{1, 2, 2, 1, 1, 1}; !slices.Equal(adapter.events, want) {
		t.Errorf("the calls got %v events, want %v", adapter.events, want)
	}
}

// TestJoinedEventsLetAnotherTargetAnswer: what fails before the first content is given up,
// though it came together with what would have been content.
func TestJoinedEventsLetAnotherTargetAnswer(t *testing.T) {
	for name, sent := range map[string]string{
		"an error behind what is no content": asOne(`USAGE {"prompt_tokens":900}`, `CHUNK_EXTRA {"x":1}`, `ERROR {"status":429,"message":"Slow down."}`, "TEXT never"),
		"an end without content":             asOne(`USAGE {"prompt_tokens":900}`, "END", "TEXT never"),
	} {
		t.Run(name, func(t *testing.T) {
			first, second := mock.Start(t, mock.SSE(sent)), mock.Start(t, mock.SSE(asOne("TEXT go", "TEXT od", "FINISH stop")))
			s, adapter, _ := gatewayOf(t, nil, first.URL, second.URL)
			adapter.joins = true
			if code, content, failure := ask(t, s, true, "Hi"); code != 200 || content != "good" || failure != "" {
				t.Errorf("%d %q %q, want the second's answer", code, content, failure)
			}
		})
	}
}
