package host

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/plugins"
)

// wishing reads a chat completion as an API does in which thinking is only a wish.
func wishing(ctx context.Context, b []byte, c dialect.Caller) (*dialect.Request, error) {
	r, err := chat.Parse(ctx, b, c)
	if err == nil {
		r.Wish = "reasoning_effort"
	}
	return r, err
}

func TestAWishThatIsRefusedIsLeftOut(t *testing.T) {
	const (
		refused = `ERROR {"status":400,"code":"unsupported_parameter","param":"reasoning_effort","message":"It cannot think."}`
		answer  = "TEXT Hi\nFINISH stop"
		asks    = `{"model":"m","messages":[{"role":"user","content":"hi"}],"reasoning_effort":"high","n":1}`
		without = `{"model":"model-of-up0","messages":[{"role":"user","content":"hi"}],"n":1}`
		with    = `{"model":"model-of-up0","messages":[{"role":"user","content":"hi"}],"reasoning_effort":"high","n":1}`
	)
	for name, tc := range map[string]struct {
		parse  dialect.Parse
		refuse string   // what the upstream answers to a request with an effort
		also   string   // what it answers to any other; "": the answer
		body   string   // of both of the client's requests
		stream bool     // the client's requests
		want   []string // the upstream's requests
		status int
	}{
		"once, and remembered":                    {wishing, refused, "", asks, false, []string{with, without, without}, 200},
		"in a stream":                             {wishing, refused, "", asks, true, []string{with, without, without}, 200},
		"in the first event of a stream":          {wishing, "data: " + refused + "\n\n", "", asks, true, []string{with, without, without}, 200},
		"a value that is refused is not kept":     {wishing, strings.Replace(refused, "_parameter", "_value", 1), "", asks, false, []string{with, without, with, without}, 200},
		"a request without the wish":              {wishing, refused, "", strings.Replace(asks, `"reasoning_effort":"high",`, ``, 1), false, []string{without, without}, 200},
		"as the first field":                      {wishing, refused, "", `{"reasoning_effort":"high","model":"m","messages":[{"role":"user","content":"hi"}],"n":1}`, false, []string{`{"reasoning_effort":"high",` + without[1:], without, without}, 200},
		"as the last field":                       {wishing, refused, "", `{"model":"m","messages":[{"role":"user","content":"hi"}],"n":1 , "reasoning_effort":"high"}`, false, []string{without[:len(without)-1] + ` , "reasoning_effort":"high"}`, without[:len(without)-1] + ` }`, without[:len(without)-1] + ` }`}, 200},
		"a condition is the client's":             {chat.Parse, refused, "", asks, false, []string{with, with}, 400},
		"no parameter at all":                     {chat.Parse, strings.Replace(refused, `"param":"reasoning_effort",`, ``, 1), "", asks, false, []string{with, with}, 400},
		"another parameter":                       {wishing, strings.Replace(refused, "reasoning_effort", "top_p", 1), "", asks, false, []string{with, with}, 400},
		"another code":                            {wishing, strings.Replace(refused, "unsupported_parameter", "rate_limit_exceeded", 1), "", asks, false, []string{with, with}, 400},
		"what is refused without it is an error":  {wishing, refused, refused, asks, false, []string{with, without, without}, 400},
		"not once there was content":              {wishing, "data: TEXT Hi\n\ndata: " + refused + "\n\n", "", asks, false, []string{with, with}, 400},
		"not once a stream has sent some content": {wishing, "data: TEXT Hi\n\ndata: " + refused + "\n\n", "", asks, true, []string{with, with}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			upstream := mock.Start(t, func(x *mock.Exchange) {
				text := answer
				if strings.Contains(x.Body, "reasoning_effort") {
					text = tc.refuse
				} else if tc.also != "" {
					text = tc.also
				}
				if strings.HasPrefix(text, "data: ") {
					mock.SSE(text)(x)
				} else {
					mock.JSON(text)(x)
				}
			})
			total := memory.New(memory.Options{Limit: 1 << 30})
			server, _, record := gatewayFor(t, tc.parse, total, upstream.URL)
			for range 2 {
				body := tc.body
				if tc.stream {
					body = strings.Replace(body, `"model":"m",`, `"model":"m","stream":true,`, 1)
				}
				resp, err := http.Post(server.URL+"/v1/chat/completions", "application/json", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				said, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != tc.status {
					t.Errorf("the status is %d, want %d: %s", resp.StatusCode, tc.status, said)
				}
				if len(record().Attempts) != 1 {
					t.Errorf("it took %d attempts, want 1", len(record().Attempts))
				}
				if used := total.Used(); used != 0 {
					t.Errorf("%d bytes are held after the answer", used)
				}
			}
			var got []string
			for _, r := range upstream.Requests() {
				got = append(got, strings.Replace(r.Body, `"stream":true,`, ``, 1))
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("the upstream got\n%q, want\n%q", got, tc.want)
			}
		})
	}
}

// Long content of a request is put back in the second request, too.
func TestAWishIsLeftOutBesideLongContent(t *testing.T) {
	long := strings.Repeat("long ", 1000)
	upstream := mock.Start(t, mock.InTurn(
		mock.JSON(`ERROR {"status":400,"code":"unsupported_parameter","param":"reasoning_effort","message":"No."}`),
		mock.JSON("TEXT Hi\nFINISH stop")))
	server, _, _ := gatewayFor(t, wishing, memory.New(memory.Options{Limit: 1 << 30}), upstream.URL)
	resp, err := http.Post(server.URL+"/v1/chat/completions", "application/json", strings.NewReader(`{"reasoning_effort":"high","model":"m","stop":"","messages":[{"role":"user","content":"`+long+`"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	want := `{"model":"model-of-up0","stop":null,"messages":[{"role":"user","content":"` + long + `"}]}`
	if asked := upstream.Requests(); len(asked) != 2 || asked[1].Body != want {
		t.Errorf("the upstream got %.300v", asked)
	}
}

func TestWishesAreBounded(t *testing.T) {
	var ws wishes
	first := wish{"first", "f"}
	ws.add(first)
	ws.add(first)
	for n := range 3 * maxWishes {
		ws.add(wish{fmt.Sprint(n), "f"})
		if !ws.refuses(first) {
			t.Fatalf("what is asked for all the time is forgotten after %d others", n+1)
		}
	}
	if n := len(ws.known); n != maxWishes || ws.order.Len() != n {
		t.Errorf("%d wishes are known, in a list of %d", n, ws.order.Len())
	}
	if ws.refuses(wish{"0", "f"}) || ws.refuses(wish{"first", "g"}) {
		t.Error("it knows what it can't")
	}
}

// Which of the shipped adapters takes what, beyond chat completions.
func TestExtensionsOfShippedAdapters(t *testing.T) {
	want := map[string][]string{
		"anthropic": {"anthropic", "cache_control", "top_k"}, "demo": nil, "gemini": {"top_k"}, "ollama": {"top_k"}, "openai": nil, "openrouter": {"cache_control", "top_k"},
	}
	for name, extensions := range want {
		module, err := plugins.Module(name)
		if err != nil {
			t.Fatal(err)
		}
		m, found, err := modfile.ReadManifest(module)
		if err != nil || !found {
			t.Fatalf("%s: %v, found: %v", name, err, found)
		}
		if got := m.Profile().Extensions; !slices.Equal(got, extensions) {
			t.Errorf("%s takes %v, want %v", name, got, extensions)
		}
	}
}
