package host

import (
	"fmt"
	"testing"
)

// TestNobodyMakesOthersLoseWhatTheyMade: what one caller makes beyond all room takes the place of its
// own, the oldest first, and never that of a caller with less.
func TestNobodyMakesOthersLoseWhatTheyMade(t *testing.T) {
	var m storedIDs
	for i := range 3 {
		m.note("a", fmt.Sprint("file_", i), "up", "m")
	}
	for i := range maxStoredIDs + 1000 {
		m.note("b", fmt.Sprint("item_", i), "up", "m")
	}
	m.note("c", "resp_1", "up", "m")
	for _, tc := range []struct {
		caller, id string
		want       bool
	}{
		{"a", "file_0", true}, {"a", "file_2", true}, {"c", "resp_1", true},
		{"b", fmt.Sprint("item_", maxStoredIDs+999), true}, {"b", "item_0", false}, {"b", "item_1003", false}, {"b", "item_1004", true},
		{"b", "file_0", false}, {"a", "item_2000", false},
	} {
		if got := m.has(tc.caller, tc.id, "up"); got != tc.want {
			t.Errorf("%s has %s: %v", tc.caller, tc.id, got)
		}
	}
	if len(m.known) != maxStoredIDs {
		t.Errorf("%d ids are kept, want %d", len(m.known), maxStoredIDs)
	}
}

// TestWhatIsUsedStays: of what one caller made, what was used last is kept.
func TestWhatIsUsedStays(t *testing.T) {
	var m storedIDs
	m.note("a", "first", "up", "m")
	m.note("a", "second", "up", "m")
	m.alias("a", "first", "up")
	for i := range maxStoredIDs - 1 {
		m.note("a", fmt.Sprint(i), "up", "m")
	}
	if !m.has("a", "first", "up") || m.has("a", "second", "up") {
		t.Errorf("the first is kept: %v, and the second: %v", m.has("a", "first", "up"), m.has("a", "second", "up"))
	}
}

// TestMoreCallersThanThereIsRoomFor: one more caller than all room has things for gets its own.
func TestMoreCallersThanThereIsRoomFor(t *testing.T) {
	var m storedIDs
	for i := range maxStoredIDs + 10 {
		m.note(fmt.Sprint("caller ", i), "a", fmt.Sprint("up ", i), "m")
		if !m.has(fmt.Sprint("caller ", i), "a", fmt.Sprint("up ", i)) {
			t.Fatalf("caller %d does not have what it has just made", i)
		}
	}
	if len(m.known) != maxStoredIDs || len(m.callers) != maxStoredIDs || len(m.largest) != maxStoredIDs {
		t.Errorf("%d ids of %d callers are kept", len(m.known), len(m.callers))
	}
	for i := range maxStoredIDs + 10 {
		m.forget(fmt.Sprint("caller ", i), "a", fmt.Sprint("up ", i))
	}
	if len(m.known)+len(m.callers)+len(m.largest) != 0 {
		t.Errorf("%d ids of %d callers are kept after all were forgotten", len(m.known), len(m.callers))
	}
}
