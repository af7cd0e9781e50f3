package messages_test

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/messages"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// TestStreamsKeepLittle: of an answer that is sent as it comes nearly nothing stays counted,
// and of one that ended nothing but buffers.
func TestStreamsKeepLittle(t *testing.T) {
	const piece = `{"type":"reasoning.text","text":"some words ","format":"f","index":0}`
	for name, tc := range map[string]struct {
		ems  []abi.Emission
		most int64 // bytes counted in the middle
	}{
		"text":                     {call(text(strings.Repeat("some words ", 30)), on(abi.ChunkExtra, `{"x":1}`)), 64 << 10},
		"text and thoughts":        {call(text("some words"), reasoning("others")), 64 << 10},
		"calls":                    {call(callArgs(0, `"some words",`)), 64 << 10},
		"a thought that is wanted": {call(reasoning("some words "), detail(piece)), 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			total := memory.New(memory.Options{Limit: 64 << 20})
			grant := total.Grant()
			i := info
			i.Memory = &grant
			a := messages.NewStream(nil, nil, i).Begin()
			dst, err := a.Apply(nil, call(callName(0, "f"), callID(0, "c"), callArgs(0, "[")))
			if err != nil {
				t.Fatal(err)
			}
			if name != "calls" {
				if dst, err = a.Apply(dst, call(callArgs(0, "]"))); err != nil {
					t.Fatal(err)
				}
			}
			for range 20_000 {
				if dst, err = a.Apply(dst[:0], tc.ems); err != nil {
					t.Fatal(err)
				}
				a.Sent(false)
			}
			if used := grant.Used(); used > tc.most {
				t.Errorf("after 20,000 pieces %d bytes are counted", used)
			}
			if _, err = a.Apply(dst[:0], call(finish("stop"))); err != nil {
				t.Fatal(err)
			}
			if _, err = a.End(dst[:0]); err != nil {
				t.Fatal(err)
			}
			a.Sent(true)
			if used := grant.Used(); used > 64<<10 {
				t.Errorf("at the end %d bytes are counted", used)
			}
		})
	}
}

// TestAnswersThatKeepTooMuchFail before they take more memory than an answer may.
func TestAnswersThatKeepTooMuchFail(t *testing.T) {
	piece := strings.Repeat("x", 1000)
	open := call(callName(0, "f"), callID(0, "c"), callArgs(0, "["))
	stream := func(i dialect.Info) dialect.Answer { return messages.NewStream(nil, nil, i).Begin() }
	whole := func(i dialect.Info) dialect.Answer { return messages.NewWhole(nil, nil, i) }
	for name, tc := range map[string]struct {
		begin func(dialect.Info) dialect.Answer
		first []abi.Emission
		ems   []abi.Emission
		fails bool
	}{
		"a stream that is sent":              {stream, nil, call(text(piece)), false},
		"text behind a call that never ends": {stream, open, call(text(piece)), true},
		"calls behind one that never ends":   {stream, append(open, callName(1, "g")), call(callArgs(1, piece)), true},
		"thoughts that are wanted back":      {stream, nil, call(detail(`{"type":"reasoning.text","text":"` + piece + `"}`)), true},
		"a whole answer":                     {whole, nil, call(text(piece)), true},
	} {
		t.Run(name, func(t *testing.T) {
			i := info
			i.MaxHeld = 1 << 20
			a := tc.begin(i)
			dst, err := a.Apply(nil, tc.first)
			for n := 0; n < 3000 && err == nil; n++ {
				dst, err = a.Apply(dst[:0], tc.ems)
				a.Sent(false)
			}
			if (err != nil) != tc.fails || err != nil && fault.KindOf(err) != fault.Upstream {
				t.Errorf("3 MB lead to %v", err)
			}
		})
	}
}

// TestAnswersWithoutRoomFail when the gateway has no memory left.
func TestAnswersWithoutRoomFail(t *testing.T) {
	total := memory.New(memory.Options{Limit: 1 << 20})
	grant := total.Grant()
	i := info
	i.Memory = &grant
	a := messages.NewWhole(nil, nil, i)
	var err error
	for n := 0; n < 2000 && err == nil; n++ {
		_, err = a.Apply(nil, call(text(strings.Repeat("x", 1000))))
	}
	if fault.KindOf(err) != fault.Share {
		t.Errorf("2 MB where there is room for 1 lead to %v", err)
	}
}
