package conform

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// TestKitNoticesThatSeveralEventsAreTakenOtherwise has guests take events one by one and
// several at once.
func TestKitNoticesThatSeveralEventsAreTakenOtherwise(t *testing.T) {
	const head = "-- client-request.json --\n{\"model\":\"m\",\"stream\":true,\"messages\":[]}\n" +
		"-- upstream-response --\nHTTP/1.1 200\nContent-Type: text/event-stream\n\n"
	for name, tc := range map[string]struct {
		guest  string // of host/wasm/testdata/hostile
		events string
		fails  string // "": all is well
	}{
		"a guest that takes the first for a script": {"tables", "data: Hel\n\ndata: lo\n\ndata: [DONE]\n\n", "kai_events comes to nothing for events that kai_event takes"},
		"one event has a call of its own":           {"tables", "data: Hel\n\ndata: [DONE]\n\n", ""},
		"a guest that has no kai_events":            {"events", "data: Hel\n\ndata: lo\n\ndata: [DONE]\n\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			module, err := os.ReadFile("../../../host/wasm/testdata/hostile/" + tc.guest + ".wasm")
			if err != nil {
				t.Fatal(err)
			}
			log := &keptLog{key: adapterText}
			engine := wasm.New(wasm.Options{CacheDir: testkit.CacheDir, Logger: slog.New(log)})
			defer engine.Close()
			k := &kit{engine: engine, module: module, log: log}
			g, err := k.guest(t.Context(), []byte("{}"))
			if err != nil {
				t.Fatal(err)
			}
			defer g.close()
			if err := g.adapter.Wait(t.Context(), time.Hour); err != nil {
				t.Fatal(err)
			}
			parsed, err := transcript.Parse([]byte(head + tc.events))
			if err != nil {
				t.Fatal(err)
			}
			tr := &fixture{Transcript: parsed}
			c := check{ctx: t.Context(), kit: k, guest: g, transcript: tr, result: &Result{}}
			c.recorded = c.replay(g, tr)
			c.checkJoined()
			text := ""
			for _, f := range c.result.Failures {
				text += f.Check + ": " + f.Text
			}
			if !strings.Contains(text, tc.fails) || tc.fails == "" && text != "" {
				t.Errorf("it says %q, want %q", text, tc.fails)
			}
		})
	}
}
