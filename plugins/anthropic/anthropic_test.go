package anthropic_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/plugins/anthropic"
	"github.com/kai-gateway/kai/plugins/internal/adaptertest"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/sdktest"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// transcripts are what the tests replay; the first line of each says what it
// shows and where it is from.
const transcripts = "../../testdata/transcripts/anthropic/*.txtar"

func TestTranscripts(t *testing.T) {
	sdktest.Run(t, anthropic.Plugin(), transcripts)
}

func TestStreams(t *testing.T) {
	adaptertest.Streams(t, anthropic.Plugin(), transcripts, 30, ": comment\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n")
}

// A stream and a whole answer of the same blocks state the same.
func TestStreamEqualsWhole(t *testing.T) {
	stream := text(t, "stream", events(
		`{"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"x\":1}"}}`,
		`{"type":"content_block_stop","index":1}`,
		`{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}`,
		`{"type":"message_stop"}`)...)
	whole := text(t, "whole", sdk.Input{Response: &sdk.Response{Op: abi.Chat, Status: 200, Body: []byte(
		`{"type":"message","content":[{"type":"text","text":"Hi"},{"type":"tool_use","id":"a","name":"f","input":{"x":1}}],` +
			`"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":9}}`)}})
	streamUsage, stream := withoutUsage(stream)
	wholeUsage, whole := withoutUsage(whole)
	if stream != whole || streamUsage != wholeUsage {
		t.Errorf("the stream states\n%s%s\nthe whole answer\n%s%s", stream, streamUsage, whole, wholeUsage)
	}
}

// withoutUsage takes the usage out of the lines of emissions, of which the last
// counts, and the stream's end mark.
func withoutUsage(lines string) (usage, rest string) {
	for line := range strings.Lines(lines) {
		switch {
		case strings.HasPrefix(line, "USAGE"):
			usage = line
		case line == "END\n":
		default:
			rest += line
		}
	}
	return usage, rest
}

func events(data ...string) (all []sdk.Input) {
	for _, d := range data {
		all = append(all, sdk.Input{Event: &sdk.Event{Op: abi.Chat, Data: sdk.JSON(d)}})
	}
	return all
}

// text runs calls of one exchange and writes what they state, a line each.
func text(t *testing.T, name string, calls ...sdk.Input) string {
	t.Helper()
	p := anthropic.Plugin()
	var b strings.Builder
	var state []byte
	for _, in := range calls {
		in.State = state
		emitted, after, err := adaptertest.Call(t, p, in)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		state = after
		for _, e := range emitted {
			fmt.Fprintln(&b, transcript.FormatEmission(e))
		}
	}
	return b.String()
}

// Answers with Anthropic's own tools can have more blocks than the state has
// places.
func TestManyBlocks(t *testing.T) {
	calls := []sdk.Input{}
	for i := range 200 {
		calls = append(calls, events(
			fmt.Sprintf(`{"type":"content_block_start","index":%d,"content_block":{"type":"text","text":""}}`, 2*i),
			fmt.Sprintf(`{"type":"content_block_stop","index":%d}`, 2*i),
			fmt.Sprintf(`{"type":"content_block_start","index":%d,"content_block":{"type":"tool_use","id":"t%d","name":"f"}}`, 2*i+1, i),
			fmt.Sprintf(`{"type":"content_block_delta","index":%d,"delta":{"type":"input_json_delta","partial_json":"{}"}}`, 2*i+1),
			// Of a block long gone, and of one that is no call:
			`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"x"}}`,
			fmt.Sprintf(`{"type":"content_block_delta","index":%d,"delta":{"type":"input_json_delta","partial_json":"x"}}`, 2*i),
			fmt.Sprintf(`{"type":"content_block_stop","index":%d}`, 2*i+1),
		)...)
	}
	var want strings.Builder
	for i := range 200 {
		fmt.Fprintf(&want, "TOOL_ID 0.%d \"t%d\"\nTOOL_NAME 0.%d \"f\"\nTOOL_ARGS 0.%d \"{}\"\n", i, i, i, i)
	}
	if got := text(t, "200 calls", calls...); got != want.String() {
		t.Errorf("got\n%s\nwant\n%s", got, want.String())
	}
}

// Long content comes as references, which must stand in the request as they are.
func TestReferencesAreKept(t *testing.T) {
	token := func(n int) string { return fmt.Sprintf("@kai:0123456789abcdef0123456789abcdef:%d@", n) }
	body := `{"model":"claude-opus-4-8","messages":[` +
		`{"role":"system","content":"` + token(0) + `"},` +
		`{"role":"user","content":[{"type":"text","text":"` + token(1) + `"},` +
		`{"type":"image_url","image_url":{"url":"data:image/png;base64,` + token(2) + `"}},` +
		`{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,` + token(3) + `"}}]},` +
		`{"role":"assistant","content":"` + token(4) + `","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},` +
		`{"role":"tool","tool_call_id":"a","content":"` + token(5) + `"}]}`
	emitted, _, err := adaptertest.Call(t, anthropic.Plugin(), sdk.Input{Request: &sdk.Request{Op: abi.Chat, Body: sdk.JSON(body)}})
	if err != nil {
		t.Fatal(err)
	}
	sent := string(emitted[len(emitted)-1].Data)
	for n := range 6 {
		if strings.Count(sent, `"`+token(n)+`"`) != 1 {
			t.Errorf("%s is not one whole string of %s", token(n), sent)
		}
	}
}

func TestErrorTextIsBounded(t *testing.T) {
	body := []byte(`{"type":"error","error":{"type":"api_error","message":"` + strings.Repeat("é", 4000) + `"}}`)
	_, _, err := adaptertest.Call(t, anthropic.Plugin(), sdk.Input{Response: &sdk.Response{Op: abi.Chat, Status: 500, Body: body}})
	if err == nil || len(err.Error()) > 1100 || strings.ContainsRune(err.Error(), '\ufffd') {
		t.Errorf("the error has %d bytes: %v", len(err.Error()), err)
	}
}

const delta = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" Hello"}}`

func TestTextDoesNotAllocate(t *testing.T) {
	p := anthropic.Plugin()
	in := sdk.Input{Event: &sdk.Event{Op: abi.Chat, Data: sdk.JSON(delta)}}
	// The one allocation is Call's own, natively.
	if n := testing.AllocsPerRun(100, func() { p.Call(in, discard) }); n > 1 {
		t.Errorf("an event makes %v allocations, want at most 1", n)
	}
}

func discard(kind, at int32, p []byte) {}

func BenchmarkEvent(b *testing.B) {
	p := anthropic.Plugin()
	in := sdk.Input{Event: &sdk.Event{Op: abi.Chat, Data: sdk.JSON(delta)}}
	b.ReportAllocs()
	for b.Loop() {
		p.Call(in, discard)
	}
}

func BenchmarkRequest(b *testing.B) {
	p := anthropic.Plugin()
	in := sdk.Input{Request: &sdk.Request{Op: abi.Chat, Stream: true, Body: sdk.JSON(
		`{"model":"claude-opus-4-8","stream":true,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Hello!"}],"temperature":0.7,"max_tokens":150}`)}}
	b.ReportAllocs()
	for b.Loop() {
		p.Call(in, discard)
	}
}
