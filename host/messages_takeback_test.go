package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	anthropicapi "github.com/kai-gateway/kai/host/dialect/messages"
	"github.com/kai-gateway/kai/plugins/anthropic"
	"github.com/kai-gateway/kai/plugins/gemini"
	"github.com/kai-gateway/kai/plugins/openai"
	"github.com/kai-gateway/kai/plugins/openrouter"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// TestMessagesTakeBackSignatures sends what the gateway answers to clients of the Messages
// API back to the adapter that it is from, as clients do that go on: whatever the provider
// signed goes upstream again, byte for byte.
func TestMessagesTakeBackSignatures(t *testing.T) {
	for _, plugin := range []*sdk.Plugin{anthropic.Plugin(), gemini.Plugin(), openai.Plugin(), openrouter.Plugin()} {
		name := plugin.Manifest.Name
		t.Run(name, func(t *testing.T) {
			signatures := 0
			for _, file := range transcripts(t, name) {
				r := readRecorded(t, file)
				if r.Op() != abi.Chat {
					continue
				}
				replay, err := r.Run(transcript.Native{Plugin: plugin})
				if err != nil {
					t.Fatal(err)
				}
				answer, signed := messageOf(t, replay)
				if answer == nil || len(signed) == 0 {
					continue
				}
				up := upstreamOf(t, plugin, r, answer)
				for _, s := range signed {
					signatures++
					if !bytes.Contains(up, []byte(s)) {
						t.Errorf("%s: %.60s… is lost. The client got\n%s\nand the upstream gets\n%s", file, s, answer, up)
					}
				}
			}
			if signatures < 2 {
				t.Errorf("the transcripts have %d signatures, which is too few to be right", signatures)
			}
		})
	}
}

// messageOf returns the content of the answer to a client of Messages, and what the
// adapter stated that its provider wants back; nil if the answer is no success.
func messageOf(t *testing.T, replay *transcript.Replay) (content json.RawMessage, signed []string) {
	t.Helper()
	asked, err := anthropicapi.Parse(t.Context(), []byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`), dialect.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	a := asked.Whole(dialect.Info{ID: "X"})
	for _, ems := range replay.Calls {
		if _, err := a.Apply(nil, ems); err != nil {
			return nil, nil
		}
		for _, e := range ems {
			v := sdk.JSON(e.Data)
			switch {
			case e.Choice() > 0:
			case e.Kind == abi.ToolSignature, e.Kind == abi.Signature:
				signed = append(signed, string(e.Data))
			case e.Kind == abi.ReasoningDetail:
				for _, key := range []string{"signature", "data"} {
					if inside, _ := v.Get(key).RawStr(); len(inside) > 0 {
						signed = append(signed, string(inside))
					}
				}
			}
		}
	}
	if replay.EndMark {
		a.EndMark()
	}
	whole, err := a.End(nil)
	if err != nil {
		return nil, nil
	}
	var answer struct{ Content json.RawMessage }
	if err := json.Unmarshal(whole, &answer); err != nil {
		t.Fatalf("%v in %s", err, whole)
	}
	return answer.Content, signed
}

// upstreamOf returns the body of the upstream request for a conversation that goes on
// after an answer.
func upstreamOf(t *testing.T, plugin *sdk.Plugin, r recorded, content json.RawMessage) []byte {
	t.Helper()
	var blocks []struct{ Type, ID string }
	if err := json.Unmarshal(content, &blocks); err != nil {
		t.Fatal(err)
	}
	var results []string
	for _, b := range blocks {
		if b.Type == "tool_use" {
			results = append(results, fmt.Sprintf(`{"type":"tool_result","tool_use_id":%q,"content":"done"}`, b.ID))
		}
	}
	results = append(results, `{"type":"text","text":"go on"}`)
	body := fmt.Sprintf(`{"model":%q,"max_tokens":50000,"thinking":{"type":"enabled","budget_tokens":2048},"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":%s},{"role":"user","content":[%s]}]}`,
		r.model, content, strings.Join(results, ","))
	asked, err := anthropicapi.Parse(t.Context(), []byte(body), dialect.Caller{})
	if err != nil {
		t.Fatalf("%s: %v\n%s", r.file, err, body)
	}
	var up []byte
	in := sdk.Input{Request: &sdk.Request{Op: abi.Chat, Options: []byte(r.options), Body: asked.Body.Body(r.model)}}
	if err := plugin.Call(in, func(kind, _ int32, p []byte) {
		if abi.Kind(kind) == abi.Body {
			up = append(up, p...)
		}
	}); err != nil {
		t.Fatalf("%s: %v\n%s", r.file, err, body)
	}
	return up
}
