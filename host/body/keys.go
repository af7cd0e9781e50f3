package body

// keySet knows which names the fields of the top level have had.
type keySet struct {
	n     int                 // fields
	known [places / 64]uint64 // a bit for each known name, by its number
	marks uint64              // of the others, while they are few
	many  map[string]struct{}
}

// hasKnown reports whether the set had a known name, and adds it.
func (k *keySet) hasKnown(number uint8) bool {
	word, bit := number/64, uint64(1)<<(number%64)
	had := k.known[word]&bit != 0
	k.known[word] |= bit
	k.n++
	return had
}

// has reports whether the set had a name that isn't known, and adds it. others are all such
// names that it had. A few are compared one by one, which needs no memory. Many are hashed,
// so that neither their number nor their length makes a request expensive.
func (k *keySet) has(others [][]byte, key []byte) bool {
	const few = 24
	k.n++
	if len(others) < few {
		mark := markOf(key)
		if k.marks&mark != 0 {
			for _, other := range others {
				if string(other) == string(key) {
					return true
				}
			}
		}
		k.marks |= mark
		return false
	}
	if k.many == nil {
		k.many = make(map[string]struct{}, 2*few)
		for _, other := range others {
			k.many[string(other)] = struct{}{}
		}
	}
	if _, ok := k.many[string(key)]; ok {
		return true
	}
	k.many[string(key)] = struct{}{}
	return false
}

// markOf returns a bit for a key. Keys with different bits are different.
func markOf(key []byte) uint64 {
	if len(key) == 0 {
		return 1
	}
	return 1 << ((uint(len(key))*7 + uint(key[0])*3 + uint(key[len(key)-1])) % 64)
}
