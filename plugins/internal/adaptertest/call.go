// Package adaptertest checks what must be true of every adapter, whatever its upstream: what
// an emission may be, and what a stream of events must never do. It is for the adapters' own
// tests.
package adaptertest

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Call runs one call and returns its emissions, and the state after it: the one that the call
// emitted, or else the one before. It fails the test if an emission is not what its kind
// promises, or if an ERROR is not the last.
func Call(t testing.TB, p *sdk.Plugin, in sdk.Input) (emitted []abi.Emission, state []byte, err error) {
	t.Helper()
	state = in.State
	err = p.Call(in, func(kind, at int32, data []byte) {
		e := abi.Emission{Kind: abi.Kind(kind &^ abi.Raw), Raw: kind&abi.Raw != 0, At: at, Data: bytes.Clone(data)}
		if e.Kind == abi.State {
			state = e.Data
			return
		}
		if fault := faultOf(e); fault != "" {
			t.Errorf("%v %q %s", e.Kind, e.Data, fault)
		}
		emitted = append(emitted, e)
	})
	if err != nil && (len(emitted) == 0 || emitted[len(emitted)-1].Kind != abi.Error) {
		t.Errorf("the error %v was not the last emission", err)
	}
	return emitted, state, err
}

// faultOf says what is wrong with an emission. It returns "" if nothing is.
func faultOf(e abi.Emission) string {
	if e.Kind != abi.Request && (e.Choice() >= abi.MaxChoices || e.Item() >= abi.MaxCalls) {
		return "is about a choice or a call beyond the limit"
	}
	switch e.Kind {
	case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolArgs:
		if e.Raw && !json.Valid(slices.Concat([]byte(`"`), e.Data, []byte(`"`))) {
			return "is not the inside of a string"
		}
	case abi.Body:
		if !json.Valid(e.Data) {
			return "is no JSON"
		}
	case abi.ToolExtra, abi.DeltaExtra, abi.ChoiceExtra, abi.ChunkExtra, abi.Usage, abi.Error:
		if !json.Valid(e.Data) || e.Data[0] != '{' {
			return "is no object"
		}
	case abi.Logprobs:
		if !json.Valid(e.Data) || e.Data[0] != '[' {
			return "is no array"
		}
	case abi.Finish:
		switch string(e.Data) {
		case abi.FinishStop, abi.FinishLength, abi.FinishToolCalls, abi.FinishContentFilter, abi.FinishFunctionCall:
		default:
			return "is no finish reason"
		}
	}
	return ""
}
