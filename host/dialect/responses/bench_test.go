package responses

import (
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"

	"github.com/kai-gateway/kai/sdk/abi"
)

// dialects are the streams that are compared. A chunk of a burst may cost at most 1.6
// times as much here as in chat, which keeps nothing of it.
var dialects = []struct {
	name  string
	begin func() dialect.Answer
}{
	{"Chat", func() dialect.Answer {
		info := testInfo
		return chat.NewChunks(chat.Info{ID: "chatcmpl-" + info.ID, Created: info.Created, Model: info.Model, IncludeUsage: true})
	}},
	{"Responses", func() dialect.Answer { return newStream(testAsked, testInfo).Begin() }},
}

// BenchmarkApply measures one adapter call in the middle of a stream. Answers have 4096
// such calls, because what is kept of them must grow.
func BenchmarkApply(b *testing.B) {
	for _, bm := range []struct {
		name       string
		first, ems []abi.Emission
	}{
		{"Text", emit(text("a")), emit(text(" gateway"))},
		{"TextRaw", emit(text("a")), emit(raw(text(` gateway`)))},
		{"TextLonger", emit(text("a")), emit(text(" a chunk of some sixty bytes, as providers send them in a burst"))},
		{"TextAndState", emit(text("a")), emit(text(" gateway"), on(abi.State, 0, "12345678"))},
		{"Reasoning", emit(thought("a")), emit(thought(" gateway"))},
		{"ReasoningAndDetail", emit(thought("a")), emit(thought(" gateway"), thinking(" gateway", ""))},
		{"ToolArgs", look(0, `{`), emit(toolArgs(0, `{"city":"`))},
		{"ToolArgsOfCustom", emit(toolName(0, "apply"), toolArgs(0, `{`)), emit(toolArgs(0, `{"city":"`))},
	} {
		for _, d := range dialects {
			b.Run(bm.name+"/"+d.name, func(b *testing.B) {
				dst := make([]byte, 0, 8192)
				var answer dialect.Answer
				var err error
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					if n%4096 == 0 {
						answer = d.begin()
						_, _ = answer.Apply(dst, bm.first)
					}
					if dst, err = answer.Apply(dst[:0], bm.ems); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkStream measures a stream of 3 texts from its beginning to its end.
func BenchmarkStream(b *testing.B) {
	in := calls{emit(text("Hel")), emit(text("lo")), emit(text("!")), emit(usageOf(`{"prompt_tokens":3,"completion_tokens":3}`), finish("stop"))}
	for _, d := range dialects {
		b.Run(d.name, func(b *testing.B) {
			dst := make([]byte, 0, 16<<10)
			b.ReportAllocs()
			for b.Loop() {
				answer := d.begin()
				dst = dst[:0]
				for _, ems := range in {
					dst, _ = answer.Apply(dst, ems)
				}
				if _, err := answer.End(dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWhole measures whole answers that come in 1000 texts.
func BenchmarkWhole(b *testing.B) {
	ems, end := emit(text(" gateway")), emit(finish("stop"))
	b.ReportAllocs()
	for b.Loop() {
		w := newWhole(testAsked, testInfo)
		for range 1000 {
			_, _ = w.Apply(nil, ems)
		}
		_, _ = w.Apply(nil, end)
		if _, err := w.End(nil); err != nil {
			b.Fatal(err)
		}
	}
}
