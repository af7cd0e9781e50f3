package upstream

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/wire"
	"github.com/kai-gateway/kai/sdk/abi"
	rules "github.com/kai-gateway/kai/sdk/exchange"
)

const testKey = "sk-or-v1-4f0c9a7be1D2/Qq+55=x\"y_Zz"

// encodings are the ways in which servers repeat a key.
var encodings = map[string]func(key string) string{
	"as it is":          func(k string) string { return k },
	"a whole header":    func(k string) string { return "Bearer " + k },
	"JSON":              quote,
	"JSON, ASCII only":  func(k string) string { return escapeEach(k, `\u%04x`) },
	"JSON, upper case":  func(k string) string { return escapeEach(k, `\u%04X`) },
	"JSON in JSON":      func(k string) string { return quote(quote(k)) },
	"JSON, two escapes": func(k string) string { return quote(escapeEach(k, `\u%04x`)) },
	"JSON with slashes": func(k string) string { return strings.ReplaceAll(quote(k), "/", `\/`) },
	"a query":           url.QueryEscape,
	"a path":            url.PathEscape,
	"a query's query":   func(k string) string { return url.QueryEscape(url.QueryEscape(k)) },
	"percent signs":     func(k string) string { return escapeEach(k, "%%%02x") },
	"base64":            func(k string) string { return base64.StdEncoding.EncodeToString([]byte(k)) },
	"base64, one off":   func(k string) string { return base64.StdEncoding.EncodeToString([]byte("u" + k + "!")) },
	"base64, two off":   func(k string) string { return base64.StdEncoding.EncodeToString([]byte("u:" + k)) },
	"base64 of a header": func(k string) string {
		return base64.RawStdEncoding.EncodeToString([]byte("authorization: Bearer " + k + "\r\n"))
	},
	"base64 for URLs": func(k string) string { return base64.RawURLEncoding.EncodeToString([]byte(k)) },
	"base64 in a query": func(k string) string {
		return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("Bearer " + k)))
	},
	"base64 in JSON": func(k string) string {
		return strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte("Bearer "+k)), "/", `\/`)
	},
}

func escapeEach(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

// tells reports whether a text gives away a part of the key: some characters in
// a row of what it is encoded to.
func tells(text, key string) bool {
	text = strings.ToLower(text)
	encoded := []string{key, quote(key), url.QueryEscape(key), escapeEach(key, `\u%04x`), escapeEach(key, "%%%02x")}
	for before := range 3 {
		core := string(base64Core(key, before))
		encoded = append(encoded, core, strings.NewReplacer("+", "-", "/", "_").Replace(core))
	}
	for _, whole := range encoded {
		whole = strings.ToLower(whole)
		for i := 0; i+12 <= len(whole); i++ {
			if strings.Contains(text, whole[i:i+12]) {
				return true
			}
		}
	}
	return false
}

func TestRedactor(t *testing.T) {
	keys := []string{testKey, "12345678", "aaaaaaaaaaaa", `"quoted"\key`, "~~~~....----", "%41%42%43%44", "sk-" + strings.Repeat("aZ09+/", 40)}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		key := make([]byte, minRedacted+random.IntN(60))
		for i := range key {
			key[i] = byte(0x21 + random.IntN(0x7e-0x21)) // what stands in a header
		}
		keys = append(keys, string(key))
	}
	for name, encode := range encodings {
		t.Run(name, func(t *testing.T) {
			for _, key := range keys {
				r := newRedactor(key)
				if strings.ContainsAny(key, `\%`) && name == "JSON, two escapes" {
					continue // which can be read in several ways
				}
				for _, around := range [][2]string{{"", ""}, {"before ", " behind"}, {`{"a":"`, `"}`}, {"x", "y"}, {strings.Repeat("long ", 99), strings.Repeat(" long", 99)}} {
					told := encode(key)
					got := string(r.bytes([]byte(around[0] + told + around[1])))
					if !strings.Contains(got, replacement) || !strings.HasPrefix(got, around[0]) || !strings.HasSuffix(got, around[1]) {
						t.Errorf("key %q told as %q: got %.300q", key, told, got)
					}
					if key == testKey && tells(got, key) {
						t.Errorf("told as %q: %q still tells a part of it", told, got)
					}
				}
			}
		})
	}
}

