package chat

import (
	"fmt"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

// BenchmarkApply measures one adapter call in the middle of a stream.
func BenchmarkApply(b *testing.B) {
	for _, bm := range []struct {
		name string
		ems  []abi.Emission
	}{
		{"Text", emit(text(0, " gateway"))},
		{"TextRaw", emit(raw(text(0, ` gateway`)))},
		{"TextAndState", emit(text(0, " gateway"), on(abi.State, 0, "12345678"))},
		{"TextAndProvider", emit(text(0, " gateway"), chunkExtra(`{"provider":"Google AI Studio"}`))},
		{"Reasoning", emit(reasoning(0, " gateway"))},
		{"ToolArgs", emit(toolArgs(0, 0, `{"city":"`))},
		{"SecondChoice", emit(text(1, " gateway"))},
	} {
		b.Run(bm.name, func(b *testing.B) {
			c := NewChunks(testInfo)
			dst, err := c.Apply(make([]byte, 0, 4096), emit(text(0, "a"), text(1, "b"), toolName(0, 0, "f"), toolID(0, 0, "x")))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if dst, err = c.Apply(dst[:0], bm.ems); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(dst)))
		})
	}
}

// BenchmarkStream measures a stream of 3 texts from its beginning to its end.
func BenchmarkStream(b *testing.B) {
	in := calls{emit(text(0, "Hel")), emit(text(0, "lo")), emit(text(0, "!")), emit(usageOf(`{"prompt_tokens":3,"completion_tokens":3}`), finish(0, "stop"))}
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		c := NewChunks(testInfo)
		dst = dst[:0]
		for _, ems := range in {
			dst, _ = c.Apply(dst, ems)
		}
		if _, err := c.End(dst); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWhole measures whole answers that come in texts of 8 bytes.
func BenchmarkWhole(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%dTexts", n), func(b *testing.B) {
			ems, end := emit(text(0, " gateway")), emit(finish(0, "stop"))
			b.ReportAllocs()
			for b.Loop() {
				w := NewWhole(testInfo)
				for range n {
					_, _ = w.Apply(nil, ems)
				}
				_, _ = w.Apply(nil, end)
				if _, err := w.End(nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
