package route

import (
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

// TestCooldownsAreTold: what cools here is told, and what others tell cools here, but never
// for a shorter time.
func TestCooldownsAreTold(t *testing.T) {
	var told []CoolingDown
	cells := NewCells()
	cells.Tell = func(c CoolingDown) { told = append(told, c) }
	model, whole := cellKey{provider: "up", model: "m"}, cellKey{provider: "up", whole: true}
	h := Health{provider: cells.hold(whole), model: cells.hold(model), rule: &rule}
	done(h, start, failure(fault.Upstream))
	if len(told) > 0 {
		t.Fatalf("what doesn't cool is told: %+v", told)
	}
	done(h, start, &fault.Error{Kind: fault.Rate, RetryAfter: time.Minute})
	done(h, start, failure(fault.Auth))
	if len(told) != 2 || told[0] != (CoolingDown{"up", "m", false, "", start.Add(time.Minute), start.Add(time.Minute), fault.Rate}) ||
		told[1] != (CoolingDown{"up", "", true, "", start.Add(rule.Sticky), time.Time{}, fault.Auth}) {
		t.Fatalf("told %+v", told)
	}

	others := NewCells()
	h = Health{provider: others.hold(whole), model: others.hold(model), rule: &rule}
	open := others.ofModel(cellKey{provider: "up", model: "named"})
	for _, c := range append(told, CoolingDown{Upstream: "up", Model: "m", Until: start.Add(time.Second), Kind: fault.Busy},
		CoolingDown{Upstream: "up", Model: "named", Until: start.Add(time.Hour), Kind: fault.Busy}, CoolingDown{Upstream: "elsewhere", Whole: true, Until: start.Add(time.Hour)}) {
		others.Adopt(c)
	}
	until, asked := h.model.Until()
	if !until.Equal(start.Add(time.Minute)) || !asked.Equal(until) || h.model.Reason() != fault.Rate || h.provider.State(start) != Cooling || open.State(start) != Cooling {
		t.Errorf("it cools until %v, told %v, for %v", until, asked, h.model.Reason())
	}
	if h.State(start.Add(rule.Sticky)) != HalfOpen {
		t.Error("it never ends")
	}
	done(h, start.Add(rule.Sticky), nil)
	if h.State(start.Add(rule.Sticky)) != Closed {
		t.Error("a success doesn't close it")
	}
}

// TestTrapClientsNameModelsWithoutEnd: how a model cools that only a client named isn't told.
func TestTrapClientsNameModelsWithoutEnd(t *testing.T) {
	var told []CoolingDown
	cells := NewCells()
	cells.Tell = func(c CoolingDown) { told = append(told, c) }
	h := Health{provider: cells.hold(cellKey{provider: "up", whole: true}), model: cells.ofModel(cellKey{provider: "up", model: "named"}), rule: &rule}
	done(h, start, &fault.Error{Kind: fault.Rate, RetryAfter: time.Minute})
	if h.model.State(start) != Cooling || len(told) > 0 {
		t.Errorf("told %+v", told)
	}
	done(h, start, failure(fault.Auth))
	if len(told) != 1 || !told[0].Whole {
		t.Errorf("of the provider, told %+v", told)
	}
}
