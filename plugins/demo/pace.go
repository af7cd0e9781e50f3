package demo

import (
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/sdk"
)

// Milliseconds between the words of a stream, and the most that a word may take.
const (
	usualPace = 15
	maxPace   = 60_000
)

// pace is the time that the words of an answer take.
type pace struct {
	ms    int
	begun bool // the next word isn't the first
}

// paceOf reads the option delay. The gateway has checked it.
func paceOf(r *sdk.Request) pace {
	v := r.Options.Get("delay")
	if n, ok := v.Int(); ok {
		return pace{ms: int(min(n, maxPace)), begun: true}
	}
	if s, ok := v.Str(); ok {
		number, seconds := strings.CutSuffix(strings.TrimSuffix(s, "ms"), "s")
		n, _ := strconv.Atoi(number)
		if seconds {
			n *= 1000
		}
		return pace{ms: min(n, maxPace), begun: true}
	}
	if r.Stream {
		return pace{ms: usualPace}
	}
	return pace{}
}

// wait waits before a word.
func (p *pace) wait(out *sdk.Out) {
	if p.begun && p.ms > 0 {
		out.Wait(p.ms)
	}
	p.begun = true
}

// model is a model of the gateway that has an upstream.
type model struct {
	id    string
	needs string // what has to be done before it answers; "": nothing
}

// modelsOf reads what the gateway adds to the options.
func modelsOf(options sdk.JSON) (all []model) {
	list := options.Get("models")
	if list.Kind() != sdk.KindArray {
		return nil
	}
	for it := sdk.Array(list); it.Next(); {
		var m model
		m.id, _ = it.Value().Get("id").Str()
		m.needs, _ = it.Value().Get("needs").Str()
		all = append(all, m)
	}
	return all
}
