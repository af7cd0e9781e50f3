package messages_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

// alphabet are emissions of which scripts of adapters are made.
var alphabet = []abi.Emission{
	text("t"), raw(text(`\n\"`)), raw(text(`\ud83d`)), raw(text(`\ude00`)), text("a longer text, é"),
	reasoning("r"), raw(reasoning(`\u0041`)), reasoning("longer reasoning"),
	on(abi.Refusal, "no"), on(abi.Logprobs, "[]"), on(abi.Citation, "{}"),
	callID(0, "c0"), callID(1, "call_0"), callID(2, "c0"), callName(0, "f"), callName(1, "g"), callName(2, "short"), callName(0, "f"),
	callArgs(0, "{"), callArgs(0, `"a":"`), callArgs(0, `}"`), raw(callArgs(0, `\"\\\\`)), callArgs(0, "}"), callArgs(0, "{}"), callArgs(0, " "),
	callArgs(1, "{"), callArgs(1, `"b":[1]`), callArgs(1, "}"), callArgs(1, "[]"), callArgs(1, "{}"), callArgs(2, "{}"), callArgs(2, "x"),
	callSignature(0, "S0"), callSignature(1, "S1"), ofCall(abi.ToolExtra, 1, `{"extra_content":{"a":1}}`), ofCall(abi.ToolExtra, 2, `{"b":2}`),
	on(abi.Signature, "MS"), on(abi.DeltaExtra, `{"extra_content":{"m":1},"images":[]}`),
	detail(`{"type":"reasoning.text","text":"r","format":"anthropic-claude-v1","index":0}`),
	detail(`{"type":"reasoning.text","text":"","signature":"S","format":"anthropic-claude-v1","index":0}`),
	detail(`{"type":"reasoning.text","text":"r","signature":"T","format":"anthropic-claude-v1","index":1}`),
	detail(`{"type":"reasoning.encrypted","data":"D","format":"anthropic-claude-v1","index":2}`),
	detail(`{"type":"reasoning.encrypted","data":"E","format":"openai-responses-v1"}`),
	detail(`{"type":"reasoning.summary","summary":"s","format":"openai-responses-v1"}`), detail(`{}`),
	on(abi.DeltaExtra, `{"reasoning_details":[{"type":"reasoning.text","text":"r"}]}`),
	on(abi.ChunkExtra, `{"x":1}`), on(abi.ChoiceExtra, `{"y":1}`), native("stop_sequence"),
	{Kind: abi.Text, At: abi.At(1, 0), Data: []byte("second choice")}, {Kind: abi.Finish, At: abi.At(1, 0), Data: []byte("stop")},
	finish("stop"), finish("length"), finish("content_filter"), finish("tool_calls"),
	usage(`{"prompt_tokens":3}`), usage(`{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}`), on(abi.Error, `{"status":503,"code":"overloaded","message":"m"}`),
}

// scriptOf reads bytes as what an adapter states: each is an emission, and one beyond the
// alphabet ends a call.
func scriptOf(b []byte) calls {
	in := calls{nil}
	for _, c := range b {
		if int(c) < len(alphabet) {
			in[len(in)-1] = append(in[len(in)-1], alphabet[c])
		} else {
			in = append(in, nil)
		}
	}
	return in
}

// checkScript holds the rules of streams against what an adapter states, however it ends:
// broken off after any call, or failed. A stream that succeeds accumulates to the whole
// answer. Pings come at any time, from another goroutine.
func checkScript(t *testing.T, in calls) {
	t.Helper()
	about := conversation{names: map[string]string{"short": "a_name_that_was_long"}, ids: map[string]bool{"call_0": true}}
	s := newStreamOf(about)
	var pings sync.WaitGroup
	pings.Go(func() {
		for range 3 {
			if got := string(s.KeepAlive(nil)); !strings.HasPrefix(got, "event: ping\n") {
				t.Errorf("a ping is %q", got)
			}
		}
	})
	defer pings.Wait()
	a := s.Begin()
	var sent []byte
	var err error
	for i, ems := range in {
		before := len(sent)
		if sent, err = a.Apply(sent, ems); err != nil {
			if len(sent) != before {
				t.Fatalf("call %d failed with %v, and something was appended", i, err)
			}
			break
		}
		a.Sent(i%3 == 0)
		checkBroken(t, string(sent))
		if i%2 == 0 {
			sent = s.KeepAlive(sent)
		}
	}
	if err == nil {
		before := len(sent)
		if sent, err = a.End(sent); err != nil && len(sent) != before {
			t.Fatalf("the end failed with %v, and something was appended", err)
		}
	}
	whole, wholeErr := about.whole(in)
	if (err == nil) != (wholeErr == nil) {
		t.Fatalf("streamed %v, whole %v", err, wholeErr)
	}
	if err != nil {
		e, ok := err.(*fault.Error)
		if !ok {
			t.Fatalf("the error is %T", err)
		}
		checkFailed(t, string(s.Fail(sent, e)))
		return
	}
	same(t, string(sent), whole)
}

// checkBroken holds that what was sent so far breaks no rule, whatever comes then.
func checkBroken(t *testing.T, events string) {
	t.Helper()
	if _, _, err := accumulate(events); err != nil && err != errOpen {
		t.Fatalf("%v in\n%s", err, events)
	}
}

func checkFailed(t *testing.T, events string) {
	t.Helper()
	_, failed, err := accumulate(events)
	if err != nil || failed == nil {
		t.Fatalf("%v, the error is %v, in\n%s", err, failed, events)
	}
}

func TestRandomAnswers(t *testing.T) {
	const seeds, most = 500, 40
	succeeded := 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := make([]byte, r.IntN(most))
		for i := range b {
			if b[i] = byte(r.IntN(len(alphabet) + 12)); int(b[i]) < len(alphabet) && alphabet[b[i]].Kind == abi.Error && r.IntN(8) > 0 {
				b[i] = 0
			}
		}
		in := scriptOf(b)
		if seed%4 > 0 { // most calls have their name
			in[0] = append(in[0], callName(0, "f"), callName(1, "g"), callName(2, "short"))
		}
		in = append(in, call(finish("stop"), abi.Emission{Kind: abi.Finish, At: abi.At(1, 0), Data: []byte("stop")}))
		if checkScript(t, in); t.Failed() {
			t.Fatalf("seed %d: the script is %v", seed, in)
		}
		if _, err := (conversation{}).whole(in); err == nil {
			succeeded++
		}
	}
	if succeeded < seeds/4 {
		t.Errorf("only %d of %d scripts succeed, which shows too little", succeeded, seeds)
	}
}

func FuzzAnswer(f *testing.F) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		b := make([]byte, 30)
		for i := range b {
			b[i] = byte(r.IntN(len(alphabet) + 10))
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 300 {
			return
		}
		checkScript(t, scriptOf(b))
	})
}
