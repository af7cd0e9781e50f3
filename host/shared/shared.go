// Package shared is a gateway's connection to the store that it shares with others, a Redis
// or Valkey: single, watched by sentinels, or a cluster. It runs scripts, keeps sealed
// values, and passes on notes. It knows nothing of what these are about.
//
// Nothing waits longer for the store than it was told to. After three failures in a row the
// store counts as away. Then only one goroutine asks it, to see whether it is back: first
// after a second, and in the end every half minute. It asks at once if perhaps only a
// connection has ended, unless the store has gone again soon after it came back.
//
// Names are in the store as digests, and values are sealed, both under a secret that only the
// gateways have. Whoever reads the store learns none of them, and whoever writes to it can
// neither make one up nor put one in the place of another.
package shared

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options configures Open. Addresses and Secret are required.
type Options struct {
	Addresses []string    // host:port of one server, of several of a cluster, or of sentinels
	Socket    bool        // Addresses has the path of a socket instead
	TLS       *tls.Config // nil: none
	Sentinel  string      // the name of the master that sentinels watch; "": there are none
	User      string
	Password  string
	Database  int
	Prefix    string        // of all keys; default "kai"
	Secret    string        // the same of all gateways
	Timeout   time.Duration // of a request; default 100 ms
	Durable   bool          // warn if what is kept doesn't outlive a restart of the server
	Logger    *slog.Logger  // default: discard

	// Observe is called with the time that the store took for each answer. Default: nobody is
	// told.
	Observe func(time.Duration)
}

// ErrAway is the error of requests while the store counts as away.
var ErrAway = errors.New("the shared store does not answer")

const (
	tripAfter    = 3 // failures in a row
	firstWait    = time.Second
	longestWait  = 30 * time.Second
	valueTimeout = time.Second // for large values
)

// Client is the connection. It is safe for concurrent use.
type Client struct {
	o       Options
	keys    keys
	conns   atomic.Pointer[conns] // nil: there was no connection yet
	up      atomic.Bool
	refused atomic.Value // what Refused returns
	failed  atomic.Int32 // in a row
	errors  atomic.Int64 // since the start
	wake    chan struct{}
	later   chan func(context.Context)
	looked  atomic.Int64    // at the server's memory, when, in nanoseconds
	noRoom  atomic.Bool     // there was none
	ctx     context.Context // until Close
	cancel  context.CancelFunc
	loop    sync.WaitGroup

	mu       sync.Mutex
	watchers []func()
}

