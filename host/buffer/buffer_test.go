package buffer

import (
	"bytes"
	"sync"
	"testing"
)

func TestClassesHaveRoom(t *testing.T) {
	last := -1
	for size := least; size <= most; size += 997 {
		class, room := classOf(size)
		if room < size || room > size+size/4 || class < last || class >= classes {
			t.Fatalf("%d bytes are of class %d with room for %d", size, class, room)
		}
		if again, same := classOf(room); again != class || same != room {
			t.Fatalf("a slice of class %d goes back to class %d", class, again)
		}
		last = class
	}
	if class, room := classOf(most); class != classes-1 || room != most {
		t.Errorf("%d bytes are of class %d with room for %d", most, class, room)
	}
}

func TestOnlyLargeSlicesAreLent(t *testing.T) {
	var p Pool
	for size, lent := range map[int]bool{0: false, 1: false, least - 1: false, least: true, 200_001: true, most: true, most + 1: false} {
		b, owner := p.Lend(size)
		if len(b) != 0 || cap(b) != size || (owner != nil) != lent {
			t.Errorf("Lend(%d) gives %d bytes of %d, lent: %t", size, len(b), cap(b), owner != nil)
		}
		owner.Release()
	}
	if b, owner := (*Pool)(nil).Lend(least); cap(b) != least || owner != nil {
		t.Error("no pool lends something")
	}
}

func TestASecondReleasePanics(t *testing.T) {
	var p Pool
	_, owner := p.Lend(least)
	owner.Release()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	owner.Release()
}

func TestReleasedSlicesArePoisoned(t *testing.T) {
	p := Pool{Poison: true}
	b, owner := p.Lend(least + 5)
	b = append(b, "a secret"...)
	owner.Release()
	if string(b) != "\xff\xff\xff\xff\xff\xff\xff\xff" {
		t.Errorf("after the release there is %q", b)
	}
}

// TestManyOwners: no two hold the same slice at the same time.
func TestManyOwners(t *testing.T) {
	p := Pool{Poison: true}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			mark := bytes.Repeat([]byte{byte(i)}, 40_000)
			for range 200 {
				b, owner := p.Lend(len(mark))
				b = append(b, mark...)
				if !bytes.Equal(b, mark) {
					t.Error("somebody else wrote into the slice")
				}
				owner.Release()
			}
		})
	}
	all.Wait()
}

func BenchmarkLend(b *testing.B) {
	for name, p := range map[string]*Pool{"lent": {}, "allocated": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, owner := p.Lend(200_001)
				owner.Release()
			}
		})
	}
}
