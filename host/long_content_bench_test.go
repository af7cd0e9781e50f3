package host_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/sdk/abi"
)

// BenchmarkLongContent measures what long content by reference saves: from the
// client's body to the upstream's, through a shipped adapter in its sandbox,
// with the content replaced by tokens and with all of it given to the guest
// (docs/design/0005-long-content.md).
func BenchmarkLongContent(b *testing.B) {
	e := newEngine(b)
	contents := map[string]string{
		"1 KB":                `"` + strings.Repeat("All work and no play makes Jack a dull boy. ", 1<<10/44) + `"`,
		"200 KB":              `"` + strings.Repeat("All work and no play makes Jack a dull boy. ", 200<<10/44) + `"`,
		"200 KB with escapes": `"` + strings.Repeat(`All work and no play makes Jack a dull boy, \"they\" said.\n`, 200<<10/60) + `"`,
		"5 MB image":          `[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo` + strings.Repeat("AAAA", 5<<20/4) + `"}}]`,
	}
	for _, plugin := range []string{"ollama", "openrouter"} {
		a := shippedAdapter(b, e, plugin, wasm.AdapterOptions{})
		for name, content := range contents {
			body := []byte(`{"model":"alias","messages":[{"role":"system","content":"You are a helpful assistant."},` +
				`{"role":"user","content":` + content + `}],"temperature":0.7,"stream":true}`)
			for how, byReference := range map[string]bool{"by reference": true, "plain": false} {
				b.Run(plugin+"/"+name+"/"+how, func(b *testing.B) {
					var batch wasm.Batch
					b.ReportAllocs()
					b.SetBytes(int64(len(body)))
					var guest time.Duration
					for b.Loop() {
						guest += sendLong(b, a, body, byReference, &batch)
					}
					b.ReportMetric(float64(guest.Nanoseconds())/float64(b.N), "guest-ns/op")
				})
			}
		}
	}
}

// sendLong takes a body the way of a request, up to what goes to the upstream. It
// gives the time of the adapter's part, which nothing can interrupt.
func sendLong(b *testing.B, a *wasm.Adapter, body []byte, byReference bool, batch *wasm.Batch) time.Duration {
	asked, err := chat.ParseRequest(body)
	if err != nil {
		b.Fatal(err)
	}
	in, refs := asked.Short("upstream-model")
	if !byReference {
		in, refs = asked.Body("upstream-model"), nil
	}
	begin := time.Now()
	failed, err := a.Request(context.Background(), abi.Chat, true, []byte("{}"), in, batch)
	guest := time.Since(begin)
	if err != nil || failed {
		b.Fatalf("%v, %v: %v", failed, err, batch.Emissions)
	}
	var out []byte
	for _, e := range batch.Emissions {
		if e.Kind == abi.Body {
			out = append(out, e.Data...)
		}
	}
	if out, err = refs.Expand(out); err != nil || len(out) < len(body)/2 {
		b.Fatalf("%d bytes, %v", len(out), err)
	}
	return guest
}
