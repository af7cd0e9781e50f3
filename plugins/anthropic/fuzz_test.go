package anthropic_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/kai-gateway/kai/plugins/anthropic"
	"github.com/kai-gateway/kai/plugins/internal/adaptertest"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/sdktest"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// FuzzEvent takes any bytes as two events in a row and as a whole answer.
func FuzzEvent(f *testing.F) {
	sdktest.Each(f, transcripts, func(name string, tr *transcript.Transcript) {
		for _, r := range tr.Responses() {
			before := []byte("{}")
			for line := range bytes.Lines(r.Body) {
				if line := bytes.TrimSpace(bytes.TrimPrefix(line, []byte("data: "))); len(line) < 4096 {
					f.Add(before, line)
					before = line
				}
			}
		}
	})
	p := anthropic.Plugin()
	f.Fuzz(func(t *testing.T, one, two []byte) {
		var state []byte
		for _, data := range [][]byte{one, two} {
			_, after, err := adaptertest.Call(t, p, sdk.Input{State: state, Event: &sdk.Event{Op: abi.Chat, Data: data}})
			state = after
			if err == nil && !json.Valid(data) {
				t.Errorf("%q is no JSON and no error", data)
			}
		}
		for _, status := range []int{200, 400, 404, 500} {
			_, _, err := adaptertest.Call(t, p, sdk.Input{Response: &sdk.Response{Op: abi.Chat, Status: status, Body: two}})
			if status != 200 && err == nil {
				t.Errorf("%q with status %d is no error", two, status)
			}
		}
	})
}

// FuzzRequest takes any JSON for a client's request. What is sent has turns that
// alternate, none of them empty.
func FuzzRequest(f *testing.F) {
	sdktest.Each(f, transcripts, func(name string, tr *transcript.Transcript) {
		f.Add([]byte(tr.Get(transcript.SectionClient)), []byte(tr.Get(transcript.SectionOptions)))
	})
	p := anthropic.Plugin()
	f.Fuzz(func(t *testing.T, body, options []byte) {
		if !json.Valid(body) || len(options) > 0 && !json.Valid(options) {
			return
		}
		emitted, _, _ := adaptertest.Call(t, p, sdk.Input{Request: &sdk.Request{Op: abi.Chat, Options: options, Body: body}})
		in := string(body) + string(options)
		for _, e := range emitted {
			if e.Kind != abi.Body {
				continue
			}
			var sent struct {
				Messages []struct {
					Role    string
					Content []json.RawMessage
				}
			}
			if err := json.Unmarshal(e.Data, &sent); err != nil {
				t.Errorf("%q: sent %s: %v", in, e.Data, err)
			}
			last := ""
			for _, m := range sent.Messages {
				if m.Role == last || len(m.Content) == 0 {
					t.Errorf("%q: sent an empty turn, or two of one role: %s", in, e.Data)
				}
				last = m.Role
			}
		}
	})
}
