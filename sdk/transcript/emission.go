package transcript

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/kai-gateway/kai/sdk/abi"
)

// FormatEmission returns an emission as a transcript shows it, without a newline:
//
//	TEXT 0 "Hi"      TOOL_ARGS 0.1 "{\"city\""      FINISH 0 stop      USAGE {"prompt_tokens":3}
//
// A plain text, and the same text as the inside of a JSON string, look the same. REQUEST, BODY,
// STATE and WAIT give "", because a transcript shows what they lead to.
func FormatEmission(e abi.Emission) string {
	name := e.Kind.String()
	switch e.Kind {
	case abi.Request, abi.Body, abi.State, abi.Wait:
		return ""
	case abi.End:
		return name
	case abi.Pass:
		if e.At == abi.PassContent {
			return name + " content"
		}
		return name
	case abi.Text, abi.Reasoning, abi.Refusal, abi.Signature, abi.StopReason:
		return fmt.Sprintf("%s %d %s", name, e.Choice(), quote(e))
	case abi.ToolID, abi.ToolName, abi.ToolArgs, abi.ToolSignature:
		return fmt.Sprintf("%s %d.%d %s", name, e.Choice(), e.Item(), quote(e))
	case abi.ToolExtra:
		return fmt.Sprintf("%s %d.%d %s", name, e.Choice(), e.Item(), compact(e.Data))
	case abi.Finish:
		return fmt.Sprintf("%s %d %s", name, e.Choice(), e.Data)
	case abi.Logprobs, abi.DeltaExtra, abi.ChoiceExtra, abi.ReasoningDetail, abi.Citation:
		return fmt.Sprintf("%s %d %s", name, e.Choice(), compact(e.Data))
	}
	return fmt.Sprintf("%s %s", name, compact(e.Data))
}

// FormatEmissions returns the emissions of several calls, with a blank line between two calls.
// Calls that emitted nothing are left out.
func FormatEmissions(calls [][]abi.Emission) []byte {
	var b bytes.Buffer
	for _, call := range calls {
		first := true
		for _, e := range call {
			line := FormatEmission(e)
			if line == "" {
				continue
			}
			if first && b.Len() > 0 {
				b.WriteByte('\n')
			}
			first = false
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

func quote(e abi.Emission) string {
	text := string(e.Data)
	if e.Raw {
		if err := json.Unmarshal([]byte(`"`+text+`"`), &text); err != nil {
			return fmt.Sprintf("<no inside of a JSON string: %q>", e.Data)
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return err.Error()
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

func compact(data []byte) string {
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return fmt.Sprintf("<no JSON: %q>", data)
	}
	return b.String()
}
