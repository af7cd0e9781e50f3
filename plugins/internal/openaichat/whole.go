package openaichat

import (
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

func (d *Dialect) whole(r *sdk.Response, out *sdk.Out) error {
	var a answer
	extra, err := a.read(d, r.Body, nil)
	if err != nil {
		return err
	}
	d.emitUsage(a.usage, out)
	if a.failure != nil {
		return d.Failure(r.Head, a.failure)
	}
	if a.choices == nil {
		return Failed(502, "upstream_error", d.Name+" answered without any choice.")
	}
	if len(extra) > 0 {
		out.ChunkExtra(append(extra, '}'))
	}
	it := sdk.Array(a.choices)
	for position := 0; it.Next(); position++ {
		if err := d.emitChoice(r.Head, it.Value(), position, out); err != nil {
			return err
		}
	}
	if it.Err() != nil {
		return errMalformed
	}
	return nil
}

// emitChoice states a choice of a whole answer. It is complete although its
// finish reason may be null: the gateway makes tool_calls of a stop with calls.
func (d *Dialect) emitChoice(head sdk.Head, raw sdk.JSON, position int, out *sdk.Out) error {
	c := choice{index: position}
	if err := c.read(raw); err != nil {
		return err
	}
	if err := d.failed(&c, head); err != nil {
		return err
	}
	var m message
	if err := m.read(c.message); err != nil {
		return err
	}
	m.emit(c.index, out)
	calls := sdk.Array(m.calls)
	for n := 0; calls.Next(); n++ {
		// Their own indexes are missing or repeat with some servers.
		var call toolCall
		if err := call.read(calls.Value()); err != nil {
			return err
		}
		call.emit(c.index, n, out)
	}
	if calls.Err() != nil {
		return errMalformed
	}
	d.emitUsage(c.usage, out)
	c.emitEnd(out)
	reason := c.reason()
	if reason == "" {
		reason = abi.FinishStop
	}
	out.Finish(c.index, reason)
	return nil
}
