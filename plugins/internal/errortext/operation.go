package errortext

import "strings"

// LacksOperation reports whether the text of an error says that the model, or its server, doesn't
// have the operation that was asked for, which is another one than an answer. Only what stands
// before the first quote or colon counts: a client may have written the rest.
func LacksOperation(said string) bool {
	said = ownWords(said)
	if strings.Contains(said, "not allowed to generate embeddings") { // OpenAI, with 403
		return true
	}
	for _, lacks := range [...]struct {
		begin string
		what  []string // what stands behind it
	}{
		{"not supported in the v1/", []string{"completions", "embeddings", "moderations", "images", "audio"}},          // OpenAI, with 404
		{"does not support ", []string{"embeddings", "reranking", "completions", "score", "transcriptions", "rerank"}}, // vLLM with 400; llama.cpp with 501
		{"is not supported for ", []string{"embedcontent", "batchembedcontents"}},                                      // Gemini, with 404
		{"no endpoints found that support ", []string{"embeddings", "embedding models"}},                               // OpenRouter, with 404
	} {
		_, rest, _ := strings.Cut(said, lacks.begin)
		for _, what := range lacks.what {
			// What goes on, as "embeddings of more than 512 dimensions" does, is about the request.
			if behind, found := strings.CutPrefix(rest, what); found &&
				(behind == "" || behind[0] == '.' || behind[0] == '/' || strings.HasPrefix(behind, " api") || strings.HasPrefix(behind, " for ") || strings.HasPrefix(behind, " endpoint")) {
				return true
			}
		}
	}
	return false
}
