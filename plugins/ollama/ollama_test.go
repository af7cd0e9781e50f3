package ollama_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/plugins/internal/adaptertest"
	"github.com/kai-gateway/kai/plugins/ollama"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/sdktest"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// transcripts are what the tests replay; the first line of each says what it
// shows and where it is from.
const transcripts = "../../testdata/transcripts/ollama/*.txtar"

func TestTranscripts(t *testing.T) {
	sdktest.Run(t, ollama.Plugin(), transcripts)
}

// An answer is complete with its done line. Whatever comes short of it, a cut
// connection or a clean end, must not look complete to the gateway.
func TestStreamIsNotFinishedBeforeItsDoneLine(t *testing.T) {
	caller := transcript.Native{Plugin: ollama.Plugin()}
	streams := 0
	sdktest.Each(t, transcripts, func(name string, tr *transcript.Transcript) {
		responses := tr.Responses()
		if len(responses) != 1 || responses[0].Headers.Get("content-type") != "application/x-ndjson" {
			return
		}
		streams++
		head, _, _ := bytes.Cut(tr.Get(transcript.SectionResponse), []byte("\n\n"))
		short := bytes.Clone(head)
		short = append(short, "\n\n"...)
		for line := range bytes.Lines(responses[0].Body) {
			for _, end := range []string{"", "\nkai-end: cut"} {
				cut := append(append(bytes.Clone(head), end...), short[len(head):]...)
				tr.Set(transcript.SectionResponse, 0, cut)
				got, err := tr.Run(caller)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got.Finished {
					t.Errorf("%s: finished after %q", name, cut)
				}
			}
			short = append(short, line...)
			var is struct{ Done bool }
			if json.Unmarshal(line, &is) == nil && is.Done {
				break
			}
		}
	})
	if streams < 20 {
		t.Errorf("%d transcripts are streams, which is too few to be right", streams)
	}
}

func TestErrorTextIsBounded(t *testing.T) {
	body := []byte(`{"error":"` + strings.Repeat("é", 4000) + `"}`)
	err := ollama.Plugin().Call(sdk.Input{Response: &sdk.Response{Op: abi.Chat, Status: 500, Body: body}}, discard)
	if err == nil || len(err.Error()) > 1100 || strings.ContainsRune(err.Error(), '\ufffd') {
		t.Errorf("the error has %d bytes: %v", len(err.Error()), err)
	}
}

func TestEventDoesNotAllocate(t *testing.T) {
	p := ollama.Plugin()
	in := sdk.Input{Event: &sdk.Event{Op: abi.Chat, Data: sdk.JSON(line)}}
	// The one allocation is Call's own, natively.
	if n := testing.AllocsPerRun(100, func() { p.Call(in, discard) }); n > 1 {
		t.Errorf("a line makes %v allocations, want at most 1", n)
	}
}

const line = `{"model":"granite4:tiny-h","created_at":"2026-11-23T01:56:13.987072021Z","message":{"role":"assistant","content":" Hello"},"done":false}`

func discard(kind, at int32, p []byte) {}

func BenchmarkEvent(b *testing.B) {
	p := ollama.Plugin()
	in := sdk.Input{Event: &sdk.Event{Op: abi.Chat, Data: sdk.JSON(line)}}
	b.ReportAllocs()
	for b.Loop() {
		p.Call(in, discard)
	}
}

func BenchmarkRequest(b *testing.B) {
	p := ollama.Plugin()
	in := sdk.Input{Request: &sdk.Request{Op: abi.Chat, Stream: true, Options: sdk.JSON(`{"num_ctx":8192}`), Body: sdk.JSON(request)}}
	b.ReportAllocs()
	for b.Loop() {
		p.Call(in, discard)
	}
}

const request = `{"model":"granite4:tiny-h","stream":true,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Hello!"}],"temperature":0.7,"max_tokens":150}`

// FuzzEvent takes any bytes as a line and as a whole answer.
func FuzzEvent(f *testing.F) {
	sdktest.Each(f, transcripts, func(name string, tr *transcript.Transcript) {
		for _, r := range tr.Responses() {
			for line := range bytes.Lines(r.Body) {
				if len(line) < 4096 {
					f.Add(line)
				}
			}
		}
	})
	p := ollama.Plugin()
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _, err := adaptertest.Call(t, p, sdk.Input{Event: &sdk.Event{Op: abi.Chat, Data: data}})
		if err == nil && !json.Valid(data) {
			t.Errorf("%q is no JSON and no error", data)
		}
		for _, status := range []int{200, 400, 404, 500} {
			_, _, err := adaptertest.Call(t, p, sdk.Input{Response: &sdk.Response{Op: abi.Chat, Status: status, Body: data}})
			if status != 200 && err == nil {
				t.Errorf("%q with status %d is no error", data, status)
			}
		}
	})
}

// FuzzRequest takes any JSON for a client's request.
func FuzzRequest(f *testing.F) {
	sdktest.Each(f, transcripts, func(name string, tr *transcript.Transcript) {
		f.Add([]byte(tr.Get(transcript.SectionClient)), []byte(tr.Get(transcript.SectionOptions)))
	})
	p := ollama.Plugin()
	f.Fuzz(func(t *testing.T, body, options []byte) {
		if !json.Valid(body) || len(options) > 0 && !json.Valid(options) {
			return
		}
		adaptertest.Call(t, p, sdk.Input{Request: &sdk.Request{Op: abi.Chat, Options: options, Body: body}})
	})
}
