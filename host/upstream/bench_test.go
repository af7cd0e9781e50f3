package upstream

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/wire"
	"github.com/kai-gateway/kai/sdk/abi"
)

// startEcho answers every request with the same bytes and does as little else
// as possible, so that what is measured is mostly the client.
func startEcho(b *testing.B, answer string) string {
	b.Helper()
	whole := []byte(answer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReaderSize(c, 256<<10)
				for {
					length := 0
					for {
						line, err := in.ReadSlice('\n')
						if err != nil {
							return
						}
						if len(line) == 2 {
							break
						}
						if rest, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
							fmt.Sscan(string(rest), &length)
						}
					}
					if _, err := in.Discard(length); err != nil {
						return
					}
					if _, err := c.Write(whole); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

const smallAnswer = `{"model":"m","message":{"role":"assistant","content":"Hello! How can I help you today?"},"done":true}`

// BenchmarkWhole compares a request with a whole answer with the same one made
// by net/http alone, for a small and a large body.
func BenchmarkWhole(b *testing.B) {
	for _, size := range []int{200, 200_000} {
		body := bytes.Repeat([]byte("x"), size)
		b.Run(fmt.Sprintf("%d/upstream", size), func(b *testing.B) {
			c := newTestClient(b, startEcho(b, jsonHead+wire.Sized(smallAnswer)))
			r := post(abi.Whole)
			r.Body = body
			b.ReportAllocs()
			for b.Loop() {
				resp, err := c.Do(context.Background(), r)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := resp.Body(); err != nil {
					b.Fatal(err)
				}
				resp.Close()
			}
		})
		b.Run(fmt.Sprintf("%d/nethttp", size), func(b *testing.B) {
			url := startEcho(b, jsonHead+wire.Sized(smallAnswer)) + "/api/chat"
			transport := &http.Transport{DisableCompression: true}
			defer transport.CloseIdleConnections()
			b.ReportAllocs()
			for b.Loop() {
				req, err := http.NewRequestWithContext(context.Background(), "POST", url, bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/json")
				resp, err := transport.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadAll(resp.Body); err != nil {
					b.Fatal(err)
				}
				resp.Body.Close()
			}
		})
	}
}

// BenchmarkStream is the cost of one frame of a stream that comes as fast as
// it can be read, in chunks of a frame each, as Ollama sends them.
func BenchmarkStream(b *testing.B) {
	const events = 1000
	line := `{"model":"m","created_at":"2026-01-01T00:00:00.000000Z","message":{"role":"assistant","content":" word"},"done":false}`
	for name, tc := range map[string]struct {
		framing abi.Framing
		head    string
		event   string
	}{
		"ndjson": {abi.NDJSON, ndjsonHead, line + "\n"},
		"sse":    {abi.SSE, sseHead, "data: " + line + "\n\n"},
	} {
		b.Run(name, func(b *testing.B) {
			c := newTestClient(b, startEcho(b, tc.head+chunked+strings.Repeat(wire.Chunk(tc.event), events)+wire.Chunk("")))
			flushes := 0
			b.ReportAllocs()
			for b.Loop() {
				resp, err := c.Do(context.Background(), post(tc.framing))
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for {
					_, err := resp.Next()
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					n++
					if !resp.Buffered() {
						flushes++
					}
				}
				if n != events {
					b.Fatalf("%d events, want %d", n, events)
				}
				resp.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
			b.ReportMetric(float64(flushes)/float64(b.N), "flushes/op")
		})
	}
}
