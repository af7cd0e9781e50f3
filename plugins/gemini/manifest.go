// Package gemini is the adapter for Google's Gemini API: generateContent and its
// stream, https://ai.google.dev/api/generate-content.
//
// It speaks Google's own API and not its OpenAI layer, because that one has no
// safety settings, mixes thoughts into the text and explains few errors. README.md
// lists what is mapped, dropped and refused.
package gemini

import (
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Plugin returns the adapter.
func Plugin() *sdk.Plugin { return sdk.New(manifest, adapter{}) }

type adapter struct{}

var _ sdk.Adapter[state] = adapter{}

// state is what the adapter remembers between the calls of an exchange.
type state struct {
	Calls  uint32  // how many function calls there were so far; the number of the next one
	Called choices // the choices with a function call
	Effort bool    // the client asked for an effort
}

// choices is a set of choices.
type choices [abi.MaxChoices / 64]uint64

func (c *choices) add(n int)      { c[n/64] |= 1 << (n % 64) }
func (c *choices) has(n int) bool { return c[n/64]>>(n%64)&1 != 0 }

var manifest = sdk.Manifest{
	Name:           "gemini",
	Version:        "1.0.0",
	License:        "Apache-2.0",
	Homepage:       "https://github.com/kai-gateway/kai/tree/main/plugins/gemini",
	Provider:       "gemini",
	Ops:            []abi.Op{abi.Chat, abi.Embeddings, abi.Count},
	MaxInputs:      []sdk.MaxInputs{{Op: abi.Embeddings, N: maxBatch}},
	Capabilities:   []string{"streaming", "tools", "vision", "audio", "structured_output", "reasoning", "logprobs"},
	DefaultBaseURL: "https://generativelanguage.googleapis.com/v1beta",
	Auth:           sdk.Auth{Secret: "api_key", Header: "x-goog-api-key", Format: "{}"},
	Options:        options,
	Extensions:     []string{"top_k"},
}

// options is the CUE of what README.md explains.
const options = `
// What is filtered: https://ai.google.dev/gemini-api/docs/safety-settings
safety_settings?: [...{
	category!:  =~"^HARM_CATEGORY_[A-Z_]+$"
	threshold!: "BLOCK_NONE" | "BLOCK_ONLY_HIGH" | "BLOCK_MEDIUM_AND_ABOVE" | "BLOCK_LOW_AND_ABOVE" | "OFF"
}]
// Thinking, where a request has no reasoning_effort: Gemini 3 takes a level, 2.5 a number of tokens.
thinking_level?:  "minimal" | "low" | "medium" | "high"
thinking_budget?: int & >=-1
// Whether summaries of the thoughts are asked for; unset: with every reasoning_effort.
include_thoughts?: bool
// What vectors are for; models newer than gemini-embedding-001 take that in the text instead.
embedding_task?: "SEMANTIC_SIMILARITY" | "CLASSIFICATION" | "CLUSTERING" | "RETRIEVAL_DOCUMENT" | "RETRIEVAL_QUERY" | "CODE_RETRIEVAL_QUERY" | "QUESTION_ANSWERING" | "FACT_VERIFICATION"
`
