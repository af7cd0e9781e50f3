package exchange

import (
	"errors"
	"testing"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
)

func emission(k abi.Kind, at int32, data string) abi.Emission {
	return abi.Emission{Kind: k, At: at, Data: []byte(data)}
}

func TestTake(t *testing.T) {
	request := emission(abi.Request, int32(abi.NDJSON), "POST /\n")
	for name, tc := range map[string]struct {
		ems   []abi.Emission
		want  Turn
		state string
		ended bool
	}{
		"nothing":                 {want: Turn{}, state: "old"},
		"text alone":              {ems: []abi.Emission{emission(abi.Text, 0, "a")}, state: "old"},
		"a request with its body": {ems: []abi.Emission{request, emission(abi.Body, 0, "a"), emission(abi.Body, 0, "b")}, want: Turn{Send: true, Framing: abi.NDJSON, Body: []byte("xab")}, state: "old"},
		"a short wait":            {ems: []abi.Emission{emission(abi.Wait, 1, ""), request}, want: Turn{Send: true, Framing: abi.NDJSON, Body: []byte("x"), Wait: MinWait}, state: "old"},
		"a long wait":             {ems: []abi.Emission{emission(abi.Wait, 5000, ""), request}, want: Turn{Send: true, Framing: abi.NDJSON, Body: []byte("x"), Wait: 5 * time.Second}, state: "old"},
		"a state":                 {ems: []abi.Emission{emission(abi.State, 0, "new")}, state: "new"},
		"an empty state":          {ems: []abi.Emission{emission(abi.State, 0, "")}, state: ""},
		"an end mark":             {ems: []abi.Emission{emission(abi.End, 0, "")}, state: "old", ended: true},
		"an error behind a request sends nothing":      {ems: []abi.Emission{request, emission(abi.Error, 0, "{}")}, want: Turn{Failed: true}, state: "old"},
		"an error before a request sends nothing":      {ems: []abi.Emission{emission(abi.Error, 0, "{}"), request}, want: Turn{Failed: true}, state: "old"},
		"a body without a request is not sent":         {ems: []abi.Emission{emission(abi.Body, 0, "a")}, state: "old"},
		"the pace of an answer without an upstream":    {ems: []abi.Emission{emission(abi.Wait, 5, "")}, state: "old"},
		"a state beside an error before it is the new": {ems: []abi.Emission{emission(abi.State, 0, "new"), emission(abi.Error, 0, "{}")}, want: Turn{Failed: true}, state: "new"},
	} {
		t.Run(name, func(t *testing.T) {
			x := Exchange{State: []byte("old")}
			got, err := x.Take(tc.ems, []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			if got.Failed != tc.want.Failed || got.Send != tc.want.Send || got.Framing != tc.want.Framing || string(got.Body) != string(tc.want.Body) || got.Wait != tc.want.Wait {
				t.Errorf("Take = %+v, want %+v", got, tc.want)
			}
			if got.Send && string(got.Head) != "POST /\n" {
				t.Errorf("head %q", got.Head)
			}
			if string(x.State) != tc.state || x.Ended != tc.ended {
				t.Errorf("state %q, ended %v, want %q and %v", x.State, x.Ended, tc.state, tc.ended)
			}
		})
	}
}

func TestRequestsAreBounded(t *testing.T) {
	var x Exchange
	ems := []abi.Emission{emission(abi.Request, 0, "GET /\n")}
	for n := range MaxRequests {
		if turn, err := x.Take(ems, nil); err != nil || !turn.Send {
			t.Fatalf("request %d: %+v, %v", n+1, turn, err)
		}
	}
	if _, err := x.Take(ems, nil); !errors.Is(err, ErrTooMany) {
		t.Errorf("request %d: error %v, want ErrTooMany", MaxRequests+1, err)
	}
}

func TestFrame(t *testing.T) {
	for data, want := range map[string]struct {
		flags       int
		pass, ended bool
	}{
		"":               {0, false, false},
		"{}":             {0, true, false},
		"[DONE]":         {abi.FlagDone, true, true},
		" [DONE] \r":     {abi.FlagDone, true, true},
		`{"t":"[DONE]"}`: {0, true, false},
	} {
		var x Exchange
		if flags, pass := x.Frame([]byte(data)); flags != want.flags || pass != want.pass || x.Ended != want.ended {
			t.Errorf("Frame(%q) = %d, %v, ended %v, want %+v", data, flags, pass, x.Ended, want)
		}
	}
}
