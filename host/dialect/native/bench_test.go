package native

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/sdk/abi"
)

// BenchmarkPassedDelta is what an event costs that passes in a stream of such, which differ in
// their text, their number and what hides its length.
func BenchmarkPassedDelta(b *testing.B) {
	name := []byte("delta") // which plainly does not watch
	ems := []abi.Emission{{Kind: abi.Pass, At: abi.PassContent}}
	var events [256][]byte
	for i := range events {
		events[i] = fmt.Appendf(nil, `{"type":"response.output_text.delta","content_index":0,"delta":" %s","item_id":"msg_68b4ac9a1d2c8192b6b0b0a2f3c4d5e60123456789abcdef","logprobs":[],"obfuscation":"%s","output_index":0,"sequence_number":%d}`,
			"gatewaygatewaygateway"[:i*7%20], strings.Repeat("Sa9QXj1w", 2)[:16-i*5%15], i)
	}
	a := NewStream(dialect.Info{}, plainly{})
	b.SetBytes(int64(len(events[0])))
	b.ReportAllocs()
	var buf []byte
	for i := 0; b.Loop(); i++ {
		a.Receive(name, events[i%len(events)], false)
		var err error
		if buf, err = a.Apply(buf[:0], ems); err != nil {
			b.Fatal(err)
		}
		a.Sent(false)
	}
}
