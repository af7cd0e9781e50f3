// Package embeddings is the dialect of OpenAI's embeddings: it reads requests, which
// adapters get as they are, and turns the vectors that a provider answers with into what
// the client asked for.
//
// Vectors never enter an adapter. They arrive here as the provider wrote them, as arrays of
// numbers or as base64, and become numbers or base64 in one pass, without a value for each
// in between.
package embeddings
