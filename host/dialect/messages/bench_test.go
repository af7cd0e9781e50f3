package messages

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect/chat"
)

// conversation is a request as Claude Code makes them, of about size bytes: turns of a
// text, a call of a tool, and its result.
func conversation(size int) []byte {
	lines := strings.Repeat(`All work and no play makes Jack a dull boy, \"they\" said.\n`, 40)
	var turns []string
	for n := 0; n < size; n += 2*len(lines) + 400 {
		turns = append(turns,
			assistant(`[`+thinking(`I should look.`, `kai1.`)+`,`+text(`Let me look.`)+`,`+toolUse(`toolu_01`, `Write`, `{"file_path":"/work/a.txt","content":"`+lines+`"}`)+`]`),
			user(`[`+toolResult(`toolu_01`, `"`+lines+`"`, `,"cache_control":{"type":"ephemeral"}`)+`]`))
	}
	return []byte(said(hi+`,`+strings.Join(turns, `,`),
		`,"system":[`+text(`x-anthropic-billing-header: cc_version=2.1.332.000;`)+`,`+text(`You are an agent.`)+`]`,
		tools(`{"name":"Write","description":"Writes a file.","input_schema":{"type":"object","properties":{"file_path":{"type":"string"},"content":{"type":"string"}}}}`),
		`,"thinking":{"type":"adaptive"},"output_config":{"effort":"high"},"metadata":{"user_id":"u"},"stream":true`))
}

// BenchmarkParse compares a request with the chat request that it becomes.
func BenchmarkParse(b *testing.B) {
	for name, size := range map[string]int{"2 KB": 1 << 10, "200 KB": 200 << 10} {
		text := conversation(size)
		r, err := parse(text, false, nil)
		if err != nil {
			b.Fatal(err)
		}
		same := r.Body.Body("m")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := parse(text, false, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+", as a chat completion", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(same)))
			for b.Loop() {
				if _, err := chat.ParseRequest(same); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+", for Anthropic", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r, err := parse(text, false, nil)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.Form(func(string) bool { return true }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
