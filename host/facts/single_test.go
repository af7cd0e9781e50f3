package facts

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// TestPassesAndKeepsSayWhatApplySays: an answer whose emissions they take where they can is the
// same as one whose emissions Apply takes.
func TestTryPassAndTryKeepSayWhatApplySays(t *testing.T) {
	passed, kept := 0, 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 0))
		total := memory.New(memory.Options{Limit: 64 << 20})
		grants := [3]memory.Grant{total.Grant(), total.Grant(), total.Grant()}
		var answers [3]*Answer
		for i := range answers {
			answers[i] = New(Options{Memory: &grants[i], MaxHeld: 60})
		}
		applies, passes, keeps := answers[0], answers[1], answers[2]
		var story []string
		for range 30 {
			e := randomEmission(r)
			story = append(story, fmt.Sprintf("%v %d.%d raw %t %q", e.Kind, e.Choice(), e.Item(), e.Raw, e.Data))
			want, wantErr := said(applies.Apply([]abi.Emission{e, {Kind: abi.Wait}})) // which says nothing

			var got string
			var gotErr error
			if call, ok := passes.TryPass(&e); ok {
				passed++
				got, gotErr = said([]Delta{{Kind: e.Kind, Choice: e.Choice(), Call: call, Text: Text{e.Raw, e.Data}}}, nil)
			} else {
				got, gotErr = said(passes.Apply([]abi.Emission{e}))
			}
			checkSame(t, "TryPass", story, got, want, gotErr, wantErr)

			text, call, ok, err := keeps.TryKeep(&e)
			switch {
			case err != nil:
				gotErr = err
			case ok:
				kept++
				got, gotErr = said([]Delta{{Kind: e.Kind, Choice: e.Choice(), Call: call, Text: text}}, nil)
			default:
				got, gotErr = said(keeps.Apply([]abi.Emission{e}))
			}
			checkSame(t, "TryKeep", story, got, want, gotErr, wantErr)

			if keeps.held != applies.held || keeps.ledger.facts != applies.ledger.facts || grants[2].Used() != grants[0].Used() {
				t.Fatalf("%s\nTryKeep counts %d, %d and %d bytes, Apply %d, %d and %d", strings.Join(story, "\n"),
					keeps.held, keeps.ledger.facts, grants[2].Used(), applies.held, applies.ledger.facts, grants[0].Used())
			}
			if passes.ledger.facts > applies.ledger.facts || passes.held > applies.held {
				t.Fatalf("%s\nTryPass counts %d and %d bytes, Apply %d and %d", strings.Join(story, "\n"), passes.held, passes.ledger.facts, applies.held, applies.ledger.facts)
			}
			for _, a := range answers[1:] {
				if a.Usage() != applies.Usage() || a.Complete() != applies.Complete() || a.spoke() != applies.spoke() || a.late() != applies.late() {
					t.Fatalf("%s\nUsage %+v, complete %t, spoke %t; with Apply %+v, %t, %t", strings.Join(story, "\n"),
						a.Usage(), a.Complete(), a.spoke(), applies.Usage(), applies.Complete(), applies.spoke())
				}
			}
			if wantErr != nil {
				break
			}
			if r.IntN(2) == 0 {
				passes.Rendered(0, passes.size)
				for _, a := range []*Answer{applies, keeps} {
					a.Rendered(0, a.size)
				}
			} else {
				passes.held = applies.held // Apply has counted what TryPass shows
			}
		}
	}
	if passed < 5000 || kept < 5000 {
		t.Errorf("%d emissions passed and %d were kept: the test says little", passed, kept)
	}
}

func randomEmission(r *rand.Rand) abi.Emission {
	pick := func(of ...string) []byte { return []byte(of[r.IntN(len(of))]) }
	at := abi.At(r.IntN(3), r.IntN(2))
	switch r.IntN(20) {
	case 0:
		return abi.Emission{Kind: abi.Finish, At: at, Data: pick("stop", "length")}
	case 1:
		return abi.Emission{Kind: abi.Usage, Data: pick(`{"prompt_tokens":1}`, `{}`)}
	case 2:
		return abi.Emission{Kind: abi.ChoiceExtra, At: at, Data: pick(`{"x":1}`)}
	case 3, 4, 5:
		return abi.Emission{Kind: abi.ToolName, At: at, Data: pick("f", "f", "f", "g")}
	case 6, 7, 8:
		return abi.Emission{Kind: abi.ToolArgs, At: at, Raw: r.IntN(2) == 0, Data: pick(`{`, ` `, `\n`, ``, `\ud83d`, `\ude00`, `}`)}
	}
	kind := []abi.Kind{abi.Text, abi.Text, abi.Reasoning, abi.Refusal}[r.IntN(4)]
	if r.IntN(2) == 0 {
		return abi.Emission{Kind: kind, At: at, Raw: true, Data: pick(`a`, ``, `\"`, `\ud83d`, `\ude00`, `b\ud83d`, `\n12345`)}
	}
	return abi.Emission{Kind: kind, At: at, Data: pick("a", "", "\"", "\x01b\n", " gateway", "é")}
}

// said returns facts as text, without ids.
func said(deltas []Delta, err error) (string, error) {
	var b strings.Builder
	for _, d := range deltas {
		fmt.Fprintf(&b, "%v %d.%d %q %s\n", d.Kind, d.Choice, d.Call, d.Name, d.Text.AppendTo(nil))
	}
	return b.String(), err
}

func checkSame(t *testing.T, name string, story []string, got, want string, gotErr, wantErr error) {
	t.Helper()
	if got != want || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
		t.Fatalf("%s\n%s says %s, %v; Apply says %s, %v", strings.Join(story, "\n"), name, got, gotErr, want, wantErr)
	}
}

func TestNothingIsKeptForWhichThereIsNoMemory(t *testing.T) {
	grant := memory.New(memory.Options{Limit: 2 * memory.Grain}).Grant()
	a := New(Options{Memory: &grant})
	e := abi.Emission{Kind: abi.Text, Data: make([]byte, 10_000)} // each byte becomes six
	if _, err := a.Apply([]abi.Emission{e}); err != nil {
		t.Fatal(err)
	}
	before := a.Usage()
	_, _, ok, err := a.TryKeep(&e)
	if f, is := errors.AsType[*fault.Error](err); ok || !is || f.Kind != fault.Share {
		t.Errorf("TryKeep = %t, %v, want an error for too little memory", ok, err)
	}
	if got := a.Usage(); got != before || grant.Used() > 2*memory.Grain {
		t.Errorf("the usage is %+v, want %+v; %d bytes are counted", got, before, grant.Used())
	}
}

func TestFewHasItsElementsInOrder(t *testing.T) {
	var f Few[int]
	for i := range 5 {
		if got := f.Len(); got != i {
			t.Errorf("Len() = %d, want %d", got, i)
		}
		*f.Add() = i
		for k := range i + 1 {
			if got := *f.At(k); got != k {
				t.Errorf("of %d elements that at %d is %d", i+1, k, got)
			}
		}
	}
}

func TestCountsAreReadWhateverTheirForm(t *testing.T) {
	for value, want := range map[string]count{
		"0": {0, true}, "7": {7, true}, "999999999": {999999999, true}, "2147483647": {2147483647, true}, "2147483648": {}, "-1": {}, "1e3": {1000, true},
		"1.9": {1, true}, `"12"`: {12, true}, `"x"`: {}, "null": {}, "true": {}, "12345678901": {}, "[1]": {},
	} {
		var c count
		if c.set([]byte(value)); c != want {
			t.Errorf("%s is %+v, want %+v", value, c, want)
		}
	}
}