// Open connects. If the server can't be reached, it is tried again in the background. The
// error is for what won't get better by itself.
func Open(o Options) (*Client, error) {
	if o.Prefix == "" {
		o.Prefix = "kai"
	}
	if o.Timeout == 0 {
		o.Timeout = 100 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(time.Duration) {}
	}
	c := &Client{o: o, wake: make(chan struct{}, 1), later: make(chan func(context.Context), mostLater)}
	var err error
	if c.keys, err = newKeys(o.Secret); err != nil {
		return nil, err
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	err = c.connect()
	if errors.Is(err, errTooOld) {
		c.cancel()
		return nil, err
	}
	c.up.Store(err == nil)
	c.tell(err)
	c.loop.Go(c.run)
	c.loop.Go(c.runLater)
	return c, nil
}

// Close ends the connection, and what waits for it.
func (c *Client) Close() {
	c.cancel()
	if conns := c.conns.Load(); conns != nil {
		conns.close()
	}
	c.loop.Wait()
}

// Up reports whether the store answers, as far as it is known.
func (c *Client) Up() bool { return c.up.Load() }

// Errors returns how many requests failed since the start.
func (c *Client) Errors() int64 { return c.errors.Load() }

// Watch calls f whenever Up has changed, one call after the other. f must not wait.
func (c *Client) Watch(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers = append(c.watchers, f)
}

// run looks whether the store is back, until Close.
func (c *Client) run() {
	was, wait := c.Up(), time.Duration(0)
	var since time.Time     // when it came back; zero: it was there from the start
	var flaps time.Duration // how long to wait first when it goes, which is longer each time
	for {
		if up := c.Up(); up != was {
			if was = up; up {
				since = time.Now()
			} else {
				if flaps = min(max(2*flaps, firstWait), longestWait); time.Since(since) > longestWait {
					flaps = 0 // perhaps only the connection ended
				}
				wait = flaps
				c.tell(ErrAway)
			}
			c.changed()
		}
		var look <-chan time.Time
		var ended, endedToo <-chan struct{}
		if conns := c.conns.Load(); was && conns != nil {
			ended, endedToo = conns.quick.ended, conns.bulk.ended
		} else {
			look = time.After(wait)
		}
		select {
		case <-c.wake:
			continue
		case <-ended:
			c.up.Store(false)
			continue
		case <-endedToo:
			c.up.Store(false)
			continue
		case <-c.ctx.Done():
			return
		case <-look:
		}
		switch err := c.look(); {
		case err == nil:
			c.failed.Store(0)
			c.up.Store(true)
			c.tell(nil)
		case refusedOver(err) != c.Refused():
			c.tell(err)
		}
		wait = min(max(2*wait, firstWait), longestWait)
	}
}

// mostLater is how many functions may wait to be run in the background.
const mostLater = 1024

// Later runs f in the background, after those that were given before, until Close. It returns
// false, and does nothing, if too many are waiting.
func (c *Client) Later(f func(ctx context.Context)) bool {
	select {
	case c.later <- f:
		return true
	default:
		return false
	}
}

func (c *Client) runLater() {
	for {
		select {
		case f := <-c.later:
			f(c.ctx)
		case <-c.ctx.Done():
			return
		}
	}
}

// changed calls the functions that Watch was given.
func (c *Client) changed() {
	c.mu.Lock()
	watchers := c.watchers
	c.mu.Unlock()
	for _, f := range watchers {
		f()
	}
}

// look asks the store whether it is there. If its connections are not, they are made anew.
func (c *Client) look() error {
	if old := c.conns.Load(); old != nil {
		if ctx, cancel := context.WithTimeout(c.ctx, c.o.Timeout); old.alive() {
			defer cancel()
			answers, err := old.quick.ask(ctx, []string{"EXISTS", c.Key("", "gateways")})
			if err == nil && answers[0].err() == nil {
				return nil
			}
		} else {
			cancel()
		}
		old.close()
	}
	return c.connect()
}

// call makes the store execute commands, in a bounded time.
//
//   - error: ErrAway, or what went wrong: then nobody knows what was done
func (c *Client) call(ctx context.Context, bulk bool, commands ...[]string) ([]reply, error) {
	conns := c.conns.Load()
	if conns == nil || !c.Up() {
		return nil, ErrAway
	}
	n, timeout := conns.quick, c.o.Timeout
	if bulk {
		n, timeout = conns.bulk, max(timeout, valueTimeout)
	}
	asked, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	begun := time.Now()
	answers, err := n.ask(asked, commands...)
	for i := range answers {
		if err == nil {
			err = answers[i].err()
		}
	}
	switch r, ok := errors.AsType[refusal](err); {
	case ok && (strings.HasPrefix(string(r), "NOSCRIPT") || commands[0][0] == "INFO"): // it may not know the script, or not allow INFO
	case err == nil:
		c.failed.Store(0)
		c.o.Observe(time.Since(begun))
		return answers, nil
	case ctx.Err() == context.Canceled: // the caller has gone
	case ok && (strings.HasPrefix(string(r), "MOVED ") || strings.HasPrefix(string(r), "READONLY")):
		conns.close() // the keys are at another server now
		fallthrough
	default:
		c.errors.Add(1)
		if c.failed.Add(1) >= tripAfter && c.up.CompareAndSwap(true, false) {
			select {
			case c.wake <- struct{}{}:
			default:
			}
		}
	}
	return nil, err
}

// Script returns what runs a script, in one round trip unless the server doesn't know it
// yet. The error says that nobody knows whether it was done.
func (c *Client) Script(text string) func(ctx context.Context, keys, args []string) ([]int64, error) {
	sum := sha1.Sum([]byte(text)) // which names a script for the server, and hides nothing
	digest := hex.EncodeToString(sum[:])
	return func(ctx context.Context, keys, args []string) ([]int64, error) {
		words := make([]string, 3, 3+len(keys)+len(args))
		words[0], words[1], words[2] = "EVALSHA", digest, strconv.Itoa(len(keys))
		words = append(append(words, keys...), args...)
		answers, err := c.call(ctx, false, words)
		if r, ok := errors.AsType[refusal](err); ok && strings.HasPrefix(string(r), "NOSCRIPT") {
			words[0], words[1] = "EVAL", text
			answers, err = c.call(ctx, false, words)
		}
		if err != nil {
			return nil, err
		}
		numbers := make([]int64, len(answers[0].items))
		for i, item := range answers[0].items {
			numbers[i] = item.n
		}
		return numbers, nil
	}
}
