package conform

import (
	"bytes"
	"fmt"

	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/exchange"
)

// FramingCheck is the check of what a request says of its answer's framing.
const FramingCheck = "the request says how its answer is framed"

// misframed are the answers that are framed otherwise than their request says, by
// what that says, and those that aren't.
type misframed struct {
	wrong map[abi.Framing][]wrongFraming
	right map[abi.Framing]bool
}

type wrongFraming struct {
	result int
	text   string
}

// framed compares the framing that each request states with what its answer looks
// like. A gateway looks at an answer's bytes, too, so many a wrong statement does
// no harm, and a transcript may well hold what an upstream shouldn't send: only if
// none of the answers is as the adapter says, it says something wrong.
func (c *check) framed(all *misframed, result int) {
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
				case form == exchange.Whole && stated == abi.Whole && responses[n].Status < 300:
					all.right[stated] = true
				case form != exchange.Events: // one value, a page, an error: no framing
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

// report makes failures of what no answer bears out.
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

// framings are how messages speak of them.
var framings = map[abi.Framing]struct{ name, is, advice string }{
	abi.Whole:  {name: "whole"},
	abi.SSE:    {"SSE", "server-sent events", "state the framing SSE (in Go abi.SSE, in Rust Framing::Sse, in C KAI_SSE, in AssemblyScript Framing.SSE)"},
	abi.NDJSON: {"NDJSON", "NDJSON, a JSON value in each line", "state the framing NDJSON (in Go abi.NDJSON, in Rust Framing::Ndjson, in C KAI_NDJSON, in AssemblyScript Framing.NDJSON)"},
}

// firstLine gives the beginning of the first line that isn't blank.
func firstLine(body []byte) string {
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return fmt.Sprintf("%.60s", line)
		}
	}
	return "nothing"
}
