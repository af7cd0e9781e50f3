package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/redis"
)

// fleetYAML is the configuration of each of several gateways.
func fleetYAML(up, redis string) string {
	return fmt.Sprintf(`
providers: {openai: {base_url: %q, api_key: k}}
model_mapping:
  m: {provider: openai, model: small, price: {input: 1, output: 1}}
  demo: {provider: demo, model: demo, price: free}
auth:
  enabled: true
  api_keys:
    - {name: app, key: app, limits: {requests: 90/d}, budget: {month: 1000}}
    - {name: rate, key: rate, limits: {requests: %d/s}}
    - {name: streams, key: streams, limits: {concurrent: 50}}
shared: {url: "redis://%s", secret: 0123456789abcdef0123456789abcdef, timeout: 2s}
`, up, eachSecond, redis)
}

// eachSecond is how many requests the key "rate" may send in a second.
const eachSecond = 40

// askAs sends a request with a key, and returns its status and answer. The body is read to
// its end only of an error.
func (p *process) askAs(t *testing.T, key, model string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest("POST", p.url+"/chat/completions", strings.NewReader(fmt.Sprintf(`{"model":%q,"stream":true,"messages":[{"role":"user","content":"hi"}]}`, model)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return &http.Response{Body: http.NoBody}, ""
	}
	if res.StatusCode == 200 {
		return res, ""
	}
	b, _ := io.ReadAll(res.Body)
	res.Body.Close()
	return res, string(b)
}

// TestThreeProcessesKeepOneLimit loads three gateways at one limit, then kills one of them
// while all the room there is for streams is its own.
func TestThreeProcessesKeepOneLimit(t *testing.T) {
	t.Parallel()
	up := mock.Start(t, mock.Steps(mock.SSE("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"), mock.Hang))
	r := redis.Start(t)
	var fleet []*process
	for range 3 {
		fleet = append(fleet, startBuilt(t, fleetYAML(up.URL, r.Address)))
	}
	var passed, refused atomic.Int64
	var all sync.WaitGroup
	for i := range 9 {
		all.Go(func() {
			for range 20 {
				res, text := fleet[i%3].askAs(t, "app", "demo")
				switch {
				case res.StatusCode == 200:
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
					passed.Add(1)
				case res.StatusCode == 429 && strings.Contains(text, "The limit of 90 requests per day of key 'app' is reached."):
					refused.Add(1)
				default:
					t.Errorf("%d %s", res.StatusCode, text)
				}
			}
		})
	}
	all.Wait()
	if passed.Load() != 90 || refused.Load() != 90 {
		t.Errorf("%d passed and %d were refused, want the 90 that one gateway would let in", passed.Load(), refused.Load())
	}

	keepRate(t, fleet)

	for range 50 {
		res, text := fleet[0].askAs(t, "streams", "m")
		if res.StatusCode != 200 {
			t.Fatalf("%d %s", res.StatusCode, text)
		}
		defer res.Body.Close()
	}
	for _, p := range fleet {
		if res, text := p.askAs(t, "streams", "m"); res.StatusCode != 429 || !strings.Contains(text, "concurrency_limit_exceeded") {
			t.Fatalf("one too many: %d %s", res.StatusCode, text)
		}
	}
	fleet[0].signal(syscall.SIGKILL)
	killed := time.Now()
	eventually(t, "the room of the dead is free", func() bool {
		res, _ := fleet[1].askAs(t, "streams", "m")
		if res.StatusCode == 200 {
			t.Cleanup(func() { res.Body.Close() })
		}
		return res.StatusCode == 200
	})
	if took := time.Since(killed); took < 5*time.Second || took > 3*time.Minute {
		t.Errorf("it took %v, want about 15 s", took)
	}
	for i := range 49 {
		res, text := fleet[1+i%2].askAs(t, "streams", "m")
		if res.StatusCode != 200 {
			t.Fatalf("of the room of the dead, %d are free: %s", i, text)
		}
		defer res.Body.Close()
	}
	if res, _ := fleet[2].askAs(t, "streams", "m"); res.StatusCode != 429 {
		t.Error("one too many is let in")
	}
}

// keepRate loads gateways from the middle of a window on, over three of them, with as much as
// they can take. A window that slides lets in what it may at once, and then as much as leaves
// it: by any time, its limit for each second since the first window began.
func keepRate(t *testing.T, fleet []*process) {
	t.Helper()
	const load = 3 * time.Second
	now := time.Now()
	window := now.Truncate(time.Second).Add(time.Second)
	middle := window.Add(time.Second / 2)
	time.Sleep(middle.Sub(now)) // windows are those of the clock, which can't be set
	var passed atomic.Int64
	var first, last atomic.Int64 // when one had been let in, at the latest
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			for time.Since(middle) < load {
				res, text := fleet[i%len(fleet)].askAs(t, "rate", "demo")
				if at := time.Now().UnixNano(); res.StatusCode == 200 {
					passed.Add(1)
					first.CompareAndSwap(0, at)
					for old := last.Load(); at > old && !last.CompareAndSwap(old, at); old = last.Load() {
					}
				} else if !strings.Contains(text, "requests per second of key 'rate' is reached") {
					t.Errorf("%d %s", res.StatusCode, text)
				}
				res.Body.Close() // without waiting for its end
			}
		})
	}
	all.Wait()
	most := int64(time.Unix(0, last.Load()).Sub(window).Seconds() * eachSecond)
	least := int64(time.Duration(last.Load()-first.Load()).Seconds() * eachSecond * 3 / 4) // a busy machine may begin late
	if n := passed.Load(); n > most || n < least {
		t.Errorf("%d passed from the middle of a window on, want no more than the %d that one gateway would let in, and no less than %d", n, most, least)
	}
}

// TestTheFleetOfTheExamples runs the script that people are told to.
func TestTheFleetOfTheExamples(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"redis-server", "nginx", "bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(program + " is not installed")
			}
			t.Skip("no " + program + " on this machine: Debian's packages redis-server, nginx-light, bash and curl have it all")
		}
	}
	kai := builtProgram(t)
	var said string
	for range 5 { // somebody else may have one of the ports
		// Below those that the system gives to connections, of which other tests have thousands.
		port := strconv.Itoa(20_000 + rand.IntN(12_000))
		command := exec.Command("bash", "../../examples/fleet/run", "--check")
		command.Env = append(os.Environ(), "KAI="+kai, "PORT="+port, "XDG_CACHE_HOME="+cacheHome, "XDG_RUNTIME_DIR="+runtimeDir(t))
		out, err := command.CombinedOutput()
		if said = string(out); err == nil {
			break
		}
	}
	if want := "Of 60 requests to three gateways, 40 were let in and 20 refused; the limit is 40.\n"; said != want {
		t.Errorf("it says %q, want %q", said, want)
	}
}
