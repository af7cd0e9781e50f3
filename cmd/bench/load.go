package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// client sends one request again and again over one connection. It is so simple because the
// load must cost the machine little compared with what is measured.
type client struct {
	addr    string
	request []byte
	want    []byte // what a right answer has near its end
	conn    net.Conn
	r       *bufio.Reader
	buf     []byte
}

// newRequest returns the bytes of a POST with the headers that OpenAI's SDK sends.
func newRequest(addr, path string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\n", path, addr)
	b.WriteString("Accept: application/json\r\nAccept-Encoding: identity\r\nAuthorization: Bearer not-needed\r\n" +
		"Content-Type: application/json\r\nUser-Agent: OpenAI/Python 2.8.1\r\n" +
		"X-Stainless-Arch: x64\r\nX-Stainless-Async: false\r\nX-Stainless-Lang: python\r\nX-Stainless-Os: Linux\r\n" +
		"X-Stainless-Package-Version: 2.8.1\r\nX-Stainless-Retry-Count: 0\r\nX-Stainless-Runtime: CPython\r\n" +
		"X-Stainless-Runtime-Version: 3.13.1\r\n")
	b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n")
	b.Write(body)
	return b.Bytes()
}

func (c *client) dial() error {
	if c.conn != nil {
		return nil
	}
	conn, err := net.DialTimeout("tcp", c.addr, 10*time.Second)
	if err != nil {
		return err
	}
	c.conn, c.r = conn, bufio.NewReaderSize(conn, 4<<10)
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// do sends the request and passes every piece of the answer's body to onPiece, which may be
// nil. It is an error if the answer does not end as it should.
func (c *client) do(onPiece func([]byte)) error {
	if err := c.dial(); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return fmt.Errorf("read an answer's head: %w", err)
	}
	defer res.Body.Close()
	if c.buf == nil {
		c.buf = make([]byte, 32<<10)
	}
	const keep = 1 << 10 // how many bytes of the end are kept
	var end []byte
	for {
		n, err := res.Body.Read(c.buf)
		if n > 0 {
			if onPiece != nil {
				onPiece(c.buf[:n])
			}
			end = append(end, c.buf[max(0, n-keep):n]...)
			end = end[max(0, len(end)-keep):]
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
	}
	if res.StatusCode != 200 || !bytes.Contains(end, c.want) {
		return fmt.Errorf("status %d, and the answer ends in %q", res.StatusCode, end)
	}
	if res.Close {
		c.close()
	}
	return nil
}

// closedLoop keeps n requests under way until d has passed, and returns how many were
// answered. When it returns, none is under way any more.
func closedLoop(ctx context.Context, n int, d time.Duration, newClient func() *client) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var done atomic.Int64
	errs := make(chan error, n)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			c := newClient()
			defer c.close()
			for ctx.Err() == nil {
				if err := c.do(nil); err != nil {
					errs <- err
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	close(errs)
	return int(done.Load()), <-errs
}

// latencies sends n requests, one after the other, and returns how long each took until its
// answer was complete.
func latencies(ctx context.Context, n int, c *client) ([]time.Duration, error) {
	all := make([]time.Duration, 0, n)
	for range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		begin := time.Now()
		if err := c.do(nil); err != nil {
			return nil, err
		}
		all = append(all, time.Since(begin))
	}
	return all, nil
}

// streams are many answers that go on until they are stopped.
type streams struct {
	events atomic.Int64 // how many chunks of all streams have come
	begun  atomic.Int64 // how many streams have had a chunk
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	err    error
}

// startRate is how many streams are opened per second.
const startRate = 1500

// openStreams opens n streams, and waits until each has had a chunk.
func openStreams(ctx context.Context, n int, newClient func() *client) (*streams, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &streams{cancel: cancel}
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for i := range n {
		if i%(startRate/100) == 0 {
			<-pace.C
		}
		c := newClient()
		s.wg.Go(func() { s.read(ctx, c) })
	}
	for deadline := time.Now().Add(30 * time.Second); s.begun.Load() < int64(n); time.Sleep(10 * time.Millisecond) {
		if err := s.failure(); err != nil {
			s.stop()
			return nil, err
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			s.stop()
			return nil, fmt.Errorf("only %d of %d streams began", s.begun.Load(), n)
		}
	}
	return s, nil
}

var event = []byte(`data: {`)

func (s *streams) read(ctx context.Context, c *client) {
	if err := c.dial(); err != nil {
		s.fail(err)
		return
	}
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer stop()
	c.buf = make([]byte, 4<<10)
	first := true
	err := c.do(func(p []byte) {
		if first {
			first = false
			s.begun.Add(1)
		}
		s.events.Add(int64(bytes.Count(p, event)))
	})
	if ctx.Err() == nil {
		s.fail(errors.Join(errors.New("a stream ended"), err))
	}
}

func (s *streams) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *streams) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// stop ends all streams and waits for their readers.
func (s *streams) stop() {
	s.cancel()
	s.wg.Wait()
}
