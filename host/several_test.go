package host_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestAnAdapterThatBreaksOnlyOnSeveralEventsServes: its clients notice nothing, and it is
// not paused. After a few streams it gets one event at a time.
func TestAnAdapterThatBreaksOnlyOnSeveralEventsServes(t *testing.T) {
	path, err := filepath.Abs("wasm/testdata/hostile/tables.wasm")
	if err != nil {
		t.Fatal(err)
	}
	for name, then := range map[string]uint32{ // what the guest does, see tables.wat
		"it traps":      97,
		"it lacks NEXT": 0,
	} {
		t.Run(name, func(t *testing.T) {
			word := binary.LittleEndian.AppendUint32
			script := word(word(word(nil, 0), 0), then)
			up := mock.Start(t, mock.SSE(fmt.Sprintf("data: %s\n\ndata: Hel\n\ndata: lo\n\ndata: [DONE]\n\n", script)))
			g := newPuppetGateway(t, fmt.Sprintf(`
providers: {tables: {plugin: %q, base_url: %q}}
model_mapping: {m: {provider: tables, model: m}}
`, path, up.URL))
			want := ""
			for i := range 8 {
				res, err := http.Post(g.URL+"/v1/chat/completions", "application/json", strings.NewReader(askFor("", "", true)))
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				got := answerID.ReplaceAllString(string(b), "ID")
				if want == "" {
					want = got
				}
				if text := strings.Join(contents(got), ""); text != "Hello" || !strings.Contains(got, `"finish_reason":"stop"`) || got != want {
					t.Fatalf("stream %d is %q in\n%s", i, text, got)
				}
			}
			log := g.Log.String()
			if n := strings.Count(log, "break the adapter again and again"); n != 1 {
				t.Errorf("the log says %d times that the adapter is given one event at a time:\n%s", n, log)
			}
			for _, never := range []string{"adapter paused", "adapter call failed"} {
				if strings.Contains(log, never) {
					t.Errorf("the log has %q:\n%s", never, log)
				}
			}
		})
	}
}

var contentOf = regexp.MustCompile(`"delta":\{"content":"([^"]*)"`)

// contents gives the texts of a stream's chunks.
func contents(stream string) (all []string) {
	for _, m := range contentOf.FindAllStringSubmatch(stream, -1) {
		all = append(all, m[1])
	}
	return all
}
