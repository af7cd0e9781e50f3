package transcript

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/exchange"
	"github.com/kai-gateway/kai/sdk/frame"
)

// Caller runs one call of an adapter: natively (Native) or in the sandbox.
type Caller interface {
	// Call returns what the call emitted. The caller owns it. The error says that the call
	// broke. A call that only failed has emitted an ERROR.
	Call(in sdk.Input) ([]abi.Emission, error)
}

// Joiner is a Caller that may take several events in one call, as the gateway gives an
// adapter those that one read brought.
type Joiner interface {
	Caller
	// Join returns how many of the events that follow should go into one call. Below 2,
	// the next one gets a call of its own.
	Join() int
	// CallEvents returns what was stated about each event's data. If it reports false,
	// nothing happened, and the events go to Call, one by one.
	CallEvents(op abi.Op, state []byte, events [][]byte) (ems [][]abi.Emission, ok bool)
}

// Native calls a plugin that is linked into the program.
type Native struct{ Plugin *sdk.Plugin }

// Call implements Caller.
func (n Native) Call(in sdk.Input) ([]abi.Emission, error) {
	var out []abi.Emission
	n.Plugin.Call(in, func(kind, at int32, p []byte) {
		out = append(out, abi.Emission{
			Kind: abi.Kind(kind &^ abi.Raw), Raw: kind&abi.Raw != 0, At: at, Data: bytes.Clone(p),
		})
	})
	return out, nil
}

// Replay is what an adapter did with a transcript.
type Replay struct {
	Requests [][]byte         // one for each step, as in the section upstream-request
	Calls    [][]abi.Emission // the emissions of each call, in order
	Failed   bool             // a call emitted ERROR, which ends the exchange
	Finished bool             // FINISH or RESULT was emitted
	EndMark  bool             // the upstream said [DONE], or the adapter END
	Cut      bool             // the upstream's last answer broke off
	Passed   bool             // the last answer was bytes, of which the adapter gets none

	Last exchange.Turn // the last request, for callers that send it
}

// Emissions returns the emissions as in the section of that name.
func (r *Replay) Emissions() []byte { return FormatEmissions(r.Calls) }

// Difference is a section in which a replay differs from what the transcript expects.
type Difference struct {
	Section   string // SectionRequest or SectionEmissions
	N         int    // which of the sections of that name it is, from 0
	Want, Got []byte // nil: there is no such section
}

// Compare returns how a replay differs from what the transcript expects: the upstream
// requests in order, then the emissions.
func (t *Transcript) Compare(r *Replay) []Difference {
	var want [][]byte
	for _, s := range t.Sections {
		if s.Name == SectionRequest {
			want = append(want, s.Data)
		}
	}
	var all []Difference
	for i := range max(len(want), len(r.Requests)) {
		d := Difference{Section: SectionRequest, N: i}
		if i < len(want) {
			d.Want = want[i]
		}
		if i < len(r.Requests) {
			d.Got = r.Requests[i]
		}
		if d.Want == nil || d.Got == nil || !bytes.Equal(d.Want, d.Got) {
			all = append(all, d)
		}
	}
	expected, got := t.Get(SectionEmissions), r.Emissions()
	if !bytes.Equal(expected, got) {
		all = append(all, Difference{Section: SectionEmissions, Want: expected, Got: got})
	}
	return all
}

// String describes the difference in one line: the first line that differs.
func (d Difference) String() string {
	name := d.Section
	if d.Section == SectionRequest {
		name = fmt.Sprintf("%s %d", name, d.N+1)
	}
	switch {
	case d.Want == nil:
		return fmt.Sprintf("%s: the transcript has none, the adapter made one", name)
	case d.Got == nil:
		return fmt.Sprintf("%s: the adapter made none", name)
	}
	want, got := bytes.Split(d.Want, []byte("\n")), bytes.Split(d.Got, []byte("\n"))
	i := 0
	for i < len(want) && i < len(got) && bytes.Equal(want[i], got[i]) {
		i++
	}
	line := func(lines [][]byte) string {
		if i >= len(lines) {
			return "nothing"
		}
		return fmt.Sprintf("%.200q", lines[i])
	}
	return fmt.Sprintf("%s, line %d: %s, where the transcript has %s", name, i+1, line(got), line(want))
}

