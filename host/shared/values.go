package shared

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"
)

// Value is a value to keep, and its name.
type Value struct {
	Name  string
	Value []byte
}

// ErrFull is the error of Put when the server's memory is nearly full: counts need the rest.
var ErrFull = errors.New("the memory of the shared store is nearly full")

// Put keeps values for so long.
func (c *Client) Put(ctx context.Context, values []Value, ttl time.Duration) error {
	return c.put(ctx, values, ttl)
}

// PutNew keeps a value for so long, unless its name has one.
func (c *Client) PutNew(ctx context.Context, v Value, ttl time.Duration) error {
	return c.put(ctx, []Value{v}, ttl, "NX")
}

func (c *Client) put(ctx context.Context, values []Value, ttl time.Duration, how ...string) error {
	if c.full(ctx) {
		return ErrFull
	}
	commands := make([][]string, len(values))
	for i, v := range values {
		sealed, err := c.keys.seal(v.Name, v.Value)
		if err != nil {
			return err
		}
		commands[i] = append([]string{"SET", c.Key("v", v.Name), string(sealed), "PX", milliseconds(ttl)}, how...)
	}
	_, err := c.each(ctx, commands)
	return err
}

// Get returns the values of names, in their order; nil for what is not there, or was not put
// there by a gateway. What is there is kept for so long again; 0: as long as it was to be.
func (c *Client) Get(ctx context.Context, names []string, ttl time.Duration) ([][]byte, error) {
	commands := make([][]string, len(names))
	for i, name := range names {
		commands[i] = []string{"GET", c.Key("v", name)}
		if ttl > 0 {
			commands[i] = []string{"GETEX", c.Key("v", name), "PX", milliseconds(ttl)}
		}
	}
	answers, err := c.each(ctx, commands)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(names))
	for i, a := range answers {
		if value, ok := c.keys.open(names[i], a.text); ok {
			values[i] = value
		}
	}
	return values, nil
}

// Delete forgets the values of names.
func (c *Client) Delete(ctx context.Context, names []string) error {
	commands := make([][]string, len(names))
	for i, name := range names {
		commands[i] = []string{"DEL", c.Key("v", name)}
	}
	_, err := c.each(ctx, commands)
	return err
}

// Up to which part of the server's memory values are put there, and how often that is checked.
const (
	fullPercent = 75
	fullEvery   = 5 * time.Second
)

// full reports whether there is no room for values. There always is room if the server has no
// bound, or doesn't allow to ask for it.
func (c *Client) full(ctx context.Context) bool {
	now := time.Now().UnixNano()
	if last := c.looked.Load(); now-last < int64(fullEvery) || !c.looked.CompareAndSwap(last, now) {
		return c.noRoom.Load()
	}
	answers, err := c.call(ctx, true, []string{"INFO", "memory"})
	if err != nil {
		return false
	}
	facts := factsOf(string(answers[0].text))
	used, err := strconv.ParseInt(facts["used_memory"], 10, 64)
	most, err2 := strconv.ParseInt(facts["maxmemory"], 10, 64)
	full := err == nil && err2 == nil && most > 0 && used > most/100*fullPercent
	if full && !c.noRoom.Load() {
		c.o.Logger.Warn("the shared store's memory is nearly full: responses and answers are not kept there", slog.Int64("used", used), slog.Int64("of", most))
	}
	c.noRoom.Store(full)
	return full
}

// each makes the store execute commands for large values.
func (c *Client) each(ctx context.Context, commands [][]string) ([]reply, error) {
	if len(commands) == 0 {
		return nil, nil
	}
	return c.call(ctx, true, commands...)
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }
