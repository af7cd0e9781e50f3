package host_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/sdk/abi"
)

// TestEventsThatPassTogether: whatever order they come in, one call states the same about them as
// a call for each.
func TestEventsThatPassTogether(t *testing.T) {
	e := newEngine(t)
	for plugin, tc := range map[string]struct {
		op     abi.Op
		events []string // texts first
	}{
		"openai": {abi.Responses, []string{
			`{"type":"response.output_text.delta","delta":"a"}`,
			`{"type":"response.output_text.delta"}`,
			`{"type":"response.output_text.delta2","delta":"a"}`,
			`{"type":"response.output_text.delt`,
			`{"type":"response.output_text.done","text":"a"}`,
			`{"type":"response.output_item.done","item":{"type":"message"}}`,
			`{"type":"keepalive"}`,
			`{"type":"response.completed","response":{"status":"completed","output":[],"usage":{"output_tokens":2}}}`,
			`{"type":"error","error":{"code":"server_error","message":"no"}}`,
		}},
		"anthropic": {abi.Messages, []string{
			`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`,
			`{"type":"content_block_delta"}`,
			`{"type":"content_block_stop","index":0}`,
			`{"type":"ping"}`,
			`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}`,
			`{"type":"message_stop"}`,
			`{"type":"error","error":{"type":"overloaded_error","message":"no"}}`,
		}},
	} {
		a := shippedAdapter(t, e, plugin, wasm.AdapterOptions{})
		together := 0
		for i := range tc.events {
			for j := range tc.events {
				for k := range tc.events {
					events := []string{tc.events[0], tc.events[i], tc.events[j], tc.events[0], tc.events[k]}
					want, failed := alone(a, tc.op, events)
					got, ok := atOnce(a, tc.op, events)
					if ok == failed {
						t.Fatalf("%s: alone they fail: %v, together: %v\n%s", plugin, failed, !ok, strings.Join(events, "\n"))
					}
					if ok {
						together++
						if !slices.Equal(got, want) {
							t.Fatalf("%s: together\n%s\nalone\n%s", plugin, strings.Join(got, "\n"), strings.Join(want, "\n"))
						}
					}
				}
			}
		}
		// As many as a call may have, most of which are more than a PASS.
		last := slices.Repeat([]string{tc.events[len(tc.events)-2]}, abi.MaxFrames-6)
		many := append(last, slices.Repeat(tc.events[:1], 6)...)
		if want, _ := alone(a, tc.op, many); len(want) != abi.MaxFrames+1 {
			t.Errorf("%s: %d of %d events are stated", plugin, len(want), abi.MaxFrames)
		} else if got, ok := atOnce(a, tc.op, many); !ok || !slices.Equal(got, want) {
			t.Errorf("%s: %d together, %v\n%s\nalone\n%s", plugin, len(many), ok, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if together < 100 {
			t.Errorf("%s: only %d calls did not fail", plugin, together)
		}
	}
}

// alone gives an adapter each event in a call of its own, and returns what it stated about each.
func alone(a *wasm.Adapter, op abi.Op, events []string) (stated []string, failed bool) {
	var state []byte
	for _, event := range events {
		var b wasm.Batch
		broke, err := a.Event(context.Background(), op, 0, state, nil, []byte(event), &b)
		if failed = broke || err != nil || slices.ContainsFunc(b.Emissions, func(e abi.Emission) bool { return e.Kind == abi.Error }); failed {
			return nil, true
		}
		stated = append(stated, tell(b.Emissions, &state))
	}
	return append(stated, string(state)), false
}

// atOnce gives an adapter all events in one call.
func atOnce(a *wasm.Adapter, op abi.Op, events []string) (stated []string, ok bool) {
	var state []byte
	var b wasm.Batch
	var frames wasm.Frames
	defer frames.Reset()
	for _, event := range events {
		frames.Add([]byte(event))
	}
	if !a.Events(context.Background(), op, nil, &frames, &b) {
		return nil, false
	}
	for _, ems := range b.EachFrame(&frames) {
		stated = append(stated, tell(ems, &state))
	}
	return append(stated, string(state)), true
}

// tell writes emissions down, except for a state, which it keeps.
func tell(ems []abi.Emission, state *[]byte) (text string) {
	for _, e := range ems {
		if e.Kind == abi.State {
			*state = slices.Clone(e.Data)
			continue
		}
		text += fmt.Sprintf("%s %d %s; ", e.Kind, e.At, e.Data)
	}
	return text
}
