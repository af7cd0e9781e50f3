package shared

import (
	"context"
	"errors"
	"time"
)

// A note is a text about a name, which all gateways learn at once, and those that come later
// when they connect. The last note about a name counts.
//
//	{kai}:notes:BOARD   hash: digest of the name → sealed text
//	kai:notes:BOARD     channel: digest, and sealed text

// noteLife is how long the notes of a board are kept after the last one.
const noteLife = 25 * time.Hour

// nameDigits is the length of what stands for a name.
const nameDigits = 32

func (c *Client) board(name string) (hash, channel string) {
	return c.Key("", "notes:"+name), c.o.Prefix + ":notes:" + name
}

// NameOf returns what stands for a name in notes of a board.
func (c *Client) NameOf(board, name string) string { return c.keys.digest(board, []byte(name)) }

// Note sends all gateways a text about a name.
func (c *Client) Note(ctx context.Context, board, name, text string) error {
	hash, channel := c.board(board)
	digest := c.NameOf(board, name)
	sealed, err := c.keys.seal(board+" "+digest, []byte(text))
	if err != nil {
		return err
	}
	_, err = c.call(ctx, false,
		[]string{"HSET", hash, digest, string(sealed)},
		[]string{"PEXPIRE", hash, milliseconds(noteLife)},
		[]string{"PUBLISH", channel, digest + string(sealed)})
	return err
}

// Forget has a name, as NameOf gives it, without a note again.
func (c *Client) Forget(ctx context.Context, board, digest string) error {
	hash, _ := c.board(board)
	_, err := c.call(ctx, false, []string{"HDEL", hash, digest})
	return err
}

// Follow calls take for each note of a board: those that are there, and then those that come,
// until Close. name is that of NameOf. A note may be told twice.
func (c *Client) Follow(board string, take func(name, text string)) {
	c.loop.Go(func() {
		for c.ctx.Err() == nil {
			_ = c.follow(board, take) // of which the log tells already
			select {
			case <-time.After(firstWait):
			case <-c.ctx.Done():
			}
		}
	})
}

// follow follows a board until its connection ends, or that of everything else.
func (c *Client) follow(board string, take func(name, text string)) error {
	conns := c.conns.Load()
	if conns == nil || !c.Up() {
		return ErrAway
	}
	hash, channel := c.board(board)
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	n, err := c.subscribe(ctx, conns.address, channel)
	if err != nil {
		return err
	}
	defer n.net.Close()
	defer context.AfterFunc(ctx, func() { n.net.Close() })()
	c.loop.Go(func() {
		select {
		case <-conns.quick.ended:
			cancel() // the keys may be at another server now
		case <-ctx.Done():
		}
	})
	open := func(digest string, sealed []byte) {
		if text, ok := c.keys.open(board+" "+digest, sealed); ok {
			take(digest, string(text))
		}
	}
	// What is told while these are read waits in the connection.
	all, err := c.call(ctx, true, []string{"HGETALL", hash})
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(all[0].items); i += 2 {
		open(string(all[0].items[i].text), all[0].items[i+1].text)
	}
	_ = n.net.SetDeadline(time.Time{})
	for {
		r, err := readReply(n.r)
		if err != nil {
			return err
		}
		if len(r.items) != 3 {
			return errors.New("the shared store sends something that is no message")
		}
		if m := r.items[2].text; string(r.items[0].text) == "message" && len(m) > nameDigits {
			open(string(m[:nameDigits]), m[nameDigits:])
		}
	}
}
