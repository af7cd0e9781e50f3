package route

import (
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

// TestOperationsFareApart: how a model fails in one operation says nothing of the others, and what
// is wrong with its provider concerns all of them.
func TestOperationsFareApart(t *testing.T) {
	var told []CoolingDown
	cells := NewCells()
	cells.Tell = func(c CoolingDown) { told = append(told, c) }
	model, whole := cellKey{provider: "up", model: "m"}, cellKey{provider: "up", whole: true}
	h := Health{provider: cells.hold(whole), model: cells.hold(model), rule: &rule}
	embeds, ranks := h.In("embeddings"), h.In("rerank")
	states := func(want ...State) {
		t.Helper()
		for i, h := range []Health{h, embeds, ranks} {
			if got := h.State(start); got != want[i] {
				t.Errorf("in operation %d the state is %v, want %v", i, got, want[i])
			}
		}
	}
	done(embeds, start, failure(fault.Denied))
	states(Closed, Cooling, Closed)
	if len(told) != 1 || told[0] != (CoolingDown{"up", "m", false, "embeddings", start.Add(rule.Sticky), time.Time{}, fault.Denied}) {
		t.Errorf("told %+v", told)
	}
	done(h, start, nil) // which says nothing of embeddings
	states(Closed, Cooling, Closed)
	done(h, start, failure(fault.Missing))
	states(Cooling, Cooling, Closed)
	if others := h.Others(); len(others) != 2 || others[0].Operation() != "embeddings" || others[1].Operation() != "rerank" {
		t.Errorf("others: %v", others)
	}
	if h.In("embeddings").model != embeds.model || h.In("") != h {
		t.Error("an operation has another cell the second time")
	}

	elsewhere := NewCells()
	there := Health{provider: elsewhere.hold(whole), model: elsewhere.hold(model), rule: &rule}
	elsewhere.Adopt(told[0])
	if there.State(start) != Closed || there.In("embeddings").State(start) != Cooling {
		t.Error("another gateway takes it for something else")
	}

	cells.Reset("up", func(string) bool { return true }, false)
	states(Closed, Closed, Closed)
	done(ranks, start, failure(fault.Auth))
	states(Cooling, Cooling, Cooling)
}

// TestAChoiceIsForAnOperation: who asks for embeddings is led by how they were made.
func TestAChoiceIsForAnOperation(t *testing.T) {
	plan := planOf(t, to("x", 1, 1), to("y", 1, 2))
	ask := func(operation string, err error) string {
		choice := plan.Choose("", 0)
		choice.Operation = operation
		target, lease, _ := choice.Next(start)
		lease.Done(start, err)
		return target.Model
	}
	for i, tc := range []struct {
		operation, want string
		err             error
	}{
		{"embeddings", "x", failure(fault.Denied)}, {"embeddings", "y", nil}, {"", "x", nil}, {"rerank", "x", told(fault.Upstream, time.Minute)}, {"rerank", "y", nil}, {"", "x", nil},
	} {
		if got := ask(tc.operation, tc.err); got != tc.want {
			t.Errorf("request %d, for %q, goes to %s, want %s", i, tc.operation, got, tc.want)
		}
	}
	if plan.Soonest("rerank", start) != 0 {
		t.Error("y could rank")
	}
	ask("rerank", told(fault.Rate, time.Hour))
	if got := plan.Soonest("rerank", start); got != time.Minute || plan.Soonest("", start) != 0 {
		t.Errorf("the soonest time to rank is in %v", got)
	}
	if got := ask("", nil); got != "x" {
		t.Errorf("a chat goes to %s", got)
	}
}

// TestTrapALimitElsewhereEscalates: however often an operation fails by a limit, others are left
// alone for as long as the upstream said, here and at other gateways, and then they are as before.
func TestTrapALimitElsewhereEscalates(t *testing.T) {
	model, whole := cellKey{provider: "up", model: "m"}, cellKey{provider: "up", whole: true}
	for name, tc := range map[string]struct {
		operation string
		kind      fault.Kind
		shared    bool
	}{
		"a limit of embeddings":                  {"embeddings", fault.Rate, true},
		"no room for embeddings":                 {"embeddings", fault.Busy, true},
		"no room to count tokens":                {"count", fault.Busy, true},
		"a limit of counting tokens":             {"count", fault.Rate, false},
		"a limit of counting those of messages":  {"count_messages", fault.Rate, false},
		"a limit of counting those of responses": {"count_responses", fault.Rate, false},
	} {
		t.Run(name, func(t *testing.T) {
			elsewhere := NewCells()
			there := Health{provider: elsewhere.hold(whole), model: elsewhere.hold(model), rule: &rule}
			cells, of := NewCells(), map[string]time.Time{}
			cells.Tell = func(c CoolingDown) {
				of[c.Operation] = c.Until
				elsewhere.Adopt(c)
			}
			h := Health{provider: cells.hold(whole), model: cells.hold(model), rule: &rule}
			for range 6 {
				done(h.In(tc.operation), start, told(tc.kind, time.Second))
			}
			end := start.Add(time.Second)
			if until, said := of[""]; said != tc.shared || said && !until.Equal(end) {
				t.Errorf("others are told that chats cool until %v: %v", until, said)
			}
			for at, h := range map[string]Health{"here": h, "there": there} {
				for _, operation := range []string{"", "rerank"} {
					if got := h.In(operation).State(start); (got == Cooling) != tc.shared {
						t.Errorf("%s, in %q, it is %v", at, operation, got)
					}
					if got := h.In(operation).State(end); got != Closed {
						t.Errorf("%s, in %q, it is %v when the time is over", at, operation, got)
					}
				}
				if h.In(tc.operation).State(end) != Cooling {
					t.Errorf("%s, the operation that failed six times may be asked", at)
				}
			}
			done(h, end, failure(fault.Upstream))
			if got := h.State(end); got != Closed {
				t.Errorf("after one failure of a chat it is %v", got)
			}
		})
	}
}

// TestALimitHoldsForAllOperations, if the upstream says for how long.
func TestALimitHoldsForAllOperations(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		err  error
		want map[string]State
	}{
		"a limit of embeddings":           {"embeddings", told(fault.Rate, time.Minute), map[string]State{"": Cooling, "embeddings": Cooling, "rerank": Cooling, "count": Closed}},
		"a limit of chats":                {"", told(fault.Rate, time.Minute), map[string]State{"": Cooling, "embeddings": Cooling, "rerank": Cooling, "count": Closed, "count_messages": Closed, "count_responses": Closed}},
		"no room for chats":               {"", told(fault.Busy, time.Minute), map[string]State{"": Cooling, "embeddings": Cooling, "count": Cooling}},
		"chats that fail, and until when": {"", told(fault.Upstream, time.Minute), map[string]State{"": Cooling, "embeddings": Closed, "count": Closed}},
		"a limit of counting":             {"count", told(fault.Rate, time.Minute), map[string]State{"": Closed, "embeddings": Closed, "count": Cooling, "count_messages": Closed}},
		"no room to rank":                 {"rerank", told(fault.Busy, time.Minute), map[string]State{"": Cooling, "embeddings": Cooling, "rerank": Cooling}},
		"a failure that says how long":    {"rerank", told(fault.Upstream, time.Minute), map[string]State{"": Closed, "embeddings": Closed, "rerank": Cooling}},
		"a limit, and nobody says so":     {"rerank", failure(fault.Rate), map[string]State{"": Closed, "embeddings": Closed, "rerank": Closed}},
		"a model that has no chats":       {"", failure(fault.Missing), map[string]State{"": Cooling, "embeddings": Closed, "rerank": Closed}},
		"a key that is refused somewhere": {"rerank", failure(fault.Auth), map[string]State{"": Cooling, "embeddings": Cooling, "rerank": Cooling}},
	} {
		t.Run(name, func(t *testing.T) {
			h := planOf(t, to("x", 1, 1)).Targets[0].Health()
			done(h.In(tc.in), start, tc.err)
			for operation, want := range tc.want {
				if got := h.In(operation).State(start); got != want {
					t.Errorf("in %q it is %v, want %v", operation, got, want)
				}
			}
			if tc.want[""] == Cooling && tc.want["rerank"] == Cooling && tc.in == "embeddings" {
				if got := h.In("rerank").State(start.Add(time.Minute)); got != Closed {
					t.Errorf("afterwards it is %v", got)
				}
			}
		})
	}
}
