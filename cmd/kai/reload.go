package main

import (
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
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/live"
)

// reload asks a running gateway to read its configuration again. It doesn't read the
// configuration itself, because the gateway may have secrets in its environment that this
// shell doesn't have.
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
	first, warnings, _ := strings.Cut(answer, "\n")
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "kai reload: %s does not answer: %v\n", who, err)
		return exitFailed
	case first != "ok":
		fmt.Fprintln(stderr, answer)
		fmt.Fprintf(stderr, "kai reload: refused by %s; the configuration before keeps serving\n", who)
		return exitFailed
	}
	for w := range strings.Lines(warnings) {
		fmt.Fprintf(stderr, "kai: warning: %s\n", strings.TrimSuffix(w, "\n"))
	}
	fmt.Fprintf(stdout, "reloaded %s\n", who)
	return exitDone
}

// findGateway finds the gateway that the command line means. It serves port, unless that
// is -1, and file, unless that is "": then it serves $KAI_CONFIG, else defaultFile if there
// is such a file, else it is the only one that runs.
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
	var matching []string
	for socket, who := range running {
		if sameFile(wanted, who.Config) {
			matching = append(matching, socket)
		}
	}
	if len(matching) == 0 && file == "" && len(running) > 0 {
		if _, err := os.Stat(defaultFile); err == nil { // it is meant, and not whatever else runs
			return "", who, fmt.Errorf("no gateway serves %s, which is in this folder: name the one that is meant with --config or --port. %s", defaultFile, whoRuns(running))
		}
	}
	if len(matching) == 0 && file == "" && len(running) == 1 {
		matching = slices.Collect(maps.Keys(running)) // nobody named a file, so the only one is meant
	}
	switch {
	case len(matching) == 1:
		return matching[0], running[matching[0]], nil
	case len(matching) > 1:
		return "", who, fmt.Errorf("%d gateways serve %s: choose with --port. %s", len(matching), wanted, whoRuns(running))
	case file == "" && len(running) > 1:
		return "", who, fmt.Errorf("choose with --config or --port. %s", whoRuns(running))
	case file == "":
		return "", who, fmt.Errorf("no gateway answers: is it running? %s", whoRuns(running))
	}
	return "", who, fmt.Errorf("no gateway that serves %s answers: is it running? %s", file, whoRuns(running))
}

// whoRuns lists the running gateways, for a message.
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

// gateways asks every gateway of this user who it is. The result is by the path of the
// socket. If somebody else made the directory of the sockets, only root asks.
func gateways() map[string]identity {
	running := map[string]identity{}
	ours := func(path string, kind os.FileMode) bool {
		info, err := os.Lstat(path)
		return err == nil && info.Mode().Type() == kind && info.Mode().Perm()&0o022 == 0 && (ownedByUs(info) || os.Geteuid() == 0)
	}
	if !ours(socketDir(), os.ModeDir) {
		return running
	}
	sockets, _ := filepath.Glob(filepath.Join(socketDir(), "*.sock"))
	for _, socket := range sockets {
		if !ours(socket, os.ModeSocket) {
			continue
		}
		answer, err := ask(socket, "who")
		var who identity
		if err == nil && json.Unmarshal([]byte(answer), &who) == nil {
			running[socket] = who
		}
	}
	return running
}

// sameFile reports whether a path from the command line leads to a gateway's file. That
// has an absolute path, and may not exist any more.
func sameFile(path, absolute string) bool {
	if absolute == "" {
		return false
	}
	if abs, err := filepath.Abs(path); err == nil && abs == absolute {
		return true
	}
	a, errA := os.Stat(path)
	b, errB := os.Stat(absolute)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// ask sends a command to a gateway and returns its answer.
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
