package openrouter

import (
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Response takes a whole answer. One with status 200 may be an error in four
// ways: its body is one, a choice has one, a choice finished with "error", or
// there are no choices. https://openrouter.ai/docs/api/reference/errors-and-debugging
func (adapter) Response(r *sdk.Response, _ *state, out *sdk.Out) error {
	if r.Status < 200 || r.Status > 299 {
		return refused(r)
	}
	var a answer
	extra, err := a.read(r.Body, nil)
	if err != nil {
		return err
	}
	a.emitUsage(out)
	if a.failure != nil {
		return failure(0, r.Head, a.failure)
	}
	if a.choices == nil {
		return failed(502, "upstream_error", "OpenRouter answered without any choice.")
	}
	if len(extra) > 0 {
		out.ChunkExtra(append(extra, '}'))
	}
	it := sdk.Array(a.choices)
	for position := 0; it.Next(); position++ {
		if err := emitChoice(it.Value(), position, out); err != nil {
			return err
		}
	}
	if it.Err() != nil {
		return malformed()
	}
	return nil
}

// emitChoice states a choice of a whole answer. It is complete although its
// finish reason may be null: the gateway makes tool_calls of a stop with calls.
func emitChoice(raw sdk.JSON, position int, out *sdk.Out) error {
	c := choice{index: position}
	if err := c.read(raw); err != nil {
		return err
	}
	if err := c.failed(); err != nil {
		return err
	}
	var m message
	if err := m.read(c.message); err != nil {
		return err
	}
	m.emit(c.index, out)
	calls := sdk.Array(m.calls)
	for n := 0; calls.Next(); n++ {
		// Their own indexes are missing or repeat with some providers.
		var call toolCall
		if err := call.read(calls.Value()); err != nil {
			return err
		}
		call.emit(c.index, n, out)
	}
	if calls.Err() != nil {
		return malformed()
	}
	c.emitEnd(out)
	reason := c.reason()
	if reason == "" {
		reason = abi.FinishStop
	}
	out.Finish(c.index, reason)
	return nil
}
