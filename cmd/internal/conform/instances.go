package conform

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/kai-gateway/kai/sdk/abi"
)

// compareInstances replays the transcript on a new instance. It must emit the same bytes as
// the instance that was used for all checks before.
func (c *check) compareInstances() {
	const name = "two instances agree"
	fresh, err := c.kit.guest(c.ctx, c.guest.options)
	if err != nil {
		c.result.fail(name, "%v", err)
		return
	}
	defer fresh.close()
	old, got := c.replay(c.guest, c.transcript), c.replay(fresh, c.transcript)
	c.result.Calls += fresh.calls
	if old.broken != nil || got.broken != nil {
		c.result.fail(name, "%v", errors.Join(old.broken, got.broken))
		return
	}
	for i := range max(len(got.Calls), len(old.Calls)) {
		if i >= len(got.Calls) || i >= len(old.Calls) || !slices.EqualFunc(got.Calls[i], old.Calls[i], sameEmission) {
			c.result.fail(name, "call %d of an instance that was used before differs from that of a new one; an adapter may keep nothing and depend on no chance:\n%s",
				i+1, diff(plainCall(old.Calls, i), plainCall(got.Calls, i)))
			return
		}
	}
}

func sameEmission(a, b abi.Emission) bool {
	return a.Kind == b.Kind && a.Raw == b.Raw && a.At == b.At && bytes.Equal(a.Data, b.Data)
}

// plainCall returns all emissions of a call as text, even those that transcripts don't show.
func plainCall(calls [][]abi.Emission, i int) []byte {
	var b bytes.Buffer
	if i < len(calls) {
		for _, e := range calls[i] {
			fmt.Fprintf(&b, "%s %d.%d %q\n", e.Kind, e.Choice(), e.Item(), e.Data)
		}
	}
	return b.Bytes()
}