// Run replays the transcript with an adapter, as the gateway would: one call for the request,
// and one for each event or whole answer, until the upstream has ended or a call failed.
func (t *Transcript) Run(c Caller) (*Replay, error) {
	r := &Replay{}
	body := bytes.TrimSpace(t.Get(SectionClient))
	if err := json.Unmarshal(body, &struct{}{}); err != nil {
		return nil, fmt.Errorf("%s: %w", SectionClient, err)
	}
	x := replaying{caller: c, replay: r, op: t.Op()}
	x.joiner, _ = c.(Joiner)
	err := x.call(sdk.Input{Request: &sdk.Request{Op: t.Op(), Stream: streams(t.Op(), body), Options: t.Options(), Body: body}})
	for _, res := range t.Responses() {
		if err != nil || r.Failed || !x.pending {
			break
		}
		err = x.answer(res)
	}
	return r, err
}

// streams reports whether a request asks for a stream, in the words of its operation.
func streams(op abi.Op, body sdk.JSON) bool {
	switch stream := body.Get("stream"); op {
	case abi.Speech:
		format, _ := body.Get("stream_format").Str()
		return format == "sse"
	case abi.Transcriptions: // whose fields are those of a form
		word, _ := stream.Str()
		return word == "true"
	default:
		is, _ := stream.Bool()
		return is
	}
}

// replaying is one replay of a transcript.
type replaying struct {
	caller   Caller
	joiner   Joiner   // the caller; nil: it takes each event by itself
	joined   [][]byte // events for one call, which was not made yet
	room     int      // how many more it takes
	replay   *Replay
	op       abi.Op
	exchange exchange.Exchange
	framing  abi.Framing
	pending  bool // a request was sent and not answered yet
}

func (x *replaying) call(in sdk.Input) error {
	in.State = x.exchange.State
	ems, err := x.caller.Call(in)
	if err != nil {
		return err
	}
	return x.apply(ems)
}

// apply applies what was stated in a call, or about one of the events of a call.
func (x *replaying) apply(ems []abi.Emission) error {
	x.replay.Calls = append(x.replay.Calls, ems)
	for _, e := range ems {
		x.replay.Finished = x.replay.Finished || e.Kind == abi.Finish || e.Kind == abi.Result
	}
	turn, err := x.exchange.Take(ems, nil)
	if err != nil {
		return err
	}
	x.replay.Failed, x.replay.EndMark = turn.Failed, x.exchange.Ended
	if turn.Send {
		x.framing, x.pending = turn.Framing, true
		request := slices.Concat(turn.Head, []byte("\n"), turn.Body)
		if !bytes.HasSuffix(request, []byte("\n")) {
			request = append(request, '\n')
		}
		x.replay.Requests = append(x.replay.Requests, request)
		x.replay.Last = turn
	}
	return nil
}

func (x *replaying) answer(res Response) error {
	x.pending = false
	form, framing := res.Form(x.framing)
	switch {
	case form == exchange.Events:
	case form == exchange.Whole && !res.Cut:
		return x.call(sdk.Input{Response: &sdk.Response{
			Op: x.op, Status: res.Status, Head: res.Head(), Body: exchange.Body(res.Status, bytes.TrimSuffix(res.Body, []byte("\n"))),
		}})
	case form == exchange.Bytes:
		x.replay.Passed, x.replay.Cut = len(res.Body) > 0, res.Cut
		return nil
	default:
		return nil // the gateway answers without the adapter
	}
	d := frame.NewDecoder(framing, 0)
	d.Feed(res.Body)
	for {
		f, ok, err := d.Next()
		if !ok && err == nil && !res.Cut {
			f, ok, err = d.End()
		}
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if x.joins(f) {
			continue
		}
		if err := x.callJoined(); err != nil || x.replay.Failed || x.exchange.Ended {
			return err
		}
		flags, pass := x.exchange.Frame(f.Data)
		if !pass {
			continue
		}
		ev := sdk.Event{Op: x.op, Name: f.Name, Data: f.Data}
		if flags == abi.FlagDone {
			ev.Data, ev.Name, ev.Done = nil, nil, true
		}
		if err := x.call(sdk.Input{Event: &ev}); err != nil || x.replay.Failed || x.exchange.Ended {
			return err
		}
	}
	if err := x.callJoined(); err != nil || x.replay.Failed || x.exchange.Ended {
		return err
	}
	if res.Cut {
		x.replay.Cut = true
		return nil
	}
	return x.call(sdk.Input{Event: &sdk.Event{Op: x.op, End: true}})
}
