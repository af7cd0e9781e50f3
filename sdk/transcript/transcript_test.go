package transcript

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

const asked = "-- client-request.json --\n{}\n"

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, says string }{
		"nothing":                   {"", "the section -- client-request.json --, with the request of a client, is missing"},
		"lines that end in CR LF":   {strings.ReplaceAll(asked, "\n", "\r\n"), "the line -- client-request.json -- ends in CR LF"},
		"an answer without status":  {asked + "-- upstream-response --\nhello\n", `section 2, upstream-response: must begin with a line such as "HTTP/1.1 200 OK", not "hello"`},
		"a status that is none":     {asked + "-- upstream-response --\nHTTP/1.1 OK\n", `"OK" is no HTTP status`},
		"another end":               {asked + "-- upstream-response --\nHTTP/1.1 200 OK\nkai-end: Cut\n", `kai-end: Cut is neither "cut" nor "cut in a line"`},
		"an operation that is none": {asked + "-- op --\nsong\n", "the section -- op -- must be the name of an operation"},
		"a header that is none":     {asked + "-- upstream-response --\nHTTP/1.1 200 OK\nhello\n", `"hello" is no header line`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error = %v, want one with %q", err, tc.says)
			}
		})
	}
}

func TestHeadHasWhatTheGatewayLetsThrough(t *testing.T) {
	tr, err := Parse([]byte(asked + "-- upstream-response --\nHTTP/1.1 429 Too Many Requests\nX-RateLimit-Reset-Tokens: 3s\nServer: x\nContent-Type: application/json\nRetry-After: 2\nAnthropic-Ratelimit-Tokens-Limit: 9\nSet-Cookie: a=b\n\n{}\n"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "anthropic-ratelimit-tokens-limit: 9\ncontent-type: application/json\nretry-after: 2\nx-ratelimit-reset-tokens: 3s\n"
	if got := string(tr.Responses()[0].Head()); got != want {
		t.Errorf("the adapter sees\n%swant\n%s", got, want)
	}
}

func TestWhereAnAnswerBroke(t *testing.T) {
	for end, want := range map[string]Response{
		"":                         {Body: []byte("a\nb\n")},
		"kai-end: cut\n":           {Body: []byte("a\nb\n"), Cut: true},
		"kai-end: cut in a line\n": {Body: []byte("a\nb"), Cut: true},
	} {
		tr, err := Parse([]byte(asked + "-- upstream-response --\nHTTP/1.1 200 OK\n" + end + "\na\nb\n"))
		if err != nil {
			t.Fatal(err)
		}
		got := tr.Responses()[0]
		if string(got.Body) != string(want.Body) || got.Cut != want.Cut || len(got.Headers) != 0 {
			t.Errorf("%q: body %q, cut %v, headers %v", end, got.Body, got.Cut, got.Headers)
		}
	}
}

func TestCompare(t *testing.T) {
	emits := func(kind abi.Kind, text string) []abi.Emission {
		return []abi.Emission{{Kind: kind, Data: []byte(text)}}
	}
	for name, tc := range map[string]struct {
		transcript string
		replay     Replay
		want       []string
	}{
		"nothing differs": {
			asked + "-- upstream-request --\nPOST /a\n\n{}\n-- emissions --\nTEXT 0 \"hi\"\n",
			Replay{Requests: [][]byte{[]byte("POST /a\n\n{}\n")}, Calls: [][]abi.Emission{emits(abi.Text, "hi")}}, nil,
		},
		"each request and the emissions are told of": {
			asked + "-- upstream-request --\nPOST /a\n\n{}\n-- emissions --\nTEXT 0 \"hi\"\n",
			Replay{Requests: [][]byte{[]byte("POST /b\n\n{}\n"), []byte("POST /c\n")}, Calls: [][]abi.Emission{emits(abi.Text, "hi"), emits(abi.Finish, "stop")}},
			[]string{
				`upstream-request 1, line 1: "POST /b", where the transcript has "POST /a"`,
				"upstream-request 2: the transcript has none, the adapter made one",
				`emissions, line 3: "FINISH 0 stop", where the transcript has nothing`,
			},
		},
		"what doesn't come is told of": {
			asked + "-- upstream-request --\nPOST /a\n\n{}\n-- emissions --\nTEXT 0 \"hi\"\n", Replay{},
			[]string{"upstream-request 1: the adapter made none", "emissions: the adapter made none"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tr, err := Parse([]byte(tc.transcript))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range tr.Compare(&tc.replay) {
				got = append(got, d.String())
			}
			if strings.Join(got, "\n") != strings.Join(tc.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}
