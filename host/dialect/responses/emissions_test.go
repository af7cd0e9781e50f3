package responses

import "github.com/kai-gateway/kai/sdk/abi"

// The emissions of the tests, about choice 0.

func on(kind abi.Kind, item int, payload string) abi.Emission {
	return abi.Emission{Kind: kind, At: abi.At(0, item), Data: []byte(payload)}
}

func text(s string) abi.Emission       { return on(abi.Text, 0, s) }
func thought(s string) abi.Emission    { return on(abi.Reasoning, 0, s) }
func refusal(s string) abi.Emission    { return on(abi.Refusal, 0, s) }
func logprobs(s string) abi.Emission   { return on(abi.Logprobs, 0, s) }
func deltaExtra(s string) abi.Emission { return on(abi.DeltaExtra, 0, s) }
func finish(reason string) abi.Emission {
	return on(abi.Finish, 0, reason)
}
func detailed(s string) abi.Emission   { return on(abi.ReasoningDetail, 0, s) }
func signature(s string) abi.Emission  { return on(abi.Signature, 0, s) }
func citation(s string) abi.Emission   { return on(abi.Citation, 0, s) }
func stopReason(s string) abi.Emission { return on(abi.StopReason, 0, s) }
func chunkExtra(s string) abi.Emission { return on(abi.ChunkExtra, 0, s) }
func usageOf(s string) abi.Emission    { return on(abi.Usage, 0, s) }
func failure(s string) abi.Emission    { return on(abi.Error, 0, s) }

func toolID(call int, s string) abi.Emission        { return on(abi.ToolID, call, s) }
func toolName(call int, s string) abi.Emission      { return on(abi.ToolName, call, s) }
func toolArgs(call int, s string) abi.Emission      { return on(abi.ToolArgs, call, s) }
func toolExtra(call int, s string) abi.Emission     { return on(abi.ToolExtra, call, s) }
func toolSignature(call int, s string) abi.Emission { return on(abi.ToolSignature, call, s) }

// raw marks the payload as the inside of a JSON string literal.
func raw(e abi.Emission) abi.Emission {
	e.Raw = true
	return e
}

// inChoice makes an emission one about another choice.
func inChoice(n int, e abi.Emission) abi.Emission {
	e.At = abi.At(n, e.Item())
	return e
}

// emit is what one call of the adapter states.
func emit(ems ...abi.Emission) []abi.Emission { return ems }

type calls = [][]abi.Emission
