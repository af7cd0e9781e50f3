package messages_test

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

// TestWhatSaysNothingChangesNoEvents: a text that is alone in its call is shown at once, also
// beside a STATE; beside anything else it takes the long way, to the same events.
func TestWhatSaysNothingChangesNoEvents(t *testing.T) {
	long := strings.Repeat(`"quoted"`, 4<<10)
	for name, texts := range map[string][]abi.Emission{
		"short":               {text("a"), text(" gateway"), raw(text(`\"`)), text("\n")},
		"long":                {text("a"), text(long), text("b"), raw(text("c"))},
		"halves":              {text("a"), raw(text(`\ud83d`)), raw(text(`\ude00b`)), text("c"), raw(text(`\ud83d`)), text("d")},
		"after other content": {reasoning("a"), text("b"), text("c"), reasoning("d"), text("e"), text("f")},
		"empty":               {text(""), text("a"), text(""), text("b")},
	} {
		var events [3]string
		for way, beside := range [][]abi.Emission{nil, {on(abi.State, "12345678")}, {on(abi.Wait, ""), on(abi.State, "12345678")}} {
			a := newStreamAnswer()
			var dst []byte
			var err error
			for _, e := range append(texts, finish("stop")) {
				if dst, err = a.Apply(dst, append(call(e), beside...)); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			if dst, err = a.End(dst); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			events[way] = string(dst)
		}
		if events[0] != events[2] || events[1] != events[2] {
			t.Errorf("%s: alone\n%s\nbeside a STATE\n%s\nbeside more\n%s", name, events[0], events[1], events[2])
		}
	}
}