func TestRedactorKeepsTheRest(t *testing.T) {
	r := newRedactor(testKey)
	for name, p := range map[string]string{
		"an answer":           smallAnswer,
		"most of the key":     testKey[:len(testKey)-1] + "?",
		"most of it, escaped": escapeEach(testKey, `\u%04x`)[:len(testKey)*6-6] + " ",
		"other escapes":       `{"a":"\u0041\u003c%41%2525%zz 50% of \\\\\u00"}`,
		"only escapes":        strings.Repeat(`\`, 100) + strings.Repeat("%25", 100) + `\u00`,
		"nothing":             "",
	} {
		t.Run(name, func(t *testing.T) {
			if got := r.bytes([]byte(p)); string(got) != p {
				t.Errorf("%q became %q", p, got)
			}
		})
	}
	if p := []byte(smallAnswer); &r.bytes(p)[0] != &p[0] {
		t.Error("an answer without the key was copied")
	}
	for _, key := range []string{"", "ollama", "1234567"} {
		if newRedactor(key) != nil {
			t.Errorf("a key of %d bytes is looked for", len(key))
		}
	}
}

func TestRedactorKeepsJSONValid(t *testing.T) {
	r := newRedactor(testKey)
	for name, encode := range encodings {
		value := encode(testKey)
		if !json.Valid([]byte(`"` + value + `"`)) {
			value = quote(value)
		}
		doc := []byte(`{"a":"` + value + `","b":["\n` + value + `\n","\\` + value + `"]}`)
		if got := r.bytes(doc); !json.Valid(got) || bytes.Count(got, []byte(replacement)) != 3 {
			t.Errorf("%s: %s became %s", name, doc, got)
		}
	}
}

func FuzzRedactor(f *testing.F) {
	for _, encode := range encodings {
		f.Add(testKey, "a"+encode(testKey)+"b")
	}
	f.Fuzz(func(t *testing.T, key, text string) {
		r := newRedactor(key)
		got := r.bytes([]byte(text))
		if r == nil {
			return
		}
		if plain := strings.ReplaceAll(string(got), replacement, "\n"); strings.Contains(plain, key) && !strings.Contains(replacement, key) {
			t.Errorf("key %q in %q: still in %q", key, text, got)
		}
		// The quick look must see all that the slow one would find.
		for i := range text {
			if r.match([]byte(text[i:])) > 0 && !r.suspects([]byte(text)) {
				t.Fatalf("key %q at %d of %q is not suspected", key, i, text)
			}
		}
	})
}

// TestAnswersDontTellTheKey has an upstream that repeats the key in every way at
// every place an adapter, a client or the log could see.
func TestAnswersDontTellTheKey(t *testing.T) {
	wire.NoLeaks(t)
	for name, encode := range encodings {
		t.Run(name, func(t *testing.T) {
			told := encode(testKey)
			inJSON := told
			if !json.Valid([]byte(`"` + told + `"`)) {
				inJSON = quote(told)
			}
			answer := func(status, contentType, body string) string {
				return "HTTP/1.1 " + status + "\r\nContent-Type: " + contentType + "\r\nX-Request-Id: " + told +
					"\r\nX-RateLimit-Of: " + strings.Repeat("x", 1<<10-8) + told + "\r\n" + wire.Sized(body)
			}
			for place, tc := range map[string]struct {
				framing abi.Framing
				answer  string
			}{
				"a whole body":     {abi.Whole, answer("200 OK", "application/json", `{"a":"`+inJSON+`"}`)},
				"an error's body":  {abi.SSE, answer("401 Unauthorized", "text/plain", "Incorrect API key: "+told)},
				"an event":         {abi.SSE, answer("200 OK", "text/event-stream", "event: "+told+"\ndata: {\"a\":\""+inJSON+"\"}\n\n")},
				"a line":           {abi.NDJSON, answer("200 OK", "application/x-ndjson", "{\"a\":\""+inJSON+"\"}\n{}\n")},
				"a web page":       {abi.SSE, answer("200 OK", "text/html; x="+told, told)},
				"no HTTP":          {abi.Whole, told + "\r\n\r\n"},
				"a status":         {abi.Whole, "HTTP/1.1 " + told + "\r\n\r\n"},
				"a broken header":  {abi.Whole, "HTTP/1.1 200 OK\r\n" + told + "\r\n\r\n"},
				"a strange coding": {abi.Whole, "HTTP/1.1 200 OK\r\nContent-Encoding: " + told + "\r\nContent-Length: 0\r\n\r\n"},
				"a strange length": {abi.Whole, "HTTP/1.1 200 OK\r\nContent-Length: " + told + "\r\n\r\n"},
			} {
				s := wire.Start(t, func(c net.Conn, _ *http.Request) bool {
					for _, b := range []byte(tc.answer) { // so that no read sees it whole
						c.Write([]byte{b})
					}
					return false
				})
				for client, with := range clients {
					c := newTestClient(t, s.URL, with, func(o *Options) {
						o.Secret = Secret{Header: "authorization", Value: "Bearer " + testKey, Key: testKey}
					})
					var seen strings.Builder
					if res, err := c.Do(t.Context(), post(tc.framing)); err == nil {
						seen.Write(res.Head())
						res.Close()
					}
					out := run(c, post(tc.framing))
					fmt.Fprintf(&seen, "%s %q %v %v", out.body, out.frames, out.err, errors.Unwrap(out.err))
					if got := seen.String(); tells(got, testKey) {
						t.Errorf("%s tells it by %s: %.500q", place, client, got)
					}
				}
			}
		})
	}
}

// BenchmarkRedactor is what looking for the key costs a frame, nearly all of
// which don't hold it.
func BenchmarkRedactor(b *testing.B) {
	event := `{"id":"gen-1764000000-AbCdEfGhIjKlMnOpQrSt","object":"chat.completion.chunk","created":1764000000,"model":"x-ai/grok",` +
		`"choices":[{"index":0,"delta":{"role":"assistant","content":" said \"so\"\n"},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}      `
	key := "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"
	for name, p := range map[string]string{
		"250 bytes":       event[:250],
		"250 bytes, text": strings.Repeat("The quick brown fox jumps over the lazy dog, 50% of the time. ", 9)[:250],
		"64 KiB":          strings.Repeat(event, 300)[:64<<10],
		"64 KiB, escaped": strings.Repeat(`\u0041`, 64<<10/6),
		"64 KiB of keys":  strings.Repeat(key, 64<<10/len(key)),
		"32 MiB of \\":    strings.Repeat(`\`, 32<<20-8) + `\u0041`,
	} {
		b.Run(name, func(b *testing.B) {
			r := newRedactor(key)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			data := []byte(p)
			for b.Loop() {
				r.bytes(data)
			}
		})
	}
}

// TestHeaderNamesDontTellTheKey has an upstream that names a header like the key.
// Names have no case of their own.
func TestHeaderNamesDontTellTheKey(t *testing.T) {
	const key = "sk-Canary-0123456789.aZ"
	for name, told := range map[string]string{
		"as it is": key, "in base64": base64.StdEncoding.EncodeToString([]byte(key)), "within base64": base64.RawURLEncoding.EncodeToString([]byte("user:" + key)),
	} {
		header := http.Header{}
		header.Set("X-"+told+"-Request-Id", "1")
		header.Set("RateLimit-"+told, "2")
		got := string(rules.Head(newRedactor(key).names(header), time.Now(), nil))
		if strings.Count(got, "\n") != 2 || strings.Contains(got, strings.ToLower(told[4:len(told)-4])) {
			t.Errorf("%s: the adapter sees %q", name, got)
		}
	}
	without := http.Header{"X-Request-Id": {"1"}}
	if got := newRedactor(key).names(without); len(got) != 1 || got.Get("X-Request-Id") != "1" {
		t.Errorf("without the key the adapter sees %v", got)
	}
}
