//go:build unix

package host_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// stopAt tells an upstream process, which is this program, where in an answer it stops
// itself as kill -STOP would: the kernel keeps its connections and takes what is sent.
const stopAt = "KAI_TEST_STOP_AT"

// TestUpstreamProcess is no test: it is the upstream of TestAnUpstreamThatIsStopped.
func TestUpstreamProcess(t *testing.T) {
	stage := os.Getenv(stopAt)
	if stage == "" {
		t.Skip("there is no stage to stop at")
	}
	stop := func(at string) {
		if at == stage {
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			select {} // other threads may stop a moment later
		}
	}
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		stop("the head")
		w.Header().Set("Content-Type", "text/event-stream")
		for _, piece := range []struct{ at, text string }{{"the first token", ": alive\n\n"}, {"the middle", event}} {
			_, _ = io.WriteString(w, piece.text)
			w.(http.Flusher).Flush()
			stop(piece.at)
		}
		<-r.Context().Done()
	}))
	fmt.Println(up.URL)
	stop("the connection")
	_, _ = io.Copy(io.Discard, os.Stdin) // as long as the test lives
}

// TestAnUpstreamThatIsStopped: until its first content another target answers in place of
// a process that stands still; afterwards the client is told.
func TestAnUpstreamThatIsStopped(t *testing.T) {
	leavesNothing(t)
	for _, stage := range []string{"the connection", "the head", "the first token", "the middle"} {
		for _, api := range clientAPIs {
			t.Run(api.name+" at "+stage, func(t *testing.T) {
				url, two := stoppedUpstream(t, stage), mock.Start(t, says("fine")).URL
				timeouts := "first_byte: 300ms, first_token: 300ms, idle: 300ms"
				if stage == "the middle" {
					timeouts = "idle: 1s" // by when it has begun, also on a busy machine
				}
				g, _ := configured(t, fmt.Sprintf("providers:\n  up0: {plugin: openai, base_url: %q, api_key: a, timeouts: {%s}}\n"+
					"  up1: {plugin: openai, base_url: %q, api_key: b}\nmodel_mapping:\n  m: {targets: [{provider: up0, model: m}, {provider: up1, model: m, tier: 2}]}\n", url, timeouts, two))
				res, answer := g.postTo(t, api.path, "", api.asks("x", true))
				if res.StatusCode != 200 {
					t.Fatalf("got %d %s", res.StatusCode, answer)
				}
				if stage == "the middle" {
					if api.succeeded(answer) || !strings.Contains(answer, "begun") || !strings.Contains(answer, "error") || strings.Contains(answer, "fine") {
						t.Errorf("got %s, want what had begun, and an error", answer)
					}
					return
				}
				if !api.succeeded(answer) || api.text(t, answer) != "fine" || !strings.Contains(g.log.String(), `"class":"slow"`) {
					t.Errorf("got %s, want the second target's answer\n%s", answer, g.log)
				}
			})
		}
	}
}

// stoppedUpstream starts an upstream process that stops at a stage of its first answer.
func stoppedUpstream(t *testing.T, stage string) (url string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run", "^TestUpstreamProcess$")
	cmd.Env = append(os.Environ(), stopAt+"="+stage)
	if _, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}
