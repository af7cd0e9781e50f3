package responses

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

// TestTextsAloneHaveTheSameEventsAsTextsBesideNothing: one that is alone, or beside a STATE, is
// shown at once; beside anything else it takes the long way.
func TestTextsAloneHaveTheSameEventsAsTextsBesideNothing(t *testing.T) {
	texts := emit(
		text("a"), text(" gateway"), raw(text(`\"`)), text("\n"), text(strings.Repeat(`"quoted"`, 4<<10)), text("b"),
		raw(text(`\ud83d`)), raw(text(`\ude00c`)), text("d"), raw(text(`\ud83d`)), text(""), text("e"),
		thought("f"), text("g"), text("h"), finish("length"), text("i"), text("j"), finish("stop"),
	)
	events := func(beside ...abi.Emission) (dst []byte) {
		answer := newStream(testAsked, testInfo).Begin()
		var err error
		for _, e := range texts {
			if dst, err = answer.Apply(dst, append(emit(e), beside...)); err != nil {
				t.Fatal(err)
			}
		}
		if dst, err = answer.End(dst); err != nil {
			t.Fatal(err)
		}
		return dst
	}
	want := string(events(on(abi.Wait, 0, "")))
	if got := string(events()); got != want {
		t.Errorf("alone:\n%s\nwant\n%s", got, want)
	}
	if got := string(events(on(abi.State, 0, "12345678"))); got != want {
		t.Errorf("beside a STATE:\n%s\nwant\n%s", got, want)
	}
}
