package observe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// background is what runs until it is closed, and then sends what waits.
type background struct {
	quit chan struct{} // closed when it should end
	done chan struct{} // closed when it has
	stop sync.Once
}

func newBackground() background {
	return background{quit: make(chan struct{}), done: make(chan struct{})}
}

// Close sends what waits, for at most d. It may be called more than once.
func (b *background) Close(d time.Duration) {
	b.stop.Do(func() { close(b.quit) })
	select {
	case <-b.done:
	case <-time.After(d):
	}
}

const sendTimeout = 10 * time.Second

// newSender returns a client that sends to collectors.
func newSender() *http.Client {
	return &http.Client{
		Timeout:       sendTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("a redirect is not followed") },
	}
}

// post sends a message of OTLP. The error has no header and no answer of the collector.
func post(client *http.Client, endpoint string, headers http.Header, body []byte) error {
	r, err := http.NewRequestWithContext(context.Background(), "POST", endpoint, bytes.NewReader(body))
	if err != nil {
		return errors.New("the endpoint is no URL")
	}
	for name, values := range headers {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	io.CopyN(io.Discard, res.Body, 64<<10)
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answers with status %d", res.StatusCode)
	}
	return nil
}
