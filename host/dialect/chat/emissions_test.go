package chat

import "github.com/kai-gateway/kai/sdk/abi"

// The emissions of the tests: about a choice, about a call of a choice, about all.

func on(kind abi.Kind, choice int, payload string) abi.Emission {
	return abi.Emission{Kind: kind, At: abi.At(choice, 0), Data: []byte(payload)}
}

func text(choice int, s string) abi.Emission      { return on(abi.Text, choice, s) }
func reasoning(choice int, s string) abi.Emission { return on(abi.Reasoning, choice, s) }
func refusal(choice int, s string) abi.Emission   { return on(abi.Refusal, choice, s) }
func logprobs(choice int, s string) abi.Emission  { return on(abi.Logprobs, choice, s) }
func deltaExtra(choice int, s string) abi.Emission {
	return on(abi.DeltaExtra, choice, s)
}
func choiceExtra(choice int, s string) abi.Emission {
	return on(abi.ChoiceExtra, choice, s)
}
func finish(choice int, reason string) abi.Emission { return on(abi.Finish, choice, reason) }

func toolID(choice, call int, s string) abi.Emission {
	return abi.Emission{Kind: abi.ToolID, At: abi.At(choice, call), Data: []byte(s)}
}
func toolName(choice, call int, s string) abi.Emission {
	return abi.Emission{Kind: abi.ToolName, At: abi.At(choice, call), Data: []byte(s)}
}
func toolArgs(choice, call int, s string) abi.Emission {
	return abi.Emission{Kind: abi.ToolArgs, At: abi.At(choice, call), Data: []byte(s)}
}
func toolExtra(choice, call int, s string) abi.Emission {
	return abi.Emission{Kind: abi.ToolExtra, At: abi.At(choice, call), Data: []byte(s)}
}

func detail(choice int, s string) abi.Emission     { return on(abi.ReasoningDetail, choice, s) }
func citation(choice int, s string) abi.Emission   { return on(abi.Citation, choice, s) }
func signature(choice int, s string) abi.Emission  { return on(abi.Signature, choice, s) }
func stopReason(choice int, s string) abi.Emission { return on(abi.StopReason, choice, s) }
func toolSignature(choice, call int, s string) abi.Emission {
	return abi.Emission{Kind: abi.ToolSignature, At: abi.At(choice, call), Data: []byte(s)}
}

func chunkExtra(s string) abi.Emission { return on(abi.ChunkExtra, 0, s) }
func usageOf(s string) abi.Emission    { return on(abi.Usage, 0, s) }
func failure(s string) abi.Emission    { return on(abi.Error, 0, s) }

// raw marks the payload as the inside of a JSON string literal.
func raw(e abi.Emission) abi.Emission {
	e.Raw = true
	return e
}

// emit is what one call of the adapter states.
func emit(ems ...abi.Emission) []abi.Emission { return ems }

type calls = [][]abi.Emission
