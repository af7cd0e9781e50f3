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
	"time"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

var inSeconds = regexp.MustCompile(`\{\{date\+(\d+)\}\}`)

// rawAnswer sends a provider's bytes as a case has them, and then holds the connection
// open for a while.
func rawAnswer(raw []byte, hold time.Duration) mock.Answer {
	raw = inSeconds.ReplaceAllFunc(raw, func(m []byte) []byte {
		n, _ := strconv.Atoi(string(inSeconds.FindSubmatch(m)[1]))
		return []byte(time.Now().Add(time.Duration(n) * time.Second).UTC().Format(http.TimeFormat))
	})
	return mock.Steps(mock.Raw(string(raw)), mock.Pause(hold))
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
