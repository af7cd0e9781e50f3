// Echo is an adapter for the tests of package wasm. What it does to an event
// depends on the event's data.
package main

import (
	"time"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

type adapter struct{}

type state struct{ Events uint32 }

func (adapter) Request(r *sdk.Request, s *state, out *sdk.Out) error {
	out.Send(sdk.Upstream{Path: "/echo", Framing: abi.NDJSON, Body: r.Body})
	return nil
}

func (adapter) Response(r *sdk.Response, s *state, out *sdk.Out) error {
	return &sdk.Error{Status: r.Status, Code: "echo", Message: r.Head.Get("content-type") + " " + string(r.Body)}
}

// deep is where the guest keeps what it takes with "grow".
var kept [][]byte

func (adapter) Event(e *sdk.Event, s *state, out *sdk.Out) error {
	s.Events++
	switch v := e.Data.Get("do"); text(v) {
	case "panic":
		var m map[string]int
		m["x"] = 1
	case "fail":
		return &sdk.Error{Status: 429, Message: "slow down"}
	case "loop":
		for {
			s.Events++
		}
	case "work": // for a few milliseconds
		for range 2_000_000 {
			s.Events++
		}
		out.Text(0, []byte("done"))
	case "recurse":
		out.Text(0, []byte{byte(recurse(0))})
	case "grow":
		for {
			kept = append(kept, make([]byte, 1<<20))
		}
	case "flood":
		for {
			out.Text(0, []byte("flood"))
		}
	case "log":
		sdk.Log(sdk.LevelWarn, "a line\nwith \x1b[31mcontrols")
	case "many": // more than fits into one table, of memory that is used again
		b := make([]byte, 0, 8<<10)
		for i := range 300 {
			b = append(b[:0], "text "...)
			b = append(b, byte('0'+i/100), byte('0'+i/10%10), byte('0'+i%10))
			out.Text(0, b)
			if i == 150 {
				out.TextJSON(0, raw(e.Data.Get("say")))
				b = append(b[:0], make([]byte, 5000)...)
				for j := range b {
					b[j] = 'x'
				}
				out.Text(0, b)
			}
		}
		clear(b[:cap(b)])
	case "waste":
		garbage = make([]byte, 100<<10)
		out.Text(0, []byte("wasted"))
	case "plant": // a tree of 65,535 nodes, which stays
		forest = append(forest, plant(16))
		out.Text(0, []byte("planted"))
	case "sleep":
		begin := time.Now()
		time.Sleep(time.Hour)
		if slept := time.Since(begin); slept >= time.Hour && slept < time.Hour+time.Second {
			out.Text(0, []byte("slept"))
		}
	case "count":
		out.Tokens(int64(s.Events), 0)
	default:
		out.TextJSON(0, raw(e.Data.Get("say")))
	}
	return nil
}

var garbage []byte

type node struct {
	left, right *node
	depth       int
}

var forest []*node

func plant(depth int) *node {
	if depth == 0 {
		return nil
	}
	return &node{plant(depth - 1), plant(depth - 1), depth}
}

func recurse(n int) int {
	if n < 0 {
		return 0
	}
	return recurse(n+1) + recurse(n+2)
}

func text(v sdk.JSON) string { s, _ := v.Str(); return s }
func raw(v sdk.JSON) []byte  { b, _ := v.RawStr(); return b }

func init() {
	sdk.Register(sdk.New(sdk.Manifest{Name: "echo", Version: "1.0.0", Provider: "echo"}, adapter{}))
}

func main() {}
