package responses

import (
	"encoding/json"
	"slices"

	"github.com/kai-gateway/kai/host/dialect/seal"

	"github.com/kai-gateway/kai/sdk"
)

// A compaction is a summary of the conversation in place of the conversation. The client
// asks for one with an item compaction_trigger at the end of its input, gets exactly one
// item compaction, and sends that item back instead of what it stands for. Nobody has to
// remember anything, because the summary itself is sealed in the item.

// summaryKind is the type of the one detail in a sealed summary.
const summaryKind = "kai.summary"

// sealSummary returns the encrypted_content of a compaction item.
//
//   - summary: the inside of a JSON string literal
func sealSummary(summary []byte) string {
	detail := slices.Concat([]byte(`{"type":"`+summaryKind+`","text":"`), summary, []byte(`"}`))
	return seal.Seal(seal.Content{Details: []json.RawMessage{detail}})
}

// summaryIn returns the summary that is sealed in a compaction item, as the inside of a
// JSON string literal; nil if the content is something else.
func summaryIn(c seal.Content) []byte {
	if len(c.Details) != 1 {
		return nil
	}
	detail := sdk.JSON(c.Details[0])
	if kind, _ := detail.Get("type").Str(); kind != summaryKind {
		return nil
	}
	summary, _ := detail.Get("text").RawStr()
	return summary
}

// compactionPrompt asks for the summary. It is the inside of a JSON string literal.
const compactionPrompt = `Write a summary of this conversation for the assistant that will continue it. ` +
	`It will see your summary in place of everything above, so put into it all that it needs: ` +
	`what the user wants, and every instruction, preference and constraint that still holds; ` +
	`what was done and found out, with the exact names of files, commands, values and errors that matter; ` +
	`what was decided, and why; ` +
	`and what remains to be done, beginning with the next step.\n` +
	`Answer with the summary alone, and call no tools.`
