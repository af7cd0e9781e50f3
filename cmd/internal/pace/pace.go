// Package pace has Go's collector collect a small heap less often.
//
// By default a heap grows to twice of what is alive in it before it is collected. A gateway
// that holds little has a heap of a few megabytes, which it would collect every few hundred
// requests, for a tenth of their processor time.
package pace

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	usual = 100 // percent of what is alive, which may come on top of it: Go's own value
	most  = 400
)

// Collector lets garbage pile up to so many bytes, or to what is alive if that is more, before
// it is collected. The limit of the heap stays as it is. It does nothing if the operator has set
// GOGC.
func Collector(garbage uint64) {
	if os.Getenv("GOGC") == "" {
		(&pacer{garbage: garbage, percent: usual, set: debug.SetGCPercent}).watch()
	}
}

type pacer struct {
	garbage uint64
	percent int // that was set last
	set     func(percent int) int
}

// mark is garbage that tells that there was a collection.
type mark struct{ *pacer }

// watch looks at the heap after the next collection, and after each that follows.
func (p *pacer) watch() {
	runtime.SetFinalizer(&mark{p}, func(m *mark) {
		m.adjust(alive())
		m.watch()
	})
}

// adjust sets the percentage for a heap of which so many bytes are alive, unless it hardly
// changes: the program stands still for a moment when it is set.
func (p *pacer) adjust(alive uint64) {
	percent := int(min(max(usual*p.garbage/max(alive, 1), usual), most))
	if d := percent - p.percent; percent == usual && d != 0 || d > p.percent/8 || -d > p.percent/8 {
		p.percent = percent
		p.set(percent)
	}
}

// alive returns how many bytes of the heap the last collection has left.
func alive() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
