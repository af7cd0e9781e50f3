package wasm

import (
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/race"
	"github.com/kai-gateway/kai/plugins"
	"github.com/kai-gateway/kai/sdk/abi"
)

// TestShippedAdaptersStaySmall gives one instance of each shipped adapter the chunks of its
// transcripts again and again, and a request of 200 KB now and then. docs/sdk-go.md tells
// authors what to expect.
func TestShippedAdaptersStaySmall(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	const calls, most = 3000, 6 << 20
	text := strings.Repeat(`The gateway reads \"each\" event.\n`, 200_000/34)
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"` + text + `"}]}`)
	large := invocation{
		in: inRequest, op: abi.Chat, sections: [3][]byte{[]byte("{}"), body},
		params: [5]uint64{uint64(abi.Chat), 0, 2, uint64(len(body))},
	}
	for _, name := range plugins.Names() {
		t.Run(name, func(t *testing.T) {
			module, err := plugins.Module(name)
			if err != nil {
				t.Skip(err)
			}
			a := newAdapter(t, module, nil)
			all, _ := recordChunks(t, name, a)
			chunks := slices.Concat(all...)
			var b Batch
			var size uint32
			for n := range calls {
				call := &chunks[n%len(chunks)]
				if n%100 == 0 {
					call = &large
				}
				if _, err := a.call(t.Context(), call, &b); err != nil {
					t.Fatal(err)
				}
				size = max(size, b.Cost.Memory)
			}
			if made := a.instantiated.Load(); size > most || made > 0 {
				t.Errorf("after %d calls an instance has %d KiB, and %d new ones were made; want at most %d KiB, and none", calls, size>>10, made, most>>10)
			}
		})
	}
}
