package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSignalsEndCommands interrupts commands in the middle. They end at once and
// leave nothing behind.
func TestSignalsEndCommands(t *testing.T) {
	kai, err := exec.LookPath("kai") // the test binary, put on the path by testscript
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args   []string
		signal os.Signal
		says   string
		code   int
	}{
		"Ctrl-C while a compiler runs":           {[]string{"build", "adapter"}, os.Interrupt, "kai plugin build: interrupted\n", exitFailed},
		"a hang-up while a compiler runs":        {[]string{"build", "adapter"}, syscall.SIGHUP, "kai plugin build: interrupted\n", exitFailed},
		"Ctrl-C in the first round":              {[]string{"dev", "adapter"}, os.Interrupt, "kai: watching adapter; Ctrl-C ends it\n", exitDone},
		"Ctrl-C while the request is waited for": {[]string{"record"}, os.Interrupt, "kai plugin record: interrupted\n", exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			if signal.Ignored(tc.signal) {
				t.Skip("this process ignores the signal, as below nohup, and so would the program")
			}
			dir := t.TempDir()
			tmp, started := filepath.Join(dir, "tmp"), filepath.Join(dir, "started")
			for file, text := range map[string]string{
				"tmp/.keep": "", "adapter/adapter.c": "", "tools/wasm-ld": "",
				"tools/clang": "#!/bin/sh\n: > " + started + "\nexec sleep 60\n",
			} {
				file = filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(kai, append([]string{"plugin"}, tc.args...)...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "KAI_CONFIG=", "PATH="+filepath.Join(dir, "tools")+":"+os.Getenv("PATH"))
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdin, err := cmd.StdinPipe() // stays open, so whoever reads it waits
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if tc.args[0] == "record" {
				// More than a pipe holds: it is written when most of it was read.
				io.WriteString(stdin, strings.Repeat(" ", 1<<20))
			} else {
				for deadline := time.Now().Add(longWait); ; time.Sleep(5 * time.Millisecond) {
					if _, err := os.Stat(started); err == nil {
						break
					}
					if time.Now().After(deadline) {
						t.Fatal("the compiler has not been started")
					}
				}
			}
			if err := cmd.Process.Signal(tc.signal); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != tc.code {
				t.Errorf("exit code %d, want %d\n%s", code, tc.code, stderr.String())
			}
			if !strings.HasSuffix(stderr.String(), tc.says) || strings.Contains(stderr.String(), "signal") {
				t.Errorf("it says %q, which doesn't end in %q, or more than that", stderr.String(), tc.says)
			}
			if left, _ := filepath.Glob(filepath.Join(tmp, "kai-*")); len(left) > 0 {
				t.Errorf("it leaves %v behind", left)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "adapter", "*.wasm")); len(left) > 0 {
				t.Errorf("it makes %v", left)
			}
		})
	}
}
