package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	uploadPath = "/upload" // of the upstream
	uploadAPI  = "/v1/audio/transcriptions"
	uploadSize = 25 << 20 // bytes of the file, which is what OpenAI takes
	uploadAim  = 32       // MiB
	boundary   = "bench"
)

// serveUploads makes the upstream take forms. It reads them slowly enough for the gateway's
// memory to be seen.
func serveUploads(mux *http.ServeMux) {
	mux.HandleFunc("POST "+uploadPath+"/audio/transcriptions", func(w http.ResponseWriter, r *http.Request) {
		for piece := make([]byte, 1<<20); ; time.Sleep(5 * time.Millisecond) {
			if _, err := io.ReadFull(r.Body, piece); err != nil {
				break
			}
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"text":"Hello"}`)
	})
}

// uploads measures what a gateway holds while a large file of sound passes: how much its
// memory has grown at most, after it has passed a small one. Each has a fresh process.
func (b *bench) uploads(ctx context.Context) error {
	if !b.wants("upload") {
		return nil
	}
	b.say("upload: a file of 25 MiB to transcribe")
	var held []float64
	for range b.rounds {
		n, err := b.upload(ctx)
		if err != nil {
			return fmt.Errorf("upload: %w", err)
		}
		held = append(held, float64(n)/(1<<20))
		if b.verbose {
			b.say("  %-10s %8.1f MiB", kai, held[len(held)-1])
		}
	}
	b.report.values("upload", "memory for a file of 25 MiB", held, "MiB", uploadAim)
	return nil
}

func (b *bench) upload(ctx context.Context) (int64, error) {
	p, err := b.start(ctx, kai)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	send := func(size int) error {
		c := &client{addr: p.addr, request: newForm(p.addr, size), want: []byte(`"Hello"`)}
		defer c.close()
		return c.do(nil)
	}
	if err := send(1 << 10); err != nil {
		return 0, err
	}
	time.Sleep(300 * time.Millisecond)
	before, err := p.held()
	if err != nil {
		return 0, err
	}
	var sending sync.WaitGroup
	done := make(chan error, 1)
	sending.Go(func() { done <- send(uploadSize) })
	defer sending.Wait()
	most := before
	for {
		select {
		case err := <-done:
			return most - before, err
		case <-time.After(2 * time.Millisecond):
		}
		n, err := p.held()
		if err != nil {
			return 0, err
		}
		most = max(most, n)
	}
}

// newForm returns the bytes of a POST with a file of that size.
func newForm(addr string, size int) []byte {
	var b bytes.Buffer
	b.WriteString("--" + boundary + "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nupload\r\n" +
		"--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n")
	b.Write(make([]byte, size))
	b.WriteString("\r\n--" + boundary + "--\r\n")
	head := "POST " + uploadAPI + " HTTP/1.1\r\nHost: " + addr + "\r\nAuthorization: Bearer not-needed\r\n" +
		"Content-Type: multipart/form-data; boundary=" + boundary + "\r\nContent-Length: " + strconv.Itoa(b.Len()) + "\r\n\r\n"
	return append([]byte(head), b.Bytes()...)
}
