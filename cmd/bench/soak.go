package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	soakPath   = "/sse/50/100ms"
	soakAim    = 1.05
	soakStream = 300 // how many streams are under way; each takes five seconds
)

// runSoak keeps a gateway under a steady load: streams that end and begin, small requests,
// and now and then a large one. It compares the memory around minute 2 with that of the
// last minute.
func (b *bench) runSoak(ctx context.Context, stdout io.Writer) error {
	const early = 2 * time.Minute
	if b.soak < early+time.Minute {
		return errors.New("-soak must be 3m or more: it compares minute 2 with the last one")
	}
	p, err := b.start(ctx, kai)
	if err != nil {
		return err
	}
	defer p.stop()
	ctx, cancel := context.WithTimeout(ctx, b.soak)
	defer cancel()

	load := func(workers int, pause time.Duration, body, want []byte) error {
		var wg sync.WaitGroup
		errs := make(chan error, workers)
		for i := range workers {
			wg.Go(func() {
				c := &client{addr: p.addr, request: newRequest(p.addr, "/v1/chat/completions", body), want: want}
				defer c.close()
				// They don't start all at once, because then they would stay in step.
				for wait := time.Duration(i) * 5 * time.Second / soakStream; sleep(ctx, wait); wait = pause {
					if err := c.do(nil); err != nil {
						errs <- err
						cancel()
						return
					}
				}
			})
		}
		wg.Wait()
		close(errs)
		return <-errs
	}
	var wg sync.WaitGroup
	var streamErr, smallErr, largeErr error
	done, whole := []byte("data: [DONE]\n\n"), []byte(`"total_tokens":19`)
	wg.Go(func() { streamErr = load(soakStream, 0, chatBody("soak", true, "Go on."), done) })
	wg.Go(func() {
		smallErr = load(8, 20*time.Millisecond, chatBody("small", false, "What does a gateway do?"), whole)
	})
	wg.Go(func() { largeErr = load(1, 100*time.Millisecond, chatBody("large", false, longTalk()...), whole) })

	var minute, atEarly, atEnd []float64
	begin := time.Now()
	fmt.Fprintf(stdout, "%d streams of 50 chunks, a chunk every 100 ms; 8 clients with small requests, one with requests of 200 KB\n", soakStream)
	for sleep(ctx, time.Second) {
		n, err := p.rss()
		if err != nil {
			cancel()
			break
		}
		since, mib := time.Since(begin), float64(n)/(1<<20)
		if d := since - early; -30*time.Second <= d && d <= 30*time.Second {
			atEarly = append(atEarly, mib)
		}
		if b.soak-since <= time.Minute {
			atEnd = append(atEnd, mib)
		}
		if minute = append(minute, mib); len(minute) == 60 {
			fmt.Fprintf(stdout, "until %-6v %.1f MiB\n", since.Round(time.Second), median(minute))
			minute = nil
		}
	}
	wg.Wait()
	if err := errors.Join(streamErr, smallErr, largeErr); err != nil {
		return err
	}
	if len(atEnd) == 0 || len(atEarly) == 0 {
		return errors.New("ended before the last minute")
	}
	ratio := median(atEnd) / median(atEarly)
	verdict := "met"
	if ratio > soakAim {
		verdict = "MISSED"
	}
	fmt.Fprintf(stdout, "memory of the last minute against minute 2: %.3f ×, aim %.2f ×: %s\n", ratio, soakAim, verdict)
	return nil
}

// sleep waits for d. It reports whether ctx has not ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
