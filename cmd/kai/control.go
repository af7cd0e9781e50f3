package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kai-gateway/kai/host/live"
)

// socketDir is where the gateways of a user listen for "kai reload": a directory
// that only this user can enter.
func socketDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "kai")
	}
	return filepath.Join(os.TempDir(), "kai-"+strconv.Itoa(os.Getuid()))
}

// socketPath is the socket of the gateway that serves port.
func socketPath(port int) string { return filepath.Join(socketDir(), strconv.Itoa(port)+".sock") }

// identity tells gateways apart.
type identity struct {
	PID    int    `json:"pid"`
	URL    string `json:"url"`    // where it serves
	Config string `json:"config"` // its file with the whole path; "": it has none
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

// listenControl opens the socket, 0600, in place of one that a dead gateway left.
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
			hurry := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now()) })
			defer hurry()
			command, _ := bufio.NewReader(io.LimitReader(conn, 64)).ReadString('\n')
			fmt.Fprintln(conn, c.answer(ctx, command, r))
		})
	}
}

// answer is what whoever sent a command is told.
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

// close removes the socket and waits for those who are being answered.
func (c *control) close() {
	c.listener.Close()
	c.done.Wait()
}

// reload asks a running gateway to read its configuration again. It reads nothing
// of that itself: the gateway may have secrets in its environment that this shell
// doesn't have.
func reload(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("reload", flag.ContinueOnError)
	file := f.String("config", "", "")
	port := f.Int("port", -1, "")
	if code, ok := parse(f, args, 0, stderr); !ok {
		return code
	}
	socket, who, err := findGateway(*file, *port)
	if err != nil {
		fmt.Fprintf(stderr, "kai reload: %v\n", err)
		return exitFailed
	}
	answer, err := ask(socket, "reload")
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "kai reload: %s does not answer: %v\n", who, err)
		return exitFailed
	case answer != "ok":
		fmt.Fprintln(stderr, answer)
		fmt.Fprintf(stderr, "kai reload: refused by %s; the configuration before keeps serving\n", who)
		return exitFailed
	}
	fmt.Fprintf(stdout, "reloaded %s\n", who)
	return exitDone
}

// findGateway finds the gateway that a command line means: the one on port, unless
// that is -1, and the one that serves file, unless that is "".
func findGateway(file string, port int) (socket string, who identity, err error) {
	running := gateways()
	if port >= 0 {
		socket = socketPath(port)
		who, found := running[socket]
		switch {
		case !found:
			return "", who, fmt.Errorf("no gateway on port %d answers: is it running? %s", port, whoRuns(running))
		case file != "" && !sameFile(file, who.Config):
			return "", who, fmt.Errorf("it is not %s that is served on port %d, but %s", file, port, who)
		}
		return socket, who, nil
	}
	if file == "" {
		file = os.Getenv("KAI_CONFIG")
	}
	wanted := file
	if wanted == "" {
		wanted = defaultFile
	}
	var fitting []string
	for socket, who := range running {
		if sameFile(wanted, who.Config) {
			fitting = append(fitting, socket)
		}
	}
	if len(fitting) == 0 && file == "" && len(running) == 1 {
		fitting = slices.Collect(maps.Keys(running)) // the only one can't be another
	}
	switch {
	case len(fitting) == 1:
		return fitting[0], running[fitting[0]], nil
	case len(fitting) > 1:
		return "", who, fmt.Errorf("%d gateways serve %s: choose with --port. %s", len(fitting), wanted, whoRuns(running))
	case file == "" && len(running) > 1:
		return "", who, fmt.Errorf("choose with --config or --port. %s", whoRuns(running))
	case file == "":
		return "", who, fmt.Errorf("no gateway answers: is it running? %s", whoRuns(running))
	}
	return "", who, fmt.Errorf("no gateway that serves %s answers: is it running? %s", file, whoRuns(running))
}

// whoRuns lists the gateways that could be asked.
func whoRuns(running map[string]identity) string {
	if len(running) == 0 {
		return "None of this user listens in " + socketDir() + " (XDG_RUNTIME_DIR must be that of the gateway)"
	}
	var all []string
	for _, socket := range slices.Sorted(maps.Keys(running)) {
		all = append(all, running[socket].String())
	}
	return "There is " + strings.Join(all, "; ")
}

// gateways asks every gateway of this user who it is, by the path of its socket.
// In a directory that somebody else made, nobody is asked, unless by root.
func gateways() map[string]identity {
	running := map[string]identity{}
	if info, err := os.Lstat(socketDir()); err != nil || !ownedByUs(info) && os.Geteuid() != 0 {
		return running
	}
	sockets, _ := filepath.Glob(filepath.Join(socketDir(), "*.sock"))
	for _, socket := range sockets {
		answer, err := ask(socket, "who")
		var who identity
		if err == nil && json.Unmarshal([]byte(answer), &who) == nil {
			running[socket] = who
		}
	}
	return running
}

// sameFile reports whether a path of the command line leads to a gateway's file,
// which has a whole path and may be gone.
func sameFile(path, whole string) bool {
	if whole == "" {
		return false
	}
	if abs, err := filepath.Abs(path); err == nil && abs == whole {
		return true
	}
	a, errA := os.Stat(path)
	b, errB := os.Stat(whole)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// ask sends a command to a gateway and gives its answer.
func ask(socket, command string) (answer string, err error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(live.SwapTimeout + 2*time.Minute))
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(conn, 1<<20))
	if err == nil && len(b) == 0 {
		err = errors.New("it hung up")
	}
	return strings.TrimSpace(string(b)), err
}
