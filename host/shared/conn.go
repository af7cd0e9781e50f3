package shared

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"time"
)

// conn is a connection that many goroutines use at once: each writes its commands behind those
// of others, and one goroutine hands out the answers, which come in the same order.
type conn struct {
	net     net.Conn
	r       *bufio.Reader
	w       *bufio.Writer
	writing chan struct{} // has room for the one that writes
	asked   chan *question
	ended   chan struct{} // is closed when nothing comes any more
	patient time.Duration // how long a write may take
}

// question is one command, or several that were sent together.
type question struct {
	n       int // answers that it gets
	answers []reply
	done    chan error
}

const (
	mostAtOnce  = 4096 // questions on a connection that have no answer yet
	buffer      = 64 << 10
	dialTimeout = time.Second // with the first words
)

var (
	errFull = errors.New("too many wait for the shared store")
	errGone = errors.New("the connection to the shared store ended")
)

// dial connects to one server and authenticates.
func (c *Client) dial(ctx context.Context, address string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	network := "tcp"
	if c.o.Socket {
		network = "unix"
	}
	n, err := (&net.Dialer{KeepAlive: 5 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	end, _ := ctx.Deadline()
	_ = n.SetDeadline(end)
	if c.o.TLS != nil {
		config := c.o.TLS.Clone()
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(address)
		}
		secured := tls.Client(n, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			n.Close()
			return nil, noTLS(err)
		}
		n = secured
	}
	return &conn{
		net: n, r: bufio.NewReaderSize(n, buffer), w: bufio.NewWriterSize(n, buffer), writing: make(chan struct{}, 1),
		asked: make(chan *question, mostAtOnce), ended: make(chan struct{}),
	}, nil
}

// greet authenticates and chooses the database, before run.
func (c *Client) greet(n *conn) error {
	var words [][]string
	if c.o.Password != "" {
		words = append(words, []string{"AUTH", c.o.Password})
		if c.o.User != "" {
			words[0] = []string{"AUTH", c.o.User, c.o.Password}
		}
	}
	if c.o.Database != 0 {
		words = append(words, []string{"SELECT", strconv.Itoa(c.o.Database)})
	}
	for _, w := range words {
		_, err := n.do(w...)
		if r, refused := errors.AsType[refusal](err); refused && w[0] == "AUTH" {
			return r.withoutPassword()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// do sends a command and waits for its answer, before run.
func (n *conn) do(words ...string) (reply, error) {
	n.write(words)
	if err := n.w.Flush(); err != nil {
		return reply{}, err
	}
	r, err := readReply(n.r)
	if err != nil {
		return reply{}, err
	}
	return r, r.err()
}

// write puts a command into the buffer.
func (n *conn) write(words []string) {
	var number [20]byte
	put := func(kind byte, v int) {
		_ = n.w.WriteByte(kind)
		_, _ = n.w.Write(strconv.AppendInt(number[:0], int64(v), 10))
		_, _ = n.w.WriteString("\r\n")
	}
	put('*', len(words))
	for _, w := range words {
		put('$', len(w))
		_, _ = n.w.WriteString(w) // a failed write fails the flush
		_, _ = n.w.WriteString("\r\n")
	}
}

// run gives out answers until the connection ends.
func (n *conn) run() {
	_ = n.net.SetDeadline(time.Time{})
	err := n.read()
	n.net.Close()
	close(n.ended)
	for {
		select {
		case q := <-n.asked:
			q.done <- err
		default:
			return // later callers see that it has ended
		}
	}
}

func (n *conn) read() error {
	for {
		first, err := readReply(n.r)
		if err != nil {
			return err
		}
		var q *question
		select {
		case q = <-n.asked:
		default:
			return errReply // an answer to nothing
		}
		for q.answers = append(q.answers, first); len(q.answers) < q.n; q.answers = append(q.answers, first) {
			if first, err = readReply(n.r); err != nil {
				q.done <- err
				return err
			}
		}
		q.done <- nil
	}
}

// ask sends commands, and waits for their answers until ctx ends. An error says that nobody
// knows what was done.
func (n *conn) ask(ctx context.Context, commands ...[]string) ([]reply, error) {
	q := &question{n: len(commands), answers: make([]reply, 0, len(commands)), done: make(chan error, 1)}
	select {
	case n.writing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-n.ended:
		return nil, errGone
	}
	err := n.send(q, commands)
	<-n.writing
	if err != nil {
		return nil, err
	}
	select {
	case err := <-q.done:
		return q.answers, err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-n.ended:
		select {
		case err := <-q.done:
			return q.answers, err
		default:
			return nil, errGone
		}
	}
}

// send sends commands.
func (n *conn) send(q *question, commands [][]string) error {
	select {
	case n.asked <- q:
	default:
		return errFull
	}
	// A caller's own deadline would end the connection for everybody.
	_ = n.net.SetWriteDeadline(time.Now().Add(n.patient))
	for _, words := range commands {
		n.write(words)
	}
	if err := n.w.Flush(); err != nil {
		n.net.Close() // half a command is on its way
		return err
	}
	return nil
}
