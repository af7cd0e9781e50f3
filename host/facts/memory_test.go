package facts

import (
	"bytes"
	"errors"
	"testing"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"
)

func TestGrowCountsWhatADialectKeeps(t *testing.T) {
	grant := memory.New(memory.Options{Limit: 64 << 20}).Grant()
	a := New(Options{Memory: &grant, MaxHeld: 1 << 20})
	grow := func(b []byte, n int) []byte {
		t.Helper()
		b, err := a.Grow(b, n)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one := grow(nil, 100)
	one = append(one, make([]byte, 100)...)
	if grown := grow(one, cap(one)-100); &grown[0] != &one[0] {
		t.Error("a buffer with room was copied")
	}
	one = grow(one, 300<<10)
	two := grow(nil, 400<<10)
	if got, want := grant.Used(), int64(cap(one)+cap(two)); got != want {
		t.Errorf("%d bytes are counted, want %d", got, want)
	}
	same, err := a.Grow(two, 800<<10)
	if e, ok := errors.AsType[*fault.Error](err); !ok || e.Kind != fault.Upstream || cap(same) != cap(two) {
		t.Errorf("more than MaxHeld: %d bytes, %v", cap(same), err)
	}
	a.Free(one)
	a.Free(two)
	if grant.Used() != 0 {
		t.Errorf("%d bytes are counted for nothing", grant.Used())
	}
	if grow(nil, 900<<10); grant.Used() < 900<<10 {
		t.Errorf("%d bytes are counted", grant.Used())
	}
}

func TestGrowFailsWithoutMemory(t *testing.T) {
	grant := memory.New(memory.Options{Limit: 1 << 20}).Grant()
	a := New(Options{Memory: &grant})
	b, err := a.Grow([]byte(nil), 2<<20)
	if e, ok := errors.AsType[*fault.Error](err); !ok || e.Kind != fault.Share || b != nil {
		t.Errorf("Grow = %d bytes, %v", cap(b), err)
	}
	if b, err = a.Grow(b, 1<<10); err != nil || cap(b) < 1<<10 {
		t.Errorf("Grow after a failure = %d bytes, %v", cap(b), err)
	}
}

func TestTextsThatNeedNoEscapeAreKnownWhereverOneStands(t *testing.T) {
	for n := range 40 {
		p := bytes.Repeat([]byte("é"), 20)[:n]
		if !isPlain(p) {
			t.Errorf("%d bytes need an escape", n)
		}
		for i := range p {
			for c := range 256 {
				was := p[i]
				if p[i] = byte(c); isPlain(p) == escaped[c] {
					t.Errorf("byte %#x at %d of %d: plain is %t", c, i, n, !escaped[c])
				}
				p[i] = was
			}
		}
	}
}
