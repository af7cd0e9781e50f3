package memory

// Grant counts what one holder holds. Only one goroutine may use it at a time. Its owner
// releases it once, when nothing that it counts is used any more. A nil *Grant and the
// zero Grant allow everything and count nothing.
type Grant struct {
	total    *Total
	share    *Share
	held     int64 // bytes taken from total and share, in whole grains
	used     int64 // bytes of held that the holder uses
	mapped   bool  // the holder is a guest, whose memory is not in Go's heap
	forced   bool  // nothing is refused
	released bool
}

// Hold counts bytes before the holder allocates them. The error is an *Error, and
// nothing is counted then.
func (g *Grant) Hold(bytes int64) error {
	if g == nil || g.total == nil {
		return nil
	}
	if g.released {
		panic("memory: a grant is used after its release")
	}
	if g.used+bytes > g.held {
		if err := g.take(grains(g.used + bytes - g.held)); err != nil {
			return err
		}
	}
	g.used += bytes
	return nil
}

// Drop subtracts bytes that are no longer held. Up to two grains stay with the grant, so
// that a holder whose need goes up and down doesn't touch a shared counter each time.
func (g *Grant) Drop(bytes int64) {
	if g == nil || g.total == nil {
		return
	}
	g.used = max(0, g.used-bytes)
	if g.held-g.used >= 2*Grain {
		g.give(g.held - grains(g.used))
	}
}

// Force makes the grant refuse nothing, or refuse again. What is forced still counts for
// others.
func (g *Grant) Force(on bool) {
	if g != nil {
		g.forced = on
	}
}

// Join counts what is held, and what will be, in the share s instead of the one before.
// The error is an *Error, and nothing is changed then.
func (g *Grant) Join(s *Share) error {
	if g == nil || g.total == nil || s == nil {
		return nil
	}
	if g.share == s {
		return nil
	}
	if !g.room(&s.Limit, s, g.held) {
		return &Error{Share: s.name, Limit: s.Max()}
	}
	if g.share != nil {
		g.share.Give(g.held)
	}
	g.share = s
	return nil
}

// Release gives everything back. Further calls do nothing.
func (g *Grant) Release() {
	if g == nil || g.total == nil || g.released {
		return
	}
	g.give(g.held)
	g.used, g.released = 0, true
}

// Used returns the bytes that Hold counted and Drop did not subtract.
func (g *Grant) Used() int64 { return g.used }

// Grow returns b with room for n more bytes, as slices.Grow does. A new array is counted
// before it is allocated, and the old one is dropped, which must have been counted.
func (g *Grant) Grow(b []byte, n int) ([]byte, error) {
	if n <= cap(b)-len(b) {
		return b, nil
	}
	size := max(len(b)+n, cap(b)+max(cap(b)/4, min(cap(b), 256<<10)), 64)
	if err := g.Hold(int64(size)); err != nil {
		return b, err
	}
	grown := make([]byte, 0, size)
	for from := b; len(from) > 0; { // in pieces, for Go's collector can't stop a copy
		piece := from[:min(len(from), 256<<10)]
		grown, from = append(grown, piece...), from[len(piece):]
	}
	g.Drop(int64(cap(b)))
	return grown, nil
}

func grains(bytes int64) int64 { return (bytes + Grain - 1) / Grain * Grain }

func (g *Grant) take(bytes int64) error {
	if g.share != nil && !g.room(&g.share.Limit, g.share, bytes) {
		return &Error{Share: g.share.name, Limit: g.share.Max()}
	}
	if !g.room(&g.total.Limit, nil, bytes) {
		if g.share != nil {
			g.share.Give(bytes)
		}
		return &Error{Limit: g.total.Max()}
	}
	g.held += bytes
	if g.mapped {
		g.total.addMapped(bytes)
	}
	return nil
}

// room takes bytes from a limit, and reports whether there are enough. If there are too
// few, it first frees what is only kept for reuse in the share of, or in any if of is nil.
func (g *Grant) room(l *Limit, of *Share, bytes int64) bool {
	switch {
	case l.Take(bytes):
		return true
	case g.forced:
		l.used.Add(bytes)
		return true
	case g.total.opts.Reclaim == nil:
		return false
	}
	g.total.opts.Reclaim(of)
	return l.Take(bytes)
}

func (g *Grant) give(bytes int64) {
	g.held -= bytes
	g.total.Give(bytes)
	if g.share != nil {
		g.share.Give(bytes)
	}
	if g.mapped {
		g.total.addMapped(-bytes)
	}
}
