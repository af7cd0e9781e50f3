package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// rawProvider answers every request with the same bytes and remembers what it was
// asked.
type rawProvider struct {
	listener net.Listener
	mu       sync.Mutex
	current  *providerTurn
}

// providerTurn is what a provider does during one exchange.
type providerTurn struct {
	raw  []byte
	hold time.Duration // connections stay open so long after the answer
	over chan struct{} // closed when the client has its answer
	seen []seenRequest
}

// seenRequest is a request as it came to the provider.
type seenRequest struct {
	method, target string
	headers        http.Header
	body           []byte
}

func newRawProvider(t *testing.T) *rawProvider {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &rawProvider{listener: l, current: &providerTurn{over: make(chan struct{})}}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.begin(nil, 0)
		conns.Wait()
	})
	return p
}

func (p *rawProvider) address() string { return p.listener.Addr().String() }

var inSeconds = regexp.MustCompile(`\{\{date\+(\d+)\}\}`)

// begin says what the provider answers from now on, and ends what it still holds
// open of the exchange before.
func (p *rawProvider) begin(raw []byte, hold time.Duration) {
	raw = inSeconds.ReplaceAllFunc(raw, func(m []byte) []byte {
		n, _ := strconv.Atoi(string(inSeconds.FindSubmatch(m)[1]))
		return []byte(time.Now().Add(time.Duration(n) * time.Second).UTC().Format(http.TimeFormat))
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.current.over)
	p.current = &providerTurn{raw: raw, hold: hold, over: make(chan struct{})}
}

// end gives the requests since begin.
func (p *rawProvider) end() []seenRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current.seen
}

// serve answers the first request of a connection, and closes it.
func (p *rawProvider) serve(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(stretched(defaultLimit)))
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return // a probe, or a gateway that hung up
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	p.mu.Lock()
	turn := p.current
	turn.seen = append(turn.seen, seenRequest{r.Method, r.RequestURI, r.Header, body})
	p.mu.Unlock()
	if _, err := c.Write(turn.raw); err != nil || turn.hold == 0 {
		return
	}
	held := time.NewTimer(turn.hold)
	defer held.Stop()
	select {
	case <-turn.over:
	case <-held.C:
	}
}

// wire is an answer as its bytes came.
type wire struct {
	status  int
	interim []int // statuses before it
	headers http.Header
	body    []byte
	late    bool // not all of it came in time
	broken  error
}

// sendRaw makes one request on a connection of its own. head are its lines, to which
// Host, Connection and the length are added.
func sendRaw(address string, head []string, body []byte, limit time.Duration) (*wire, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(limit))
	_, port, _ := net.SplitHostPort(address)
	has := map[string]bool{}
	for _, line := range head[1:] {
		name, _, _ := strings.Cut(line, ":")
		has[strings.ToLower(name)] = true
	}
	if !has["host"] {
		head = append(head, "Host: localhost:{{port}}")
	}
	if !has["connection"] {
		head = append(head, "Connection: close")
	}
	if body != nil && has["transfer-encoding"] {
		body = inChunks(body, 50)
	} else if body != nil {
		head = append(head, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	text := strings.ReplaceAll(strings.Join(head, "\r\n")+"\r\n\r\n", "{{port}}", port)
	if _, err := io.WriteString(c, text); err != nil {
		return nil, err
	}
	// A gateway may answer before it has the body; then writing it fails, and the
	// answer tells all.
	if !has["expect"] {
		c.Write(body)
	}
	method, _, _ := strings.Cut(head[0], " ")
	w := &wire{}
	r := bufio.NewReader(c)
	for {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			w.late = true
			return w, nil
		}
		if err != nil {
			return nil, fmt.Errorf("no answer: %w", err)
		}
		if res.StatusCode < 200 {
			w.interim = append(w.interim, res.StatusCode)
			if res.StatusCode == http.StatusContinue && has["expect"] {
				c.Write(body)
			}
			continue
		}
		w.status, w.headers = res.StatusCode, res.Header
		if len(res.TransferEncoding) > 0 {
			w.headers["Transfer-Encoding"] = res.TransferEncoding
		}
		w.body, w.broken = io.ReadAll(res.Body)
		w.late = errors.Is(w.broken, os.ErrDeadlineExceeded)
		return w, nil
	}
}

// inChunks writes a body as HTTP/1.1 does that doesn't know its length.
func inChunks(body []byte, size int) []byte {
	var b bytes.Buffer
	for len(body) > 0 {
		n := min(size, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n\r\n")
	return b.Bytes()
}
