package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kai-gateway/kai/host/live"
)

// socketDir returns the directory in which the gateways of a user listen for "kai reload".
// Only this user can enter it.
func socketDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "kai")
	}
	return filepath.Join(os.TempDir(), "kai-"+strconv.Itoa(os.Getuid()))
}

// socketPath returns the socket of the gateway that serves port.
func socketPath(port int) string { return filepath.Join(socketDir(), strconv.Itoa(port)+".sock") }

// identity tells gateways apart.
type identity struct {
	PID    int    `json:"pid"`
	URL    string `json:"url"`    // where it serves
	Config string `json:"config"` // the absolute path of its configuration; "": it has none
}

func (i identity) String() string {
	file := i.Config
	if file == "" {
		file = "the built-in configuration"
	}
	return fmt.Sprintf("the gateway with pid %d, which serves %s at %s", i.PID, file, i.URL)
}

// control answers "kai reload" on a unix socket until it is closed.
type control struct {
	listener net.Listener
	who      identity
	done     sync.WaitGroup
}

// listenControl opens the socket, with mode 0600. It replaces a socket that a dead gateway
// has left.
func listenControl(ctx context.Context, path string, who identity, r *live.Reloader) (*control, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ownedByUs(info) {
		return nil, fmt.Errorf("%s is not a directory of this user alone", dir)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("another gateway listens on %s", path)
	}
	os.Remove(path)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	c := &control{listener: l, who: who}
	c.done.Go(func() { c.serve(ctx, r) })
	return c, nil
}

// ownedByUs reports whether a file belongs to this user or to root.
func ownedByUs(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return !ok || s.Uid == 0 || int(s.Uid) == os.Geteuid()
}

func (c *control) serve(ctx context.Context, r *live.Reloader) {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.done.Go(func() {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(live.SwapTimeout + time.Minute))
			stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now()) })
			defer stop()
			command, _ := bufio.NewReader(io.LimitReader(conn, 64)).ReadString('\n')
			fmt.Fprintln(conn, c.answer(ctx, command, r))
		})
	}
}

// answer carries out a command and returns the answer to it.
func (c *control) answer(ctx context.Context, command string, r *live.Reloader) string {
	switch command {
	case "who\n":
		who, err := json.Marshal(c.who)
		if err != nil {
			return err.Error()
		}
		return string(who)
	case "reload\n":
		if err := r.Reload(ctx, "kai reload"); err != nil {
			return strings.Join(problemLines(err), "\n")
		}
		return "ok"
	}
	return "unknown command"
}

// close removes the socket and waits until the commands that came are answered.
func (c *control) close() {
	c.listener.Close()
	c.done.Wait()
}
