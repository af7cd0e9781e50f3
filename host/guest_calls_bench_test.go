package host_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/sdk/abi"
)

// BenchmarkGuestCalls measures how many guest calls should run at once: what
// more of them bring, and how late a goroutine that only waits for a timer gets
// its turn meanwhile, since no guest can be interrupted
// (docs/design/0006-guest-calls.md).
func BenchmarkGuestCalls(b *testing.B) {
	line := []byte(`{"model":"m","created_at":"2026-11-20T10:00:00.123456789Z","message":{"role":"assistant","content":" word"},"done":false}`)
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat(`a \"word\"\n`, 2<<20/11) + `"}]}`)
	for _, calls := range []int{1, 2, 4} {
		e := wasm.New(wasm.Options{CacheDir: testkit.CacheDir, Calls: calls})
		b.Cleanup(e.Close)
		a := shippedAdapter(b, e, "ollama", wasm.AdapterOptions{MaxIdle: 4})
		b.Run(fmt.Sprintf("events/%d at once", calls), func(b *testing.B) {
			guestCalls(b, func(batch *wasm.Batch) error {
				_, err := a.Event(context.Background(), abi.Chat, 0, nil, nil, line, batch)
				return err
			})
		})
		b.Run(fmt.Sprintf("long requests/%d at once", calls), func(b *testing.B) {
			guestCalls(b, func(batch *wasm.Batch) error {
				_, err := a.Request(context.Background(), abi.Chat, true, []byte("{}"), body, batch)
				return err
			})
		})
	}
}

// guestCalls makes calls from several goroutines, with a bystander beside them.
func guestCalls(b *testing.B, call func(*wasm.Batch) error) {
	ctx, cancel := context.WithCancel(b.Context())
	var late []time.Duration
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		const every = time.Millisecond
		for ctx.Err() == nil {
			begin := time.Now()
			time.Sleep(every)
			late = append(late, time.Since(begin)-every)
		}
	}()
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		var batch wasm.Batch
		for pb.Next() {
			if err := call(&batch); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	cancel()
	<-watched
	slices.Sort(late)
	b.ReportMetric(float64(late[len(late)/2].Microseconds()), "late-p50-µs")
	b.ReportMetric(float64(late[len(late)*99/100].Microseconds()), "late-p99-µs")
}
