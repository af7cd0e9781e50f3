package conform

import (
	"bytes"
	"cmp"
	"errors"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/dialect/completions"
	"github.com/kai-gateway/kai/host/dialect/messages"
	"github.com/kai-gateway/kai/host/dialect/responses"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// checkViews sends the request of each view that the transcript has, as a client of that API
// would, and compares the answer with what the transcript expects, or writes it there.
func (c *check) checkViews() {
	var all []seen
	for i, v := range transcript.Views(c.transcript.Op()) {
		first := i == 0 // the API whose request the adapter itself gets
		if !first && !c.transcript.Shows(v) {
			continue
		}
		a, err := c.gateways.answer(c.ctx, c.transcript, v)
		if err != nil {
			c.result.fail(checkName(v), "%v", err)
			return
		}
		if first {
			c.checkAccepted(a)
		}
		all = append(all, seen{v, a.text})
	}
	c.expect(all)
}

// parsers read the requests of the APIs that the facts of a chat feed, by the path of
// their views.
var parsers = map[string]dialect.Parse{
	"/v1/chat/completions": chat.Parse,
	"/v1/responses":        responses.Parse(responses.Options{}),
	"/v1/messages":         messages.Parse,
}

// checkDialects renders what the adapter stated in every API, whole and as a stream: a success
// in one must be a success in all, and a failure must have the same reason in all.
func (c *check) checkDialects() {
	greeting := &transcript.Transcript{}
	for _, stream := range []string{"false", "true"} {
		greeting.Set(transcript.SectionClient, 0, []byte(`{"model":"m","stream":`+stream+`,"messages":[{"role":"user","content":"Hello!"}]}`))
		for _, v := range transcript.Views(abi.Chat) {
			asked, err := parsers[v.Path](c.ctx, greeting.Asks(v), dialect.Caller{})
			if err != nil {
				c.result.fail("every API has the answer", "%s: %v", v.Path, err)
				return
			}
			var a dialect.Answer
			if info := (dialect.Info{ID: "0", Model: "m"}); asked.Stream {
				a = asked.Streamed(info).Begin()
			} else {
				a = asked.Whole(info)
			}
			if got, want := reason(c.recorded.feed(a)), reason(c.recorded.err); got != want {
				c.result.fail("every API has the answer", "with \"stream\":%s, POST %s ends with %s, and chat with %s", stream, v.Path, got, want)
			}
		}
	}
}

// checkCompletions does the same for both forms of completions, whole and as a stream. Where
// several prompts or tokens were sent, there is only one form.
func (c *check) checkCompletions() {
	for path, parse := range map[string]dialect.Parse{"/v1/completions": completions.Parse, "/v1/fim/completions": completions.ParseFIM} {
		asked, err := parse(c.ctx, bytes.TrimSpace(c.transcript.Get(transcript.SectionClient)), dialect.Caller{})
		if err != nil {
			continue // the gateway says so, or the other form has it
		}
		info := dialect.Info{ID: "0", Model: "m"}
		for how, a := range map[string]dialect.Answer{"whole": asked.Whole(info), "streamed": asked.Streamed(info).Begin()} {
			if parted, ok := a.(dialect.Parted); ok {
				parted.Part(nil, max(1, asked.Inputs)) // which can't fail at the beginning
			}
			if got, want := reason(c.recorded.feed(a)), reason(c.recorded.err); got != want {
				c.result.fail("every API has the answer", "%s, POST %s ends with %s, and chat would with %s", how, path, got, want)
			}
		}
	}
}

// feed applies what was emitted to an answer. The error is why the answer is no success.
func (o *outcome) feed(a dialect.Answer) error {
	for _, ems := range o.Calls {
		complete := a.Complete()
		if _, err := a.Apply(nil, ems); err != nil && complete {
			return nil // what fails after the end changes nothing
		} else if err != nil {
			return cmp.Or(o.torn, err)
		}
	}
	if o.EndMark {
		a.EndMark()
	}
	if o.torn != nil && !a.Complete() {
		return o.torn
	}
	_, err := a.End(nil)
	return err
}

// reason says why an answer failed, in words that are the same in all APIs.
func reason(err error) string {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.Kind.String()
	}
	if err != nil {
		return err.Error()
	}
	return "success"
}
