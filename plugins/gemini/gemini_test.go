package gemini_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/kai-gateway/kai/plugins/gemini"
	"github.com/kai-gateway/kai/plugins/internal/adaptertest"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/sdktest"
	"github.com/kai-gateway/kai/sdk/transcript"
)

const transcripts = "../../testdata/transcripts/gemini/*.txtar"

func TestTranscripts(t *testing.T) {
	sdktest.Run(t, gemini.Plugin(), transcripts)
}

func TestStreams(t *testing.T) {
	adaptertest.Streams(t, gemini.Plugin(), transcripts, 15, ": ping\n\n")
}

func TestGenerations(t *testing.T) {
	for model, want := range map[string]bool{
		"gemini-3-pro-preview": true, "gemini-3.1-flash": true, "models/gemini-10-x": true, "gemini-flash-latest": true,
		"gemini-2.5-flash": false, "gemini-2.5-flash-latest": false, "gemini-": false, "gemma-3-27b-it": false, "gemini-99999999999999999999999": false,
	} {
		body := `{"model":"` + model + `","messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}]}`
		signed := false
		emitted, _, _ := adaptertest.Call(t, gemini.Plugin(), sdk.Input{Request: &sdk.Request{Body: sdk.JSON(body)}})
		for _, e := range emitted {
			signed = signed || e.Kind == abi.Body && bytes.Contains(e.Data, []byte("thoughtSignature"))
		}
		if signed != want {
			t.Errorf("a call is signed for %s: %v, want %v", model, signed, want)
		}
	}
}

func FuzzResponse(f *testing.F) {
	sdktest.Each(f, transcripts, func(name string, tr *transcript.Transcript) {
		for _, r := range tr.Responses() {
			f.Add(r.Status, []byte(r.Body))
		}
	})
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		emitted, _, _ := adaptertest.Call(t, gemini.Plugin(), sdk.Input{Response: &sdk.Response{Status: status, Head: sdk.Head("retry-after: 1\n"), Body: body}})
		failed := len(emitted) > 0 && emitted[len(emitted)-1].Kind == abi.Error
		if !failed && (status < 200 || status > 299) {
			t.Errorf("status %d is no error", status)
		}
		adaptertest.Call(t, gemini.Plugin(), sdk.Input{Event: &sdk.Event{Data: body}})
	})
}

// FuzzRequest holds that options never make bad JSON of a good body.
func FuzzRequest(f *testing.F) {
	sdktest.Each(f, transcripts, func(name string, tr *transcript.Transcript) {
		options := string(tr.Get(transcript.SectionOptions))
		if options == "" {
			options = "{}"
		}
		f.Add(options, string(tr.Get(transcript.SectionClient)))
	})
	f.Fuzz(func(t *testing.T, options, body string) {
		if !json.Valid([]byte(options)) || !json.Valid([]byte(body)) || sdk.JSON(body).Kind() != sdk.KindObject {
			t.Skip()
		}
		for _, stream := range []bool{false, true} {
			adaptertest.Call(t, gemini.Plugin(), sdk.Input{Request: &sdk.Request{Stream: stream, Options: sdk.JSON(options), Body: sdk.JSON(body)}})
		}
	})
}
