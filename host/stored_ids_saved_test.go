package host

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// shown is what is known, by the callers: what they have made, the one used last in front.
func (m *storedIDs) shown() map[string][]string {
	all := map[string][]string{}
	for caller, share := range m.callers {
		for e := share.order.Front(); e != nil; e = e.Next() {
			by := e.Value.(*idRecord)
			all[caller] = append(all[caller], fmt.Sprint(by.id, " at ", by.upstream, " by ", by.alias, ", ", by.tokens, " tokens"))
		}
	}
	return all
}

// TestALedgerHasWhatIsKnown: whatever happens to what providers keep, and whenever changes are
// saved or can't be, a ledger has all of it in the end, and one that is read from it goes on as it
// would have.
func TestALedgerHasWhatIsKnown(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		m, ledger := &storedIDs{}, map[string][]byte{}
		if err := m.load(ledger); err != nil {
			t.Fatal(err)
		}
		save := func(works bool) {
			changes := m.changes()
			if !works {
				m.unsaved(changes)
				return
			}
			for name, value := range changes {
				if ledger[name] = value; value == nil {
					delete(ledger, name)
				}
			}
		}
		for range 400 {
			caller, id, upstream := fmt.Sprint("key ", r.IntN(3)), fmt.Sprint("id_", r.IntN(30)), fmt.Sprint("up ", r.IntN(2))
			switch r.IntN(6) {
			case 0, 1:
				m.note(caller, id, upstream, fmt.Sprint("alias ", r.IntN(4)))
			case 2:
				m.alias(caller, id, upstream)
			case 3:
				m.setTokens(caller, id, upstream, r.Int64N(1000))
			case 4:
				m.forget(caller, id, upstream)
			case 5:
				save(r.IntN(4) > 0)
			}
			if r.IntN(100) == 0 { // a restart
				save(true)
				before := m.shown()
				m = &storedIDs{}
				if err := m.load(maps.Clone(ledger)); err != nil {
					t.Fatal(err)
				}
				if got := m.shown(); !reflect.DeepEqual(got, before) {
					t.Fatalf("seed %d: after a restart it has\n%v, want\n%v", seed, got, before)
				}
			}
		}
		if save(true); len(ledger) != len(m.known) {
			t.Errorf("seed %d: the ledger has %d, want %d", seed, len(ledger), len(m.known))
		}
	}
}

// TestALedgerIsBounded: what makes room goes from the ledger, too, and after a restart the one
// that was used last still stays.
func TestALedgerIsBounded(t *testing.T) {
	m, ledger := &storedIDs{}, map[string][]byte{}
	if err := m.load(nil); err != nil {
		t.Fatal(err)
	}
	m.note("other", "its own", "up", "m")
	for i := range maxStoredIDs + 500 {
		m.note("a", fmt.Sprint("id_", i), "up", "m")
		if i%10_000 == 0 {
			maps.Copy(ledger, m.changes())
		}
	}
	maps.Copy(ledger, m.changes())
	if len(m.slots) != maxStoredIDs || len(ledger) != maxStoredIDs || slices.ContainsFunc(slices.Collect(maps.Values(ledger)), func(v []byte) bool { return v == nil }) {
		t.Fatalf("%d slots are used, and the ledger has %d", len(m.slots), len(ledger))
	}
	m = &storedIDs{}
	if err := m.load(ledger); err != nil {
		t.Fatal(err)
	}
	m.note("a", "one more", "up", "m")
	for id, want := range map[string]bool{"id_500": false, "id_501": false, "id_502": true, "one more": true} {
		if m.has("a", id, "up") != want {
			t.Errorf("that %s is there is not %v", id, want)
		}
	}
	if !m.has("other", "its own", "up") || len(m.slots) != maxStoredIDs {
		t.Error("another caller has lost its own, or there are more slots")
	}
}

// TestWithoutALedgerNothingIsSaved, and nothing waits to be.
func TestWithoutALedgerNothingIsSaved(t *testing.T) {
	var m storedIDs
	m.note("a", "id", "up", "m")
	m.forget("a", "id", "up")
	if len(m.changed) > 0 || m.changes() != nil {
		t.Error("something waits to be saved")
	}
}

// TestALedgerThatCanNotBe is refused, and not half of it taken.
func TestALedgerThatCanNotBe(t *testing.T) {
	by := &idRecord{storedID: storedID{"up", "id"}, owner: &callerIDs{caller: "a"}, used: 1}
	long := &idRecord{storedID: storedID{"up", strings.Repeat("x", maxStoredIDLen+1)}, owner: by.owner}
	for name, values := range map[string]map[string][]byte{
		"the same twice":         {slotName(0): by.saved(), slotName(1): by.saved()},
		"a slot beyond all":      {slotName(maxStoredIDs): by.saved()},
		"a name that is none":    {"slot": by.saved(), "slots": by.saved()},
		"half of a value":        {slotName(0): by.saved()[:5]},
		"more than a value":      {slotName(0): append(by.saved(), 0)},
		"an id that is too long": {slotName(0): long.saved()},
		"nothing":                {slotName(0): {}},
	} {
		if (&storedIDs{}).load(values) == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// FuzzReadSaved: what a ledger may have is refused, or what is read of it is written as it is read.
func FuzzReadSaved(f *testing.F) {
	f.Add((&idRecord{storedID: storedID{"up", "id"}, owner: &callerIDs{caller: "a"}, alias: "m", used: 1 << 60, tokens: 300}).saved())
	f.Add([]byte{1, 0, 0, 0, 0, 0})
	f.Add(bytes.Repeat([]byte{0xff}, 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		by, caller, ok := readSaved(b)
		if !ok {
			return
		}
		by.owner = &callerIDs{caller: caller}
		again, callerAgain, ok := readSaved(by.saved())
		if !ok || callerAgain != caller || again.storedID != by.storedID || again.alias != by.alias || again.used != by.used || again.tokens != by.tokens {
			t.Errorf("%x becomes %+v, and again %+v", b, by, again)
		}
	})
}
