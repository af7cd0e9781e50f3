// Command naughty is an adapter that does one thing wrong. Its options name that thing. The
// tests check that the kit notices.
package main

import (
	"strconv"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

func init() {
	sdk.Register(sdk.New(sdk.Manifest{
		Name: "naughty", Version: "1", Provider: "naughty", Options: "do: string\ncounts?: bool",
		OptionalOps: []sdk.OptionalOp{{Op: abi.Count, Option: "counts"}},
	}, adapter{}))
}

func main() {}

type adapter struct{}

// state remembers the options, which events don't have.
type state struct {
	Do    [16]byte
	Ended bool
}

func (s *state) do() string {
	for i, c := range s.Do {
		if c == 0 {
			return string(s.Do[:i])
		}
	}
	return string(s.Do[:])
}

var calls int // an adapter must not have such a variable

func (adapter) Request(r *sdk.Request, s *state, out *sdk.Out) error {
	do, _ := r.Options.Get("do").Str()
	copy(s.Do[:], do)
	calls++
	body := []byte(r.Body)
	switch do {
	case "count":
		body = []byte(`{"call":` + strconv.Itoa(calls) + `}`)
	case "measure":
		content, _ := sdk.Array(r.Body.Get("messages")), 0
		content.Next()
		body = []byte(strconv.Itoa(len(content.Value().Get("content"))))
	case "strict":
		for it := sdk.Object(r.Body); it.Next(); {
			switch string(it.Key()) {
			case "model", "stream", "messages":
			default:
				return &sdk.Error{Status: 400, Message: "unknown field"}
			}
		}
	}
	framing := abi.NDJSON
	switch do {
	case "say-sse":
		framing = abi.SSE
	case "say-whole":
		framing = abi.Whole
	}
	out.Send(sdk.Upstream{Path: "/", Framing: framing, Body: body})
	return nil
}

func (adapter) Event(e *sdk.Event, s *state, out *sdk.Out) error {
	if e.End || e.Done || s.Ended {
		if s.do() == "made-up" && !s.Ended {
			out.Finish(0, abi.FinishStop)
		}
		return nil
	}
	if e.Data.Valid() != nil && s.do() == "skip" {
		return nil
	}
	if e.Data.Kind() == sdk.KindNull && s.do() == "panic" {
		panic("null")
	}
	if e.Data.Valid() != nil || e.Data.Kind() != sdk.KindObject {
		return &sdk.Error{Status: 502, Message: "garbage"}
	}
	if text, ok := e.Data.Get("text").RawStr(); ok {
		out.TextJSON(0, text)
		if s.do() == "early" {
			out.Finish(0, abi.FinishStop)
		}
	}
	if done, _ := e.Data.Get("done").Bool(); done {
		usage := e.Data.Get("usage")
		if usage == nil && s.do() == "greedy" {
			return &sdk.Error{Status: 502, Message: "no usage"}
		}
		if usage != nil {
			out.Usage(usage)
		}
		out.Finish(0, abi.FinishStop)
		s.Ended = true
	}
	return nil
}

func (adapter) Response(r *sdk.Response, s *state, out *sdk.Out) error {
	if n := sdk.JSON(r.Body).Get("n"); r.Op == abi.Count && r.Status == 200 && n != nil {
		switch s.do() {
		case "twice":
			out.Result(n)
		case "talk":
			out.Text(0, n)
		}
		out.Result(append(append([]byte(`{"input_tokens":`), n...), '}'))
		return nil
	}
	switch s.do() {
	case "hopeful":
		out.Text(0, r.Body)
		out.Finish(0, abi.FinishStop)
		return nil
	case "mute":
		return &sdk.Error{Status: 502}
	case "blaming":
		return &sdk.Error{Status: 400, Message: "failed"}
	case "verbatim":
		return &sdk.Error{Status: r.Status, Message: "failed"}
	}
	status := 502
	if r.Status == 429 {
		status = 429
	}
	return &sdk.Error{Status: status, Message: "failed"}
}
