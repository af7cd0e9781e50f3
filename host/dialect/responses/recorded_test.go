package responses

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recording is what a real client sent, with long texts cut. Of some, only the items that
// matter are recorded.
type recording struct {
	Note string
	Body map[string]json.RawMessage
}

// recordings returns the bodies of all recorded requests by their names.
func recordings(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/requests/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("there are %d recordings: %v", len(files), err)
	}
	all := map[string]string{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var r recording
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		if r.Body["input"] == nil {
			r.Body["input"] = json.RawMessage(`"Say hi"`)
		}
		body, err := json.Marshal(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".json")] = string(body)
	}
	return all
}

// TestRecordedRequests: none is refused, and each becomes the chat completion in
// testdata/chat. KAI_UPDATE=1 writes these.
func TestRecordedRequests(t *testing.T) {
	m, _ := newMemory(1 << 20)
	for _, it := range []string{
		`{"id":"rs_mock0933_0","type":"reasoning","summary":[{"type":"summary_text","text":"think"}]}`,
		`{"id":"rs_mock0953_0","type":"reasoning","summary":[{"type":"summary_text","text":"think"}]}`,
		`{"id":"msg_mock0953_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Let me look.","annotations":[],"logprobs":[]}]}`,
		`{"id":"msg_mock0143_0","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hello","annotations":[],"logprobs":[]}]}`,
	} {
		var named struct{ ID string }
		if err := json.Unmarshal([]byte(it), &named); err != nil {
			t.Fatal(err)
		}
		put(t, m, "alice", itemKey(named.ID), it)
	}
	for name, body := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := json.Indent(&got, []byte(chatBody(t, Options{Store: m}, body)), "", " "); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
			golden := filepath.Join("testdata", "chat", name+".json")
			if os.Getenv("KAI_UPDATE") != "" {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("the chat completion is\n%s\nwant\n%s", got.Bytes(), want)
			}
		})
	}
}
