package openai_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/kai-gateway/kai/plugins/internal/adaptertest"
	"github.com/kai-gateway/kai/plugins/openai"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/sdktest"
	"github.com/kai-gateway/kai/sdk/transcript"
)

const transcripts = "../../testdata/transcripts/openai/*.txtar"

func TestTranscripts(t *testing.T) {
	sdktest.Run(t, openai.Plugin(), transcripts)
}

func TestStreams(t *testing.T) {
	adaptertest.Streams(t, openai.Plugin(), transcripts, 30, ": ping\n\n")
}

func TestWaits(t *testing.T) {
	for head, want := range map[string]int64{
		"retry-after: 2\n": 2000, "retry-after: 2\nretry-after-ms: 300\n": 300, "retry-after-ms: 1e99\n": 0,
		"retry-after: Wed, 21 Oct 2026 07:28:00 GMT\n": 0, "": 0,
	} {
		var e *sdk.Error
		err := openai.Plugin().Call(sdk.Input{Response: &sdk.Response{Op: abi.Chat, Status: 429, Head: sdk.Head(head)}}, discard)
		if !errors.As(err, &e) || e.RetryAfterMS != want {
			t.Errorf("with %q the error is %v, want a wait of %d ms", head, err, want)
		}
	}
}

func discard(kind, at int32, p []byte) {}

func FuzzResponse(f *testing.F) {
	sdktest.Each(f, transcripts, func(name string, tr *transcript.Transcript) {
		for _, r := range tr.Responses() {
			f.Add(r.Status, []byte(r.Body))
		}
	})
	_, ranks, err := adaptertest.Call(f, openai.Plugin(), sdk.Input{Request: &sdk.Request{
		Op: abi.Rerank, Options: sdk.JSON(`{"rerank":"tei"}`), Body: sdk.JSON(`{"query":"q","documents":["a"],"top_n":1}`),
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		emitted, _, _ := adaptertest.Call(t, openai.Plugin(), sdk.Input{Response: &sdk.Response{Status: status, Head: sdk.Head("retry-after-ms: 1e3\n"), Body: body}})
		failed := len(emitted) > 0 && emitted[len(emitted)-1].Kind == abi.Error
		if !failed && (status < 200 || status > 299) {
			t.Errorf("status %d is no error", status)
		}
		for _, op := range []abi.Op{abi.Responses, abi.Stored, abi.Completions, abi.Rerank, abi.Images, abi.Speech, abi.Transcriptions} {
			adaptertest.Call(t, openai.Plugin(), sdk.Input{Response: &sdk.Response{Op: op, Status: status, Body: body}})
			adaptertest.Call(t, openai.Plugin(), sdk.Input{Event: &sdk.Event{Op: op, Data: body}})
		}
		ranked, _, _ := adaptertest.Call(t, openai.Plugin(), sdk.Input{State: ranks, Response: &sdk.Response{Op: abi.Rerank, Status: 200, Body: body}})
		for _, e := range ranked {
			if e.Kind == abi.Result && !json.Valid(e.Data) {
				t.Errorf("the ranks are %s", e.Data)
			}
		}
		adaptertest.Call(t, openai.Plugin(), sdk.Input{Event: &sdk.Event{Data: body}})
		adaptertest.Call(t, openai.Plugin(), sdk.Input{Event: &sdk.Event{Name: []byte("error"), Data: body}})
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
	f.Add(`{"drop":["a"],"body":{"b":1}}`, ` { "a" : 1 } `)
	f.Add(`{"drop":["user"],"body":{}}`, `{"user":""}`)
	f.Add(`{"drop":["user"],"":{}}`, `{"user":""}`)
	f.Add(`{"rerank":"tei"}`, `{"query":"q","documents":["a",{"text":"b"}],"top_n":1,"return_documents":true}`)
	f.Add(`{"completions_path":"/fim/completions"}`, `{"prompt":"a","seed":1}`)
	f.Add(`{"reasoning_history":"drop"}`, `{"messages":[{"role":"assistant","reasoning":""},{}]}`)
	f.Fuzz(func(t *testing.T, options, body string) {
		if !json.Valid([]byte(options)) || !json.Valid([]byte(body)) || sdk.JSON(body).Kind() != sdk.KindObject {
			t.Skip()
		}
		for _, stream := range []bool{false, true} {
			for _, op := range []abi.Op{abi.Chat, abi.Responses, abi.Stored, abi.Completions, abi.Rerank, abi.Images} {
				adaptertest.Call(t, openai.Plugin(), sdk.Input{Request: &sdk.Request{Op: op, Stream: stream, Options: sdk.JSON(options), Body: sdk.JSON(body)}})
			}
		}
	})
}

// TestRanksAreOfWhatWasAsked: an index of no document is no rank, in either form of an answer.
func TestRanksAreOfWhatWasAsked(t *testing.T) {
	for options, answer := range map[string]string{
		`{"rerank":"tei"}`: `[{"index":%s,"score":0.9}]`,
		`{}`:               `{"results":[{"index":0,"relevance_score":1},{"index":%s,"relevance_score":0.9}]}`,
	} {
		_, state, err := adaptertest.Call(t, openai.Plugin(), sdk.Input{Request: &sdk.Request{
			Op: abi.Rerank, Options: sdk.JSON(options), Body: sdk.JSON(`{"query":"q","documents":["a","b"]}`),
		}})
		if err != nil {
			t.Fatal(err)
		}
		for index, ok := range map[string]bool{"1": true, "0": true, "7": false, "2": false, "-1": false, "0.5": false, "null": false} {
			body := []byte(fmt.Sprintf(answer, index))
			ems, _, _ := adaptertest.Call(t, openai.Plugin(), sdk.Input{State: state, Response: &sdk.Response{Op: abi.Rerank, Status: 200, Body: body}})
			if ranked := len(ems) > 0 && ems[len(ems)-1].Kind == abi.Result; ranked != ok {
				t.Errorf("%s: ranked is %v, and the adapter states %v", body, ranked, ems)
			}
		}
	}
}
