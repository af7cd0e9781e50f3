package wasm

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
)

func TestBreaker(t *testing.T) {
	begin := time.Unix(1000, 0)
	input := func(n int) *invocation {
		return &invocation{in: inEvent, sections: [3][]byte{nil, nil, []byte(fmt.Sprint(n))}}
	}
	t.Run("the same poison again and again pauses nobody", func(t *testing.T) {
		var b breaker
		for range 100 {
			if d := b.broke(input(1), begin); d != 0 {
				t.Fatalf("paused for %v", d)
			}
		}
	})
	t.Run("nor the same poison by reference", func(t *testing.T) {
		var b breaker
		for n := range 100 {
			i := &invocation{in: inRequest, sections: [3][]byte{nil, fmt.Appendf(nil, `{"content":"@kai:%032x:0@"}`, n)}}
			if d := b.broke(i, begin); d != 0 {
				t.Fatalf("paused for %v", d)
			}
		}
	})
	t.Run("different inputs in a row pause, longer each time", func(t *testing.T) {
		var b breaker
		now := begin
		for n := range pauseAfter - 1 {
			if d := b.broke(input(n), now); d != 0 {
				t.Fatalf("paused after %d inputs", n+1)
			}
		}
		for n, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			want *= time.Second
			if d := b.broke(input(10+n), now); d != want {
				t.Errorf("pause %d = %v, want %v", n+1, d, want)
			}
			if left := b.paused(now.Add(want / 4)); left != want*3/4 {
				t.Errorf("%v are left, want %v", left, want*3/4)
			}
			if d := b.broke(input(20+n), now); d != 0 {
				t.Errorf("a call that ended within the pause began another one, %v", d)
			}
			now = now.Add(want)
			if left := b.paused(now); left != 0 {
				t.Errorf("%v are left at the end", left)
			}
		}
		b.worked()
		if d := b.broke(input(99), now); d != 0 || b.pause != 0 {
			t.Errorf("a call that worked did not end it: pause %v", d)
		}
	})
	t.Run("a call that works in between starts the count anew", func(t *testing.T) {
		var b breaker
		for n := range 100 {
			if d := b.broke(input(n), begin); d != 0 {
				t.Fatalf("paused after input %d", n)
			}
			if n%3 == 0 {
				b.worked()
			}
		}
	})
}

func TestPausedAdapterRefusesCalls(t *testing.T) {
	module := hostile(t, "events")
	a := newAdapter(t, module, nil)
	var b Batch
	for n := range pauseAfter {
		event(a, fmt.Sprintf("U%d", n), &b)
	}
	var paused *PausedError
	if _, err := a.Request(t.Context(), abi.Chat, false, nil, nil, &b); !errors.As(err, &paused) || paused.Left <= 0 || a.Paused() <= 0 {
		t.Errorf("error = %v, Paused() = %v; want a pause", err, a.Paused())
	}
	if err := event(a, "good", &b); err != nil {
		t.Errorf("an exchange that began before: %v", err)
	}
	if _, err := a.Request(t.Context(), abi.Chat, false, nil, nil, &b); err != nil {
		t.Errorf("a request after a call that worked: %v", err)
	}
}
