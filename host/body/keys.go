package body

// keySet is the set of the top-level keys, folded. Few are compared one by one, which
// needs no memory; many are hashed, so that neither their number nor their
// length makes a request expensive.
type keySet struct {
	n    int
	seen uint64 // marks of those in few
	few  [24][]byte
	many map[string]struct{}
}

// has reports whether the set had the key, and adds it.
func (k *keySet) has(key []byte) bool {
	if k.n < len(k.few) {
		mark := markOf(key)
		if k.seen&mark != 0 {
			for _, other := range k.few[:k.n] {
				if string(other) == string(key) {
					return true
				}
			}
		}
		k.seen |= mark
		k.few[k.n] = key
		k.n++
		return false
	}
	if k.many == nil {
		k.many = make(map[string]struct{}, 2*len(k.few))
		for _, other := range k.few {
			k.many[string(other)] = struct{}{}
		}
	}
	if _, ok := k.many[string(key)]; ok {
		return true
	}
	k.many[string(key)] = struct{}{}
	k.n++
	return false
}

// markOf returns a bit that says little of a key, but that keys with another one differ from it.
func markOf[T string | []byte](key T) uint64 {
	if len(key) == 0 {
		return 1
	}
	return 1 << ((uint(len(key))*7 + uint(key[0])*3 + uint(key[len(key)-1])) % 64)
}
