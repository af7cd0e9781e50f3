package shared

import (
	"context"
	"strconv"
	"time"
)

// Value is a value to keep, and its name.
type Value struct {
	Name  string
	Value []byte
}

// Put keeps values for so long.
func (c *Client) Put(ctx context.Context, values []Value, ttl time.Duration) error {
	commands := make([][]string, len(values))
	for i, v := range values {
		sealed, err := c.keys.seal(v.Name, v.Value)
		if err != nil {
			return err
		}
		commands[i] = []string{"SET", c.Key("v", v.Name), string(sealed), "PX", milliseconds(ttl)}
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

// each has commands executed for large values.
func (c *Client) each(ctx context.Context, commands [][]string) ([]reply, error) {
	if len(commands) == 0 {
		return nil, nil
	}
	return c.call(ctx, true, commands...)
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }
