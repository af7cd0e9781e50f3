// Command gotest runs "go test" for the Makefile and shows its progress: a line for each
// package, and one every few seconds while no package ends. If a test fails, it shows
// everything that the test printed. If a package doesn't compile, it shows only the
// beginning of the compiler's messages.
//
//	gotest [FLAGS OF GO TEST] PACKAGES
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// every is the longest time without a line of output.
const every = 20 * time.Second

// run runs go test and returns its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(stderr, "gotest:", err)
		return 1
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadString('\n')
			if line != "" {
				lines <- line
			}
			if err != nil {
				return
			}
		}
	}()
	tick := time.NewTicker(every / 4)
	defer tick.Stop()
	r := newReport(stdout, time.Now())
	for open := true; open; {
		var line string
		select {
		case line, open = <-lines:
			if open {
				r.line(line, time.Now())
			}
		case now := <-tick.C:
			r.tick(now)
		}
	}
	err = cmd.Wait()
	r.end(time.Now())
	if err == nil {
		return 0
	}
	return max(1, cmd.ProcessState.ExitCode())
}
