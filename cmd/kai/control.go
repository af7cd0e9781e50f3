package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// socketPath is where a gateway that serves port listens for "kai reload": in a
// directory that only its user can enter.
func socketPath(port int) string {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "kai-"+strconv.Itoa(os.Getuid()))
	} else {
		dir = filepath.Join(dir, "kai")
	}
	return filepath.Join(dir, strconv.Itoa(port)+".sock")
}

// control answers "kai reload" on a unix socket until it is closed.
type control struct {
	listener net.Listener
	done     sync.WaitGroup
}

// listenControl opens the socket, 0600, in place of one that a dead gateway left.
func listenControl(ctx context.Context, path string, r *reloader) (*control, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
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
	c := &control{listener: l}
	c.done.Go(func() { c.serve(ctx, r) })
	return c, nil
}

func (c *control) serve(ctx context.Context, r *reloader) {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.done.Go(func() {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(swapTime + time.Minute))
			hurry := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now()) })
			defer hurry()
			command, _ := bufio.NewReader(io.LimitReader(conn, 64)).ReadString('\n')
			if command != "reload\n" {
				fmt.Fprintln(conn, "unknown command")
				return
			}
			if err := r.ask(ctx); err != nil {
				fmt.Fprintln(conn, strings.Join(problemLines(err), "\n"))
				return
			}
			fmt.Fprintln(conn, "ok")
		})
	}
}

// close removes the socket and waits for those who are being answered.
func (c *control) close() {
	c.listener.Close()
	c.done.Wait()
}

// reload asks a running gateway to read its configuration again.
func reload(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("reload", flag.ContinueOnError)
	file := f.String("config", "", "")
	port := f.Int("port", -1, "")
	if code, ok := parse(f, args, 0, stderr); !ok {
		return code
	}
	if *port < 0 {
		c, ok := loadConfig(*file, newModules(), stderr)
		if !ok {
			return exitUsage
		}
		*port = c.Server.Port
	}
	answer, err := askToReload(socketPath(*port))
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "kai reload: no gateway on port %d answers (%v): is it running, as this user? After a change of server.port, --port names the old one until Kai is started again\n", *port, err)
		return exitFailed
	case answer != "ok":
		fmt.Fprintln(stderr, answer)
		fmt.Fprintln(stderr, "kai reload: refused; the configuration before keeps serving")
		return exitFailed
	}
	fmt.Fprintf(stdout, "reloaded the gateway on port %d\n", *port)
	return exitDone
}

func askToReload(path string) (answer string, err error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(swapTime + 2*time.Minute))
	if _, err := io.WriteString(conn, "reload\n"); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(conn, 1<<20))
	if err == nil && len(b) == 0 {
		err = errors.New("it hung up")
	}
	return strings.TrimSpace(string(b)), err
}
