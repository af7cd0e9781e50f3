package messages_test

import (
	"fmt"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/sdk/abi"
)

// streams are what is compared: the same facts as events of this API and as chunks.
var streams = []struct {
	name  string
	begin func() dialect.Answer
}{
	{"Messages", newStreamAnswer},
	{"Chat", func() dialect.Answer {
		return chat.NewChunks(chat.Info{ID: "chatcmpl-4KU7", Created: 1_700_000_000, Model: "granite-local", IncludeUsage: true})
	}},
}

// BenchmarkDelta measures one adapter call in the middle of a stream. A text through
// Messages may take 1.2 times what it takes as a chunk.
func BenchmarkDelta(b *testing.B) {
	begun := call(callName(0, "f"), callID(0, "x"), callArgs(0, `{"a":"`))
	for _, bm := range []struct {
		name   string
		before []abi.Emission
		ems    []abi.Emission
	}{
		{"Text", call(text("a")), call(text(" gateway"))},
		{"TextRaw", call(text("a")), call(raw(text(` gateway`)))},
		{"TextAndState", call(text("a")), call(text(" gateway"), on(abi.State, "12345678"))},
		{"Reasoning", call(reasoning("a")), call(reasoning(" gateway"))},
		{"ToolArgs", begun, call(callArgs(0, "city "))},
	} {
		for _, s := range streams {
			b.Run(bm.name+"/"+s.name, func(b *testing.B) {
				a := s.begin()
				dst, err := a.Apply(make([]byte, 0, 4096), bm.before)
				if err != nil {
					b.Fatal(err)
				}
				a.Sent(false)
				b.ReportAllocs()
				for b.Loop() {
					if dst, err = a.Apply(dst[:0], bm.ems); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkStream measures a stream of 3 texts from its beginning to its end.
func BenchmarkStream(b *testing.B) {
	in := calls{call(text("Hel")), call(text("lo")), call(text("!")), call(usage(`{"prompt_tokens":3,"completion_tokens":3}`), finish("stop"))}
	for _, s := range streams {
		b.Run(s.name, func(b *testing.B) {
			dst := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				a := s.begin()
				dst = dst[:0]
				for _, ems := range in {
					dst, _ = a.Apply(dst, ems)
				}
				if _, err := a.End(dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkThinking measures a thought that its provider wants back, signed as Claude
// signs or sealed.
func BenchmarkThinking(b *testing.B) {
	for name, format := range map[string]string{"Claude": "anthropic-claude-v1", "Sealed": "openai-responses-v1"} {
		b.Run(name, func(b *testing.B) {
			piece := call(reasoning("A thought of some words. "), detail(fmt.Sprintf(`{"type":"reasoning.text","text":"A thought of some words. ","format":%q,"index":0}`, format)))
			signature := call(detail(fmt.Sprintf(`{"type":"reasoning.text","text":"","signature":"EqQBCkYIARgCKkD","format":%q,"index":0}`, format)))
			dst := make([]byte, 0, 1<<20)
			b.ReportAllocs()
			for b.Loop() {
				a := newStreamAnswer()
				dst = dst[:0]
				for range 100 {
					dst, _ = a.Apply(dst, piece)
				}
				dst, _ = a.Apply(dst, signature)
				dst, _ = a.Apply(dst, call(text("Hi"), finish("stop")))
				if _, err := a.End(dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
