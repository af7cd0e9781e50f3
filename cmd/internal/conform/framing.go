package conform

import (
	"bytes"
	"fmt"

	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/exchange"
)

// FramingCheck is the name of the check that requests say how their answers are framed.
const FramingCheck = "the request says how its answer is framed"

// misframed says for each framing that requests state which answers look different, and
// whether some answer looks like it.
type misframed struct {
	wrong map[abi.Framing][]wrongFraming
	right map[abi.Framing]bool
}

type wrongFraming struct {
	result int // index of the result that it belongs to
	text   string
}

// checkFraming compares the framing that each request states with how its answer looks. A
// single difference need not be wrong: a gateway looks at an answer's bytes, too, and a
// transcript may have an answer that the upstream shouldn't send. So a statement is wrong
// only if no answer looks like it.
func (c *check) checkFraming(all *misframed, result int) {
	responses := c.transcript.Responses()
	n := 0
	for _, call := range c.recorded.Calls {
		for _, e := range call {
			if e.Kind != abi.Request {
				continue
			}
			if n < len(responses) {
				stated := abi.Framing(e.At)
				form, looks := responses[n].Form(stated)
				switch {
				case form == exchange.Bytes:
					all.right[stated] = true
				case form == exchange.Whole && stated == abi.Whole && responses[n].Status < 300:
					all.right[stated] = true
				case form != exchange.Events: // a single value, a page or an error has no framing
				case looks == stated:
					all.right[stated] = true
				default:
					all.wrong[stated] = append(all.wrong[stated], wrongFraming{result, fmt.Sprintf(
						"it says %s, but the answer looks like %s (it begins with %s): %s",
						framings[stated].name, framings[looks].is, firstLine(responses[n].Body), framings[looks].advice)})
				}
			}
			n++
		}
	}
}

// report adds a failure for each answer whose request states a framing that no answer has.
func (m *misframed) report(results []Result) {
	for stated, wrong := range m.wrong {
		if m.right[stated] {
			continue
		}
		for _, w := range wrong {
			results[w.result].fail(FramingCheck, "%s", w.text)
		}
	}
}

// framings says how messages call the framings.
var framings = map[abi.Framing]struct{ name, is, advice string }{
	abi.Whole:  {name: "whole"},
	abi.Bytes:  {name: "bytes"},
	abi.SSE:    {"SSE", "server-sent events", "state the framing SSE (in Go abi.SSE, in Rust Framing::Sse, in C KAI_SSE, in AssemblyScript Framing.SSE)"},
	abi.NDJSON: {"NDJSON", "NDJSON, a JSON value in each line", "state the framing NDJSON (in Go abi.NDJSON, in Rust Framing::Ndjson, in C KAI_NDJSON, in AssemblyScript Framing.NDJSON)"},
}

// firstLine returns the beginning of the first line that isn't blank.
func firstLine(body []byte) string {
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return fmt.Sprintf("%.60s", line)
		}
	}
	return "nothing"
}
