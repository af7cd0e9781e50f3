package pace

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

func TestSmallHeapsMayHaveMoreGarbage(t *testing.T) {
	const mib = 1 << 20
	p := &pacer{garbage: 16 * mib, percent: usual}
	p.set = func(int) int { return 0 }
	for _, step := range []struct {
		alive uint64
		want  int
	}{
		{0, 400}, {1 * mib, 400}, {4 * mib, 400},
		{8 * mib, 200}, {8*mib + mib/2, 200}, // hardly another
		{10 * mib, 160}, {15 * mib, 106}, {15*mib + mib/2, 106},
		{16 * mib, 100}, {1 << 40, 100}, {15 * mib, 100}, {4 * mib, 400},
	} {
		if p.adjust(step.alive); p.percent != step.want {
			t.Errorf("with %d MiB alive it is %d %%, want %d %%", step.alive/mib, p.percent, step.want)
		}
	}
}

// TestStacksAreAlive: Go lets garbage pile up for them, too.
func TestStacksAreAlive(t *testing.T) {
	const many = 200
	runtime.GC()
	before := alive()
	var standing, ended sync.WaitGroup
	end := make(chan struct{})
	standing.Add(many)
	for range many {
		ended.Go(func() { stand(&standing, end) })
	}
	standing.Wait()
	runtime.GC()
	with := alive()
	close(end)
	ended.Wait()
	if grown := int64(with) - int64(before); grown < many*frame {
		t.Errorf("%d stacks of more than %d bytes are %d bytes, want %d", many, frame, grown, many*frame)
	}
}

const frame = 64 << 10

// stand has a large stack until end is closed.
//
//go:noinline
func stand(standing *sync.WaitGroup, end chan struct{}) (sum byte) {
	var large [frame]byte
	for i := range large {
		large[i] = byte(i)
	}
	standing.Done()
	<-end
	for _, c := range large {
		sum += c
	}
	return sum
}

func TestTheHeapIsLookedAtAfterEachCollection(t *testing.T) {
	runtime.GC()
	if n := alive(); n == 0 || n > 1<<30 {
		t.Errorf("%d bytes are alive", n)
	}
	set := make(chan int)
	p := &pacer{garbage: 1 << 40}
	p.set = func(percent int) int {
		p.percent = 1 // so that it is set again
		set <- percent
		return 0
	}
	p.watch()
	for range 3 {
		for begin, told := time.Now(), false; !told; {
			runtime.GC()
			select {
			case percent := <-set:
				if told = true; percent != most {
					t.Errorf("it was set to %d %%, want %d %%", percent, most)
				}
			case <-time.After(10 * time.Millisecond): // it has not begun to watch again
				if time.Since(begin) > time.Minute {
					t.Fatal("nothing was set after collections")
				}
			}
		}
	}
}
