package config

import "slices"

// Routing says how the targets of an alias are tried, one after the other.
type Routing struct {
	Attempts int      `json:"attempts"` // upstream requests for one request; 0: the number of targets, at most 4
	Deadline Duration `json:"deadline"` // no attempt begins later
	Backoff  Backoff  `json:"backoff"`
	Sticky   string   `json:"sticky"` // "none", "conversation", "user" or "header:NAME"
	Cooldown Cooldown `json:"cooldown"`
}

// Backoff is how long to wait before the same target is asked again.
type Backoff struct {
	Base Duration `json:"base"`
	Max  Duration `json:"max"`
}

// Cooldown says when a target that fails is left alone, and how long.
type Cooldown struct {
	Failures    int      `json:"failures"`     // in a row; 0: their number doesn't matter
	ErrorRate   float64  `json:"error_rate"`   // within Window; 0: it doesn't matter
	Window      Duration `json:"window"`       // which ErrorRate looks at
	MinRequests int      `json:"min_requests"` // in it
	Base        Duration `json:"base"`         // of the first cooldown, which doubles
	Max         Duration `json:"max"`
	Sticky      Duration `json:"sticky"` // of what lasts until somebody acts
}

// routing reads a routing section, in which what isn't given is as in another, which may
// be nil.
func (l *loader) routing(own, others *value, path string) Routing {
	var r Routing
	if own != nil && !own.sound() || others != nil && !others.sound() {
		return r
	}
	both := overlay(own, others)
	if !l.decode("#Routing", both, path, &r) || own == nil || own.kind != mapping {
		return r
	}
	if r.Backoff.Max < r.Backoff.Base {
		l.add(own.place, join(path, "backoff"), "must have a max that is at least its base")
	}
	if r.Cooldown.Max < r.Cooldown.Base {
		l.add(own.place, join(path, "cooldown"), "must have a max that is at least its base")
	}
	return r
}

// overlay lays a mapping over another, key by key and down to the innermost ones.
func overlay(over, under *value) *value {
	switch {
	case over == nil || over.kind == null:
		return under
	case under == nil || under.kind != mapping || over.kind != mapping:
		return over
	}
	both := *over
	both.entries = slices.Clone(over.entries)
	for i, e := range both.entries {
		both.entries[i].value = overlay(e.value, under.get(e.key))
	}
	for _, e := range under.entries {
		if over.get(e.key) == nil {
			both.entries = append(both.entries, e)
		}
	}
	return &both
}
