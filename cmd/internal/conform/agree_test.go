package conform

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// TestKitAndGatewayComeToTheSame has answers of every form, under every name, whole
// and broken off, to requests that state each framing. Where the replay of a
// transcript completes the answer, a client of the gateway must get a success with
// the same text, and else an error.
func TestKitAndGatewayComeToTheSame(t *testing.T) {
	module := Build(t, "./testdata/naughty")
	log := &keptLog{key: adapterText}
	engine := wasm.New(wasm.Options{CacheDir: testkit.CacheDir, Logger: slog.New(log)})
	defer engine.Close()
	first := engine.Adapter("adapter", module, wasm.AdapterOptions{})
	defer first.Close()
	if err := first.Wait(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	k := &kit{engine: engine, module: module, log: log, manifest: first.Manifest()}
	all := &gateways{kit: k, cacheDir: testkit.CacheDir, models: map[served]map[string]bool{}, running: map[served]*gateway{}}
	defer all.close()

	const line, last = `{"text":"Hello"}`, `{"done":true}`
	for _, do := range []string{"nothing", "say-sse", "say-whole"} {
		options := fmt.Sprintf(`{"do":%q}`, do)
		g, err := k.guest(t.Context(), []byte(options))
		if err != nil {
			t.Fatal(err)
		}
		defer g.close()
		for what, body := range map[string]string{
			"lines":                       line + "\n" + last + "\n",
			"lines, blank ones before":    "\r\n\n" + line + "\r\n" + last + "\r\n",
			"events":                      "data: " + line + "\n\ndata: " + last + "\n\n",
			"events, then [DONE]":         "data: " + line + "\n\ndata: " + last + "\n\ndata: [DONE]\n\n",
			"[DONE] with space around it": "data: " + line + "\n\ndata:  [DONE] \n\n",
			"a comment, then events":      ": ping\n\ndata: " + line + "\n\ndata: " + last + "\n\n",
			"events that name themselves": "event: x\ndata: " + line + "\n\nevent: x\ndata: " + last + "\n\n",
			"an event without an end":     "data: " + line + "\n\ndata: " + last + "\n",
			"events after a mark":         "\ufeffdata: " + line + "\n\ndata: " + last + "\n\n",
			"one value":                   last + "\n",
			"one value over lines":        "{\n\"done\":\ntrue}\n",
			"a list over lines":           "[" + line + ",\n" + last + "]\n",
			"a value and half a one":      line + "\n" + `{"do` + "\n",
			"text":                        "Service is starting\n",
			"a word":                      "true\n",
			"a page":                      "<html></html>\n",
			"nothing":                     "",
		} {
			for _, media := range []string{"", "application/json", "text/event-stream", "application/x-ndjson", "text/html"} {
				for _, status := range []int{200, 302, 500} {
					if status != 200 && media != "" && media != "text/event-stream" {
						continue
					}
					for _, end := range []string{"", transcript.EndCut, transcript.EndCutInLine} {
						head := fmt.Sprintf("HTTP/1.1 %d\n", status)
						if media != "" {
							head += "Content-Type: " + media + "\n"
						}
						if end != "" {
							head += transcript.EndHeader + ": " + end + "\n"
						}
						name := fmt.Sprintf("%s: %s as %q with status %d, end %q", do, what, media, status, end)
						parsed, err := transcript.Parse([]byte("-- options.json --\n" + options + "\n-- client-request.json --\n" +
							`{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}` + "\n-- upstream-response --\n" + head + "\n" + body))
						if err != nil {
							t.Fatal(err)
						}
						tr := &fixture{Transcript: parsed}
						all.expect(tr)
						c := check{ctx: t.Context(), kit: k, guest: g, gateways: all, transcript: tr, result: &Result{}}
						o := c.replay(g, tr)
						if o.broken != nil {
							t.Errorf("%s: %v", name, o.broken)
						}
						a, err := all.answer(t.Context(), tr, transcript.Views(abi.Chat)[0])
						if err != nil {
							t.Fatal(err)
						}
						success := bytes.HasSuffix(bytes.TrimSpace(a.text), []byte("data: [DONE]"))
						if success != o.complete {
							t.Errorf("%s: the replay is complete: %v (%v); the client gets\n%s%s", name, o.complete, o.err, a.text, a.why)
						}
						if replayed, got := strings.Contains(string(o.Emissions()), "Hello"), strings.Contains(string(a.text), "Hello"); replayed != got {
							t.Errorf("%s: the replay has text: %v, the client: %v\n%s%s", name, replayed, got, a.text, o.Emissions())
						}
					}
				}
			}
		}
	}
}

// TestEveryAPIEndsAsChatDoes: an answer that is one thing in chat and another in an API is
// noticed.
func TestEveryAPIEndsAsChatDoes(t *testing.T) {
	on := func(kind abi.Kind, text string) abi.Emission { return abi.Emission{Kind: kind, Data: []byte(text)} }
	whole := [][]abi.Emission{{on(abi.Text, "Hi")}, {on(abi.Finish, "stop")}}
	for name, tc := range map[string]struct {
		calls [][]abi.Emission
		torn  error
		chat  error // how chat ended
		fails bool
	}{
		"a success":                       {whole, nil, nil, false},
		"torn after its end":              {whole, errCut, nil, false},
		"torn before its end":             {whole[:1], errCut, errCut, false},
		"an error":                        {[][]abi.Emission{{on(abi.Error, `{"status":429,"message":"slow"}`)}}, nil, &fault.Error{Kind: fault.Rate}, false},
		"a success that is none in chat":  {whole, nil, errCut, true},
		"a failure that is none in chat":  {whole[:1], errCut, nil, true},
		"a failure for another reason":    {whole[:1], errCut, &fault.Error{Kind: fault.Rate}, true},
		"an error of another kind":        {[][]abi.Emission{{on(abi.Error, `{"status":400,"message":"no"}`)}}, nil, &fault.Error{Kind: fault.Rate}, true},
		"an answer that has no end":       {whole[:1], nil, nil, true},
		"facts that are against the rule": {[][]abi.Emission{{on(abi.Result, "{}")}}, nil, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := check{ctx: t.Context(), result: &Result{}}
			c.recorded = outcome{Replay: &transcript.Replay{Calls: tc.calls}, torn: tc.torn, err: tc.chat}
			c.checkDialects()
			if n := len(c.result.Failures); tc.fails && n != 6 || !tc.fails && n != 0 { // three APIs, whole and as a stream
				t.Errorf("there are %d failures: %v", n, c.result.Failures)
			}
		})
	}
}
