package wasm

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
)

// TestLimitsThatFollowTheInput: who allows larger inputs has not to think of what they need.
func TestLimitsThatFollowTheInput(t *testing.T) {
	for name, tc := range map[string]struct {
		given        Limits
		memory, fuel int64
	}{
		"by default":           {Limits{}, 128 << 20, 4_000_000_000},
		"a small input":        {Limits{Input: 1 << 20}, 128 << 20, 4_000_000_000},
		"a large input":        {Limits{Input: 32 << 20}, 512 << 20, 50_000_000 + 400*32<<20},
		"the largest input":    {Limits{Input: 1 << 30}, 1 << 30, 50_000_000 + 400<<30},
		"what is given counts": {Limits{Input: 32 << 20, Memory: 1 << 20, Fuel: 7}, 1 << 20, 7},
	} {
		t.Run(name, func(t *testing.T) {
			l := tc.given.withDefaults()
			if l.Memory != tc.memory || l.Fuel != tc.fuel {
				t.Errorf("memory %d and fuel %d, want %d and %d", l.Memory, l.Fuel, tc.memory, tc.fuel)
			}
			if given := tc.given.Fuel == 0; given && l.fuel(l.Input) < fuelPerByte*int64(l.Input) {
				t.Errorf("an input of %d bytes has only %d units", l.Input, l.fuel(l.Input))
			}
		})
	}
}

// TestFuelForACollection: it comes on top of what the input buys, but within the limit, and takes
// nothing away.
func TestFuelForACollection(t *testing.T) {
	l := Limits{Fuel: 1000}
	for name, tc := range map[string]struct {
		fuel   int64
		memory uint32
		want   int64
	}{
		"it fits":                          {100, 50, 100 + 8*50},
		"it fits in part":                  {900, 50, 1000},
		"that of several frames is larger": {3000, 50, 3000},
		"all the memory that there may be": {0, 1 << 30, 1000},
	} {
		if got := l.withCollection(tc.fuel, tc.memory); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

// TestAGuestThatTrapsForMemory: a trap after the guest's memory could not grow is for lack
// of memory, and if the input was large no fault of the adapter's.
func TestAGuestThatTrapsForMemory(t *testing.T) {
	e := New(Options{})
	t.Cleanup(e.Close)
	// Its calls need 64 MiB each, and what they have stays: the second one traps.
	a := e.Adapter("test", hostile(t, "grows"), AdapterOptions{MaxIdle: 1, Limits: Limits{Memory: 100 << 20, KeptMemory: 1 << 30}})
	t.Cleanup(a.Close)
	if err := a.Wait(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	var b Batch
	request := func(size int) error {
		_, err := a.Request(t.Context(), abi.Chat, false, []byte("{}"), []byte(strings.Repeat("x", size)), &b)
		return err
	}
	for _, tc := range []struct {
		size  int
		large bool
		holds int // inputs that are held against the adapter
	}{{100, false, 1}, {largeInput, true, 1}, {200, false, 2}} {
		if err := request(10); err != nil {
			t.Fatal(err)
		}
		err := request(tc.size)
		var broke *CallError
		if !errors.As(err, &broke) || broke.Kind != OutOfMemory || broke.Large != tc.large {
			t.Fatalf("%d bytes: %v, want that memory is lacking, Large %v", tc.size, err, tc.large)
		}
		if want := "adapter ran out of memory: it needs more than 100 MiB (limits.memory): "; !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error = %q, want %q", err, want)
		}
		if a.pause.count != tc.holds {
			t.Errorf("after %d bytes %d inputs are held against the adapter, want %d", tc.size, a.pause.count, tc.holds)
		}
	}
}
