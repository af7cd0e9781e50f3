package anthropic

import (
	"strconv"

	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/tokencount"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Response handles a whole answer: a message, a count, or an error.
func (*adapter) Response(r *sdk.Response, s *state, out *sdk.Out) error {
	if r.Op == abi.Messages && r.Status >= 200 && r.Status <= 299 {
		return s.explain(messages.Whole(r, &s.Usage, out))
	}
	var kind, content, usage, failure, tokens, reason, details sdk.JSON
	it := sdk.Object(r.Body)
	for it.Next() {
		v := it.Value()
		switch string(it.Key()) {
		case "type":
			kind = v
		case "content":
			content = v
		case "usage":
			usage = v
		case "error":
			failure = v
		case "input_tokens":
			tokens = v
		case "stop_reason":
			reason = v
		case "stop_details":
			details = v
		}
	}
	if r.Status < 200 || r.Status > 299 {
		if (r.Status == 401 || r.Status == 403) && errortext.IsForeign(r.Body) {
			return errortext.Foreign("Something in front of Anthropic, such as a proxy or a firewall, refused the request with status "+strconv.Itoa(r.Status), r.Body)
		}
		return s.explain(failed(r.Status, r.Head, failure))
	}
	if !failure.Empty() || string(inside(kind)) == "error" {
		return s.explain(failed(0, r.Head, failure))
	}
	if r.Op == abi.CountMessages {
		if n, ok := tokens.Int(); it.Err() != nil || !ok || n < 0 {
			return malformed()
		}
		out.Pass(true)
		out.Finish(0, abi.FinishStop)
		return nil
	}
	if r.Op == abi.Count {
		if it.Err() != nil || !tokencount.State(tokens, out) {
			return malformed()
		}
		return nil
	}
	if it.Err() != nil || content.Kind() != sdk.KindArray {
		return malformed()
	}
	s.Usage.Add(usage, out)
	blocks := sdk.NewReader(content)
	index := 0
	for list := blocks.Array(); blocks.Next(list) && index <= maxIndex; index++ {
		var p part
		p.read(&blocks)
		if err := s.begin(index, &p, out); err != nil {
			return err
		}
		s.finish(index, out)
	}
	s.end(reason, details, out)
	if !s.Ended {
		return errortext.Upstream("Anthropic's answer is not complete.")
	}
	return nil
}
