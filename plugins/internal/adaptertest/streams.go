package adaptertest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/sdktest"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// Streams replays the transcripts that match glob and whose answer is an event stream. There
// must be at least atLeast of them. It changes the stream: it cuts it at any byte, ends it
// between any two events, and puts noise around each event, which is the upstream's own way
// to say nothing. None of that may finish a choice that the whole stream has not finished at
// that point.
func Streams(t *testing.T, p *sdk.Plugin, glob string, atLeast int, noise string) {
	t.Helper()
	n := 0
	sdktest.Each(t, glob, func(name string, tr *transcript.Transcript) {
		answers := tr.Responses()
		if len(answers) != 1 || answers[0].Status != 200 || !strings.HasPrefix(answers[0].Headers.Get("content-type"), "text/event-stream") {
			return
		}
		n++
		t.Run(name, func(t *testing.T) {
			s := stream{plugin: p, transcript: tr}
			s.cutAnywhere(t, string(answers[0].Body))
			body := strings.ReplaceAll(string(answers[0].Body), "\r", "") // so that all events end in the same way
			s.endedBetweenEvents(t, body)
			if op := tr.Op(); !op.Native() && !op.Streams() { // where the noise passes, too
				s.withNoise(t, body, noise)
			}
			s.nothingBehindFinish(t, body)
		})
	})
	if n < atLeast {
		t.Errorf("%d transcripts of %s are streams, which is too few to be right", n, glob)
	}
}

type stream struct {
	plugin     *sdk.Plugin
	transcript *transcript.Transcript
}

// replay replays the transcript with another body of the answer, which ends cleanly or is
// cut.
func (s stream) replay(t *testing.T, body string, cut bool) *transcript.Replay {
	t.Helper()
	head := "HTTP/1.1 200 OK\nContent-Type: text/event-stream\n"
	if cut {
		head += "kai-end: cut\n"
	}
	changed := &transcript.Transcript{Sections: append([]transcript.Section(nil), s.transcript.Sections...)}
	changed.Set(transcript.SectionResponse, 0, []byte(head+"\n"+body))
	r, err := changed.Run(transcript.Native{Plugin: s.plugin})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// cutAnywhere checks that a stream that ends early shows only what its events said. Above all
// it must show no FINISH, which would make it a success.
func (s stream) cutAnywhere(t *testing.T, body string) {
	whole := s.replay(t, body, true)
	for n := range len(body) {
		got := s.replay(t, body[:n], true)
		if len(got.Calls) > len(whole.Calls) {
			t.Fatalf("cut after %d bytes: %d calls, the whole has %d", n, len(got.Calls), len(whole.Calls))
		}
		want := transcript.FormatEmissions(whole.Calls[:len(got.Calls)])
		if !bytes.Equal(got.Emissions(), want) {
			t.Fatalf("cut after %d bytes\n got:\n%s\nwant:\n%s", n, got.Emissions(), want)
		}
	}
}

// endedBetweenEvents checks that the end of a stream means nothing, clean or not: a server
// that dies ends its stream cleanly, too.
func (s stream) endedBetweenEvents(t *testing.T, body string) {
	events := strings.SplitAfter(body, "\n\n")
	for n := range events {
		body := strings.Join(events[:n], "")
		cut, ended := s.replay(t, body, true), s.replay(t, body, false)
		if !bytes.Equal(cut.Emissions(), ended.Emissions()) {
			t.Errorf("after %d events a clean end adds\n%s\nto\n%s", n, ended.Emissions(), cut.Emissions())
		}
	}
}

func (s stream) withNoise(t *testing.T, body, noise string) {
	want := s.replay(t, body, false)
	got := s.replay(t, noise+strings.ReplaceAll(body, "\n\n", "\n\n"+noise), false)
	if !bytes.Equal(got.Emissions(), want.Emissions()) {
		t.Errorf("with %q\n%s\nwithout\n%s", noise, got.Emissions(), want.Emissions())
	}
}

// nothingBehindFinish checks that no content of a choice comes after its finish. It is for
// upstreams that don't state the finish early.
func (s stream) nothingBehindFinish(t *testing.T, body string) {
	var finished [abi.MaxChoices]bool
	for _, call := range s.replay(t, body, false).Calls {
		for _, e := range call {
			switch e.Kind {
			case abi.Finish:
				finished[e.Choice()] = true
			case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs:
				if finished[e.Choice()] {
					t.Errorf("%s behind the finish", transcript.FormatEmission(e))
				}
			}
		}
	}
}
