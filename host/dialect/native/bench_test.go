package native

import (
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/sdk/abi"
)

// BenchmarkPassedDelta is what an event costs that passes in a stream of such.
func BenchmarkPassedDelta(b *testing.B) {
	name, data := []byte("delta"), []byte(`{"type":"response.output_text.delta","content_index":0,"delta":" gateway","item_id":"msg_68b4ac9a1d2c8192b6b0b0a2f3c4d5e60123456789abcdef","logprobs":[],"obfuscation":"Sa9QXj1w","output_index":0,"sequence_number":12}`)
	ems := []abi.Emission{{Kind: abi.Pass, At: abi.PassContent}}
	a := NewStream(dialect.Info{}, plainly{})
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		a.Came(name, data, false)
		var err error
		if buf, err = a.Apply(buf[:0], ems); err != nil {
			b.Fatal(err)
		}
		a.Sent(false)
	}
}
