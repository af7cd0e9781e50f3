package shared

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
)

// errTooOld is the error for a server that can't be used.
var errTooOld = errors.New("the shared store is older than Redis 6.2, which Kai needs")

// connect makes the connections, to the server that has all keys of the fleet: they are in
// one slot, so it is one server in a cluster, too.
func (c *Client) connect() error {
	addresses, err := c.servers()
	if err != nil {
		return err
	}
	const hops = 8 // from server to server
	for range hops {
		if len(addresses) == 0 {
			break
		}
		var elsewhere string
		if elsewhere, err = c.try(addresses[0]); err == nil || errors.Is(err, errTooOld) {
			return err
		}
		addresses = addresses[1:]
		if elsewhere != "" {
			addresses = append([]string{elsewhere}, addresses...)
		}
	}
	return err
}

// servers are the addresses to try, in this order.
func (c *Client) servers() ([]string, error) {
	if c.o.Sentinel == "" {
		return slices.Clone(c.o.Addresses), nil
	}
	var all []string
	var failed error
	for _, address := range c.o.Addresses {
		n, err := c.dial(c.ctx, address)
		if err != nil {
			failed = err
			continue
		}
		r, err := n.do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", c.o.Sentinel)
		n.net.Close()
		switch {
		case err != nil:
			failed = err
		case len(r.items) != 2:
			failed = fmt.Errorf("no sentinel watches %s", c.o.Sentinel)
		default:
			all = append(all, net.JoinHostPort(string(r.items[0].text), string(r.items[1].text)))
		}
	}
	if len(all) > 0 {
		failed = nil
	}
	return slices.Compact(all), failed
}

// try connects to a server. elsewhere is the address of the one that has the keys, if that
// is another one.
func (c *Client) try(address string) (elsewhere string, err error) {
	var made conns
	for _, into := range []**conn{&made.quick, &made.bulk} {
		n, err := c.dial(c.ctx, address)
		if err == nil {
			if err = c.greet(n); err != nil {
				n.net.Close()
			}
		}
		if err != nil {
			made.close()
			return "", err
		}
		*into = n
	}
	_, err = made.quick.do("EXISTS", c.Key("", "gateways"))
	if err == nil {
		var info reply
		if info, err = made.quick.do("INFO"); err == nil {
			err = c.examine(string(info.text))
		} else if _, forbidden := errors.AsType[refusal](err); forbidden {
			err = nil // this user may not ask that
		}
	}
	if err != nil {
		made.close()
		return moved(err, address), err
	}
	made.address = address
	made.quick.patient, made.bulk.patient = c.o.Timeout, max(c.o.Timeout, valueTimeout)
	for _, n := range []*conn{made.quick, made.bulk} {
		c.loop.Go(n.run)
	}
	c.conns.Store(&made)
	if c.ctx.Err() != nil { // Close may have come too early for these
		made.close()
	}
	return "", nil
}

// moved returns the address of the server that an error names as the one with the keys.
func moved(err error, asked string) string {
	r, _ := errors.AsType[refusal](err)
	words := strings.Fields(string(r))
	if len(words) != 3 || words[0] != "MOVED" {
		return ""
	}
	host, port, err := net.SplitHostPort(words[2])
	if err != nil {
		return ""
	}
	if host == "" { // the one that was asked, at another port
		host, _, _ = net.SplitHostPort(asked)
	}
	return net.JoinHostPort(host, port)
}

// conns are connections: large values don't make small requests wait.
type conns struct {
	quick, bulk *conn
	address     string // of the server
}

// close ends what was made so far and doesn't run.
func (s *conns) close() {
	for _, n := range []*conn{s.quick, s.bulk} {
		if n != nil {
			n.net.Close()
		}
	}
}

// alive reports whether nothing has ended.
func (s *conns) alive() bool {
	select {
	case <-s.quick.ended:
		return false
	case <-s.bulk.ended:
		return false
	default:
		return true
	}
}

// factsOf parses the answer to INFO.
func factsOf(info string) map[string]string {
	facts := map[string]string{}
	for line := range strings.SplitSeq(info, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			facts[name] = value
		}
	}
	return facts
}

// examine looks at what the server says of itself, and warns of what loses counts.
func (c *Client) examine(info string) error {
	facts := factsOf(info)
	// Valkey says here which Redis it is like.
	if major, rest, ok := strings.Cut(facts["redis_version"], "."); ok {
		minor, _, _ := strings.Cut(rest, ".")
		m, err := strconv.Atoi(major)
		n, err2 := strconv.Atoi(minor)
		if err == nil && err2 == nil && (m < 6 || m == 6 && n < 2) {
			return fmt.Errorf("%w: it is %s", errTooOld, facts["redis_version"])
		}
	}
	if facts["role"] == "slave" {
		return errors.New("the shared store is a replica, which takes no counts")
	}
	if policy := facts["maxmemory_policy"]; policy != "" && policy != "noeviction" {
		c.o.Logger.Warn("the shared store may delete counts when its memory is full: set its maxmemory-policy to noeviction", slog.String("policy", policy))
	}
	if c.o.Durable && facts["aof_enabled"] == "0" {
		c.o.Logger.Warn("the shared store may forget budgets when it restarts: set its appendonly to yes")
	}
	return nil
}

// subscribe connects once more, for messages only.
func (c *Client) subscribe(ctx context.Context, address, channel string) (*conn, error) {
	n, err := c.dial(ctx, address)
	if err == nil {
		if err = c.greet(n); err == nil {
			_, err = n.do("SUBSCRIBE", channel)
		}
		if err != nil {
			n.net.Close()
		}
	}
	return n, err
}
