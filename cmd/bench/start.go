package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// startSamples are what starts of the gateway took: milliseconds and MiB.
type startSamples struct{ cold, warm, idle, asked, binary []float64 }

// settled is how long a gateway is left alone before its memory is looked at: longer than
// it waits to give back what its start needed.
const settled = 3 * time.Second

// starts measures the time from the start of the program to the first byte from the model
// demo, the memory of a gateway that was asked nothing yet and of one that was, and the
// program's size.
func (b *bench) starts(ctx context.Context) error {
	if !b.wants("start") {
		return nil
	}
	b.say("start: until the first reply of the model demo")
	var m startSamples
	info, err := os.Stat(b.kai)
	if err != nil {
		return err
	}
	m.binary = []float64{mebibytes(info.Size())}
	for i := range 3 {
		cache := b.file(fmt.Sprintf("cold-%d", i))
		d, _, err := b.startOnce(ctx, cache, 0)
		if err != nil {
			return err
		}
		m.cold = append(m.cold, d.Seconds()*1e3)
		for range 3 {
			d, size, err := b.startOnce(ctx, cache, settled)
			if err != nil {
				return err
			}
			m.warm = append(m.warm, d.Seconds()*1e3)
			m.asked = append(m.asked, mebibytes(size))
		}
		size, err := b.idleOnce(ctx, cache)
		if err != nil {
			return err
		}
		m.idle = append(m.idle, mebibytes(size))
	}
	b.report.starts(m)
	return nil
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// startOnce starts a gateway with the shipped configuration. It returns the time until the
// first reply, and the gateway's memory after it was idle for so long.
func (b *bench) startOnce(ctx context.Context, cache string, idle time.Duration) (time.Duration, int64, error) {
	begin := time.Now()
	p, err := startGateway(ctx, kai, b.kai, b.config, cache, b.file("start.log"))
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	c := &client{
		addr: p.addr, want: []byte("data: [DONE]\n\n"),
		request: newRequest(p.addr, chatPath, chatBody("demo", true, "Hello!")),
	}
	defer c.close()
	var first time.Duration
	err = c.do(func([]byte) {
		if first == 0 {
			first = time.Since(begin)
		}
	})
	if err != nil {
		return 0, 0, fmt.Errorf("start: %w", err)
	}
	if err := p.ready(ctx); err != nil {
		return 0, 0, err
	}
	size, err := p.settledSize(ctx, idle)
	return first, size, err
}

// idleOnce starts a gateway that nobody asks anything, and returns its memory.
func (b *bench) idleOnce(ctx context.Context, cache string) (int64, error) {
	p, err := startGateway(ctx, kai, b.kai, b.config, cache, b.file("start.log"))
	if err != nil {
		return 0, err
	}
	defer p.stop()
	return p.settledSize(ctx, settled)
}

// settledSize returns the memory of a process after it was idle for so long.
func (p *process) settledSize(ctx context.Context, idle time.Duration) (int64, error) {
	if !sleep(ctx, idle) {
		return 0, context.Cause(ctx)
	}
	return p.rss()
}
