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
	var taken choices
	it := sdk.Array(a.choices)
	for position := 0; it.Next(); position++ {
		if err := d.emitChoice(r.Head, it.Value(), position, &taken, out); err != nil {
			return err
		}
	}
	if it.Err() != nil {
		return errMalformed
	}
	return nil
}

// choices is a set of choices.
type choices [abi.MaxChoices / 64]uint64

func (c *choices) add(n int)      { c[n/64] |= 1 << (n % 64) }
func (c *choices) has(n int) bool { return c[n/64]>>(n%64)&1 != 0 }

// emitChoice states a choice of a whole answer. The choice is complete even if its finish
// reason is null; with calls, the gateway makes tool_calls of stop. Some servers give all
// choices the same index; taken has the indexes used so far.
func (d *Dialect) emitChoice(head sdk.Head, raw sdk.JSON, position int, taken *choices, out *sdk.Out) error {
	c := choice{index: position}
	if err := c.read(raw); err != nil {
		return err
	}
	for n := 0; c.index >= abi.MaxChoices || taken.has(c.index); n++ {
		if n == abi.MaxChoices {
			return errMalformed
		}
		c.index = n
	}
	taken.add(c.index)
	if err := d.failed(&c, head); err != nil {
		return err
	}
	var m message
	if err := m.read(c.message); err != nil {
		return err
	}
	if err := m.emit(c.index, out); err != nil {
		return err
	}
	calls := sdk.Array(m.calls)
	for n := 0; calls.Next(); n++ {
		// With some servers, the calls' own indexes are missing or repeated.
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
