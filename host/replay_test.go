package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/race"
	"github.com/kai-gateway/kai/plugins"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/sdktest"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// sandboxed runs a transcript's calls in the sandbox.
type sandboxed struct {
	adapter *wasm.Adapter
	batch   *wasm.Batch
}

func (s sandboxed) Call(in sdk.Input) ([]abi.Emission, error) {
	_, err := s.adapter.Call(context.Background(), in, s.batch)
	return s.batch.Clone(), err
}

// TestTranscriptsInTheSandbox holds what the compiled adapters emit against the
// transcripts, which the adapters' own tests hold against the native ones.
func TestTranscriptsInTheSandbox(t *testing.T) {
	for _, plugin := range plugins.Names() {
		t.Run(plugin, func(t *testing.T) {
			e := wasm.New(wasm.Options{CacheDir: testkit.CacheDir, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
			t.Cleanup(e.Close)
			a := shippedAdapter(t, e, plugin, wasm.AdapterOptions{})
			if os.Getenv("KAI_UPDATE") == "1" {
				t.Skip("the adapters' own tests write the expectations")
			}
			sdktest.RunCaller(t, sandboxed{a, &wasm.Batch{}}, "../testdata/transcripts/"+plugin+"/*.txtar")
		})
	}
}

// cutter says where the upstream's bytes are cut into writes: it gives the
// length of the next piece.
type cutter func(left int) int

var cutters = map[string]func() cutter{
	"whole":        func() cutter { return func(left int) int { return left } },
	"byte by byte": func() cutter { return func(int) int { return 1 } },
	"at seeded cuts": func() cutter {
		r := rand.New(rand.NewPCG(1, 2))
		return func(left int) int { return 1 + r.IntN(min(left, 200)) }
	},
}

// play answers as a transcript's upstream did.
func play(res transcript.Response, cut cutter) mock.Answer {
	return func(x *mock.Exchange) {
		setRecorded(x, res)
		x.Head(res.Status, "")
		for data := string(res.Body); len(data) > 0; {
			n := cut(len(data))
			x.Send(data[:n])
			data = data[n:]
		}
		if res.Cut {
			x.Cut()
		}
	}
}

// setRecorded sets the headers that a transcript has of an answer, but for those of
// one connection.
func setRecorded(x *mock.Exchange, res transcript.Response) {
	for name, values := range res.Headers {
		if name != "Connection" && name != "Transfer-Encoding" && name != "Content-Length" && name != "Date" {
			x.Set(name, values...)
		}
	}
}

// recorded is a transcript that is replayed through a gateway.
type recorded struct {
	*transcript.Transcript
	file    string
	model   string
	options string
}

func readRecorded(t *testing.T, file string) recorded {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := transcript.Parse(data)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	r := recorded{Transcript: tr, file: file, options: "{}"}
	var asked struct{ Model string }
	if err := json.Unmarshal(tr.Get(transcript.SectionClient), &asked); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	r.model = asked.Model
	if o := bytes.TrimSpace(tr.Get(transcript.SectionOptions)); o != nil {
		r.options = string(o)
	}
	return r
}

// TestTranscriptsEndToEnd sends each transcript's request through a whole
// gateway over sockets and compares what the upstream and the client see.
func TestTranscriptsEndToEnd(t *testing.T) {
	for _, plugin := range plugins.Names() {
		t.Run(plugin, func(t *testing.T) {
			// One gateway for all that share their options.
			groups := map[recordedGroup][]recorded{}
			for i, file := range transcripts(t, plugin) {
				if race.Enabled && i%3 > 0 {
					continue // make check runs them all without the race detector
				}
				r := readRecorded(t, file)
				if len(transcript.Views(r.Op())) == 0 {
					continue // its clients ask in words of their own
				}
				g := recordedGroup{r.options, r.Op().Native()}
				groups[g] = append(groups[g], r)
			}
			for g, group := range groups {
				replayGroup(t, plugin, g, group)
			}
		})
	}
}

// recordedGroup is what recordings share that are replayed through one gateway.
type recordedGroup struct {
	options string
	native  bool // requests go to the upstream as they are
}

func replayGroup(t *testing.T, plugin string, shared recordedGroup, group []recorded) {
	up := mock.Start(t, nil)
	prefix := map[string]string{"gemini": "/v1beta", "openai": "/v1", "openrouter": "/api/v1"}[plugin]
	provider := fmt.Sprintf("{plugin: %s, base_url: %q, options: %s, native: %v}", plugin, up.URL+prefix, shared.options, shared.native)
	if plugin == "demo" {
		provider = fmt.Sprintf("{plugin: demo, options: %s}", shared.options)
	}
	var yaml strings.Builder
	fmt.Fprintf(&yaml, "providers: {up: %s}\nmodel_mapping:\n", provider)
	seen := map[string]bool{}
	for _, r := range group {
		if !seen[r.model] {
			seen[r.model] = true
			fmt.Fprintf(&yaml, "  %q: {provider: up, model: %q}\n", r.model, r.model)
		}
	}
	yaml.WriteString("auth: {enabled: true, api_keys: [{name: any, key: any, provider_routing: true, provider_ids: true}]}\n")
	g := newGateway(t, yaml.String())
	for _, r := range group {
		for how, newCutter := range cutters {
			t.Run(strings.TrimSuffix(filepath.Base(r.file), ".txtar")+"/"+how, func(t *testing.T) {
				replayEndToEnd(t, g, r, up, newCutter(), prefix)
			})
		}
	}
}

// replayEndToEnd asks as the clients of every API do of which the transcript has a view.
func replayEndToEnd(t *testing.T, g *gateway, r recorded, up *mock.Upstream, cut cutter, prefix string) {
	for i, v := range transcript.Views(r.Op()) {
		first := i == 0 // the one of which the adapter gets the request
		if !first && !r.Shows(v) {
			continue
		}
		var answers []mock.Answer
		for _, res := range r.Responses() {
			answers = append(answers, play(res, cut))
		}
		up.Forget()
		up.Answer(mock.InTurn(append(answers, func(*mock.Exchange) {
			t.Error("the upstream got a request that the transcript doesn't have")
		})...))
		contentType, body := r.Sends(v)
		res, answer := g.postForm(t, v.Path, "any", contentType, string(body))
		if first {
			requests := up.Requests()
			for i := range requests {
				if v.Form {
					requests[i].Body = "" // it is the client's, and no part of the transcript
				}
			}
			r.compareRequests(t, requests, prefix)
		}
		if res.Header.Get("Content-Type") == "text/event-stream" && !strings.HasSuffix(answer, "\n\n") {
			t.Errorf("the stream of %s does not end with a whole event: %q", v.Path, answer)
		}
		got := r.ClientResponse(res.StatusCode, res.Header, []byte(answer))
		if os.Getenv("KAI_UPDATE") == "1" {
			r.Set(v.Section, 0, got)
			if err := os.WriteFile(r.file, r.Format(), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if want := r.Get(v.Section); !bytes.Equal(got, want) {
			t.Errorf("the client of %s got\n%s\nwant\n%s\nlog: %s", v.Path, got, want, g.log)
		}
	}
}

// compareRequests compares what the upstream got with what the transcript expects.
func (r recorded) compareRequests(t *testing.T, requests []mock.Request, prefix string) {
	n := 0
	for _, s := range r.Sections {
		if s.Name != transcript.SectionRequest {
			continue
		}
		if n >= len(requests) {
			t.Errorf("the upstream got %d requests", len(requests))
			break
		}
		asked := requests[n]
		got, want := asked.Method+" "+asked.URI+"\n\n"+asked.Body+"\n", withoutHeaders(string(s.Data), prefix)
		if strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") {
			t.Errorf("upstream request %d\n got: %s\nwant: %s", n+1, got, want)
		}
		n++
	}
}

// withoutHeaders gives an upstream-request as the upstream sees it: below
// base_url's path and without the headers, which hold more there.
func withoutHeaders(section, prefix string) string {
	head, body, _ := strings.Cut(section, "\n\n")
	line, _, _ := strings.Cut(head, "\n")
	method, path, _ := strings.Cut(line, " ")
	return method + " " + prefix + path + "\n\n" + body
}
