package wasm

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlotsServeTenantsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		busy, calm := &tenant{}, &tenant{}
		if err := s.acquire(t.Context(), busy, time.Second); err != nil {
			t.Fatal(err)
		}
		order := make(chan string, 4)
		wait := func(who *tenant, name string) {
			go func() {
				if err := s.acquire(context.Background(), who, time.Minute); err == nil {
					order <- name
					s.release()
				}
			}()
			synctest.Wait()
		}
		wait(busy, "busy 1")
		wait(busy, "busy 2")
		wait(busy, "busy 3")
		wait(calm, "calm")
		s.release()
		synctest.Wait()
		close(order)
		var got []string
		for name := range order {
			got = append(got, name)
		}
		if len(got) != 4 || got[1] != "calm" && got[0] != "calm" {
			t.Errorf("served %v: one busy tenant must not hold up another", got)
		}
		if s.free != 1 || len(s.ring) != 0 {
			t.Errorf("%d slots free and %d tenants waiting at the end", s.free, len(s.ring))
		}
	})
}

func TestSlotsGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		who := &tenant{}
		s.acquire(t.Context(), who, time.Second)
		if err := s.acquire(t.Context(), who, time.Second); !errors.Is(err, ErrBusy) {
			t.Errorf("error after the wait = %v, want ErrBusy", err)
		}
		gone := errors.New("client gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		if err := s.acquire(ctx, who, time.Second); !errors.Is(err, gone) {
			t.Errorf("error of an ended context = %v, want its cause", err)
		}
		s.release()
		if s.free != 1 || len(s.ring) != 0 || len(who.waiting) != 0 {
			t.Errorf("%d slots free, %d tenants, %d waiting; want 1, 0, 0", s.free, len(s.ring), len(who.waiting))
		}
	})
}
