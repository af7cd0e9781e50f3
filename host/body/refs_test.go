package body

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/fault"
)

var token = regexp.MustCompile(`@kai:([0-9a-f]{32}):([0-9]+)@`)

// shorten parses a body that holds three long contents and gives it in short.
func shorten(t *testing.T) (whole, short string, refs *Refs) {
	t.Helper()
	c := parse(t, `{"messages":[{"role":"system","content":"A\n`+long+`"},{"role":"user","content":["B`+long+`","C`+long+`"]}],"model":"alias"}`)
	b, refs := c.Short("up")
	return string(c.Body("up")), string(b), refs
}

func TestShort(t *testing.T) {
	_, short, _ := shorten(t)
	const want = `{"messages":[{"role":"system","content":"0"},{"role":"user","content":["1","2"]}],"model":"up"}`
	if got := token.ReplaceAllString(short, "$2"); got != want {
		t.Errorf("Short = %s, want tokens in %s", short, want)
	}
}

func TestNoncesDiffer(t *testing.T) {
	_, one, _ := shorten(t)
	_, two, _ := shorten(t)
	if token.FindStringSubmatch(one)[1] == token.FindStringSubmatch(two)[1] {
		t.Error("two requests have the same nonce")
	}
}

func TestShortOfATokenThatTheClientWrote(t *testing.T) {
	const written = "@kai:0123456789abcdef0123456789abcdef:0@"
	c := parse(t, `{"messages":[{"role":"user","content":"`+written+`"},{"role":"user","content":"`+long+`"}]}`)
	short, refs := c.Short("m")
	got, err := refs.Expand(short)
	if err != nil || string(got) != string(c.Body("m")) {
		t.Errorf("Expand = %s, %v, want the client's token left alone", got, err)
	}
}

func TestExpand(t *testing.T) {
	whole, short, refs := shorten(t)
	tokens := token.FindAllString(short, -1)
	contents := []string{`A\n` + long, "B" + long, "C" + long}
	for name, tc := range map[string]struct{ body, want string }{
		"the short body":            {short, whole},
		"no token":                  {`{"a":"@kai:"}`, `{"a":"@kai:"}`},
		"nothing":                   {"", ""},
		"only a token":              {tokens[1], contents[1]},
		"another order":             {tokens[2] + "-" + tokens[0], contents[2] + "-" + contents[0]},
		"one several times":         {tokens[1] + tokens[1] + tokens[1], strings.Repeat(contents[1], 3)},
		"a token cut off elsewhere": {"@kai:" + tokens[0], "@kai:" + contents[0]},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := refs.Expand([]byte(tc.body))
			if err != nil || string(got) != tc.want {
				t.Errorf("Expand(%q) = %.200q, %v, want %.200q", tc.body, got, err, tc.want)
			}
			if cap(got) != len(got) && cap(got) > len(got)+len(got)/4+16 {
				t.Errorf("Expand(%q) has room for %d bytes more", tc.body, cap(got)-len(got))
			}
		})
	}
	if got, err := (*Refs)(nil).Expand([]byte("a")); err != nil || string(got) != "a" {
		t.Errorf("Expand without refs = %q, %v", got, err)
	}
}

func TestExpandAllocatesOnce(t *testing.T) {
	_, short, refs := shorten(t)
	body := []byte(short)
	if n := testing.AllocsPerRun(100, func() { refs.Expand(body) }); n > 1 {
		t.Errorf("Expand makes %v allocations, want 1", n)
	}
}

func TestExpandRefuses(t *testing.T) {
	_, short, refs := shorten(t)
	first := token.FindString(short)
	nonce := first[len("@kai:"):][:nonceLen]
	refs.Limit = 5000
	for name, tc := range map[string]struct{ body, want string }{
		"an unknown number":     {"@kai:" + nonce + ":3@", `content "3" of 3`},
		"a huge number":         {"@kai:" + nonce + ":99999999999@", "damaged"},
		"a number with a sign":  {"@kai:" + nonce + ":+1@", `content "+1" of 3`},
		"no number":             {"@kai:" + nonce + ":@", "damaged"},
		"a number of letters":   {"@kai:" + nonce + ":x@", `content "x" of 3`},
		"no end":                {"@kai:" + nonce + ":0", "damaged"},
		"no start":              {nonce + ":0@", "damaged"},
		"another start":         {"@Kai:" + nonce + ":0@", "damaged"},
		"a nonce behind tokens": {first + first + nonce, "damaged"},
		"a shared start":        {first + first[1:], "damaged"},
		"too often":             {strings.Repeat(first, 5), "5 times makes the body larger than 5000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := refs.Expand([]byte(tc.body))
			var e *fault.Error
			if !errors.As(err, &e) || got != nil {
				t.Fatalf("Expand(%q) = %.200q, %v, want an *fault.Error", tc.body, got, err)
			}
			if e.Kind != fault.Adapter || e.Code != "adapter_error" || e.Cause == nil || !strings.Contains(e.Cause.Error(), tc.want) {
				t.Errorf("Expand(%q) error = %v %s %v, want %q", tc.body, e.Kind, e.Code, e.Cause, tc.want)
			}
			if strings.Contains(e.Text, "kai") {
				t.Errorf("the client reads %q", e.Text)
			}
		})
	}
}

func TestExpandLimitIsFourTimesTheBody(t *testing.T) {
	_, short, refs := shorten(t)
	first := token.FindString(short)
	want := 4*len(refs.body) + 1<<20
	if refs.Limit != want {
		t.Fatalf("Limit = %d, want %d", refs.Limit, want)
	}
	n := refs.Limit / (len(long) + len(`A\n`))
	if _, err := refs.Expand([]byte(strings.Repeat(first, n))); err != nil {
		t.Error(err)
	}
	if _, err := refs.Expand(slices.Repeat([]byte(first), n+1)); err == nil {
		t.Error("one more is accepted")
	}
}
