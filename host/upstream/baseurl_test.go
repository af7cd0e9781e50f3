package upstream

import (
	"strings"
	"testing"
)

func TestJoin(t *testing.T) {
	for name, tc := range map[string]struct {
		base, target string
		want         string // as it stands on the request line, behind the host
	}{
		"a path below an origin":                       {"http://host", "/api/chat", "/api/chat"},
		"a slash at base_url's end is not doubled":     {"http://host/", "/api/chat", "/api/chat"},
		"base_url's path comes first":                  {"http://host/v1/x", "/chat", "/v1/x/chat"},
		"slashes at the end of a path are not doubled": {"http://host/v1//", "/chat", "/v1/chat"},
		"the root":                                      {"http://host/v1", "/", "/v1/"},
		"a slash at the end stays":                      {"http://host", "/models/", "/models/"},
		"base_url's query is kept":                      {"http://host/v1?api-version=3", "/chat", "/v1/chat?api-version=3"},
		"queries are merged":                            {"http://host/v1?a=1", "/chat?b=2&c", "/v1/chat?a=1&b=2&c"},
		"base_url's parameters win":                     {"http://host/v1?a=1", "/chat?%61=2&b=2&a=3", "/v1/chat?a=1&b=2"},
		"an empty query is none":                        {"http://host", "/chat?", "/chat"},
		"escapes stay as they are":                      {"http://host", "/models/a%20b%25c?q=%20", "/models/a%20b%25c?q=%20"},
		"what a path may hold stays as it is":           {"http://host", "/m/a:b@c;v=1,2!$&'()*+~", "/m/a:b@c;v=1,2!$&'()*+~"},
		"dots within a name are no dot segments":        {"http://host", "/v1.5/..a/a../...", "/v1.5/..a/a../..."},
		"an escaped slash in base_url's query is there": {"http://host?x=%2F", "/a", "/a?x=%2F"},
		"UTF-8 is escaped":                              {"http://host", "/m/%C3%A9", "/m/%C3%A9"},
	} {
		t.Run(name, func(t *testing.T) {
			base, err := parseBaseURL(tc.base)
			if err != nil {
				t.Fatalf("parseBaseURL(%q) = %v", tc.base, err)
			}
			u, err := base.join(tc.target)
			if err != nil {
				t.Fatalf("join(%q) = %v", tc.target, err)
			}
			if got := u.RequestURI(); got != tc.want {
				t.Errorf("join(%q, %q) = %q, want %q", tc.base, tc.target, got, tc.want)
			}
			if u.Host != "host" {
				t.Errorf("join(%q, %q) leads to host %q", tc.base, tc.target, u.Host)
			}
		})
	}
}

