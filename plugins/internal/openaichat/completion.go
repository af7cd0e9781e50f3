package openaichat

import (
	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// WholeCompletion is Whole for the operation completions, and CompletionEvent is Event for it.
// The text of a choice is its text, or, as Mistral has it, the content of its message or delta.
func (d *Dialect) WholeCompletion(r *sdk.Response, out *sdk.Out) error {
	var s State
	return errortext.InCompletions(d.explain(d.completion(r.Head, r.Body, &s, true, out)))
}

// CompletionEvent handles one event of a stream.
func (d *Dialect) CompletionEvent(e *sdk.Event, s *State, out *sdk.Out) error {
	if e.Done || e.End {
		return nil
	}
	if string(e.Name) == "error" {
		return errortext.InCompletions(d.Failure(nil, e.Data))
	}
	return errortext.InCompletions(d.explain(d.completion(nil, e.Data, s, false, out)))
}

// completion states an answer, or a chunk of one. Choices without an index have that of their
// position.
func (d *Dialect) completion(head sdk.Head, body sdk.JSON, s *State, whole bool, out *sdk.Out) error {
	var one [1]choice
	a := answer{choices: one[:0]}
	extra, err := a.read(d, body, texts, nil)
	if err != nil {
		return err
	}
	d.emitUsage(a.usage, out)
	if err := a.failed(d, head, whole); err != nil {
		return err
	}
	s.emitExtra(extra, out)
	for i := range a.choices {
		if err := d.emitCompletion(head, &a.choices[i], whole, out); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dialect) emitCompletion(head sdk.Head, c *choice, whole bool, out *sdk.Out) error {
	if err := d.failed(c, head); err != nil {
		return err
	}
	d.emitUsage(c.usage, out)
	if c.text == nil {
		c.text = c.message.content
	}
	if inside, ok := c.text.Inside(); ok {
		out.TextJSON(c.index, inside)
	} else if c.text != nil {
		return errPart
	}
	if array := olderLogprobs(nil, c.logprobs); array != nil {
		out.Logprobs(c.index, array)
	}
	c.emitEnd(out)
	reason := c.reason()
	if reason == "" && whole {
		reason = abi.FinishStop
	}
	if reason != "" {
		out.Finish(c.index, reason)
	}
	return nil
}

// olderLogprobs appends, in the form of chat completions, the tokens of an object in the older
// form: arrays of equal length. Each token keeps its text_offset. It appends nothing of an
// object without tokens.
func olderLogprobs(dst []byte, older sdk.JSON) []byte {
	if older.Get("tokens").Kind() != sdk.KindArray {
		return dst
	}
	var w sdk.Writer
	w.Reset(dst)
	w.Array()
	logprobs, tops, offsets := sdk.Array(older.Get("token_logprobs")), sdk.Array(older.Get("top_logprobs")), sdk.Array(older.Get("text_offset"))
	for it := sdk.Array(older.Get("tokens")); it.Next(); {
		w.Object()
		w.Key("token").Raw(it.Value())
		if w.Key("logprob"); logprobs.Next() {
			w.Raw(logprobs.Value())
		} else {
			w.Null()
		}
		w.Key("bytes").Null()
		w.Key("top_logprobs").Array()
		if tops.Next() {
			for f := sdk.Object(tops.Value()); f.Next(); {
				w.Object()
				w.Key("token").String(string(f.Key()))
				w.Key("logprob").Raw(f.Value())
				w.Key("bytes").Null()
				w.End()
			}
		}
		w.End()
		if offsets.Next() {
			w.Key("text_offset").Raw(offsets.Value())
		}
		w.End()
	}
	w.End()
	return w.Bytes()
}
