package request

import (
	"unicode"
	"unicode/utf8"
)

// Upstreams don't agree on what a field's name is. Go's encoding/json reads "Model" and
// "ſtream" as model and stream, and the last of several counts. C programs end a name at
// its first NUL. So a name that some reader could take for another one is refused.

// fold returns the form in which two names are equal that some reader takes for the
// same: without what follows a NUL, each letter as the smallest of those that are
// equal to it by Unicode's simple case folding, as in encoding/json, but a to z
// in lower case. Most names are their own form, and are returned as they are.
func fold(name []byte) []byte {
	if isFolded(name) {
		return name
	}
	out := make([]byte, 0, len(name)) // the smallest is never longer
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRune(name[i:])
		if r == 0 {
			break
		}
		i += size
		r = smallest(r)
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

func isFolded(name []byte) bool {
	for _, c := range name {
		if c == 0 || c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// smallest returns the smallest letter that is equal to r by simple case folding.
func smallest(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}

// known reports whether a folded name is one of OpenAI's fields of a chat request,
// which Kai reads and sets, or one that shipped adapters read.
func known(name []byte) bool {
	switch string(name) {
	case "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
		"max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model", "n",
		"parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key",
		"prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier", "seed",
		"service_tier", "stop", "store", "stream", "stream_options", "temperature", "tool_choice",
		"tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options":
		return true
	case "cache_control", "include_reasoning", "reasoning", "thinking", "top_k":
		return true
	}
	return false
}
