package openaichat

import (
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

func (d *Dialect) whole(r *sdk.Response, out *sdk.Out) error {
	var (
		one [1]choice
		set choices
	)
	a := answer{choices: one[:0]}
	extra, err := a.read(d, r.Body, whole, nil)
	if err != nil {
		return err
	}
	d.emitUsage(a.usage, out)
	if isEmpty(r.Body) {
		return errortext.Upstream(d.Name + " sent an empty answer. Does its base_url lead to a server with this API?")
	}
	if err := a.failed(d, r.Head, true); err != nil {
		return err
	}
	if len(extra) > 0 {
		out.ChunkExtra(append(extra, '}'))
	}
	for i := range a.choices {
		if err := d.emitChoice(r.Head, &a.choices[i], &set, out); err != nil {
			return err
		}
	}
	return nil
}

// isEmpty reports whether a body is blank, or null.
func isEmpty(body []byte) bool {
	const most = 64 // bytes of a body that is looked at, as long answers aren't empty
	if len(body) > most {
		return false
	}
	text := strings.TrimSpace(string(body))
	return text == "" || text == "null"
}

// failed returns the error of an answer that is one or can't be read, or that is whole and has no
// choices.
func (a *answer) failed(d *Dialect, head sdk.Head, whole bool) error {
	switch {
	case a.failure != nil:
		return d.Failure(head, a.failure)
	case a.wrong:
		return errMalformed
	case whole && len(a.choices) == 0:
		return errortext.Upstream(d.Name + " answered without any choice.")
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
func (d *Dialect) emitChoice(head sdk.Head, c *choice, taken *choices, out *sdk.Out) error {
	for n := 0; taken.has(c.index); n++ {
		if n == abi.MaxChoices {
			return errMalformed
		}
		c.index = n
	}
	taken.add(c.index)
	if err := d.failed(c, head); err != nil {
		return err
	}
	if err := c.message.emit(c.index, out); err != nil {
		return err
	}
	for n := range c.message.calls {
		// With some servers, the calls' own indexes are missing or repeated.
		c.message.calls[n].emit(c.index, n, out)
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