func TestJoinRefuses(t *testing.T) {
	base, err := parseBaseURL("https://host/v1?key=1")
	if err != nil {
		t.Fatal(err)
	}
	for name, targets := range map[string][]string{
		"no slash at the start":   {"", "api", "?a=b", "..", "https://evil.test/", "evil.test", "@evil.test", ":80", "*"},
		"a host":                  {"//evil.test/api", "//", "///", "/\\evil.test"},
		"an empty segment":        {"/a//b", "/a//"},
		"dot segments":            {"/..", "/.", "/a/../b", "/a/..", "/a/./b", "/a/.", "/../v2"},
		"encoded dot segments":    {"/%2e%2e/b", "/%2E%2e", "/.%2e/", "/%2e", "/a/%2e%2E"},
		"twice encoded":           {"/%252e%252e/b", "/%25252e.", "/a%252fb", "/a%255cb", "/a%250ab"},
		"dot segments with extra": {"/..;/b", "/..;a=b/c", "/%2e%2e%3b/b", "/.;x"},
		"overlong dots":           {"/%c0%ae%c0%ae/b", "/%c0%af"},
		"encoded slashes":         {"/a%2fb", "/a%2Fb", "/..%2fb", "/%2f%2fevil.test"},
		"backslashes":             {`/a\b`, `/..\b`, "/a%5cb", "/a%5Cb"},
		"control characters":      {"/a\x00", "/a\nb", "/a\r\nHost: evil.test", "/a\tb", "/a%00", "/a%0d%0aHost:%20x", "/a%7f", "/a\x7f"},
		"spaces and line ends":    {"/a b", "/a HTTP/1.1"},
		"fragments":               {"/a#b", "/a?b#c"},
		"bytes that need escapes": {"/ä", `/"`, "/<", "/{x}", "/[x]", "/a|b", "/^", "/`"},
		"broken escapes":          {"/%", "/%2", "/%zz", "/a?%", "/a?x=%g0"},
		"hostile queries":         {"/a?b=%0d%0a", "/a?b=c d", "/a?b=\n", "/a?b;c", "/a?b=%00", `/a?b=\`},
	} {
		for _, target := range targets {
			if u, err := base.join(target); err == nil {
				t.Errorf("%s: join(%q) = %q, want an error", name, target, u)
			}
		}
	}
}

func FuzzJoin(f *testing.F) {
	for _, s := range []string{"/api/chat", "/a?b=c", "/%2e%2e", "//x", "/a;b/c@d:e", "/a%25"} {
		f.Add(s)
	}
	base, err := parseBaseURL("https://host:8443/v1/x?key=1")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := base.join(s)
		if err != nil {
			return
		}
		if u.Scheme != "https" || u.Host != "host:8443" || u.User != nil || u.Opaque != "" || u.Fragment != "" {
			t.Fatalf("join(%q) leads to %q", s, u)
		}
		path, query, _ := strings.Cut(u.RequestURI(), "?")
		wantPath, _, _ := strings.Cut(s, "?")
		if path != "/v1/x"+wantPath {
			t.Fatalf("join(%q): path %q on the wire", s, path)
		}
		if query != "key=1" && !strings.HasPrefix(query, "key=1&") {
			t.Fatalf("join(%q): query %q", s, query)
		}
		if clean := u.JoinPath("x", ".."); !strings.HasPrefix(clean.Path+"/", "/v1/x/") {
			t.Fatalf("join(%q) climbs to %q", s, clean.Path)
		}
	})
}

func TestParseBaseRefuses(t *testing.T) {
	for name, base := range map[string]string{
		"nothing":              "",
		"no scheme":            "localhost:11434",
		"another scheme":       "ftp://host",
		"a file":               "file:///etc/passwd",
		"no host":              "http:///v1",
		"only a port":          "http://:80",
		"a user":               "http://hunter2@host",
		"a password":           "http://user:hunter2@host",
		"a fragment":           "http://host/#hunter2",
		"an empty fragment":    "http://host/#",
		"dot segments":         "http://host/a/../b",
		"an encoded slash":     "http://host/a%2fb",
		"control characters":   "http://host/\x01hunter2",
		"a port that is none":  "http://host:hunter2/",
		"a path without slash": "http:host",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseBaseURL(base)
			if err == nil {
				t.Fatalf("parseBaseURL(%q) = nil", base)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("parseBaseURL(%q) = %q, which shows the value", base, err)
			}
		})
	}
}

func TestLoopback(t *testing.T) {
	for base, want := range map[string]bool{
		"http://localhost:1":         true,
		"http://LOCALHOST.":          true,
		"http://a.localhost":         true,
		"http://127.0.0.1":           true,
		"http://127.9.9.9":           true,
		"http://[::1]:1":             true,
		"http://[::ffff:127.0.0.1]":  true,
		"http://0.0.0.0:11434":       true,
		"http://localhost.evil.test": false,
		"http://notlocalhost":        false,
		"http://10.0.0.1":            false,
	} {
		b, err := parseBaseURL(base)
		if err != nil {
			t.Fatalf("parseBaseURL(%q) = %v", base, err)
		}
		if got := b.loopback(); got != want {
			t.Errorf("loopback of %q = %v, want %v", base, got, want)
		}
	}
}
