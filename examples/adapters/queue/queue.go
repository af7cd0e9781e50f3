// Command queue is an adapter for an upstream that accepts jobs and is polled for
// their results. The README.md beside it describes both.
package main

import (
	"strconv"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

func init() { sdk.Register(Plugin()) }

func main() {}

// Plugin returns the adapter with its manifest.
func Plugin() *sdk.Plugin {
	return sdk.New(sdk.Manifest{
		Name:           "queue",
		Version:        "1.0.0",
		License:        "Apache-2.0",
		Provider:       "queue",
		DefaultBaseURL: "http://localhost:7778",
		Auth:           sdk.Auth{Secret: "api_key", Header: "authorization", Format: "Bearer {}"},
		Options:        "// Milliseconds between two looks at a job.\npoll?: int & >=250 & <=60000",
	}, adapter{})
}

type adapter struct{}

// state is what the adapter remembers from one step of an exchange to the next.
type state struct {
	Poll uint32 // milliseconds between two polls
	Job  jobID
}

// jobID is a job's name. It has no pointer, because a state must have none.
type jobID struct {
	Length uint8
	Text   [64]byte
}

func (id *jobID) set(text string) bool {
	if text == "" || len(text) > len(id.Text) {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false // it will be a part of a path
		}
	}
	id.Length = uint8(copy(id.Text[:], text))
	return true
}

func (id *jobID) String() string { return string(id.Text[:id.Length]) }

const defaultPoll = 500

// Request turns a chat completion into a job: POST /jobs.
func (adapter) Request(r *sdk.Request, s *state, out *sdk.Out) error {
	s.Poll = defaultPoll
	if ms, ok := r.Options.Get("poll").Int(); ok {
		s.Poll = uint32(ms)
	}
	var w sdk.Writer
	w.Object()
	w.Key("model").Raw(sdk.JSON(r.Body).Get("model"))
	w.Key("messages").Raw(sdk.JSON(r.Body).Get("messages"))
	w.End()
	out.Send(sdk.Upstream{Path: "/jobs", Framing: abi.Whole, Body: w.Bytes()})
	return nil
}

// Response handles the answer to either request: the current state of the job.
func (adapter) Response(r *sdk.Response, s *state, out *sdk.Out) error {
	if r.Status < 200 || r.Status > 299 {
		return refused(r)
	}
	var id, status, text, in, words, reason sdk.JSON
	it := sdk.Object(r.Body)
	for it.Next() {
		switch string(it.Key()) {
		case "id":
			id = it.Value()
		case "status":
			status = it.Value()
		case "text":
			text = it.Value()
		case "in":
			in = it.Value()
		case "out":
			words = it.Value()
		case "why":
			reason = it.Value()
		}
	}
	if it.Err() != nil {
		return unreadable()
	}
	switch word, _ := status.Str(); word {
	case "queued", "running":
		if name, _ := id.Str(); s.Job.Length == 0 && !s.Job.set(name) {
			return unreadable()
		}
		out.Send(sdk.Upstream{
			Method: "GET", Path: "/jobs/" + s.Job.String(), Framing: abi.Whole, WaitMS: int(s.Poll),
		})
		return nil
	case "done":
		inside, ok := text.RawStr()
		if !ok {
			return unreadable()
		}
		heard, _ := in.Int()
		said, _ := words.Int()
		out.TextJSON(0, inside)
		out.Tokens(heard, said)
		out.Finish(0, abi.FinishStop)
		return nil
	case "failed":
		why, _ := reason.Str()
		if why == "" {
			why = "no reason was given"
		}
		return &sdk.Error{Status: 502, Code: "upstream_error", Message: "The job failed: " + why + "."}
	}
	return unreadable()
}

// Event is never called: no answer of a queue is a stream.
func (adapter) Event(*sdk.Event, *state, *sdk.Out) error { return unreadable() }

// refused explains an answer that is not a success.
func refused(r *sdk.Response) error {
	why, _ := sdk.JSON(r.Body).Get("why").Str()
	if why == "" {
		why = "The queue gave no reason."
	}
	switch r.Status {
	case 400, 422:
		return &sdk.Error{Status: 400, Message: why}
	case 401, 403:
		return &sdk.Error{Status: 502, Code: "upstream_auth", Message: "The queue does not take the gateway's key."}
	case 404:
		return &sdk.Error{Status: 502, Code: "upstream_error", Message: "The queue has forgotten the job."}
	case 429:
		return &sdk.Error{Status: 429, Code: "rate_limit_exceeded", Message: why, RetryAfterMS: wait(r.Head)}
	}
	return &sdk.Error{Status: 502, Code: "upstream_error", Message: why}
}

// wait returns how many milliseconds to wait until the queue accepts jobs again, or
// 0 if it doesn't say.
func wait(head sdk.Head) int64 {
	seconds, err := strconv.ParseInt(head.Get("retry-after"), 10, 32)
	if err != nil || seconds < 0 {
		return 0
	}
	return seconds * 1000
}

// unreadable is the error for an answer that is none of a queue.
func unreadable() error {
	return &sdk.Error{Status: 502, Code: "upstream_error", Message: "The queue sent an answer that is not what its API promises."}
}
