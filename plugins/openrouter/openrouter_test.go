package openrouter_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/plugins/openrouter"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/sdktest"
)

const transcripts = "../../testdata/transcripts/openrouter/*.txtar"

func TestTranscripts(t *testing.T) {
	sdktest.Run(t, openrouter.Plugin(), transcripts)
}

// streams gives the transcripts whose answer is an event stream.
func streams(t *testing.T) map[string]*sdktest.Transcript {
	t.Helper()
	found := map[string]*sdktest.Transcript{}
	sdktest.Each(t, transcripts, func(name string, tr *sdktest.Transcript) {
		if strings.HasPrefix(tr.Responses()[0].Headers.Get("content-type"), "text/event-stream") {
			found[name] = tr
		}
	})
	if len(found) < 10 {
		t.Fatalf("only %d transcripts are streams", len(found))
	}
	return found
}

// replay gives what the adapter makes of a transcript's request when the
// answer's body is another.
func replay(t *testing.T, tr *sdktest.Transcript, body string, cut bool) *sdktest.Replay {
	t.Helper()
	head := "HTTP/1.1 200 OK\nContent-Type: text/event-stream\n"
	if cut {
		head += "kai-end: cut\n"
	}
	changed := &sdktest.Transcript{Sections: append([]sdktest.Section(nil), tr.Sections...)}
	changed.Set(sdktest.SectionResponse, 0, []byte(head+"\n"+body))
	r, err := changed.Run(sdktest.Native{Plugin: openrouter.Plugin()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A stream that ends early must show no more than its events said: above all no
// FINISH, which would make a success of it.
func TestStreamsCutAnywhere(t *testing.T) {
	for name, tr := range streams(t) {
		t.Run(name, func(t *testing.T) {
			body := string(tr.Responses()[0].Body)
			whole := replay(t, tr, body, true)
			for n := range len(body) {
				got := replay(t, tr, body[:n], true)
				if len(got.Calls) > len(whole.Calls) {
					t.Fatalf("cut after %d bytes: %d calls, the whole has %d", n, len(got.Calls), len(whole.Calls))
				}
				want := sdktest.FormatEmissions(whole.Calls[:len(got.Calls)])
				if !bytes.Equal(got.Emissions(), want) {
					t.Fatalf("cut after %d bytes\n got:\n%s\nwant:\n%s", n, got.Emissions(), want)
				}
			}
		})
	}
}

func TestStreamsEndedBetweenEvents(t *testing.T) {
	for name, tr := range streams(t) {
		t.Run(name, func(t *testing.T) {
			events := strings.SplitAfter(string(tr.Responses()[0].Body), "\n\n")
			for n := range events {
				body := strings.Join(events[:n], "")
				cut, ended := replay(t, tr, body, true), replay(t, tr, body, false)
				if !bytes.Equal(cut.Emissions(), ended.Emissions()) {
					t.Errorf("after %d events a clean end adds\n%s\nto\n%s", n, ended.Emissions(), cut.Emissions())
				}
			}
		})
	}
}

func TestCommentsMakeNoDifference(t *testing.T) {
	for name, tr := range streams(t) {
		t.Run(name, func(t *testing.T) {
			body := string(tr.Responses()[0].Body)
			want := replay(t, tr, body, false)
			got := replay(t, tr, ": OPENROUTER PROCESSING\n\n"+
				strings.ReplaceAll(body, "\n\n", "\n\n: OPENROUTER PROCESSING\n\n"), false)
			if !bytes.Equal(got.Emissions(), want.Emissions()) {
				t.Errorf("with comments\n%s\nwithout\n%s", got.Emissions(), want.Emissions())
			}
		})
	}
}

// A finish is stated once, although it comes twice.
func TestFinishOnce(t *testing.T) {
	for name, tr := range streams(t) {
		seen := map[string]bool{}
		for _, call := range replay(t, tr, string(tr.Responses()[0].Body), false).Calls {
			for _, e := range call {
				if key := fmt.Sprint(e.Choice()); e.Kind == abi.Finish {
					if seen[key] {
						t.Errorf("%s: choice %s finished twice", name, key)
					}
					seen[key] = true
				}
			}
		}
	}
}
