package sdk_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

type counting struct{ Events uint32 }

type counter struct{}

func (counter) Request(r *sdk.Request, s *counting, out *sdk.Out) error {
	out.Send(sdk.Upstream{Path: "/chat", Framing: abi.SSE, Body: r.Body})
	return nil
}

func (counter) Response(r *sdk.Response, s *counting, out *sdk.Out) error {
	return &sdk.Error{Status: r.Status, Message: "no"}
}

func (counter) Event(e *sdk.Event, s *counting, out *sdk.Out) error {
	if e.Done {
		return errors.New("done")
	}
	if e.End {
		return nil
	}
	s.Events++
	out.Text(0, e.Data)
	return nil
}

var manifest = sdk.Manifest{Name: "counter", Version: "1.0.0", Provider: "counter"}

// call returns what a call emitted as "KIND at payload" lines.
func call(p *sdk.Plugin, in sdk.Input) (lines []string, state []byte) {
	p.Call(in, func(kind, at int32, b []byte) {
		if abi.Kind(kind) == abi.State {
			state = append([]byte{}, b...)
			return
		}
		lines = append(lines, abi.Kind(kind).String()+" "+string(b))
	})
	return lines, state
}

func TestPluginCall(t *testing.T) {
	p := sdk.New(manifest, counter{})
	for name, tc := range map[string]struct {
		in    sdk.Input
		want  []string
		state string
	}{
		"a request with a body gets a content type": {
			in:   sdk.Input{Request: &sdk.Request{Body: sdk.JSON(`{}`)}},
			want: []string{"REQUEST POST /chat\ncontent-type: application/json\n", "BODY {}"},
		},
		"the first event changes the state": {
			in:    sdk.Input{Event: &sdk.Event{Data: sdk.JSON("a")}},
			want:  []string{"TEXT a"},
			state: "\x01\x00\x00\x00",
		},
		"the next one starts from the state that is passed in": {
			in:    sdk.Input{Event: &sdk.Event{Data: sdk.JSON("b")}, State: []byte("\x01\x00\x00\x00")},
			want:  []string{"TEXT b"},
			state: "\x02\x00\x00\x00",
		},
		"an unchanged state is not emitted": {
			in: sdk.Input{Event: &sdk.Event{End: true}, State: []byte("\x01\x00\x00\x00")},
		},
		"an Error passes as it is": {
			in:   sdk.Input{Response: &sdk.Response{Status: 404}},
			want: []string{`ERROR {"status":404,"message":"no"}`},
		},
		"another error is the adapter's": {
			in:   sdk.Input{Event: &sdk.Event{Done: true}},
			want: []string{`ERROR {"status":502,"type":"server_error","code":"adapter_error","message":"done"}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			lines, state := call(p, tc.in)
			if got, want := strings.Join(lines, "|"), strings.Join(tc.want, "|"); got != want {
				t.Errorf("emitted %q, want %q", got, want)
			}
			if string(state) != tc.state {
				t.Errorf("state = %q, want %q", state, tc.state)
			}
		})
	}
}

type rawState struct{}

func (rawState) Request(*sdk.Request, *[]byte, *sdk.Out) error   { return nil }
func (rawState) Response(*sdk.Response, *[]byte, *sdk.Out) error { return nil }
func (rawState) Event(e *sdk.Event, s *[]byte, out *sdk.Out) error {
	*s = append(*s, e.Data...)
	return nil
}

func TestRawStateIsKeptAsItIs(t *testing.T) {
	_, state := call(sdk.New(manifest, rawState{}), sdk.Input{Event: &sdk.Event{Data: sdk.JSON("cd")}, State: []byte("ab")})
	if string(state) != "abcd" {
		t.Errorf("state = %q, want %q", state, "abcd")
	}
}

type stateOf[S any] struct{}

func (stateOf[S]) Request(*sdk.Request, *S, *sdk.Out) error   { return nil }
func (stateOf[S]) Response(*sdk.Response, *S, *sdk.Out) error { return nil }
func (stateOf[S]) Event(*sdk.Event, *S, *sdk.Out) error       { return nil }

func TestNewRefuses(t *testing.T) {
	type nested struct {
		Inner struct{ Names [4]string }
	}
	for name, tc := range map[string]struct {
		build func()
		want  string
	}{
		"a pointer in the state": {
			func() { sdk.New(manifest, stateOf[struct{ P *int }]{}) }, ".P is a ptr",
		},
		"a string deep in the state": {
			func() { sdk.New(manifest, stateOf[nested]{}) }, ".Inner.Names[] is a string",
		},
		"a number whose size depends on the machine": {
			func() { sdk.New(manifest, stateOf[int]{}) }, "is a int",
		},
		"a state over the limit": {
			func() { sdk.New(manifest, stateOf[[5000]byte]{}) }, "at most 4096 are kept",
		},
		"a manifest without a version": {
			func() { sdk.New(sdk.Manifest{Name: "x"}, counter{}) }, "has no Version",
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, tc.want) {
					t.Errorf("New panicked with %q, want something with %q", got, tc.want)
				}
			}()
			tc.build()
		})
	}
}

func TestHeadGet(t *testing.T) {
	h := sdk.Head("content-type: text/html\nretry-after: 3\nx-a: b\nx-c: d\n")
	for name, want := range map[string]string{
		"content-type": "text/html", "retry-after": "3", "x-a": "b", "x-c": "d", "retry": "", "x": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("Get(%q) = %q, want %q", name, got, want)
		}
	}
}

// passer passes what begins as texts do, and names the rest.
type passer struct{ counter }

func (passer) Event(e *sdk.Event, _ *counting, out *sdk.Out) error {
	if out.PassAll(e, `{"type":"text"`) {
		out.StopReason(0, e.Data)
	}
	return nil
}

func TestPassAllNeedsEightBytes(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a text of seven bytes is taken")
		}
	}()
	new(sdk.Out).PassAll(&sdk.Event{Data: sdk.JSON(`{"delta":1}`)}, `{"delta`)
}

func TestPassAll(t *testing.T) {
	p := sdk.New(manifest, passer{})
	for data, want := range map[string]string{
		`{"type":"text"`:           "PASS ",
		`{"type":"text","text":1}`: "PASS ",
		`{"type":"text`:            `STOP_REASON {"type":"text`,
		`{"type":"texts"}`:         `STOP_REASON {"type":"texts"}`,
		`{"typo":"text"}`:          `STOP_REASON {"typo":"text"}`,
		``:                         "",
	} {
		got, _ := call(p, sdk.Input{Event: &sdk.Event{Op: abi.Messages, Data: sdk.JSON(data)}})
		if strings.Join(got, "\n") != want {
			t.Errorf("%s: %q, want %q", data, got, want)
		}
	}
}
