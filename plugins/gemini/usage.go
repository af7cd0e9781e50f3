package gemini

import "github.com/kai-gateway/kai/sdk"

// emitUsage maps usageMetadata, which comes with every event and counts what was used so far.
// Thoughts are billed as output, and are not included in the candidates' tokens:
// https://ai.google.dev/gemini-api/docs/thinking#pricing
func emitUsage(usage sdk.JSON, out *sdk.Out) {
	if usage.Kind() != sdk.KindObject {
		return
	}
	var prompt, toolPrompt, candidates, thoughts, cached, total int64
	var promptDetails, candidateDetails sdk.JSON
	for f := sdk.Object(usage); f.Next(); {
		v := f.Value()
		n, _ := v.Int()
		switch string(f.Key()) {
		case "promptTokenCount":
			prompt = n
		case "toolUsePromptTokenCount":
			toolPrompt = n
		case "candidatesTokenCount":
			candidates = n
		case "thoughtsTokenCount":
			thoughts = n
		case "cachedContentTokenCount":
			cached = n
		case "totalTokenCount":
			total = n
		case "promptTokensDetails":
			promptDetails = v
		case "candidatesTokensDetails":
			candidateDetails = v
		}
	}
	var w sdk.Writer
	w.Object()
	w.Key("prompt_tokens").Int(prompt + toolPrompt)
	w.Key("completion_tokens").Int(candidates + thoughts)
	if total > 0 {
		w.Key("total_tokens").Int(total)
	}
	w.Key("prompt_tokens_details").Object()
	w.Key("cached_tokens").Int(cached)
	w.Key("audio_tokens").Int(ofModality(promptDetails, "AUDIO"))
	w.End()
	w.Key("completion_tokens_details").Object()
	w.Key("reasoning_tokens").Int(thoughts)
	w.Key("audio_tokens").Int(ofModality(candidateDetails, "AUDIO"))
	w.End()
	w.End()
	out.Usage(w.Bytes())
}

// ofModality returns the tokens of one modality, from the details of a count.
func ofModality(details sdk.JSON, modality string) int64 {
	for it := sdk.Array(details); it.Next(); {
		if name, _ := it.Value().Get("modality").Str(); name == modality {
			n, _ := it.Value().Get("tokenCount").Int()
			return n
		}
	}
	return 0
}

// emitLogprobs maps a logprobsResult. It has two lists: the tokens that were chosen, and the
// ones that they were chosen from.
func emitLogprobs(result sdk.JSON, choice int, out *sdk.Out) {
	top := sdk.Array(result.Get("topCandidates"))
	var w sdk.Writer
	w.Array()
	n := 0
	for it := sdk.Array(result.Get("chosenCandidates")); it.Next(); n++ {
		w.Object()
		writeToken(&w, it.Value())
		w.Key("top_logprobs").Array()
		if top.Next() {
			for alternatives := sdk.Array(top.Value().Get("candidates")); alternatives.Next(); {
				w.Object()
				writeToken(&w, alternatives.Value())
				w.End()
			}
		}
		w.End()
		w.End()
	}
	w.End()
	if n > 0 {
		out.Logprobs(choice, w.Bytes())
	}
}

func writeToken(w *sdk.Writer, v sdk.JSON) {
	w.Key("token").Raw(v.Get("token"))
	w.Key("logprob").Raw(v.Get("logProbability"))
	w.Key("bytes").Null()
}
