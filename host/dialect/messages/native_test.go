package messages

import (
	"slices"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/native"
	"github.com/kai-gateway/kai/sdk/abi"
)

// TestEventsTellIDs, although no model is named in them.
func TestEventsTellIDs(t *testing.T) {
	for data, want := range map[string][]string{
		`{"type":"content_block_start","index":1,"content_block":{"type":"bash_code_execution_tool_result","tool_use_id":"srvtoolu_1","content":{"type":"bash_code_execution_result","content":[{"type":"bash_code_execution_output","file_id":"file_1"}]}}}`: {"file_1"},
		`{"type":"content_block_start","index":1,"content_block":{"type":"mcp_tool_result","content":{"content":[{"file_id":"file_2"}]}}}`:                                                                                                                    nil,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn","container":{"id":"container_1","expires_at":"2026-11-29T23:00:00Z"}},"usage":{"output_tokens":9}}`:                                                                                        {"container_1"},
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"file_id"}}`:                                                                                                                                                           {},
	} {
		told := []string{}
		i := dialect.Info{Model: "m", NoteID: func(id string) { told = append(told, id) }, Upstream: func() string { return "up" }}
		a := native.NewStream(i, newPassage(i, &eventForm))
		a.Receive(dialect.ByType(), []byte(data), false)
		got, err := a.Apply(nil, []abi.Emission{{Kind: abi.Pass}})
		if end := "\ndata: " + data + "\n\n"; err != nil || len(got) < len(end) || string(got[len(got)-len(end):]) != end {
			t.Errorf("%s becomes %s, %v", data, got, err)
		}
		if !slices.Equal(told, want) {
			t.Errorf("%s tells %q, want %q", data, told, want)
		}
	}
}
