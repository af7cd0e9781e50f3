// Package adapters_test holds the examples of the SDKs against each other: the
// same adapter, written in four languages, states the same facts.
package adapters_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/internal/testkit/race"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/sdktest"
	"github.com/kai-gateway/kai/sdk/transcript"
)

const transcripts = "../../testdata/transcripts/example/*.txtar"

// TestExamples replays the transcripts through each module in the sandbox, and
// compares every single emission of the four, on the transcripts and on answers
// that are broken in many ways.
func TestExamples(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	t.Parallel()
	if os.Getenv("KAI_UPDATE") == "1" {
		t.Skip("the Go adapter's own test writes the expectations")
	}
	modules := loadAll(t, ".")
	for language, a := range modules {
		t.Run("manifest/"+language, func(t *testing.T) {
			want := modfile.Profile{
				Provider: "parrot", Ops: []string{"chat"}, Capabilities: []string{"tools"}, DefaultBaseURL: "http://localhost:7777",
				Auth:    modfile.Auth{Secret: "api_key", Header: "authorization", Format: "Bearer {}"},
				Options: "// How high the parrot speaks.\npitch?: int & >=1 & <=9",
			}
			m := a.Manifest()
			if m.Name != "parrot" || m.Version != "1.0.0" || m.License != "Apache-2.0" || fmt.Sprint(m.Profile()) != fmt.Sprint(want) {
				t.Errorf("manifest = %+v", m)
			}
		})
		t.Run("transcripts/"+language, func(t *testing.T) {
			sdktest.RunCaller(t, sandboxed{a}, transcripts)
		})
	}
	files, err := filepath.Glob(transcripts)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d transcripts: %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, response := range broken(t, data) {
			tr, err := transcript.Parse(data)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if response != nil {
				tr.Set(transcript.SectionResponse, 0, response)
			}
			agree(t, modules, filepath.Base(file)+", "+name, func(a *wasm.Adapter) string {
				r, err := tr.Run(sandboxed{a})
				if err != nil {
					return fmt.Sprintf("broken: %v\n", err)
				}
				return described(r.Calls...)
			})
			agree(t, modules, filepath.Base(file)+", "+name+", several events in a call", func(a *wasm.Adapter) string {
				r, err := tr.Run(joining{sandboxed{a}})
				if err != nil {
					return fmt.Sprintf("broken: %v\n", err)
				}
				return described(r.Calls...)
			})
		}
	}
}

// joining is an adapter that gets as many events in one call as it can take.
type joining struct{ sandboxed }

func (joining) Join() int { return abi.MaxFrames }

func (j joining) CallEvents(op abi.Op, state []byte, events [][]byte) (all [][]abi.Emission, ok bool) {
	var frames wasm.Frames
	for _, data := range events {
		if !frames.Add(data) {
			return nil, false
		}
	}
	var b wasm.Batch
	if !j.adapter.Events(context.Background(), op, state, &frames, &b) {
		return nil, false
	}
	for _, ems := range b.EachFrame(&frames) {
		all = append(all, ems)
	}
	return all, true
}

// loadAll builds the adapter of every language in its folder of dir.
func loadAll(t *testing.T, dir string) map[string]*wasm.Adapter {
	t.Helper()
	modules := map[string]*wasm.Adapter{}
	for _, c := range toolchains {
		t.Run("build/"+c.language, func(inner *testing.T) {
			module := c.module(inner, filepath.Join(dir, c.language))
			a := adapter(t, module)
			ready(inner, a)
			modules[c.language] = a
		})
	}
	if modules["go"] == nil {
		t.Fatal("without the Go adapter there is nothing to compare with")
	}
	return modules
}

// agree reports every module that says something else than the Go one.
func agree(t *testing.T, modules map[string]*wasm.Adapter, about string, says func(*wasm.Adapter) string) {
	t.Helper()
	want := says(modules["go"])
	for language, a := range modules {
		if got := says(a); got != want {
			t.Errorf("%s: the adapter in %s says\n%sthe one in Go\n%s", about, language, got, want)
		}
	}
}

// described writes everything that calls stated. How a state is laid out is its
// adapter's own matter.
func described(calls ...[]abi.Emission) string {
	var b strings.Builder
	for i, call := range calls {
		for _, e := range call {
			if e.Kind == abi.State {
				e.Data = nil
			}
			fmt.Fprintf(&b, "call %d: %v raw=%v at=%d %q\n", i, e.Kind, e.Raw, e.At, e.Data)
		}
	}
	return b.String()
}

// broken gives variants of a transcript's answer; nil is the answer as it is.
func broken(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	tr, err := transcript.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{"as recorded": nil}
	answer := tr.Get(transcript.SectionResponse)
	head, body, ok := bytes.Cut(answer, []byte("\n\n"))
	if !ok {
		return all
	}
	with := func(body ...[]byte) []byte {
		return append(slices.Concat(append([][]byte{head, []byte("\n\n")}, body...)...), '\n')
	}
	for i := range len(body) {
		all[fmt.Sprintf("cut after %d bytes", i)] = with(body[:i])
		all[fmt.Sprintf("a byte that is not UTF-8 at %d", i)] = with(body[:i], []byte{0xff}, body[i+1:])
		all[fmt.Sprintf("a backslash at %d", i)] = with(body[:i], []byte{'\\'}, body[i+1:])
		all[fmt.Sprintf("a bracket at %d", i)] = with(body[:i], []byte("["), body[i:])
	}
	for _, text := range []string{
		"", "null", "true", `""`, "0", "[]", "{}", "x", strings.Repeat("[", 100_000), strings.Repeat(`{"t":`, 600), `{"t":` + strings.Repeat("[", 511) + strings.Repeat("]", 511) + `}`,
		`{"end":"stop","in":9223372036854775807,"out":-9223372036854775808}`, `{"end":"stop","in":9223372036854775808,"out":1}`,
		`{"end":"stop","in":0.1e1,"out":-0}`, `{"end":"stop","in":1e99999999999,"out":1}`, `{"oops":"` + strings.Repeat("x", 5000) + `","code":429.0}`,
		"{\"oops\":\"\\u00e9\\ud800\\udc00\xe2\x82\\\"\\/\\b\\f\\n\\r\\t\\u0000\x7f\xf4\x90\x80\x80\",\"code\":4.04e2}",
	} {
		all["the body "+text[:min(len(text), 40)]] = with([]byte(text))
	}
	return all
}

// adapter begins to load a module, until t has ended.
func adapter(t testing.TB, module []byte) *wasm.Adapter {
	t.Helper()
	e := wasm.New(wasm.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))})
	t.Cleanup(e.Close)
	a := e.Adapter("example", module, wasm.AdapterOptions{LogLevel: slog.LevelDebug})
	t.Cleanup(a.Close)
	return a
}

// ready waits for a to be compiled, which for Go takes a minute on a busy machine
// with the race detector.
func ready(t testing.TB, a *wasm.Adapter) {
	t.Helper()
	if err := a.Wait(context.Background(), time.Hour); err != nil {
		t.Fatal(err)
	}
}

// sandboxed runs a transcript's calls in a module.
type sandboxed struct{ adapter *wasm.Adapter }

func (s sandboxed) Call(in sdk.Input) ([]abi.Emission, error) {
	var b wasm.Batch
	_, err := s.adapter.Call(context.Background(), in, &b)
	return b.Emissions, err
}
