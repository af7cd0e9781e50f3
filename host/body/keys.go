package body

// keySet is the set of the top-level keys, folded. Few are compared one by one, which
// needs no memory; many are hashed, so that neither their number nor their
// length makes a request expensive.
type keySet struct {
	n    int
	few  [24][]byte
	many map[string]struct{}
}

// has reports whether the set had the key, and adds it.
func (k *keySet) has(key []byte) bool {
	if k.n < len(k.few) {
		for _, other := range k.few[:k.n] {
			if string(other) == string(key) {
				return true
			}
		}
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
