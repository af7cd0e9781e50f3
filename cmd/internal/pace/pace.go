// Package pace has Go's collector collect a small heap less often.
//
// By default a heap grows by as much as is alive in it, and by the size of stacks and globals,
// before it is collected. A gateway that holds little has a heap of a few megabytes, which it
// would collect every few hundred requests, for a tenth of their processor time.
package pace

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	usual = 100 // percent of what is alive, stacks and globals included, that may be garbage: Go's own value
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

// mark is garbage whose collection shows that there was one.
type mark struct{ *pacer }

// watch looks at the heap after the next collection, and after each that follows.
func (p *pacer) watch() {
	runtime.SetFinalizer(&mark{p}, func(m *mark) {
		m.adjust(alive())
		m.watch()
	})
}

// adjust sets the percentage for so many bytes that are alive, unless it hardly changes: the
// program stands still for a moment when it is set.
func (p *pacer) adjust(alive uint64) {
	percent := int(min(max(usual*p.garbage/max(alive, 1), usual), most))
	if d := percent - p.percent; percent == usual && d != 0 || d > p.percent/8 || -d > p.percent/8 {
		p.percent = percent
		p.set(percent)
	}
}

// alive returns how many bytes Go takes the percentage of: what the last collection left in
// the heap, and the stacks and globals that it scanned. The stacks of many connections add up.
func alive() (bytes uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	for _, s := range samples {
		bytes += s.Value.Uint64()
	}
	return bytes
}
