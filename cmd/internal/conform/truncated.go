package conform

import (
	"bytes"
	"fmt"
)

// maxCuts is about how many places of a long stream are cut.
const maxCuts = 100

// truncate ends the stream after each event, once by a broken connection and once by an
// end that looks clean. Before the event that finishes the answer, both must be errors.
// From there on both must be successes. It returns after how many events the answer was
// complete, or -1 if it never was.
func (c *check) truncate(a lastAnswer) (finished int) {
	step := 1 + len(a.pieces)/maxCuts
	finished = -1
	for n := 0; n <= len(a.pieces); n++ {
		if n%step != 0 && n < len(a.pieces)-2 {
			continue
		}
		body := bytes.Join(a.pieces[:n], nil)
		cut, ok := c.replayChanged(fmt.Sprintf("the connection breaks after %d events", n), c.withAnswer(a.n, a.Status, a.Headers, body, true))
		if !ok {
			return finished
		}
		if cut.complete && finished < 0 {
			finished = n
		}
		if cut.complete && !c.recorded.complete {
			c.result.fail("no early success", "with only %d of %d events the answer is complete, though with all of them it is an error", n, len(a.pieces))
			return finished
		}
		if !cut.complete && finished >= 0 {
			c.result.fail("success after the finish", "the answer was complete after %d events, but not after %d", finished, n)
			return finished
		}
	}
	if !c.recorded.complete || finished < 0 {
		// The end of the stream itself finished the answer, and a clean end looks the
		// same wherever it comes.
		return finished
	}
	for n := 0; n < len(a.pieces); n++ {
		if n%step != 0 {
			continue
		}
		body := bytes.Join(a.pieces[:n], nil)
		name := fmt.Sprintf("the upstream ends its answer after %d events", n)
		o, ok := c.replayChanged(name, c.withAnswer(a.n, a.Status, a.Headers, body, false))
		switch {
		case !ok:
			return finished
		case o.complete && n < finished && !o.silent():
			c.result.fail("no early success", "%s of %d, before the one that finishes it, and the client gets a success", name, len(a.pieces))
			return finished
		case !o.complete && n >= finished:
			c.result.fail("success after the finish", "%s, which finished it, and the client gets an error: %v", name, o.err)
			return finished
		}
	}
	return finished
}
