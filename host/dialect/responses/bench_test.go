package responses

import (
	"testing"

	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/sdk/abi"
)

func BenchmarkText(b *testing.B) {
	info := chat.Info{ID: "chatcmpl-" + testInfo.ID, Created: testInfo.Created, Model: testInfo.Model}
	for _, bm := range []struct {
		name string
		ems  []abi.Emission
	}{
		{"Text", emit(text(" gateway"))},
		{"Raw", emit(raw(text(" gateway")))},
	} {
		b.Run(bm.name+"/chat", func(b *testing.B) {
			c := chat.NewChunks(info)
			dst, _ := c.Apply(nil, emit(text("a")))
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = c.Apply(dst[:0], bm.ems)
			}
		})
		b.Run(bm.name+"/responses", func(b *testing.B) {
			e := newStream(asked{}, testInfo).Begin().(*events)
			dst, _ := e.Apply(nil, emit(text("a")))
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				dst, _ = e.Apply(dst[:0], bm.ems)
				if n%1000 == 0 {
					e.open.text = e.open.text[:0]
				}
			}
		})
	}
}
