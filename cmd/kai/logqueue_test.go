package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startWithLog runs "kai serve" with a log that the test takes or doesn't.
func startWithLog(t *testing.T, yaml string, stderr *os.File) *process {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kai.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	kai, err := exec.LookPath("kai")
	if err != nil {
		t.Fatal(err)
	}
	runtime := runtimeDir(t)
	p := &process{t: t, end: make(chan error, 1), file: file}
	p.cmd = exec.Command(kai, "serve", "--config", file, "--host", "127.0.0.1", "--port", "0")
	p.cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cacheHome, "XDG_RUNTIME_DIR="+runtime)
	p.cmd.Stderr = stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.end <- p.cmd.Wait() }()
	t.Cleanup(func() { p.cmd.Process.Kill() })
	eventually(t, "the gateway listens on its control socket", func() bool {
		sockets, _ := filepath.Glob(filepath.Join(runtime, "kai", "*.sock"))
		if len(sockets) == 1 {
			p.url = "http://127.0.0.1:" + strings.TrimSuffix(filepath.Base(sockets[0]), ".sock") + "/v1"
		}
		return p.url != ""
	})
	eventually(t, "the adapters are ready", func() bool {
		res, err := http.Get(strings.TrimSuffix(p.url, "/v1") + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return p
}

// smallPipe holds as little as a pipe can.
func smallPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	const setPipeSize = 1031 // F_SETPIPE_SZ
	syscall.Syscall(syscall.SYS_FCNTL, w.Fd(), setPipeSize, 4096)
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// askMuch sends more requests than a pipe has room for lines.
func (p *process) askMuch() {
	p.t.Helper()
	client := &http.Client{Timeout: time.Minute}
	for i := range 400 {
		res, err := client.Get(p.url + "/models/" + strings.Repeat("x", 300))
		if err != nil {
			p.t.Fatalf("request %d: %v", i+1, err)
		}
		res.Body.Close()
	}
}

// TestNobodyWaitsForTheLog has a log that nobody takes, a closed one and a full
// one: requests are answered, and a signal ends the gateway.
func TestNobodyWaitsForTheLog(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (stderr *os.File, begun func()){
		"a reader that stands still": func(t *testing.T) (*os.File, func()) {
			_, w := smallPipe(t)
			return w, func() {}
		},
		"a reader that is gone": func(t *testing.T) (*os.File, func()) {
			r, w := smallPipe(t)
			return w, func() { r.Close(); w.Close() }
		},
		"a full disk": func(t *testing.T) (*os.File, func()) {
			f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Skip("no /dev/full here")
			}
			return f, func() { f.Close() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			stderr, begun := open(t)
			p := startWithLog(t, demoConfig, stderr)
			begun()
			p.askMuch()
			p.signal(syscall.SIGTERM)
			if code := p.wait(); code != exitDone {
				t.Errorf("exit code %d, want %d", code, exitDone)
			}
		})
	}
}

func TestSecondSignalEndsAtOnceBesideAStuckLog(t *testing.T) {
	url, _ := slowOllama(t)
	_, w := smallPipe(t)
	p := startWithLog(t, ollamaConfig(url, "server: {shutdown_timeout: 24h}"), w)
	p.askMuch()
	rest := p.stream()
	p.signal(syscall.SIGTERM)
	eventually(t, "the first signal was seen", func() bool {
		_, err := http.Get(p.url + "/models")
		return err != nil
	})
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	<-rest
}

// TestLogTellsWhatItLost begins to read again after more was logged than is kept.
func TestLogTellsWhatItLost(t *testing.T) {
	r, w := smallPipe(t)
	p := startWithLog(t, demoConfig, w)
	w.Close()
	client := &http.Client{Timeout: time.Minute}
	var wait sync.WaitGroup
	for range 4 { // two million bytes and more, in lines of 400 and more
		wait.Go(func() {
			for range 2000 {
				res, err := client.Get(p.url + "/models/" + strings.Repeat("x", 300))
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
	wait.Wait()
	told := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "lines of the log are missing here") {
				told <- true
				return
			}
		}
		told <- false
	}()
	select {
	case ok := <-told:
		if !ok {
			t.Error("the log ended without telling what it lost")
		}
	case <-time.After(time.Minute):
		t.Error("the log doesn't tell what it lost")
	}
}
