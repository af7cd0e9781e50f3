package host

import (
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/cache"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/shared"
	"github.com/kai-gateway/kai/internal/testkit/redis"
)

// TestTrapAnswersOnTheirWayFillTheMemory: what waits for the store, and what look-ups may
// bring, is bounded and counted. What has no room is kept here.
func TestTrapAnswersOnTheirWayFillTheMemory(t *testing.T) {
	r := redis.Start(t)
	client, err := shared.Open(shared.Options{Addresses: []string{r.Address}, Secret: "0123456789abcdef0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	total := memory.New(memory.Options{Limit: 1 << 20})
	s := &sharedAnswers{client, cache.NewLocal(total, nil), total, memory.NewLimit(1000), 1000}
	s.here.Set(1 << 19)
	entry := func(size int) cache.Entry { return cache.Entry{Value: make([]byte, size), Created: time.Now()} }
	held := func() int { n, _ := s.here.Held(); return n }
	large, small := cache.Key{1}, cache.Key{2}

	s.Put(t.Context(), large, entry(1000), time.Hour)
	if e, ok := s.Get(t.Context(), large); held() != 1 || !ok || len(e.Value) != 1000 {
		t.Errorf("what may not wait: %d are kept here, and got %v, %d bytes", held(), ok, len(e.Value))
	}
	s.Put(t.Context(), small, entry(900), time.Hour)
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, ok := s.Get(t.Context(), small); ok && s.waiting.Used() == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("what may wait is never in the store, or never off the way")
		}
	}
	_, here := s.here.Held()
	if held() != 1 || total.Used() != here {
		t.Errorf("%d are kept here, %d bytes of which %d are held", held(), here, total.Used())
	}
	s.maxEntry = 1 << 20 // twice of which there is no room for
	if _, ok := s.Get(t.Context(), small); ok {
		t.Error("the store is asked without room for what it may say")
	}
	if _, ok := s.Get(t.Context(), large); !ok {
		t.Error("what is kept here isn't found without room for a look-up")
	}
}
