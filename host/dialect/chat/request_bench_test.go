package chat

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/body"
)

func BenchmarkParseRequest(b *testing.B) {
	prompt := strings.Repeat("All work and no play makes Jack a dull boy. ", 200<<10/44)
	lines := strings.Repeat(`All work and no play makes Jack a dull boy, \"they\" said.\n`, 200<<10/60)
	for name, content := range map[string]string{
		"small":                   "Hello!",
		"200 KB of ASCII":         prompt,
		"200 KB with escapes":     lines,
		"200 KB of Greek letters": strings.Repeat("αβγδε ", 200<<10/11),
	} {
		text := []byte(`{"model":"granite-local","messages":[{"role":"system","content":"You are a helpful assistant."},` +
			`{"role":"user","content":"` + content + `"}],"temperature":0.7,"max_tokens":150,"stream":true,` +
			`"stream_options":{"include_usage":true},"user":"somebody","metadata":{"purpose":"benchmark"}}`)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := ParseRequest(text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+", scan", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			var doc body.Doc
			var n notes
			for b.Loop() {
				n.scanned = scanned{}
				if err := doc.Scan(text, &grammar, &n); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+", Short and Expand", func(b *testing.B) {
			c, err := ParseRequest(text)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				short, refs := c.Short("granite4:tiny-h")
				if _, err := refs.Expand(short); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
