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

	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/live"
)

// socketDir returns the directory in which the gateways of a user listen for "kai reload"
// and "kai targets".
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

// controlled is what a gateway lets other processes of its user do.
type controlled struct {
	reloads *live.Reloader
	gateway *host.Host
}

// control answers "kai reload" and "kai targets" on a unix socket until it is closed.
type control struct {
	listener net.Listener
	who      identity
	done     sync.WaitGroup
}

// listenControl opens the socket, with mode 0600. It replaces a socket that a dead gateway
// has left.
func listenControl(ctx context.Context, path string, who identity, over controlled) (*control, error) {
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
	c.done.Go(func() { c.serve(ctx, over) })
	return c, nil
}

// ownedByUs reports whether a file belongs to this user or to root.
func ownedByUs(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return !ok || s.Uid == 0 || int(s.Uid) == os.Geteuid()
}

// maxCommand is how long a command may be: the name of a model is part of one.
const maxCommand = 4096

func (c *control) serve(ctx context.Context, over controlled) {
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
			command, _ := bufio.NewReader(io.LimitReader(conn, maxCommand)).ReadString('\n')
			fmt.Fprintln(conn, c.answer(ctx, command, over))
		})
	}
}

// answer carries out a command and returns the answer to it.
func (c *control) answer(ctx context.Context, command string, over controlled) string {
	name, argument, _ := strings.Cut(strings.TrimSuffix(command, "\n"), " ")
	switch name {
	case "who":
		return jsonOf(c.who)
	case "reload":
		warnings, err := over.reloads.Reload(ctx, "kai reload")
		if err != nil {
			return strings.Join(problemLines(err), "\n")
		}
		return strings.Join(append([]string{"ok"}, warnings...), "\n")
	case "targets":
		return jsonOf(over.gateway.Targets())
	case "reset":
		if !over.gateway.ResetTarget(argument) {
			return "unknown target"
		}
		return "ok"
	}
	return "unknown command"
}

func jsonOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// close removes the socket and waits until the commands that came are answered.
func (c *control) close() {
	c.listener.Close()
	c.done.Wait()
}
