package host

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// idSlot is the place of a record in a ledger. A record that takes the room of another
// takes its slot, too, so a ledger never has more than there is room for here.
type idSlot struct {
	record  *idRecord // nil: the slot is empty
	changed bool      // it is in storedIDs.changed
}

// freeSlot returns an empty slot. mu must be held, and there must be room.
func (m *storedIDs) freeSlot() (slot uint32) {
	if last := len(m.free) - 1; last >= 0 {
		slot, m.free = m.free[last], m.free[:last]
		return slot
	}
	m.slots = append(m.slots, idSlot{})
	return uint32(len(m.slots) - 1)
}

// mark notes that what the ledger has in a slot is out of date. mu must be held.
func (m *storedIDs) mark(slot uint32) {
	if s := &m.slots[slot]; m.saves && !s.changed {
		s.changed = true
		m.changed = append(m.changed, slot)
	}
}

// changes returns what has changed since it was last called, by its names in a ledger. nil
// is what the ledger has to remove.
func (m *storedIDs) changes() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.changed) == 0 {
		return nil
	}
	all := make(map[string][]byte, len(m.changed))
	for _, slot := range m.changed {
		s := &m.slots[slot]
		s.changed = false
		all[slotName(slot)] = s.record.saved()
	}
	m.changed = m.changed[:0]
	return all
}

// unsaved marks what changes has returned, and what could not be saved, as changed again.
func (m *storedIDs) unsaved(changes map[string][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range changes {
		m.mark(binary.BigEndian.Uint32([]byte(name)))
	}
}

func slotName(slot uint32) string { return string(binary.BigEndian.AppendUint32(nil, slot)) }

// load takes what a ledger has, and from then on notes what changes. Nothing may have been noted
// before. The error says what is wrong in the ledger.
func (m *storedIDs) load(saved map[string][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saves = true
	type entry struct {
		*idRecord
		caller string
	}
	all := make([]entry, 0, len(saved))
	for name, value := range saved {
		by, caller, ok := readSaved(value)
		if !ok || len(name) != 4 {
			return errStoredIDs
		}
		if by.slot = binary.BigEndian.Uint32([]byte(name)); by.slot >= maxStoredIDs {
			return errStoredIDs
		}
		all = append(all, entry{by, caller})
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.used, b.used) })
	for _, e := range all {
		for uint32(len(m.slots)) <= e.slot {
			m.slots = append(m.slots, idSlot{})
		}
		if m.known[e.storedID] != nil {
			return errStoredIDs
		}
		m.add(e.caller, e.idRecord)
		m.uses = e.used
	}
	for slot := range m.slots {
		if m.slots[slot].record == nil {
			m.free = append(m.free, uint32(slot))
		}
	}
	return nil
}

var errStoredIDs = errors.New("its record of what providers keep can't be read")

// saved returns the value for a ledger; nil for nil. It has the names of a key, an alias
// and an upstream, an id, and numbers: nothing that was asked or answered.
func (by *idRecord) saved() []byte {
	if by == nil {
		return nil
	}
	texts := [...]string{by.owner.caller, by.upstream, by.alias, by.id}
	size := (2 + len(texts)) * binary.MaxVarintLen64
	for _, text := range texts {
		size += len(text)
	}
	b := binary.AppendUvarint(make([]byte, 0, size), by.used)
	b = binary.AppendUvarint(b, uint64(max(by.tokens, 0)))
	for _, text := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return b
}

// readSaved reads such a value. ok is false if it is none.
func readSaved(b []byte) (by *idRecord, caller string, ok bool) {
	number := func() uint64 {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			ok = false
			return 0
		}
		b = b[size:]
		return n
	}
	text := func() string {
		n := number()
		if n > uint64(len(b)) {
			ok = false
			return ""
		}
		t := string(b[:n])
		b = b[n:]
		return t
	}
	ok, by = true, &idRecord{}
	by.used = number()
	tokens := number()
	by.tokens = int64(min(tokens, math.MaxInt64))
	caller, by.upstream, by.alias, by.id = text(), text(), text(), text()
	return by, caller, ok && len(b) == 0 && tokens <= math.MaxInt64 && len(by.id) <= maxStoredIDLen
}
