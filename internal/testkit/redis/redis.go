// Package redis starts a real redis-server for tests. It knows nothing of Kai.
package redis

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a running redis-server on this machine.
type Server struct {
	Address string
	Dir     string // where it writes

	t       testing.TB
	process *os.Process
}

// Start runs redis-server until the test ends, with more arguments for it. A test is skipped
// where there is none, but not in CI.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, "", append([]string{"--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"}, args...)...)
}

// StartAt is Start at a port of this machine.
func StartAt(t testing.TB, port string) *Server {
	t.Helper()
	return start(t, port, "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")
}

// start runs a server at a port; "": any.
func start(t testing.TB, port string, args ...string) *Server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("redis-server is not installed: Debian's package of that name has it")
		}
		t.Skip("no redis-server on this machine: Debian's package of that name has it")
	}
	s := &Server{Dir: t.TempDir(), t: t}
	for range 5 { // another program may take the port before redis-server does
		s.Address = net.JoinHostPort("127.0.0.1", port)
		if port == "" {
			s.Address = Free(t)
		}
		_, at, _ := net.SplitHostPort(s.Address)
		all := append([]string{}, args...)
		command := exec.Command(program, append(all, "--bind", "127.0.0.1", "--port", at, "--dir", s.Dir, "--daemonize", "no")...)
		var out bytes.Buffer
		command.Stdout, command.Stderr = &out, &out
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = command.Wait(); close(ended) }()
		if s.answers(ended) {
			s.process = command.Process
			t.Cleanup(func() {
				_ = s.process.Signal(syscall.SIGCONT)
				_ = s.process.Kill()
				<-ended
			})
			return s
		}
		_ = command.Process.Kill()
		<-ended
		t.Logf("redis-server did not start: %s", out.String())
	}
	t.Fatal("redis-server does not start")
	return nil
}

// Free returns an address of this machine with a port that nobody has. It is below those
// that the system gives to connections, of which other tests have thousands, and low enough
// for the second port of a server of a cluster, which is 10,000 higher.
func Free(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(12_000))))
		if err == nil {
			l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// answers waits until the server does; false if it ends.
func (s *Server) answers(ended <-chan struct{}) bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if got, err := s.ask("PING"); err == nil && (strings.HasPrefix(got, "+PONG") || strings.HasPrefix(got, "-NOAUTH")) {
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
	return false
}

// Pause stops the server without closing anything, as a machine that hangs; Resume goes on.
func (s *Server) Pause()  { s.signal(syscall.SIGSTOP) }
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// Kill ends the server as a machine that burns does.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

func (s *Server) signal(what syscall.Signal) {
	s.t.Helper()
	if err := s.process.Signal(what); err != nil {
		s.t.Fatal(err)
	}
}

// Do sends a command of words without spaces, and returns the raw answer.
func (s *Server) Do(words ...string) string {
	s.t.Helper()
	got, err := s.ask(strings.Join(words, " "))
	if err != nil || strings.HasPrefix(got, "-") {
		s.t.Fatalf("redis: %q: %q, %v", words, got, err)
	}
	return got
}

// ask sends a line, and reads what comes until the server says that it was all.
func (s *Server) ask(line string) (string, error) {
	c, err := net.DialTimeout("tcp", s.Address, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprintf(c, "%s\r\nPING that-was-all\r\n", line); err != nil {
		return "", err
	}
	var all []byte
	for buf := make([]byte, 64<<10); ; {
		n, err := c.Read(buf)
		all = append(all, buf[:n]...)
		if before, ok := bytes.CutSuffix(all, []byte("$12\r\nthat-was-all\r\n")); ok {
			return string(before), nil
		}
		if i := bytes.Index(all, []byte("-NOAUTH")); i >= 0 {
			return string(all[i:]), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// Calls returns how often a command was called since the last ResetCalls, as the server
// counts.
func (s *Server) Calls(command string) int {
	s.t.Helper()
	for line := range strings.SplitSeq(s.Do("INFO", "commandstats"), "\r\n") {
		var n int
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			_, _ = fmt.Sscanf(rest, "%d", &n)
			return n
		}
	}
	return 0
}

// ResetCalls has the server count calls from now on.
func (s *Server) ResetCalls() { s.Do("CONFIG", "RESETSTAT") }

// Dump has the server write all that it has, and returns that.
func (s *Server) Dump() []byte {
	s.t.Helper()
	s.Do("SAVE")
	b, err := os.ReadFile(filepath.Join(s.Dir, "dump.rdb"))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// StartCluster runs three masters of a cluster until the test ends, each with so many
// replicas, which come after the masters.
func StartCluster(t testing.TB, replicas int) []*Server {
	t.Helper()
	var all []*Server
	words := []string{"--cluster", "create"}
	for range 3 * (1 + replicas) {
		s := Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0")
		all, words = append(all, s), append(words, s.Address)
	}
	words = append(words, "--cluster-replicas", strconv.Itoa(replicas), "--cluster-yes")
	if out, err := exec.Command("redis-cli", words...).CombinedOutput(); err != nil {
		t.Fatalf("redis-cli: %v\n%s", err, out)
	}
	for _, s := range all {
		for end := time.Now().Add(30 * time.Second); !strings.Contains(s.Do("CLUSTER", "INFO"), "cluster_state:ok"); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the cluster is never well")
			}
		}
	}
	return all
}

// StartSentinel runs a sentinel that watches a server under a name, until the test ends.
func StartSentinel(t testing.TB, name string, s *Server) *Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	host, port, _ := net.SplitHostPort(s.Address)
	if err := os.WriteFile(file, fmt.Appendf(nil, "sentinel monitor %[1]s %[2]s %[3]s 1\nsentinel down-after-milliseconds %[1]s 500\nsentinel failover-timeout %[1]s 5000\n", name, host, port), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, "", file, "--sentinel")
}
